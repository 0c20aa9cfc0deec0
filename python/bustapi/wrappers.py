"""The request and response classes under the module name that Flask has for both."""

from __future__ import annotations

from werkzeug.wrappers import Request as RequestBase
from werkzeug.wrappers import Response as ResponseBase

from . import json
from .globals import current_app
from .request import Request
from .response import Response

__all__ = ["Request", "RequestBase", "Response", "ResponseBase", "current_app", "json"]
