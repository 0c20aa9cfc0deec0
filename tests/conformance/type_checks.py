"""Suites of well typed files: mypy finds nothing in a file, or the file is a failed test.

Type checkers know nothing of :func:`bustapi.flask_compat.install`, so bustapi's run checks the
files with their imports renamed, which is what a migrated application looks like.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# The names of the framework itself must resolve: only its optional parts may lack types.
_CONFIGURATION = """\
[mypy]
strict = True
follow_imports = silent
incremental = False

[mypy-asgiref.*,cryptography.*,dotenv.*,greenlet.*,uvloop.*]
ignore_missing_imports = True
"""

_IMPORT = re.compile(r"^(\s*(?:from|import)\s+)flask\b", re.MULTILINE)
_ERROR = re.compile(r"^(.+?):\d+(?::\d+)?: error: ", re.MULTILINE)
_END = re.compile(r"^(Success: no issues|Found \d+ error)", re.MULTILINE)


def write_configuration(folder: Path) -> Path:
    """Writes mypy's configuration into `folder`; its path."""
    path = folder / "conformance-mypy.ini"
    path.write_text(_CONFIGURATION, encoding="utf-8")
    return path


def rename_imports(path: Path) -> None:
    """Makes a file import bustapi where it imports Flask."""
    path.write_text(_IMPORT.sub(r"\1bustapi", path.read_text(encoding="utf-8")), encoding="utf-8")


def read_mypy(log: Path, files: Sequence[str]) -> dict[str, str]:
    """Outcome by file; nothing if mypy did not come to its end."""
    output = log.read_text(encoding="utf-8")
    if not _END.search(output):
        return {}
    faulty = set(_ERROR.findall(output))
    return {name: "failed" if name in faulty else "passed" for name in files}
