"""One process that serves: its socket, how it runs, and how it ends."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import traceback
import typing as t

import click

from .._native import Listener, ServerConfig
from .._native import serve as _serve
from .signals import heard

if t.TYPE_CHECKING:
    from ..app import Flask

#: Seconds after which a thread that computes lets another one in, where the program has not said.
#: CPython's own 5 ms are what every quick request would wait beside one view that computes.
_SWITCH_INTERVAL = 0.001
_DEFAULT_SWITCH_INTERVAL = sys.getswitchinterval()
#: The descriptors of standard input, output and error.
_STANDARD_STREAMS = (0, 1, 2)


class AddressError(OSError):
    """The address cannot be listened on."""


def bind(
    config: ServerConfig,
    host: str,
    port: int,
    unix_socket: str | None = None,
    unix_socket_mode: int | None = None,
) -> Listener:
    """Bind and listen.

    :param unix_socket: path of a socket to listen on in place of host and port.
    :param unix_socket_mode: permissions of its file; everybody's by default.
    :raises AddressError: the address is in use, not permitted or not known.
    """
    try:
        return Listener(host, port, config, path=unix_socket, mode=unix_socket_mode)
    except OSError as error:
        raise AddressError(*error.args) from None


def announce(listener: Listener) -> None:
    """Tell on standard error where the application can be reached."""
    host, port = listener.address()
    where = host if port is None else f"http://{f'[{host}]' if ':' in host else host}:{port}"
    click.echo(f" * Running on {where} (Press CTRL+C to quit)", err=True)


def serve_alone(app: Flask, listener: Listener, config: ServerConfig) -> None:
    """Serve in this process. Signals are left to the main thread if this is not it."""
    announce(listener)
    is_main = threading.current_thread() is threading.main_thread()

    # A signal handler of the program's may end the server with an exception, too.
    with contextlib.suppress(KeyboardInterrupt):
        if not serve_here(app, listener, config, signals=is_main):
            atexit.register(_leave_views_behind)


def serve_here(
    app: Flask, listener: Listener, config: ServerConfig, *, signals: bool = True, **options: t.Any
) -> bool:
    """Serve in this process to the end; whether all views have ended by then.

    :param signals: whether to react to signals, on the main thread.
    :param options: see :func:`bustapi._native.serve`.
    :raises BaseException: what a handler of a signal raised to end the program, such as
        `SystemExit`; open requests have been finished first.
    """
    if sys.getswitchinterval() == _DEFAULT_SWITCH_INTERVAL:
        sys.setswitchinterval(_SWITCH_INTERVAL)

    with heard() if signals else contextlib.nullcontext():
        idle, raised = _serve(app, listener, config, signals=signals, **options)

    if raised is not None:
        if not idle:
            atexit.register(_leave_views_behind)

        raise raised

    return idle


def _leave_views_behind() -> None:
    """End the process now, as a view is still running that did not end in time."""
    atexit.unregister(_leave_views_behind)
    end_process(0)


def end_process(status: int, at_most: float | None = None) -> t.NoReturn:
    """End this process as a Python program ends, all but the interpreter.

    Threads that are no daemons are waited for, executors finish their work, and functions
    registered with `atexit` are called. The interpreter is left as it is: CPython ends a thread
    that comes back to it while it shuts down by unwinding its stack, which native code does not
    survive.

    :param at_most: seconds after which nothing is waited for any more; ``None`` for no bound.
    """
    if at_most is not None:
        # Made now, as there are no further threads once the end has begun.
        timer = threading.Timer(at_most, _exit_now, [status])
        timer.daemon = True
        timer.start()

    try:
        threading._shutdown()  # type: ignore[attr-defined]
    except BaseException:  # noqa: BLE001 as the interpreter does: the process ends all the same
        traceback.print_exc()

    atexit._run_exitfuncs()
    _exit_now(status)


def _exit_now(status: int) -> t.NoReturn:
    flush_streams()
    os._exit(status)


def flush_streams() -> None:
    """Write out what the standard streams hold back."""
    for stream in (sys.stdout, sys.stderr):
        # There may be none, or nobody who reads it any more.
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()


def open_standard_streams() -> None:
    """Put the null device where a standard stream is closed.

    Otherwise the next socket or file takes its number, and what is printed goes there.
    """
    for number in _STANDARD_STREAMS:
        try:
            os.fstat(number)
        except OSError:
            # Lower ones are open by now, so that this is the number it gets.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
