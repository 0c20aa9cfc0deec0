"""The response, as views make it."""

from __future__ import annotations

import typing as t

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as ResponseBase

from . import json
from ._native import set_response_classes
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


set_response_classes(Response, Headers)
