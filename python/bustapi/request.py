"""The request, as views see it.

It is Werkzeug's request with what routing found out, limits from the app's config,
and errors that explain more in debug mode.

Theory of operation: there are two ways to make one. ``Request(environ)`` is
Werkzeug's. :func:`make_request` wraps a request that the native server parsed; most
views read few of its attributes, so that each is converted when it is first read. To
that end the attributes are :class:`RequestAttribute`, *non-data* descriptors: Python
asks an instance's ``__dict__`` before them, and there they put what they computed. The
environ is made when something asks for it, and is what the headers show from then on.
"""

from __future__ import annotations

import typing as t
from functools import cached_property

from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.http import parse_options_header
from werkzeug.utils import cached_property as werkzeug_cached_property
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wsgi import LimitedStream

from . import json
from ._native import (
    Defaults,
    HeadersBase,
    RawBody,
    RequestAttribute,
    RequestBase,
    set_request_classes,
)
from ._native import make_request as make_request  # what contexts make requests with
from .explanations import attach_enctype_error_multidict
from .globals import _cv_app
from .helpers import _split_blueprint_path

if t.TYPE_CHECKING:
    from werkzeug.routing import Rule

    from .app import Flask


class RequestHeaders(HeadersBase, EnvironHeaders):  # type: ignore[misc] # as in Werkzeug
    """The headers of a native request: lookups need no environ, all else has it made."""

    __hash__ = None  # as Werkzeug's

    if not t.TYPE_CHECKING:  # to type checkers these are the base class's attributes
        environ = cached_property(lambda self: self._raw.environ())
        _list = cached_property(lambda self: [])


# Werkzeug's own name for them is what users see.
RequestHeaders.__name__ = RequestHeaders.__qualname__ = EnvironHeaders.__name__


class _Stream(werkzeug_cached_property[t.IO[bytes]]):
    """Werkzeug's ``stream``; one that is assigned is where the body is read from."""

    def __set__(self, obj: object, value: t.IO[bytes]) -> None:
        if isinstance(obj, RequestBase) and obj._raw is not None:
            obj._raw.replace_stream()

        super().__set__(obj, value)


def _current_app() -> Flask | None:
    """Return the current app itself, which costs less than asking its proxy."""
    context = _cv_app.get(None)
    return None if context is None else context.app


