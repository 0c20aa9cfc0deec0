"""Files that belong to an application or a blueprint: static files, and files it opens."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from .globals import current_app
from .helpers import send_from_directory

if t.TYPE_CHECKING:  # pragma: no cover
    import os

    from .wrappers import Response

READ_MODES = frozenset({"r", "rt", "rb"})


class StaticFiles(t.Protocol):
    """An object with a static folder: the application, or a blueprint."""

    @property
    def static_folder(self) -> str | None: ...  # noqa: D102
    @property
    def has_static_folder(self) -> bool: ...  # noqa: D102
    def get_send_file_max_age(self, filename: str | None) -> int | None: ...  # noqa: D102


def send_file_max_age() -> int | None:
    """The configured ``SEND_FILE_MAX_AGE_DEFAULT`` of the current application, in seconds."""
    value: int | timedelta | None = current_app.config["SEND_FILE_MAX_AGE_DEFAULT"]

    if isinstance(value, timedelta):
        return int(value.total_seconds())

    return value


def send_static(owner: StaticFiles, filename: str) -> Response:
    """A response with a file of the owner's static folder.

    :raises RuntimeError: if it has none.
    :raises werkzeug.exceptions.NotFound: if there is no such file below the folder.
    """
    if not owner.has_static_folder:
        raise RuntimeError("'static_folder' must be set to serve static_files.")

    # Passed on explicitly: `send_file` alone would only ask the application.
    max_age = owner.get_send_file_max_age(filename)
    return send_from_directory(t.cast("str", owner.static_folder), filename, max_age=max_age)


def open_file(path: str | os.PathLike[str], mode: str, encoding: str | None) -> t.IO[t.Any]:
    """Open a file; `encoding` is left out for binary modes, where `open` refuses it."""
    return open(path, mode, encoding=None if "b" in mode else encoding)


def open_readable(path: str | os.PathLike[str], mode: str, encoding: str | None) -> t.IO[t.Any]:
    """`open_file` that refuses modes that write.

    :raises ValueError: for such a mode.
    """
    if mode not in READ_MODES:
        raise ValueError("Resources can only be opened for reading.")

    return open_file(path, mode, encoding)
