"""Sets the framework in every Python that a suite starts as a subprocess.

Python imports this module by its name when it starts, since the folder is on ``PYTHONPATH``.
"""

from __future__ import annotations

import importlib
import os

if os.environ.get("CONFORMANCE_FRAMEWORK") == "bustapi":
    importlib.import_module("bustapi.flask_compat").install()
