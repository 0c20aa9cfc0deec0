"""The request, as views see it.

It is Werkzeug's request with what routing found out, limits from the app's config,
and errors that explain more in debug mode.

Theory of operation: there are two ways to make one. ``Request(environ)`` is
Werkzeug's. :meth:`Request._from_raw` wraps a request that the native server parsed;
most views read few of its attributes, so that each is converted when it is first
read. To that end the attributes which Werkzeug's ``__init__`` assigns are also
*non-data* descriptors of the class: Python asks an instance's ``__dict__`` before
them. A request made from an environ has all of them there, and never meets a
descriptor; for a raw request the descriptor puts its value there once.
"""

from __future__ import annotations

import typing as t

from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wrappers import Request as RequestBase

from . import json
from .explanations import attach_enctype_error_multidict
from .globals import current_app
from .helpers import _split_blueprint_path

if t.TYPE_CHECKING:
    import typing_extensions as te
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.routing import Rule

    from .typing import RawRequest

T = t.TypeVar("T")


class _RawAttribute(t.Generic[T]):
    """An attribute that is computed from a raw request when first read.

    :param compute: called with the request and its raw request.
    """

    def __init__(self, compute: t.Callable[[Request, RawRequest], T]) -> None:
        self.compute = compute

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @t.overload
    def __get__(self, obj: None, owner: type | None = None) -> te.Self: ...

    @t.overload
    def __get__(self, obj: Request, owner: type | None = None) -> T: ...

    def __get__(self, obj: Request | None, owner: type | None = None) -> T | te.Self:
        if obj is None:
            return self

        raw = obj._raw

        if raw is None:
            # What Python says for an attribute that nobody assigned, as happens
            # within a subclass's `__init__` before it calls this class's.
            raise AttributeError(f"{type(obj).__name__!r} object has no attribute {self.name!r}")

        value = self.compute(obj, raw)
        obj.__dict__[self.name] = value
        return value


def _environ_of(request: Request, raw: RawRequest) -> WSGIEnvironment:
    """Build the environ, and name the request in it as Werkzeug does."""
    environ = raw.environ()
    environ["werkzeug.request"] = request
    return environ


class Request(RequestBase):
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

    # The native request of one that was not made from an environ.
    _raw: RawRequest | None = None

    if not t.TYPE_CHECKING:  # to type checkers these are the base class's attributes
        method = _RawAttribute(lambda self, raw: raw.method.upper())
        scheme = _RawAttribute(lambda self, raw: raw.scheme)
        server = _RawAttribute(lambda self, raw: raw.server)
        root_path = _RawAttribute(lambda self, raw: raw.root_path.rstrip("/"))
        path = _RawAttribute(lambda self, raw: "/" + raw.path.lstrip("/"))
        query_string = _RawAttribute(lambda self, raw: raw.query_string)
        remote_addr = _RawAttribute(lambda self, raw: raw.remote_addr)
        # A view of the environ, as it is for other requests: code that changes the
        # environ sees its change in the headers, and repeats are joined alike.
        headers = _RawAttribute(lambda self, raw: EnvironHeaders(self.environ))
        environ = _RawAttribute(_environ_of)
        shallow = _RawAttribute(lambda self, raw: False)

    @classmethod
    def _from_raw(cls, raw: RawRequest) -> te.Self:
        """Wrap a request of the native server, without running ``__init__``.

        For classes that do not override ``__init__``; the others are made from
        ``raw.environ()``.
        """
        request = cls.__new__(cls)
        request._raw = raw
        return request

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

        if not current_app:
            return super().max_content_length

        return t.cast("int | None", current_app.config["MAX_CONTENT_LENGTH"])

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

        if not current_app:
            return super().max_form_memory_size

        return t.cast("int | None", current_app.config["MAX_FORM_MEMORY_SIZE"])

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

        if not current_app:
            return super().max_form_parts

        return t.cast("int | None", current_app.config["MAX_FORM_PARTS"])

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

    def _load_form_data(self) -> None:
        super()._load_form_data()

        if (
            current_app
            and current_app.debug
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
            if current_app and current_app.debug:
                raise

            raise BadRequest() from detailed
