"""How ``app.run()`` and the ``run`` command serve: natively, or as they are told.

Both promise to call `werkzeug.serving.run_simple`: tests, debuggers and extensions put a
function of their own there, and it is called with the arguments that Flask gives. Otherwise
the native server serves, in debug mode behind Werkzeug's interactive debugger. What only
Werkzeug's development server can do is left to it, with a warning; so is everything where a
program has replaced parts of that server (`bustapi.serving.werkzeug_parts`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import inspect
import os
import sys
import typing as t
import warnings

import click
import werkzeug.serving
from werkzeug.utils import import_string

from ..foreign_flask import warn_of_flask
from ..helpers import get_debug_flag
from .green_threads import GreenThreadsError, check_threads
from .native import Unloaded, serve
from .server import AddressError
from .settings import SETTINGS, check_names, read_variables
from .werkzeug_parts import is_own_function, replaced_parts

if t.TYPE_CHECKING:  # pragma: no cover
    from collections.abc import Generator, Mapping

    from werkzeug.debug import DebuggedApplication

    from ..app import Flask

_werkzeug_run_simple = werkzeug.serving.run_simple

#: Options of `run_simple` that the native server has no counterpart for.
WERKZEUG_OPTIONS = frozenset(
    {"ssl_context", "request_handler", "static_files", "passthrough_errors"}
)
#: Options that `run_simple` does not know.
NATIVE_OPTIONS = frozenset(SETTINGS).difference(("host", "port"))
# What to do when an address cannot be listened on.
_ADVICE = {
    errno.EADDRINUSE: (
        "Another program listens there: stop it, or choose another port with '--port' or"
        " app.run(port=...); 0 lets the system choose a free one."
    ),
    errno.EADDRNOTAVAIL: (
        "It is no address of this machine: '127.0.0.1' is reached from this machine only,"
        " '0.0.0.0' from every other as well."
    ),
    errno.EACCES: "Ports below 1024 and some folders are for privileged users: choose another.",
    errno.ENOENT: "The folder of the socket must exist.",
    errno.ENOTDIR: "The folder of the socket must be one.",
}
#: A port is 16 bits wide.
_MAX_PORT = 65_535


def settle_options(
    host: str | None, port: int | None, options: dict[str, t.Any]
) -> dict[str, t.Any]:
    """The options of ``app.run()``, completed with what environment variables set.

    :param host: the argument as given, as is `port`.
    :raises TypeError: for an option that no server has, or that holds another kind of value.
    :raises ValueError: for a value out of range, a variable that cannot be read, or two
        addresses.
    """
    if _find_replacement(_werkzeug_run_simple) is not None:
        # The options are not checked, as only the replacement knows which ones it takes.
        return options

    check_names(options, {*_run_simple_options(), *NATIVE_OPTIONS}, "run")

    if not replaced_parts():
        options = {**read_variables(), **options}

    options.update(
        (name, SETTINGS[name].read(value))
        for name, value in options.items()
        if name in NATIVE_OPTIONS and value is not None
    )

    if options.get("unix_socket") is not None and not (host is None and port is None):
        raise ValueError("`unix_socket` stands in place of `host` and `port`")

    return options


def require_server(
    options: Mapping[str, t.Any], run_simple: t.Callable[..., None] = _werkzeug_run_simple
) -> None:
    """End the process where the server that `serve_app` would use cannot work in it.

    :raises SystemExit: with status 1.
    """
    if _is_native(options, run_simple):
        try:
            check_threads()
        except GreenThreadsError as error:
            _end(str(error))


def choose_reloader(
    asked: bool | None,
    debug: bool,
    options: Mapping[str, t.Any],
    run_simple: t.Callable[..., None] = _werkzeug_run_simple,
) -> bool:
    """Whether to restart when code changes: if asked for, or in debug mode by default.

    :param options: of `serve_app`, as is `run_simple`.
    :raises SystemExit: with status 1 if it is asked for and there are several workers.
    """
    wanted = debug if asked is None else asked
    workers = options.get("workers") or options.get("processes") or 1

    if workers == 1 or not wanted or not _is_native(options, run_simple):
        return wanted

    if asked:
        _end(
            f"a reloader cannot be had together with {workers} workers",
            "It restarts one process.",
        )

    click.echo(f" * Code changes restart nothing, as there are {workers} workers.", err=True)
    return False


def _is_native(options: Mapping[str, t.Any], run_simple: t.Callable[..., None]) -> bool:
    return (
        _find_replacement(run_simple) is None
        and not _only_werkzeug(options)
        and not replaced_parts()
    )


def _only_werkzeug(options: Mapping[str, t.Any]) -> list[str]:
    """Those of the options that only Werkzeug's server has."""
    return sorted(name for name in WERKZEUG_OPTIONS if options.get(name))


def _run_simple_options() -> set[str]:
    """The keyword arguments of `run_simple` that ``app.run()`` leaves to its caller."""
    names = inspect.signature(_werkzeug_run_simple).parameters
    return set(names).difference(("hostname", "port", "application"))


def _find_replacement(run_simple: t.Callable[..., None]) -> t.Callable[..., None] | None:
    """What stands in the place of Werkzeug's `run_simple`, there or where the caller has it."""
    for current in (werkzeug.serving.run_simple, run_simple):
        if not is_own_function(current, "run_simple"):
            return current

    return None


