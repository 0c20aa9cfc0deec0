"""The app's logger: named like the app, and never without a handler.

Handlers that the application configured are left alone; ours is added only when
a message would otherwise reach none.
"""

from __future__ import annotations

import logging
import sys
import typing as t

from werkzeug.local import LocalProxy

from .globals import request

if t.TYPE_CHECKING:
    from .sansio.app import App


@LocalProxy
def wsgi_errors_stream() -> t.TextIO:
    """Choose where errors go: ``wsgi.errors`` in a request, else ``sys.stderr``.

    A proxy, so that a handler made once writes to the place of the moment; logging
    configurations name it ``ext://bustapi.logging.wsgi_errors_stream``.
    """
    if request:
        return t.cast("t.TextIO", request.environ["wsgi.errors"])

    return sys.stderr


def has_level_handler(logger: logging.Logger) -> bool:
    """Tell whether a handler would take the messages that the logger lets through.

    Asks the logger and those that it propagates to.
    """
    level = logger.getEffectiveLevel()
    asked: logging.Logger | None = logger

    while asked is not None:
        if any(handler.level <= level for handler in asked.handlers):
            return True

        asked = asked.parent if asked.propagate else None

    return False


#: Writes to :data:`wsgi_errors_stream`. Remove it from ``app.logger`` to log
#: by other handlers only.
default_handler = logging.StreamHandler(t.cast("t.TextIO", wsgi_errors_stream))
default_handler.setFormatter(
    logging.Formatter("[%(asctime)s] %(levelname)s in %(module)s: %(message)s")
)


def create_logger(app: App) -> logging.Logger:
    """Return the logger named like the app, ready for use.

    In debug mode its level is ``DEBUG``, unless one is set. If no handler would
    take its messages it gets :data:`default_handler`.
    """
    logger = logging.getLogger(app.name)

    if app.debug and not logger.level:
        logger.setLevel(logging.DEBUG)

    if not has_level_handler(logger):
        logger.addHandler(default_handler)

    return logger
