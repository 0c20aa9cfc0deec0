"""The app's logger: named like the app, and never without a handler.

Handlers that the application configured are left alone; ours is added only when
a message would otherwise reach none.
"""

from __future__ import annotations

import logging
import sys
import traceback
import typing as t

from werkzeug.local import LocalProxy

from .globals import request

if t.TYPE_CHECKING:
    from types import CodeType, TracebackType

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


# Of more frames than this at once, the texts are made anew; a server has few places that raise.
_REMEMBERED = 512
# `traceback` writes frames that repeat more often than this in another way.
_REPEATS = 3
# It looks for names that may have been meant, or shows lines, where an exception is one of these.
_EXPLAINED = (AttributeError, ImportError, NameError, SyntaxError)
_print_exception = traceback.print_exception
_format = traceback.TracebackException.format


class TracebackFormatter(logging.Formatter):
    """Writes tracebacks as :mod:`traceback` does, and remembers the text of each frame.

    To find and mark a frame's line takes ``traceback`` several times as long as all else that an
    exception causes, so that a view that always fails would hold up the others. The text shows the
    line as it was when it was first needed, also if the file has changed since.
    """

    def __init__(self, fmt: str) -> None:
        super().__init__(fmt)
        self._frames: dict[tuple[str, CodeType, int, int], str] = {}

    def formatException(  # noqa: D102 N802 as in the class
        self, ei: t.Any
    ) -> str:
        _, error, tb = ei

        if not _is_simple(error) or tb is None:
            return super().formatException(ei)

        keys: list[tuple[tuple[str, CodeType, int, int], TracebackType]] = []

        while tb is not None:
            code = tb.tb_frame.f_code
            # Equal code may be of different files.
            keys.append(((code.co_filename, code, tb.tb_lineno, tb.tb_lasti), tb))
            tb = tb.tb_next

        lines = ["Traceback (most recent call last):\n"]

        for place, (key, entry) in enumerate(keys):
            if place >= _REPEATS and all(
                key[:3] == before[:3] for before, _ in keys[place - _REPEATS : place]
            ):
                return super().formatException(ei)

            text = self._frames.get(key)

            if text is None:
                text = "".join(traceback.format_tb(entry, 1))

                if len(self._frames) >= _REMEMBERED:
                    self._frames.clear()

                self._frames[key] = text

            lines.append(text)

        lines += traceback.format_exception_only(error)
        return "".join(lines).removesuffix("\n")


def _is_simple(error: t.Any) -> bool:
    """Tell whether an exception's text is that of its frames and its own."""
    return (
        isinstance(error, Exception)
        and not isinstance(error, _EXPLAINED)
        and error.__cause__ is None
        and (error.__context__ is None or error.__suppress_context__)
        # A group of exceptions, whatever its class is called in older versions.
        and not hasattr(error, "exceptions")
        and traceback.print_exception is _print_exception
        and traceback.TracebackException.format is _format
    )


#: Writes to :data:`wsgi_errors_stream`. Remove it from ``app.logger`` to log
#: by other handlers only.
default_handler = logging.StreamHandler(t.cast("t.TextIO", wsgi_errors_stream))
default_handler.setFormatter(
    TracebackFormatter("[%(asctime)s] %(levelname)s in %(module)s: %(message)s")
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
