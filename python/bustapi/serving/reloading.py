"""A process that is replaced by a new one when code changes.

Werkzeug's reloader runs the program again in a child process, and again whenever that ends
because a file changed. The parent has the socket, which stays open meanwhile: what connects
during a restart waits for it.
"""

from __future__ import annotations

import os
import typing as t

from werkzeug._reloader import run_with_reloader
from werkzeug.serving import is_running_from_reloader

from .._native import Listener, end_with_parent
from .server import end_process, serve_alone

if t.TYPE_CHECKING:
    from .._native import ServerConfig
    from ..app import Flask

#: The environment variable that tells the child the number of the socket.
_VARIABLE = "BUSTAPI_LISTENER"
#: Seconds that what still runs may take when code has changed. Who has saved a file waits for it.
_ENDING_TIME = 2.0


def serve_reloading(
    app: Flask,
    bind: t.Callable[[], Listener],
    config: ServerConfig,
    *,
    extra_files: t.Iterable[str] | None,
    exclude_patterns: t.Iterable[str] | None,
    interval: float,
    reloader_type: str,
) -> None:
    """Serve `app`, and start this program again whenever its files change.

    :param bind: makes the socket; called in the parent.
    :raises OSError: the address cannot be listened on.
    """
    is_child = is_running_from_reloader()
    descriptor = os.environ.pop(_VARIABLE, None) if is_child else None

    if descriptor is None:
        listener = bind()
    else:
        listener = Listener.adopt(int(descriptor), config)
        os.close(int(descriptor))

    if not is_child:
        os.set_inheritable(listener.fileno(), True)
        os.environ[_VARIABLE] = str(listener.fileno())

    def run() -> None:
        run_with_reloader(
            lambda: serve_alone(app, listener, config),
            extra_files,
            exclude_patterns,
            interval,
            reloader_type,
        )

    if not is_child:
        try:
            run()
        finally:
            del os.environ[_VARIABLE]
            listener.close()

        return

    end_with_parent()
    status = 0

    try:
        run()
    except SystemExit as end:
        # Views may still run, on threads that must not meet the end of the interpreter.
        status = end.code if isinstance(end.code, int) else 0

    end_process(status, at_most=_ENDING_TIME)
