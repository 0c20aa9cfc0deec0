"""The native server as a whole: one process, one that restarts, or several.

With several, each worker loads the application itself, so that what it starts or opens as it
is imported is each worker's own. Forking workers from a process that has loaded it saves memory,
but is left to those who ask for it: threads do not survive a fork, and connections are shared.
"""

from __future__ import annotations

import logging
import os
import threading
import typing as t
from dataclasses import dataclass

from .._native import ServerConfig
from .green_threads import check_threads
from .reloading import serve_reloading
from .server import (
    announce,
    bind,
    end_process,
    open_standard_streams,
    serve_alone,
    serve_here,
)
from .settings import read_settings
from .supervisor import FAILED, Supervisor

if t.TYPE_CHECKING:
    from .._native import Listener
    from ..app import Flask
    from .worker import ParentLine

_logger = logging.getLogger("bustapi.server")


@dataclass(frozen=True)
class Unloaded:
    """An application that is not loaded yet, so that each worker can do it.

    :param load: loads it; what it raises ends the server.
    :param when_serving: called when it is served, or about to be.
    :param preload: whether workers are forked from a process that has loaded it.
    """

    load: t.Callable[[], Flask]
    when_serving: t.Callable[[], None] = lambda: None
    preload: bool = False

    def load_here(self) -> Flask:
        """Load it in this process."""
        app = self.load()
        check_threads()
        self.when_serving()
        return app


def serve(
    app: Flask | Unloaded,
    *,
    host: str,
    port: int,
    workers: int = 1,
    preload: bool = False,
    reload: bool = False,
    debug: bool = False,
    unix_socket: str | None = None,
    unix_socket_mode: int | str | None = None,
    extra_files: t.Iterable[str] | None = None,
    exclude_patterns: t.Iterable[str] | None = None,
    reloader_interval: float = 1,
    reloader_type: str = "auto",
    **settings: t.Any,
) -> None:
    """Serve an app until SIGINT or SIGTERM.

    :param app: the application. With several workers, these are forked from this process, and
        share what it has opened; see :class:`Unloaded` for one that each of them loads.
    :param host: name or address to listen on.
    :param port: port to listen on; 0 lets the system choose.
    :param workers: processes; each takes its share of the connections.
    :param preload: for several workers; there is nothing else to do with an application that is
        loaded already.
    :param reload: start again when a source file changes; with one worker only.
    :param debug: debug mode, which turns the access log on by default.
    :param unix_socket: path of a socket to listen on in place of host and port.
    :param unix_socket_mode: permissions of its file; ``None`` for everybody's.
    :param extra_files: further files to watch with `reload`.
    :param exclude_patterns: files not to watch with `reload`.
    :param reloader_interval: seconds between two looks at the files.
    :param reloader_type: ``stat``, ``watchdog`` or ``auto``.
    :param settings: limits, time-outs and other settings of each process; see
        `bustapi.serving.settings`.
    :raises GreenThreadsError: gevent or eventlet has replaced threads.
    :raises OSError: the address cannot be listened on.
    :raises TypeError: there is no such setting, or it holds another kind of value.
    :raises ValueError: a number is out of range.
    """
    check_threads()

    if settings.get("access_log") is None:
        settings["access_log"] = debug

    values = read_settings(
        {
            "workers": workers,
            "preload": preload,
            "unix_socket_mode": unix_socket_mode,
            **settings,
        }
    )
    workers = t.cast("int", values.pop("workers"))
    mode = t.cast("int | None", values.pop("unix_socket_mode", None))
    del values["preload"]

    if reload and workers > 1:
        raise ValueError("a reloader restarts one process: there can be only one worker")

    config = ServerConfig(**t.cast("dict[str, t.Any]", values))
    open_standard_streams()

    if reload:
        serve_reloading(
            app.load_here() if isinstance(app, Unloaded) else app,
            lambda: bind(config, host, port, unix_socket, mode),
            config,
            extra_files=extra_files,
            exclude_patterns=exclude_patterns,
            interval=reloader_interval,
            reloader_type=reloader_type,
        )
    elif workers == 1:
        loaded = app.load_here() if isinstance(app, Unloaded) else app
        serve_alone(loaded, bind(config, host, port, unix_socket, mode), config)
    else:
        first = bind(config, host, port, unix_socket, mode)
        listeners = [first, *(first.another() for _ in range(workers - 1))]
        _serve_by_workers(app, listeners, config)


def _serve_by_workers(
    app: Flask | Unloaded, listeners: list[Listener], config: ServerConfig
) -> None:
    """Serve with a worker for each listener."""
    drain_timeout = t.cast("float", config.values()["drain_timeout"])
    slots = [[listener] for listener in listeners]

    if not isinstance(app, Unloaded):
        _warn_of_threads()
        work = _Work(lambda: app, config)
        announce(listeners[0])
        Supervisor(work, slots, drain_timeout=drain_timeout).run()
        return

    def tell() -> None:
        app.when_serving()
        announce(listeners[0])

    if not app.preload:
        work = _Work(app.load, config)
        Supervisor(work, slots, drain_timeout=drain_timeout, when_serving=tell).run()
        return

    def work_as_parent(listeners: list[Listener], line: ParentLine) -> None:
        """Load the application and fork the workers."""
        loaded = _load(app.load, line)
        _warn_of_threads()
        work = _Work(lambda: loaded, config)
        slots = [[listener] for listener in listeners]
        Supervisor(work, slots, drain_timeout=drain_timeout, parent=line).run()

    Supervisor(work_as_parent, [listeners], drain_timeout=drain_timeout, when_serving=tell).run()


class _Work:
    """What a worker does: load the application, and serve it."""

    def __init__(self, load: t.Callable[[], Flask], config: ServerConfig) -> None:
        self.load = load
        self.config = config

    def __call__(self, listeners: list[Listener], line: ParentLine) -> None:
        app = _load(self.load, line)

        try:
            serve_here(app, listeners[0], self.config, lifeline=line.fileno(), multiprocess=True)
        except KeyboardInterrupt:
            # A signal handler of the program's raised it, and the server has ended in good order.
            pass
        except SystemExit as end:
            end_process(end.code if isinstance(end.code, int) else int(end.code is not None))
        except Exception:
            _logger.exception("A worker failed.")
            end_process(FAILED)


def _load(load: t.Callable[[], Flask], line: ParentLine) -> Flask:
    """Load the application; where that fails, one worker tells the user."""
    try:
        app = load()
        check_threads()
        return app
    except BaseException:
        if not line.may_tell():
            end_process(FAILED)

        raise


def _warn_of_threads() -> None:
    """Name the threads that the workers, which are about to be forked, will not have."""
    here = threading.current_thread()
    threads = [thread for thread in threading.enumerate() if thread is not here]
    names = [thread.name for thread in threads]
    known = {threading.get_native_id(), *(thread.native_id for thread in threads)}
    folder = "/proc/self/task"

    if os.path.isdir(folder):
        for task in os.listdir(folder):
            if int(task) not in known:
                names.append(_native_name(f"{folder}/{task}/comm"))

    if names:
        _logger.warning(
            "Workers are forked after the application was loaded, and do not have the threads that"
            " it has started by then: %s. What these hold is held for ever. See 'Preloading' in"
            " the documentation.",
            ", ".join(names),
        )


def _native_name(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "one that has just ended"
