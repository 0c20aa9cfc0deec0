"""Runs the tests beside the newest or the oldest releases that the package's ranges admit.

The tools of development are pinned, an installation is not: it gets the newest release of each
dependency that its range admits when it is made, or keeps an old one. So this tree is built as a
wheel and installed with those releases into an environment of its own under `.cache`.

- `latest` runs the whole suite, with the comparisons of routing and parsing, beside the newest.
- `lowest` runs the quick tests beside the oldest: a range that begins too low is found here.

What follows `--` goes to pytest instead of the usual arguments. Exit status: pytest's, or 1 when
there is nothing to test.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]

#: Whose answers the tests want, in the releases whose API the package has.
ORACLE = "flask>=3.1,<3.2"

#: Modules that need a dependency of theirs newer than the lowest of ours.
NOT_WITH_LOWEST = ["tests/test_contexts.py"]


def run_time_requirements() -> list[str]:
    """What the package asks for, with its optional parts."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional: dict[str, list[str]] = project["optional-dependencies"]
    return [*project["dependencies"], *(name for part in optional.values() for name in part)]


def at_lowest(requirement: str) -> str:
    """A requirement of exactly the release that the range begins with."""
    range_, mark, condition = requirement.partition(";")
    name, *bounds = re.split(r"(?=>=)", range_.strip(), maxsplit=1)

    if not bounds:
        raise SystemExit(f"`{requirement}` has no lower bound")

    lowest = bounds[0].split(",")[0].replace(">=", "==")
    return f"{name}{lowest}{mark}{condition}"


def build_wheel() -> Path:
    """Builds this tree's wheel; cargo has most of it already."""
    folder = ROOT / ".cache" / "ranges"
    maturin = Path(sys.executable).with_name("maturin")
    subprocess.run([maturin, "build", "--release", "--out", folder], cwd=ROOT, check=True)
    return max(folder.glob("bustapi-*.whl"), key=lambda wheel: wheel.stat().st_mtime)


def make_environment(name: str, wheel: Path, requirements: list[str]) -> str:
    """Makes the environment anew; its interpreter."""
    folder = ROOT / ".cache" / "ranges" / name
    venv.create(folder, clear=True, with_pip=True)
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "pip>=25.1"], check=True)
    command += ["--constraint", "scripts/constraints.txt", "--group", "tests"]
    command += [f"bustapi[async,dotenv] @ {wheel.as_uri()}", ORACLE, *requirements]
    subprocess.run(command, cwd=ROOT, check=True)
    return python


def main() -> int:
    """Does what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("releases", choices=["latest", "lowest"])
    parser.add_argument("--wheel", type=Path, help="test this wheel instead of this tree")
    arguments, own = parser.parse_known_args()
    own = [argument for argument in own if argument != "--"]
    wheel = (arguments.wheel or build_wheel()).resolve()
    requirements = run_time_requirements()

    if arguments.releases == "lowest":
        requirements = [at_lowest(requirement) for requirement in requirements]
        tests = ["tests", "-m", "not slow", *(f"--ignore={path}" for path in NOT_WITH_LOWEST)]
    else:
        requirements.append("celery")
        tests = ["tests"]

    python = make_environment(arguments.releases, wheel, requirements)
    names = [re.split(r"[<>=;\[ ]", requirement)[0] for requirement in [*requirements, ORACLE]]
    freeze = [python, "-m", "pip", "freeze", "--disable-pip-version-check"]
    listed = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout.splitlines()
    wanted = {name.lower() for name in names}
    print(*(line for line in listed if line.partition("==")[0].lower() in wanted), sep="\n")

    # Nothing of the tree's own environment may be found.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, "-c", "import bustapi"], cwd=ROOT, env=variables, check=True)
    command = [python, "-m", "pytest", *(own or tests)]
    return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