class Request(RequestBase, WerkzeugRequest):
    """The default class of :data:`bustapi.request`.

    To add to it, subclass it and assign the class to ``app.request_class``.

    :param environ: the WSGI environ.
    :param populate_request: store the request in the environ.
    :param shallow: have reading the body raise a :class:`RuntimeError`.
    """

    # The name that the class has in Flask's API, which is what users see of it.
    __module__ = "bustapi.wrappers"

    #: What :meth:`get_json` parses with; the app sets its own provider here.
    json_module: t.Any = json

    #: The rule that matched, or ``None`` if none did or routing has not run yet.
    url_rule: Rule | None = None

    #: The arguments that the rule took from the URL; ``None`` like `url_rule`.
    view_args: dict[str, t.Any] | None = None

    #: Why no rule matched: the error or redirect that dispatching raises.
    routing_exception: HTTPException | None = None

    # Set per request; `None` leaves the app's config in force.
    _max_content_length: int | None = None
    _max_form_memory_size: int | None = None
    _max_form_parts: int | None = None

    #: Whether reading the body is refused.
    shallow = False

    if not t.TYPE_CHECKING:  # to type checkers these are the base class's attributes
        # The body, once it was read and kept.
        _cached_data = None
        method = RequestAttribute()
        scheme = RequestAttribute()
        server = RequestAttribute()
        root_path = RequestAttribute()
        path = RequestAttribute()
        query_string = RequestAttribute()
        remote_addr = RequestAttribute()
        headers = RequestAttribute()
        environ = RequestAttribute()
        args = RequestAttribute(WerkzeugRequest.args.fget)
        cookies = RequestAttribute(WerkzeugRequest.cookies.fget)
        content_length = RequestAttribute(WerkzeugRequest.content_length.fget)
        form = RequestAttribute(WerkzeugRequest.form.fget)
        files = RequestAttribute(WerkzeugRequest.files.fget)
        stream = _Stream(WerkzeugRequest.stream.fget)
        _parsed_content_type = RequestAttribute(
            lambda self: parse_options_header(self.headers.get("Content-Type", ""))
        )

    @property
    def content_type(self) -> str | None:  # type: ignore[override] # a descriptor in Werkzeug
        """The ``Content-Type`` header; ``None`` if there is none."""
        return self.headers.get("Content-Type")

    @property
    def mimetype(self) -> str:
        """The media type of the body in lower case, without its parameters."""
        return self._parsed_content_type[0].lower()

    @property
    def mimetype_params(self) -> dict[str, str]:
        """The parameters of the media type, such as ``charset``."""
        return self._parsed_content_type[1]

    def _forget_in_environ(self) -> None:
        """Break the cycle of request and environ, so that both are freed at once.

        The environ of a raw request that nobody asked for is not built for that.
        """
        if self._raw is None or "environ" in self.__dict__:
            self.environ["werkzeug.request"] = None

    @property
    def max_content_length(self) -> int | None:
        """How many bytes of body are read, before a 413 is raised.

        ``None`` sets no limit, but a body of unknown length is then read only if
        the server marks its end. Set it on a request to replace the config's
        ``MAX_CONTENT_LENGTH`` for that request.
        """
        if self._max_content_length is not None:
            return self._max_content_length

        if (app := _current_app()) is None:
            return super().max_content_length

        return t.cast("int | None", app.config["MAX_CONTENT_LENGTH"])

    @max_content_length.setter
    def max_content_length(  # pyright: ignore[reportIncompatibleVariableOverride] an attribute in Werkzeug
        self, value: int | None
    ) -> None:
        self._max_content_length = value

    @property
    def max_form_memory_size(self) -> int | None:
        """How many bytes a multipart field that is no file may have, before a 413.

        ``None`` sets no limit. Set it on a request to replace the config's
        ``MAX_FORM_MEMORY_SIZE`` for that request.
        """
        if self._max_form_memory_size is not None:
            return self._max_form_memory_size

        if (app := _current_app()) is None:
            return super().max_form_memory_size

        return t.cast("int | None", app.config["MAX_FORM_MEMORY_SIZE"])

    @max_form_memory_size.setter
    def max_form_memory_size(  # pyright: ignore[reportIncompatibleVariableOverride] an attribute in Werkzeug
        self, value: int | None
    ) -> None:
        self._max_form_memory_size = value

    @property  # type: ignore[override] # a plain attribute of the base class
    def max_form_parts(self) -> int | None:
        """How many fields a multipart body may have, before a 413.

        ``None`` sets no limit. Set it on a request to replace the config's
        ``MAX_FORM_PARTS`` for that request.
        """
        if self._max_form_parts is not None:
            return self._max_form_parts

        if (app := _current_app()) is None:
            return super().max_form_parts

        return t.cast("int | None", app.config["MAX_FORM_PARTS"])

    @max_form_parts.setter
    def max_form_parts(self, value: int | None) -> None:
        self._max_form_parts = value

    @property
    def endpoint(self) -> str | None:
        """The endpoint of the rule that matched; ``None`` if none did."""
        rule = self.url_rule
        return None if rule is None else t.cast("str", rule.endpoint)

    @property
    def blueprint(self) -> str | None:
        """The name that the endpoint's blueprint is registered by, dots included.

        ``None`` for an endpoint of the app itself, and if no rule matched.
        """
        endpoint = self.endpoint

        if endpoint is None or "." not in endpoint:
            return None

        return endpoint.rpartition(".")[0]

    @property
    def blueprints(self) -> list[str]:
        """The names of the endpoint's blueprint and of those it is nested in."""
        name = self.blueprint
        return [] if name is None else _split_blueprint_path(name)

    def _explain_missing_files(self) -> None:
        """Have :attr:`files`, just loaded, explain what it lacks, in debug mode."""
        app = _current_app()

        if (
            app is not None
            and app.debug
            and self.mimetype != "multipart/form-data"
            and not self.files
        ):
            attach_enctype_error_multidict(self)

    def on_json_loading_failed(self, e: ValueError | None) -> t.Any:
        """Raise the error for a body that is not the JSON that was asked for.

        :param e: the parser's error; ``None`` if the media type is not JSON's.
        :raises werkzeug.exceptions.BadRequest: with the parser's reason in debug
            mode only.
        :raises werkzeug.exceptions.UnsupportedMediaType: when `e` is ``None``.
        """
        try:
            return super().on_json_loading_failed(e)
        except BadRequest as detailed:
            app = _current_app()

            if app is not None and app.debug:
                raise

            raise BadRequest() from detailed


# What `Request.stream` is under Flask's own server, and so a stream of `io` to `isinstance`.
LimitedStream.register(RawBody)
#: What the native half does in place of the class, by the attributes that each part of it depends
#: on: where a class has replaced one of a group, the class is asked.
_STEPS = {
    # Instances are made without calling the class.
    "init": ("__init__", "__new__"),
    # The body is read from the stream that the environ has.
    "stream": ("stream",),
    "data": ("get_data",),
    "form": (
        "form",
        "files",
        "form_data_parser_class",
        "make_form_data_parser",
        "want_form_data_parsed",
        "_get_stream_for_parsing",
        "_load_form_data",
    ),
    "media_type": (
        "is_json",
        "mimetype",
        "mimetype_params",
        "_parse_content_type",
        "_parsed_content_type",
    ),
    # Limits are the instance's own, or else the config's.
    "limits": ("max_content_length", "max_form_memory_size", "max_form_parts"),
    # Cookies are those of the header.
    "cookies": ("cookies", "headers", "environ", "dict_storage_class"),
}
set_request_classes(Defaults(Request, _STEPS), RequestHeaders)
