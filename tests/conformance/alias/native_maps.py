"""Pytest plugin for Werkzeug's own tests of routing: has them test bustapi's classes.

Named by the suite's arguments, and loaded before its test module, which takes the classes from
``werkzeug.routing`` as it uses them.
"""

from __future__ import annotations

import importlib
import os

if os.environ["CONFORMANCE_FRAMEWORK"] == "bustapi":
    theirs = importlib.import_module("werkzeug.routing")
    ours = importlib.import_module("bustapi.routing")
    for name in ("Map", "MapAdapter", "Rule"):
        setattr(theirs, name, getattr(ours, name))
