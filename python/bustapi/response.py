"""The response, as views make it."""

from __future__ import annotations

import typing as t

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as ResponseBase

from . import json
from ._native import Defaults, set_response_classes
from .globals import current_app


class Response(ResponseBase):
    """The default class of responses: Werkzeug's, with HTML as media type.

    Views return values, and ``app.make_response`` makes responses of them; make one
    yourself to set more. To add to the class, subclass it and assign the class to
    ``app.response_class``.
    """

    # The name that the class has in Flask's API, which is what users see of it.
    __module__ = "bustapi.wrappers"

    default_mimetype: str | None = "text/html"

    #: What :meth:`get_json` parses with.
    json_module = json

    #: A relative ``Location`` is sent as it is, which RFC 9110 (10.2.2) permits.
    autocorrect_location_header = False

    @property
    def max_cookie_size(self) -> int:  # type: ignore[override] # read-only here
        """The size in bytes beyond which setting a cookie warns; 0 never does.

        The config's ``MAX_COOKIE_SIZE``, or Werkzeug's default without an app.
        """
        if current_app:
            return t.cast("int", current_app.config["MAX_COOKIE_SIZE"])

        return super().max_cookie_size


#: What makes a response object, reads it and sends it; and what adds a session's fields to it.
_defaults = Defaults(
    Response,
    {
        "steps": (
            "__init__",
            "__call__",
            "autocorrect_location_header",
            "automatically_set_content_length",
            "close",
            "default_mimetype",
            "default_status",
            "get_app_iter",
            "get_wsgi_headers",
            "get_wsgi_response",
            "implicit_sequence_conversion",
            "iter_encoded",
            "set_data",
        ),
        "additions": ("set_cookie", "vary"),
    },
)
#: What an object of the class has as attributes; with others, it may answer in a way of its own.
_ATTRIBUTES = frozenset(
    {"headers", "_status", "_status_code", "direct_passthrough", "_on_close", "response"}
)
set_response_classes(_defaults, Headers, _ATTRIBUTES)
