"""The request and response classes under the module name that Flask has for both."""

from __future__ import annotations

from .request import Request as Request
from .request import RequestBase as RequestBase
from .response import Response as Response
from .response import ResponseBase as ResponseBase
