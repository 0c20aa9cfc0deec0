"""JSON as the current app writes and reads it.

The functions are those of the standard :mod:`json` module, answered by
``current_app.json`` where there is an app, and by the standard module where not.
:mod:`bustapi.json.provider` holds what an app does by default,
:mod:`bustapi.json.tag` a serializer that keeps Python types.
"""

from __future__ import annotations

from bustapi.globals import current_app as current_app

from . import provider as provider
from .operations import dump as dump
from .operations import dumps as dumps
from .operations import jsonify as jsonify
from .operations import load as load
from .operations import loads as loads
