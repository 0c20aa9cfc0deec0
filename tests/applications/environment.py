"""Environments of the applications, below ``.cache/applications``.

All ways of serving an application share one environment. As in `tests.conformance`, the code of the
installed ``flask`` package is moved into a folder of its own, which only the runs on Flask have on
their path: whatever an application starts, on bustapi there is no Flask to fall back to.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import typing as t
from dataclasses import dataclass

from tests.conformance.environment import ROOT, PreparationError, run_command

if t.TYPE_CHECKING:
    from pathlib import Path

    from .application import Application

CACHE = ROOT / ".cache" / "applications"
#: What an application needs besides its `requirements` is installed as of this day, so that the
#: same is installed tomorrow.
AS_OF = "2026-11-27T00:00:00Z"
# Seconds: a hundred packages from a slow mirror.
_INSTALL_TIMEOUT = 1800


@dataclass(frozen=True)
class Environment:
    """A virtual environment with an application, less Flask's code."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def flask_path(self) -> Path:
        """Holds the real ``flask`` package and nothing else."""
        return self.folder / "real-flask"


def find_environment(application: Application) -> Environment:
    """The environment that `make_environment` made."""
    return Environment(CACHE / "environments" / application.name)


def make_environment(application: Application) -> Environment:
    """The application's environment, made anew when its requirements have changed.

    :raises PreparationError: if a requirement cannot be had, or a program is not there.
    """
    for program, package in application.programs.items():
        if shutil.which(program) is None:
            raise PreparationError(f"{program} is not on the path (Debian: {package})")

    made = find_environment(application)
    facts = [sys.version, application.requirements, AS_OF]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    stamp = made.folder / ".key"

    if stamp.exists() and stamp.read_text() == key:
        return made

    shutil.rmtree(made.folder, ignore_errors=True)
    run_command([sys.executable, "-m", "venv", "--without-pip", made.folder])
    run_command(
        [
            *(sys.executable, "-m", "pip", "--python", made.python, "install", "--quiet"),
            *("--uploaded-prior-to", AS_OF, *application.requirements),
        ],
        timeout=_INSTALL_TIMEOUT,
    )
    (packages,) = made.folder.glob("lib/python*/site-packages")
    made.flask_path.mkdir()
    (packages / "flask").rename(made.flask_path / "flask")
    stamp.write_text(key)
    return made
