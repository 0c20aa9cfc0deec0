"""Records the answers of real Flask: ``python -m doors.record``, in ``tests``.

Each module of the table has a file in ``expected``, an answer a line. To be run with the versions
of Flask and Werkzeug that the project states.
"""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from importlib.metadata import version
from pathlib import Path

from . import table  # noqa: F401 importing it fills the table
from .case import CASES
from .events import WAITED

_EXPECTED = Path(__file__).parent / "expected"
_TESTS = Path(__file__).parent.parent

Answers = dict[str, list[dict[str, t.Any]]]


def take(framework: str, door: str, plans: str = "plans") -> tuple[dict[str, t.Any], str]:
    """Take the table through a door in a process of its own; answers, and what was logged.

    :raises RuntimeError: the process failed.
    """
    command = [sys.executable, "-m", "doors.run", framework, door, plans]
    ran = subprocess.run(
        command, cwd=_TESTS, capture_output=True, text=True, timeout=100, check=False
    )

    if ran.returncode != 0:
        raise RuntimeError(f"{command} failed:\n{ran.stderr[-2000:]}")

    return json.loads(ran.stdout), ran.stderr


def flasks_answers() -> dict[str, Answers]:
    """Flask's answers as WSGI, and those that differ through its test client."""
    answers, log = take("flask", "wsgi")
    by_client, _ = take("flask", "client")
    failed = [name for name, value in answers.items() if isinstance(value, str)]

    if failed:
        raise RuntimeError(f"{failed} could not be built.\n{log[-2000:]}")

    waited = [
        name for name, value in answers.items() if any(a.get("status") == WAITED for a in value)
    ]

    if waited:
        raise RuntimeError(f"{waited} wait for more events than there are")

    different = {
        name: client_answers
        for name, client_answers in by_client.items()
        if client_answers != answers[name]
    }
    return {"wsgi": answers, "client": different}


def recorded() -> dict[str, t.Any]:
    """All that is recorded, as `flasks_answers` gives it, and ``versions``."""
    every: dict[str, t.Any] = {}

    for path in sorted(_EXPECTED.glob("*.json")):
        for kind, cases in json.loads(path.read_text(encoding="utf-8")).items():
            every.setdefault(kind, {}).update(cases)

    return every


def _write(path: Path, kinds: dict[str, t.Any]) -> None:
    """Write a file of an answer a line, so that a difference shows which one changed."""
    lines = ["{"]

    for kind, cases in sorted(kinds.items()):
        lines.append(f"{json.dumps(kind)}: {{")

        for name, value in sorted(cases.items()):
            if isinstance(value, list):
                answers = [json.dumps(a, sort_keys=True, ensure_ascii=False) for a in value]
                lines += [f" {json.dumps(name)}: [", *(f"  {a}," for a in answers)]
                lines[-1] = lines[-1].removesuffix(",")
                lines.append(" ],")
            else:
                lines.append(f" {json.dumps(name)}: {json.dumps(value)},")

        lines[-1] = lines[-1].removesuffix(",")
        lines.append("},")

    lines[-1] = "}"
    path.write_text("\n".join([*lines, "}"]) + "\n", encoding="utf-8")


def main() -> None:
    """Write the files, and remove those of modules that have gone."""
    every = flasks_answers()
    files: dict[str, dict[str, t.Any]] = {}

    for kind, cases in every.items():
        for name, answers in cases.items():
            module = CASES[name].build.__module__.rpartition(".")[2]
            files.setdefault(module, {}).setdefault(kind, {})[name] = answers

    versions = {name: version(name) for name in ("flask", "werkzeug")}
    files["versions"] = {"versions": versions}
    _EXPECTED.mkdir(exist_ok=True)

    for path in _EXPECTED.glob("*.json"):
        if path.stem not in files:
            path.unlink()

    for module, kinds in files.items():
        _write(_EXPECTED / f"{module}.json", kinds)

    count = sum(map(len, every["wsgi"].values()))
    print(f"{count} answers of {len(every['wsgi'])} applications, Flask {versions['flask']}")


if __name__ == "__main__":
    main()
