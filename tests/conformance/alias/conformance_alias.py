"""Pytest plugin of the conformance runs: sets the framework, and proves it at the end.

Loaded by ``-p`` before any test module or ``conftest.py``, so before anything imports Flask.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

FRAMEWORK = os.environ["CONFORMANCE_FRAMEWORK"]

if FRAMEWORK == "bustapi":
    importlib.import_module("bustapi.flask_compat").install()


def find_strays() -> list[str]:
    """The loaded ``flask`` modules that do not come from the framework's own folder."""
    home = Path(os.environ["CONFORMANCE_PACKAGE"], FRAMEWORK).resolve()
    strays = []
    for name, module in sorted(sys.modules.items()):
        # A test may block an import by a `None`, or put something without a file there.
        origin = getattr(module, "__file__", None)
        if origin is None or not (name == "flask" or name.startswith("flask.")):
            continue
        if home not in Path(origin).resolve().parents:
            strays.append(f"{name} ({origin})")
    return strays


def pytest_report_header() -> str:
    """Says in the log what ``flask`` resolved to."""
    flask = importlib.import_module("flask")
    return f"flask is {flask.__file__}, Flask is {flask.Flask.__module__}.{flask.Flask.__name__}"


def pytest_sessionfinish() -> None:
    """Writes the proof that :mod:`tests.conformance.execution` wants."""
    application_class = importlib.import_module("flask").Flask
    proof = {
        "application_class": f"{application_class.__module__}.{application_class.__qualname__}",
        "strays": find_strays(),
    }
    Path(os.environ["CONFORMANCE_PROOF"]).write_text(json.dumps(proof), encoding="utf-8")
