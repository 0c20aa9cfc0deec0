"""Files that belong to an application or a blueprint: static files, and files it opens."""

from __future__ import annotations

import contextlib
import posixpath
import typing as t
from datetime import timedelta

from werkzeug.exceptions import NotFound

from ._native import accepted_codings, is_coded
from .globals import current_app, request
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
    folder = t.cast("str", owner.static_folder)

    if current_app.config.get("STATIC_PRECOMPRESSED"):
        return _send_precompressed(folder, filename, max_age)

    return send_from_directory(folder, filename, max_age=max_age)


def _send_precompressed(folder: str, filename: str, max_age: int | None) -> Response:
    """A file, or the compressed one beside it that the client likes best."""
    path = posixpath.normpath(filename)
    response = None

    for coding, suffix in accepted_codings(path, request.headers.get("Accept-Encoding", "")):
        with contextlib.suppress(NotFound):
            response = send_from_directory(
                folder,
                path + suffix,
                download_name=posixpath.basename(path),
                max_age=max_age,
            )
            response.content_encoding = coding
            break

    if response is None:
        response = send_from_directory(folder, filename, max_age=max_age)

    if not is_coded(path):
        response.vary.add("Accept-Encoding")

    return response


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
