"""Where a suite runs: its source, its environment, and the wheel of bustapi.

Both runs of a suite share one environment, so that they differ in nothing but the framework.
The code of the installed ``flask`` package is moved out of ``site-packages`` into a folder of
its own, which only the Flask run has on its path: in the bustapi run there is no Flask to fall
back to. Its metadata stays, for those who ask for Flask's version. bustapi, built as a wheel
and installed into a folder of its own, is on the path of the other run only.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .manifest import Suite

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "conformance"

# Seconds. Long enough for a slow mirror, short enough not to hold up a build for good.
_INSTALL_TIMEOUT = 600
# The release build with full link-time optimisation, on a slow core.
_BUILD_TIMEOUT = 1500


class PreparationError(RuntimeError):
    """A source or an environment could not be made; the message says what failed."""


def run_command(command: Sequence[str | Path], *, timeout: int = _INSTALL_TIMEOUT) -> str:
    """Runs `command` to its end; its output.

    :raises PreparationError: if it fails or takes more than `timeout` seconds.
    """
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            check=False,
            timeout=timeout,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise PreparationError(f"`{command[0]}` took more than {timeout} s") from error
    if done.returncode != 0:
        raise PreparationError(
            f"`{' '.join(str(part) for part in command)}` failed:\n{done.stdout[-2000:]}"
        )
    return done.stdout


def _pip(*arguments: str | Path, python: Path | None = None) -> str:
    target: list[str | Path] = ["--python", python] if python else []
    return run_command([sys.executable, "-m", "pip", *target, *arguments])


# ------------------------------------------------------------------ sources
def fetch_source(suite: Suite) -> Path:
    """The unpacked source distribution, fetched once.

    :raises PreparationError: if it cannot be fetched, or is not the file of the manifest.
    """
    top = CACHE / "sources" / suite.file.removesuffix(".tar.gz")
    stamp = top.with_name(top.name + ".sha256")
    if top.is_dir() and stamp.exists() and stamp.read_text() == suite.sha256:
        return top
    downloads = CACHE / "downloads"
    archive = downloads / suite.file
    if not archive.exists():
        # Only the project itself from source: what its build needs may be wheels.
        _pip(
            *("download", "--quiet", "--no-deps", "--dest", downloads),
            *("--no-binary", suite.project, f"{suite.project}=={suite.version}"),
        )
    if not archive.exists():
        raise PreparationError(f"the package index has no {suite.file}")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != suite.sha256:
        archive.unlink()
        raise PreparationError(f"{suite.file} has the SHA-256 {digest}, not {suite.sha256}")
    shutil.rmtree(top, ignore_errors=True)
    unpacked = top.with_name(top.name + ".new")
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(archive) as tar:
        if sys.version_info >= (3, 12):
            tar.extractall(unpacked, filter="data")
        else:  # the checksum vouches for the members
            tar.extractall(unpacked)
    (folder,) = (path for path in unpacked.iterdir() if path.is_dir())
    folder.rename(top)
    shutil.rmtree(unpacked)
    stamp.write_text(suite.sha256)
    return top


# ------------------------------------------------------------------ environments
@dataclass(frozen=True)
class Environment:
    """A virtual environment with a suite's requirements, less Flask's code."""

    python: Path
    #: The folder that holds the real ``flask`` package and nothing else.
    flask_path: Path
    #: What the environment was made of: another key is another environment.
    key: str


def environment_key(suite: Suite) -> str:
    """A digest of all that decides a suite's outcome on real Flask."""
    facts = [sys.version, suite.requirements, suite.sha256, suite.directory, suite.arguments]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def make_environment(suite: Suite) -> Environment:
    """The suite's environment, made anew when its requirements have changed.

    :raises PreparationError: if a requirement cannot be installed.
    """
    folder = CACHE / "environments" / suite.name
    made = Environment(
        python=folder / "bin" / "python",
        flask_path=folder / "real-flask",
        key=environment_key(suite),
    )
    stamp = folder / ".key"
    if stamp.exists() and stamp.read_text() == made.key:
        return made
    shutil.rmtree(folder, ignore_errors=True)
    run_command([sys.executable, "-m", "venv", "--without-pip", folder])
    _pip("install", "--quiet", "--no-deps", *suite.requirements, python=made.python)
    (packages,) = folder.glob("lib/python*/site-packages")
    made.flask_path.mkdir()
    (packages / "flask").rename(made.flask_path / "flask")
    stamp.write_text(made.key)
    return made


# ------------------------------------------------------------------ bustapi
def install_bustapi(wheel: Path | None = None) -> Path:
    """A folder with bustapi installed from `wheel`, or from one built of this tree.

    :raises PreparationError: if the build or the installation fails.
    """
    if wheel is None:
        wheels = CACHE / "wheel"
        shutil.rmtree(wheels, ignore_errors=True)
        maturin = Path(sys.executable).with_name("maturin")
        run_command(
            [maturin, "build", "--release", "--interpreter", sys.executable, "--out", wheels],
            timeout=_BUILD_TIMEOUT,
        )
        (wheel,) = wheels.glob("*.whl")
    folder = CACHE / "bustapi"
    stamp = CACHE / "bustapi.key"
    key = _wheel_key(wheel)
    if not (folder.is_dir() and stamp.exists() and stamp.read_text() == key):
        shutil.rmtree(folder, ignore_errors=True)
        _pip("install", "--quiet", "--no-deps", "--target", folder, wheel)
        stamp.write_text(key)
    return folder


def _wheel_key(wheel: Path) -> str:
    # By content: two builds of one tree differ in their archives' time stamps.
    with zipfile.ZipFile(wheel) as archive:
        members = sorted((info.filename, info.CRC) for info in archive.infolist())
    return hashlib.sha256(json.dumps([sys.version, members]).encode()).hexdigest()