def serve_app(
    host: str,
    port: int,
    app: Flask | Unloaded,
    *,
    run_simple: t.Callable[..., None] = _werkzeug_run_simple,
    **options: t.Any,
) -> None:
    """Serve `app` until it is stopped.

    :param host: address to listen on, or ``unix://`` and the path of a socket.
    :param port: port to listen on; 0 lets the system choose.
    :param app: the application, or how each worker loads it.
    :param run_simple: the function that the caller knows as Werkzeug's; called if it is another.
    :param options: those of `werkzeug.serving.run_simple`, and natively ``workers``
        (processes), ``threads`` (of each, for views) and all others of
        `bustapi.serving.settings`.
    :raises SystemExit: with status 1 if the address cannot be listened on, or there is no
        server that has all `options`.
    """
    warn_of_flask()
    replacement = _find_replacement(run_simple)

    if replacement is not None:
        replacement(host, port, _loaded(app), **options)
        return

    reasons = [
        *(f"only it supports {name}" for name in _only_werkzeug(options)),
        *(f"{name} has been replaced" for name in replaced_parts()),
    ]

    if reasons:
        reason = " and ".join(reasons)

        if only_native := sorted(
            name for name in NATIVE_OPTIONS.intersection(options) if options[name] is not None
        ):
            _end(
                f"{', '.join(only_native)} cannot be had: Werkzeug's development server, which"
                f" does not know that, is needed, as {reason}"
            )

        warnings.warn(
            f"Werkzeug's development server is used, as {reason}. Do not use it in production.",
            RuntimeWarning,
            stacklevel=3,
        )
        werkzeug_options = {
            name: value for name, value in options.items() if name not in NATIVE_OPTIONS
        }
        _werkzeug_run_simple(host, port, _loaded(app), **werkzeug_options)
        return

    _serve_natively(host, port, app, **options)


def _loaded(app: Flask | Unloaded) -> Flask:
    return app.load_here() if isinstance(app, Unloaded) else app


def _serve_natively(
    host: str,
    port: int,
    app: Flask | Unloaded,
    *,
    use_reloader: bool = False,
    use_debugger: bool = False,
    use_evalex: bool = True,
    threaded: bool = False,
    processes: int = 1,
    workers: int | None = None,
    threads: int | None = None,
    unix_socket: str | None = None,
    **options: t.Any,
) -> None:
    for name in WERKZEUG_OPTIONS:
        options.pop(name, None)

    if threads is None and not threaded:
        threads = 1

    if unix_socket is None and host.startswith("unix://"):
        unix_socket = host.removeprefix("unix://")

    if unix_socket is None and not 0 <= port <= _MAX_PORT:
        _end(f"the port must be 0 to {_MAX_PORT}, not {port}")

    with contextlib.ExitStack() as stack:
        served = app

        if not use_debugger:
            pass
        elif isinstance(app, Unloaded):
            served = _load_debugged(app, host, use_evalex)
        else:
            stack.enter_context(_debugged(app, host, use_evalex))

        try:
            serve(
                served,
                host=host,
                port=port,
                workers=processes if workers is None else workers,
                threads=threads,
                reload=use_reloader,
                debug=get_debug_flag() if isinstance(app, Unloaded) else app.debug,
                unix_socket=unix_socket,
                **{name: value for name, value in options.items() if value is not None},
            )
        except GreenThreadsError as error:
            _end(str(error))
        except AddressError as error:
            if error.errno is None:
                # The native server's message says more where a name cannot be resolved.
                _end(str(error))

            where = unix_socket or f"{host}:{port}"
            reason = f"cannot listen on {where}: {os.strerror(error.errno)}"
            _end(reason, _ADVICE.get(error.errno, ""))


def _end(reason: str, advice: str = "") -> t.NoReturn:
    click.secho(f"Error: {reason}.", fg="red", err=True)

    if advice:
        click.echo(advice, err=True)

    sys.exit(1)


def _load_debugged(app: Unloaded, host: str, use_evalex: bool) -> Unloaded:
    """As `app`, with the debugger once it is loaded."""

    def load() -> Flask:
        loaded = app.load()
        debugger = _make_debugger(loaded.wsgi_app, host, use_evalex)
        loaded.wsgi_app = debugger  # type: ignore[method-assign]
        return loaded

    return dataclasses.replace(app, load=load)


@contextlib.contextmanager
def _debugged(app: Flask, host: str, use_evalex: bool) -> Generator[None, None, None]:
    """Put the debugger in front of `app`, and take it away again."""
    wsgi_app = app.wsgi_app
    app.wsgi_app = _make_debugger(wsgi_app, host, use_evalex)  # type: ignore[method-assign]

    try:
        yield
    finally:
        # Not left in an instance, where it would hide the method and keep the app alive.
        del app.wsgi_app
        if app.wsgi_app != wsgi_app:
            app.wsgi_app = wsgi_app  # type: ignore[method-assign]


def _make_debugger(wsgi_app: t.Any, host: str, use_evalex: bool) -> DebuggedApplication:
    # Werkzeug loads its debugger as late: with `pdb` and what that needs, it is a thirtieth of
    # all that a server executes until its first answer.
    debugger: type[DebuggedApplication] = import_string("werkzeug.debug:DebuggedApplication")
    debugged = debugger(wsgi_app, evalex=use_evalex)
    # It answers on local names and, like Werkzeug's server, on the name it is served under.
    debugged.trusted_hosts.append(host)
    return debugged
