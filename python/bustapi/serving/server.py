"""The native server: listening, worker processes, reloading, and an orderly end.

Theory of operation: sockets are bound before anything forks, so that an address that
cannot be had is an error of the command and not of a worker. With several workers each has
a socket of its own on the same address (``SO_REUSEPORT``), which the parent keeps open: what
connects while a worker is being replaced waits for the next one. The runtime and its threads
are made after the fork, by each worker.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
import time
import typing as t

import click
from werkzeug._reloader import run_with_reloader
from werkzeug.serving import is_running_from_reloader

from .._native import Listener, ServerConfig
from .._native import serve as _serve
from .settings import read_settings

if t.TYPE_CHECKING:
    from types import FrameType

    from ..app import Flask

_logger = logging.getLogger("bustapi.server")

#: Seconds after which a thread that computes lets another one in, where the program has not said.
#: CPython's own 5 ms are what every quick request would wait beside one view that computes.
_SWITCH_INTERVAL = 0.001
_DEFAULT_SWITCH_INTERVAL = sys.getswitchinterval()
#: A worker whose server ends with an error this soon (in seconds) after it was started cannot
#: serve at all.
_STARTUP_TIME = 1.0
#: What such a worker ends with; hardly what else ends a process with (`EX_SOFTWARE`).
_FAILED = 70
#: Seconds before a worker that died so soon is replaced, so that one that a request killed is
#: missed for no longer, and one that always dies keeps no processor busy.
_PAUSE = 0.1
#: Signals that ask the server to stop.
_STOPPING = (signal.SIGTERM, signal.SIGINT)


def serve(
    app: Flask,
    *,
    host: str,
    port: int,
    workers: int = 1,
    reload: bool = False,
    debug: bool = False,
    unix_socket: str | None = None,
    extra_files: t.Iterable[str] | None = None,
    exclude_patterns: t.Iterable[str] | None = None,
    reloader_interval: float = 1,
    reloader_type: str = "auto",
    **settings: t.Any,
) -> None:
    """Serve an app until SIGINT or SIGTERM.

    :param host: name or address to listen on.
    :param port: port to listen on; 0 lets the system choose.
    :param workers: processes; each takes its share of the connections.
    :param reload: start again when a source file changes; with one worker only.
    :param debug: debug mode, which turns the access log on by default.
    :param unix_socket: path of a socket to listen on in place of host and port.
    :param extra_files: further files to watch with `reload`.
    :param exclude_patterns: files not to watch with `reload`.
    :param reloader_interval: seconds between two looks at the files.
    :param reloader_type: ``stat``, ``watchdog`` or ``auto``.
    :param settings: limits, time-outs and other settings of each process; see
        `bustapi.serving.settings`.
    :raises OSError: the address cannot be listened on.
    :raises TypeError: there is no such setting, or it holds another kind of value.
    :raises ValueError: a number is out of range.
    """
    if settings.get("access_log") is None:
        settings["access_log"] = debug

    values = read_settings({"workers": workers, **settings})
    workers = t.cast("int", values.pop("workers"))

    if reload and workers > 1:
        raise ValueError("a reloader restarts one process: there can be only one worker")

    config = ServerConfig(**t.cast("dict[str, t.Any]", values))

    if reload:
        if not is_running_from_reloader():
            # Bound once and let go: an address that cannot be had is an error of the command,
            # not of the thread in which each restarted process serves.
            _bind(config, host, port, unix_socket)

        run_with_reloader(
            lambda: _serve_alone(app, _bind(config, host, port, unix_socket), config),
            extra_files,
            exclude_patterns,
            reloader_interval,
            reloader_type,
        )
        return

    first = _bind(config, host, port, unix_socket, shared=workers > 1)

    if workers == 1:
        _serve_alone(app, first, config)
        return

    if unix_socket is not None:
        # All accept on one socket: there is no other way to share a path.
        listeners = [first, *(first.duplicate() for _ in range(workers - 1))]
    else:
        bound_port = first.address()[1] or port
        further = (_bind(config, host, bound_port, None, shared=True) for _ in range(workers - 1))
        listeners = [first, *further]

    _announce(first)
    _Supervisor(app, listeners, config).run()


def _bind(
    config: ServerConfig, host: str, port: int, unix_socket: str | None, *, shared: bool = False
) -> Listener:
    return Listener(host, port, config, path=unix_socket, shared=shared)


def _announce(listener: Listener) -> None:
    """Tell on standard error where the app can be reached."""
    host, port = listener.address()
    where = host if port is None else f"http://{f'[{host}]' if ':' in host else host}:{port}"
    click.echo(f" * Running on {where} (Press CTRL+C to quit)", err=True)


def _serve_alone(app: Flask, listener: Listener, config: ServerConfig) -> None:
    """Serve in this process. Signals are the main thread's matter if this is not it."""
    _announce(listener)
    is_main = threading.current_thread() is threading.main_thread()

    # Python has noted the signal as well that has just ended the server in good order.
    with contextlib.suppress(KeyboardInterrupt):
        if not _serve_here(app, listener, is_main, config):
            atexit.register(_leave_views_behind)


