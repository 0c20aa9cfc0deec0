"""How ``app.run()`` and the ``run`` command serve: natively, or as they are told.

Both promise to call `werkzeug.serving.run_simple`: tests, debuggers and extensions put a
function of their own there, and it is called with the arguments that Flask gives. Otherwise
the native server serves, in debug mode behind Werkzeug's interactive debugger. What only
Werkzeug's development server can do is left to it, with a warning.
"""

from __future__ import annotations

import errno
import os
import sys
import typing as t
import warnings

import click
import werkzeug.serving
from werkzeug.utils import import_string

from .server import serve

if t.TYPE_CHECKING:  # pragma: no cover
    from werkzeug.debug import DebuggedApplication

    from ..app import Flask

_werkzeug_run_simple = werkzeug.serving.run_simple

#: Options of `run_simple` that the native server has no counterpart for.
WERKZEUG_OPTIONS = frozenset(
    {"ssl_context", "request_handler", "static_files", "passthrough_errors"}
)
#: Options that `run_simple` does not know.
NATIVE_OPTIONS = frozenset({"workers", "threads", "stream_threads", "drain_timeout", "access_log"})
# Why an address cannot be listened on; other errors of the system are not the user's.
_ADDRESS_ERRORS = frozenset(
    {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.ENOENT, errno.ENOTDIR}
)
#: A port is 16 bits wide.
_MAX_PORT = 65_535


def serve_app(
    host: str,
    port: int,
    app: Flask,
    *,
    run_simple: t.Callable[..., None] = _werkzeug_run_simple,
    **options: t.Any,
) -> None:
    """Serve `app` until it is stopped.

    :param host: address to listen on, or ``unix://`` and the path of a socket.
    :param port: port to listen on; 0 lets the system choose.
    :param run_simple: the function that the caller knows as Werkzeug's; called if it is another.
    :param options: those of `werkzeug.serving.run_simple`, and natively ``workers``
        (processes), ``threads`` (of each, for views) and others of `bustapi.serving.serve`.
    :raises SystemExit: with status 1 if the address cannot be listened on, or there is no
        server that has all `options`.
    """
    for current in (werkzeug.serving.run_simple, run_simple):
        if current is not _werkzeug_run_simple:
            current(host, port, app, **options)
            return

    only_werkzeug = sorted(name for name in WERKZEUG_OPTIONS if options.get(name))

    if only_werkzeug:
        if only_native := sorted(NATIVE_OPTIONS.intersection(options)):
            _end(
                f"{', '.join(only_native)} cannot be had together with"
                f" {', '.join(only_werkzeug)}, as Werkzeug's development server does not know"
                " them"
            )

        warnings.warn(
            f"Werkzeug's development server is used, as only it supports"
            f" {', '.join(only_werkzeug)}. Do not use it in production.",
            RuntimeWarning,
            stacklevel=3,
        )
        _werkzeug_run_simple(host, port, app, **options)
        return

    _serve_natively(host, port, app, **options)


def _serve_natively(
    host: str,
    port: int,
    app: Flask,
    *,
    use_reloader: bool = False,
    use_debugger: bool = False,
    use_evalex: bool = True,
    threaded: bool = False,
    processes: int = 1,
    workers: int | None = None,
    threads: int | None = None,
    **options: t.Any,
) -> None:
    for name in WERKZEUG_OPTIONS:
        options.pop(name, None)

    if threads is None and not threaded:
        threads = 1

    unix_socket = host.removeprefix("unix://") if host.startswith("unix://") else None

    if unix_socket is None and not 0 <= port <= _MAX_PORT:
        _end(f"the port must be 0 to {_MAX_PORT}, not {port}")

    wsgi_app = app.wsgi_app

    if use_debugger:
        app.wsgi_app = _debugged(wsgi_app, host, use_evalex)  # type: ignore[method-assign]

    try:
        serve(
            app,
            host=host,
            port=port,
            workers=processes if workers is None else workers,
            threads=threads,
            reload=use_reloader,
            debug=app.debug,
            unix_socket=unix_socket,
            **{name: value for name, value in options.items() if value is not None},
        )
    except OSError as error:
        if error.errno is None:
            # The server's own words, for a name that cannot be resolved.
            _end(str(error))

        if error.errno not in _ADDRESS_ERRORS:
            raise

        where = unix_socket or f"{host}:{port}"
        _end(f"cannot listen on {where}: {os.strerror(error.errno)}")
    finally:
        if use_debugger:
            # Not left in an instance, where it would hide the method and keep the app alive.
            del app.wsgi_app
            if app.wsgi_app != wsgi_app:
                app.wsgi_app = wsgi_app  # type: ignore[method-assign]


def _end(reason: str) -> t.NoReturn:
    click.secho(f"Error: {reason}.", fg="red", err=True)
    sys.exit(1)


def _debugged(wsgi_app: t.Any, host: str, use_evalex: bool) -> DebuggedApplication:
    # Werkzeug loads its debugger as late: with `pdb` and what that needs, it is a thirtieth of
    # all that a server executes until its first answer.
    debugger: type[DebuggedApplication] = import_string("werkzeug.debug:DebuggedApplication")
    debugged = debugger(wsgi_app, evalex=use_evalex)
    # It answers on local names and, like Werkzeug's server, on the name it is served under.
    debugged.trusted_hosts.append(host)
    return debugged
