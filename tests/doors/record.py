"""Records the answers of real Flask in ``expected.json``: ``python -m doors.record``.

To be run in ``tests``, with Flask installed in the version that the project states.
"""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from importlib.metadata import version
from pathlib import Path

EXPECTED = Path(__file__).parent / "expected.json"
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
        name
        for name, value in answers.items()
        if any("504" in a["status"] for a in value if "status" in a)
    ]

    if waited:
        raise RuntimeError(f"{waited} wait for more events than there are")

    different = {
        name: client_answers
        for name, client_answers in by_client.items()
        if client_answers != answers[name]
    }
    return {"wsgi": answers, "client": different}


def main() -> None:
    """Write the file."""
    recorded = {"flask": version("flask"), "werkzeug": version("werkzeug"), **flasks_answers()}
    EXPECTED.write_text(json.dumps(recorded, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    count = sum(map(len, recorded["wsgi"].values()))
    print(f"{count} answers of {len(recorded['wsgi'])} applications, Flask {recorded['flask']}")


if __name__ == "__main__":
    main()