def _serve_here(app: Flask, listener: Listener, signals: bool, config: ServerConfig) -> bool:
    """Serve in this process to the end; whether all views have ended by then."""
    if sys.getswitchinterval() == _DEFAULT_SWITCH_INTERVAL:
        sys.setswitchinterval(_SWITCH_INTERVAL)

    return _serve(app, listener, config, signals=signals)


def _leave_views_behind() -> None:
    """End the process at once, as a view is still running that did not end in time.

    CPython ends a thread that comes back to it while it shuts down by unwinding its stack,
    which native code does not survive.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class _Supervisor:
    """Keeps one process per listener running."""

    def __init__(self, app: Flask, listeners: list[Listener], config: ServerConfig) -> None:
        self.app = app
        self.listeners = listeners
        self.config = config
        #: By process id: the index of its listener, and when it was started.
        self.workers: dict[int, tuple[int, float]] = {}
        self.stopping = False

    def run(self) -> None:
        """Serve until told to stop.

        :raises SystemExit: with status 1, when a worker fails as soon as it starts.
        """
        previous = {number: signal.signal(number, self._stop) for number in _STOPPING}

        try:
            for index in range(len(self.listeners)):
                self._start(index)

            failed = self._watch()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

        if failed:
            click.secho("Error: a worker failed to start.", fg="red", err=True)
            sys.exit(1)

    def _start(self, index: int) -> None:
        """Start a worker, unless the server is to stop."""
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal that came in between would be handled by the worker as by its parent, or
        # the parent would not tell this worker.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)

        if not self.stopping:
            process_id = os.fork()

            if process_id == 0:
                self._work(index)

            self.workers[process_id] = (index, time.monotonic())

        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)

    def _work(self, index: int) -> t.NoReturn:
        """Be a worker, to the end of this process."""
        status = _FAILED

        try:
            # Until the server has its own handlers, a signal simply ends the worker.
            for number in _STOPPING:
                signal.signal(number, signal.SIG_DFL)

            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
            listener = self.listeners[index]
            self.listeners = []
            _serve_here(self.app, listener, True, self.config)
            status = 0
        except BaseException:
            _logger.exception("A worker failed.")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # The rest of the parent's program is not the worker's to run.
            os._exit(status)

    def _watch(self) -> bool:
        """Replace workers that end, until all ended; whether that was a failure to start."""
        failed = False

        while self.workers:
            process_id, status = os.waitpid(-1, 0)
            worker = self.workers.pop(process_id, None)

            if worker is None or self.stopping:
                continue

            index, started = worker
            at_once = time.monotonic() - started < _STARTUP_TIME

            # Anything else, such as a crash, may be the doing of a request, even of its first.
            if at_once and os.WIFEXITED(status) and os.WEXITSTATUS(status) == _FAILED:
                failed = True
                self._stop(signal.SIGTERM, None)
                continue

            _logger.error("Worker %d ended with status %d; starting another.", process_id, status)

            if at_once:
                time.sleep(_PAUSE)

            self._start(index)

        return failed

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

        for process_id in self.workers:
            # It may have ended a moment ago.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGTERM)
