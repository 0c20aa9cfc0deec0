"""Takes the table through one door and prints the answers as JSON.

Run by the tests and by `record.py`, in a process of its own, so that two frameworks never
meet in one: ``python -m doors.run <framework> <door> [<plans>]``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import traceback
import typing as t
from pathlib import Path

from . import table  # noqa: F401 importing it fills the table
from .case import CASES, Framework
from .doors import run_case

#: When all files of the site were changed last; their entity tags depend on it.
_CHANGED = 1_700_308_800
_STEPS = (
    "full_dispatch_request",
    "preprocess_request",
    "dispatch_request",
    "finalize_request",
    "make_response",
    "process_response",
    "ensure_sync",
)


def keep_plans(app: t.Any, framework: Framework) -> None:
    """Serve the app as it is."""


def wrap_wsgi_app(app: t.Any, framework: Framework) -> None:
    """Wrap the WSGI application, as a middleware does: the server has to call it."""
    inner = app.wsgi_app
    app.wsgi_app = lambda environ, start_response: inner(environ, start_response)


def override_steps(app: t.Any, framework: Framework) -> None:
    """Put each step on the instance, doing what the class's does: the server has to call it."""

    def step(name: str) -> t.Any:
        return lambda *args, **kwargs: getattr(type(app), name)(app, *args, **kwargs)

    for name in _STEPS:
        if name not in vars(app):
            setattr(app, name, step(name))


def watch(app: t.Any, framework: Framework) -> None:
    """Connect receivers to the signals of requests and contexts: they have to be sent."""
    signals = framework.module("signals")

    for name in (
        "appcontext_pushed",
        "appcontext_popped",
        "appcontext_tearing_down",
        "request_started",
        "request_finished",
        "request_tearing_down",
    ):
        getattr(signals, name).connect(_receive, app)


def _receive(sender: t.Any, **values: t.Any) -> None:
    """See a signal and do nothing."""


PLANS = {
    "plans": keep_plans,
    "wrapped": wrap_wsgi_app,
    "overridden": override_steps,
    "watched": watch,
}


def main(framework_name: str, door: str, plans: str = "plans", *names: str) -> None:
    """Print a JSON object: by each case's name, its answers or the traceback."""
    framework = Framework(framework_name)
    results: dict[str, t.Any] = {}

    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        shutil.copytree(Path(__file__).parent / "site", site)

        for path in site.rglob("*"):
            os.utime(path, (_CHANGED, _CHANGED))

        # Paths of the site are relative, so that entity tags are the same everywhere.
        os.chdir(folder)

        for name in names or CASES:
            try:
                # What cases print is not part of the output.
                with contextlib.redirect_stdout(sys.stderr):
                    answers = run_case(CASES[name], framework, door, PLANS[plans])
            except Exception:  # noqa: BLE001 one case's failure is not the others'
                results[name] = traceback.format_exc()
            else:
                results[name] = [answer.as_json() for answer in answers]

        os.chdir("/")

    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
