"""What the extension holds. `make types-native` compares this file with it."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Any, ClassVar, NoReturn, TypeVar, final, type_check_only

from _typeshed import OptExcInfo
from _typeshed.wsgi import WSGIEnvironment
from typing_extensions import Buffer, Self, disjoint_base
from werkzeug.datastructures import EnvironHeaders as _EnvironHeaders
from werkzeug.datastructures import Headers as _Headers
from werkzeug.routing import Map as _WerkzeugMap
from werkzeug.routing import MapAdapter as _WerkzeugMapAdapter
from werkzeug.routing import Rule as _WerkzeugRule
from werkzeug.wrappers import Request as _WerkzeugRequest
from werkzeug.wrappers import Response as _WerkzeugResponse

from . import typing as ft
from .app import Flask
from .ctx import AppContext, RequestContext, _AppCtxGlobals
from .json.provider import JSONProvider
from .plan import Description
from .request import Request
from .routing import MapAdapter
from .sessions import SessionMixin

__all__ = [
    "AppContextBase",
    "Defaults",
    "Generation",
    "HeadersBase",
    "Listener",
    "MapAdapterBase",
    "RawBody",
    "RawRequest",
    "RequestAttribute",
    "RequestBase",
    "RequestContextBase",
    "RuleMap",
    "ServerConfig",
    "SessionSigner",
    "StartResponse",
    "accepted_codings",
    "build_in_request",
    "dump_json",
    "end_with_parent",
    "is_coded",
    "is_default_provider",
    "is_default_response",
    "json_response",
    "load_json",
    "make_proxy",
    "make_request",
    "make_url_for",
    "serve",
    "set_application_class",
    "set_context_class",
    "set_context_variables",
    "set_event_loop",
    "set_json_provider",
    "set_plan",
    "set_request_classes",
    "set_response_classes",
    "set_routing_classes",
]

# ------------------------------------------------------------------ server

@final
class ServerConfig:
    """Limits and time-outs of a server: bytes, counts, and seconds.

    What is not given has its default; `bustapi.serving.settings` says what each is.

    :raises TypeError: there is none of a name, or it holds another kind of value.
    :raises ValueError: no server could work with a value.
    """

    def __new__(cls, **settings: float | bool | None) -> Self: ...
    def values(self) -> dict[str, float | bool | None]:
        """All of them by name; ``None`` is no limit."""

@final
class Listener:
    """A bound socket, made before processes fork and used by one of them.

    :param config: tells how many connections the system may keep waiting.
    :raises OSError: the address is in use, not permitted or not known.
    """

    def __new__(
        cls,
        host: str,
        port: int,
        config: ServerConfig,
        *,
        path: str | None = None,
        mode: int | None = None,
    ) -> Self: ...
    @staticmethod
    def adopt(descriptor: int, config: ServerConfig) -> Listener:
        """A handle on the listening socket behind a file descriptor, which stays the caller's."""

    def another(self) -> Listener:
        """A listener on the same address for another process.

        It is a socket of its own where the system spreads connections over several.
        """

    def duplicate(self) -> Listener:
        """A second handle on the same socket."""

    def address(self) -> tuple[str, int | None]:
        """Host and port bound to, or the Unix socket's path and ``None``."""

    def fileno(self) -> int:
        """The file descriptor."""

    def leave_file(self) -> None:
        """Leave the file of a Unix socket to another process, which removes it at the end."""

    def close(self) -> None:
        """Close this handle, and remove the file of a Unix socket if it is this one's."""

def end_with_parent() -> None:
    """End this process, as by SIGTERM, when the one that started it has ended.

    :raises OSError: the system refuses.
    """

def serve(
    app: Flask,
    listener: Listener,
    config: ServerConfig,
    *,
    signals: bool = True,
    lifeline: int | None = None,
    multiprocess: bool = False,
) -> tuple[bool, BaseException | None]:
    """Serve `app` on `listener` until SIGINT or SIGTERM, while the calling thread waits.

    :param signals: whether the server reacts to them, and the calling thread, Python's main one,
        runs their handlers; if not, it serves until the process ends.
    :param lifeline: file descriptor of a worker's socket to the process that started it.
    :param multiprocess: whether there are other workers.
    :return: whether all threads have ended, as one may still be in a view; and what a handler
        raised beyond `Exception`, which ended the server.
    :raises OSError: the listener cannot be used.
    :raises ValueError: `signals` on another thread than the main one.
    """

@final
class RawRequest:
    """A request as it came from the wire. Each attribute is converted when it is asked for."""

    def __new__(
        cls,
        method: str = "GET",
        target: str = "/",
        headers: Iterable[tuple[str, bytes]] = ...,
        body: bytes = ...,
        *,
        scheme: str = "http",
        remote: tuple[str, int] | None = ...,
        server: tuple[str, int] | None = ...,
    ) -> Self:
        """Make a request that did not come from a connection.

        :param target: path and query, percent-encoded, or a whole URL.
        :param remote: address and port of the client, ``None`` for a Unix socket.
        :param server: address and port of the server, ``None`` for a Unix socket.
        :raises ValueError: for what no client could send.
        """
    root_path: ClassVar[str] = ...
    @property
    def method(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def server(self) -> tuple[str, int]: ...
    @property
    def path(self) -> str: ...
    @property
    def query_string(self) -> bytes: ...
    @property
    def remote_addr(self) -> str: ...
    @property
    def input(self) -> RawBody: ...
    def environ(self) -> WSGIEnvironment: ...
    def replace_stream(self) -> None:
        """Have the body read from whatever stream the request was given."""

@final
class RawBody:
    """A request's body: ``request.stream`` and ``wsgi.input``. Reading waits for the client.

    To :mod:`io` it is a raw stream, and ``isinstance`` takes it for Werkzeug's
    ``LimitedStream``, whose methods it has.
    """

    @property
    def closed(self) -> bool: ...
    @property
    def is_exhausted(self) -> bool: ...
    @property
    def limit(self) -> int | None: ...
    def read(self, size: int | None = None, /) -> bytes: ...
    def read1(self, size: int | None = None, /) -> bytes: ...
    def readall(self) -> bytes: ...
    def readinto(self, buffer: Buffer, /) -> int: ...
    def readinto1(self, buffer: Buffer, /) -> int: ...
    def exhaust(self) -> bytes: ...
    def readable(self) -> bool: ...
    def writable(self) -> bool: ...
    def seekable(self) -> bool: ...
    def tell(self) -> int: ...
    def seek(self, offset: int, whence: int = 0, /) -> NoReturn: ...
    def truncate(self, size: int | None = None, /) -> NoReturn: ...
    def fileno(self) -> NoReturn: ...
    def write(self, data: Buffer, /) -> NoReturn: ...
    def writelines(self, lines: Iterable[Buffer], /) -> NoReturn: ...
    def isatty(self) -> bool: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object) -> None: ...
    def readline(self, size: int | None = None, /) -> bytes: ...
    def readlines(self, hint: int | None = None, /) -> list[bytes]: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...

@final
class StartResponse:
    """WSGI's ``start_response``: keeps what it is called with."""

    def __call__(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: OptExcInfo | None = None,
    ) -> Any: ...
    def write(self, data: bytes) -> None: ...

@type_check_only
class LoopDriver:
    """Runs coroutine views on the event loop; the server makes the only one."""

    def drain(self) -> None:
        """Take the first steps of the calls that wait. Called on the loop."""

    @staticmethod
    def report(exception: BaseException) -> None:
        """Log an exception that has stopped the loop."""

# ------------------------------------------------------------------ application

@final
class Defaults:
    """What a class held when it was defined, by named groups of attributes.

    The native code does what the package's own methods would do, so that it must know of each
    class whether an application has replaced one of them.

    :param groups: names of attributes, by names of groups; at most 32.
    """

    def __new__(cls, cls_: type[Any], groups: Mapping[str, Sequence[str]], /) -> Self: ...
    def replaced_by(self, cls: type[Any], /, *groups: str) -> bool:
        """Tell whether a class has something else under a name of one of the groups, or of any;
        so does a class that does not derive from the noted one.

        :raises KeyError: there is no group of that name.
        """

    def replaced_in(self, obj: object, /, *groups: str) -> bool:
        """Tell whether an object, or its class, has something else under a name of one of the
        groups, or of any.

        :raises KeyError: there is no group of that name.
        """

def set_plan(describe: Callable[[Flask], Description]) -> None:
    """Hand over `bustapi.plan.describe`; called once, where it is defined."""

def set_application_class(application: Defaults) -> None:
    """Name the default class of applications, with a group ``urls``; called once."""

def set_context_class(context: Defaults) -> None:
    """Name the class of request contexts, with a group ``url_adapter``; called once."""

def set_context_variables(app: ContextVar[AppContext], request: ContextVar[RequestContext]) -> None:
    """Name the variables of the current app and request; called once, where they are made."""

def set_event_loop(
    make: Callable[[], AbstractEventLoop],
    run_in_thread: Callable[[AbstractEventLoop, int, LoopDriver], None],
    has_eager_tasks: bool,
) -> None:
    """Hand over how the event loop is made and run; called once, where that is defined.

    :param has_eager_tasks: whether its tasks can take their first step as they are made.
    """

@final
class Generation:
    """Counts the assignments to an application's attributes, which make its plans old."""

    def __new__(cls) -> Self: ...
    def advance(self) -> None: ...

@disjoint_base
class AppContextBase:
    """What an app context holds. The server makes one without calling ``__init__``."""

    app: Flask
    g: _AppCtxGlobals
    url_adapter: _WerkzeugMapAdapter | None
    _cv_tokens: list[Token[AppContext]]
    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...

@disjoint_base
class RequestContextBase:
    """What a request context holds. The server makes one without calling ``__init__``."""

    app: Flask
    request: Request
    url_adapter: _WerkzeugMapAdapter | None
    flashes: list[tuple[str, str]] | None
    _session: SessionMixin | None
    @property
    def session(self) -> SessionMixin:
        """The session, which reading this marks as accessed.

        :raises AssertionError: the context has not been pushed yet.
        """

    _after_request_functions: list[ft.AfterRequestCallable[Any]]
    _cv_tokens: list[tuple[Token[RequestContext], AppContext | None]]
    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...

def make_proxy(variable: ContextVar[Any], attribute: str | None, unbound_message: str) -> Any:
    """Make a proxy for what `variable` holds, or for an attribute of that.

    :param unbound_message: text of the `RuntimeError` raised on use while it holds nothing.
    """

@final
class SessionSigner:
    """Reads and writes session cookies that hold nothing but plain JSON values."""

    def __new__(cls, key: bytes, older_keys: Iterable[bytes], salt: bytes) -> Self: ...
    def loads(self, cookie: str, max_age: int, now: int) -> dict[str, Any] | None:
        """What a cookie holds; ``None`` if it was not signed in the last `max_age` seconds before
        `now` (seconds since 1970), or is not plain.
        """

    def dumps(self, session: dict[str, Any], now: int) -> str | None:
        """The cookie of a session, signed at `now`; ``None`` for values that are not plain."""

# ------------------------------------------------------------------ requests
# The two base classes are joined with Werkzeug's in `bustapi.request`, and take over some of
# their methods. For a type checker that of requests is a subclass of Werkzeug's.

@disjoint_base
class HeadersBase:
    """Answers lookups of header fields without an environ."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    @property
    def _raw(self) -> RawRequest | None:
        """The request; ``None`` for headers that were made from an environ."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __contains__(self, key: Any, /) -> bool: ...
    def get(
        self,
        key: Any,
        default: Any = None,
        type: Callable[[str], Any] | None = None,  # noqa: A002 Werkzeug's name
    ) -> Any: ...
    def getlist(
        self,
        key: Any,
        type: Callable[[str], Any] | None = None,  # noqa: A002 Werkzeug's name
    ) -> list[Any]: ...

@disjoint_base
class RequestBase(_WerkzeugRequest):
    """Holds the native request, if there is one, and reads its body."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    @property
    def _raw(self) -> RawRequest | None:
        """The native request; ``None`` if this one was made from an environ."""

    def __copy__(self) -> Self: ...

@final
class RequestAttribute:
    """An attribute of requests, found by its name, that is converted when it is first read."""

    def __new__(cls, otherwise: Callable[[Any], Any] | None = None) -> Self: ...
    def __set_name__(self, owner: type, name: str, /) -> None: ...
    def __get__(self, request: Any, _owner: Any = None, /) -> Any: ...

def set_request_classes(request: Defaults, headers: type[_EnvironHeaders]) -> None:
    """Name the package's classes; called once, where they are defined."""

def make_request(request_class: Any, raw: RawRequest) -> Any:
    """Make the request of an application's request class."""

# ------------------------------------------------------------------ responses

def set_response_classes(
    response: Defaults, headers: type[_Headers], attributes: frozenset[str]
) -> None:
    """Name the package's classes; called once, where the first is defined.

    :param attributes: what an object of the first has in its ``__dict__``.
    """

def is_default_response(class_: Any, /) -> bool:
    """Tell whether a class makes and sends responses as the default one does."""

# ------------------------------------------------------------------ static files

def accepted_codings(name: str, accept_encoding: str) -> list[tuple[str, str]]:
    """The codings in which a file may be sent to a client, the one it likes best first, each with
    the suffix of such files' names.
    """

def is_coded(name: str) -> bool:
    """Whether a file of this name is compressed itself."""

# ------------------------------------------------------------------ JSON

def set_json_provider(provider: Defaults) -> None:
    """Name the default class of providers; called once, where it is defined."""

def is_default_provider(provider: Any) -> bool:
    """Tell whether a provider is of the default class, or of one that writes responses like it,
    and nothing but its application is set on it.
    """

def json_response(
    provider: JSONProvider, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> _WerkzeugResponse | None:
    """Make the response that the default provider makes of these arguments.

    :return: ``None`` for values and classes that are the provider's own matter.
    """

def load_json(text: Any) -> Any:
    """Read a value as :func:`json.loads` does.

    :raises ValueError: the text is not JSON.
    :raises RecursionError: it is nested too deeply.
    """

def dump_json(value: Any, default: Callable[[Any], Any], spaced: bool) -> str | None:
    """Write a value with sorted keys and ASCII escapes.

    :param default: called for a value of another type; returns what is written in its place.
    :param spaced: put a space after commas and colons.
    :return: ``None`` if :func:`json.dumps` has to write it.
    """

# ------------------------------------------------------------------ routing
# The two classes are joined with Werkzeug's in `bustapi.routing`, and take over some of their
# methods with Werkzeug's signatures. For a type checker they are subclasses of them.

@disjoint_base
class MapAdapterBase(_WerkzeugMapAdapter):
    """Holds what an adapter is bound to; matches and builds natively."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def _make_foreign(self) -> None:
        """Leave this adapter to Werkzeug's methods."""

    def build(
        self,
        endpoint: Any,
        values: Mapping[str, Any] | None = None,
        method: str | None = None,
        force_external: bool = ...,
        append_unknown: bool = ...,
        url_scheme: str | None = None,
    ) -> str: ...

@disjoint_base
class RuleMap(_WerkzeugMap):
    """The rules of a map, as the router has them."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    @property
    def _is_foreign(self) -> bool:
        """Whether Werkzeug's own methods match and build, as a rule or the map has its own."""

    def _take(self, rule: _WerkzeugRule, plain: bool) -> None:
        """Add a rule to the router's; one that is not plain makes the map foreign."""

    def _taken_rules(self) -> list[_WerkzeugRule]: ...
    @staticmethod
    def _variable_position(rule: str, number: int) -> int | None:
        """Where a variable of a rule string begins, in characters."""

    def _forget(self) -> None:
        """Read all rules' attributes anew at the next match."""

    def _make_foreign(self) -> None: ...
    def _set_option(self, name: str, value: Any) -> None: ...
    def bind(
        self,
        server_name: str,
        script_name: str | None = None,
        subdomain: str | None = None,
        url_scheme: str = ...,
        default_method: str = ...,
        path_info: str | None = None,
        query_args: Mapping[str, Any] | str | None = None,
    ) -> MapAdapter: ...
    def unreachable_rules(self) -> list[tuple[_WerkzeugRule, str, _WerkzeugRule | None]]:
        """The rules that can never match."""

    def bind_to_environ(
        self,
        environ: WSGIEnvironment | _WerkzeugRequest,
        server_name: str | None = None,
        subdomain: str | None = None,
    ) -> MapAdapter: ...

def build_in_request(
    app: Flask,
    context: RequestContext,
    endpoint: str,
    values: dict[str, Any],
    method: str | None,
    scheme: str | None,
    external: bool | None,
    /,
) -> str | None:
    """Build the URL of an endpoint in a request.

    :return: ``None`` where the application's ``url_for`` has to.
    """

_UrlFor = TypeVar("_UrlFor", bound=Callable[..., str])

def set_routing_classes(
    *,
    maps: Defaults,
    adapters: Defaults,
    converters: Defaults,
    numbers: Sequence[tuple[Defaults, str, Sequence[str]]],
    foreign_match: Callable[..., Any],
    foreign_build: Callable[..., str],
    bind_to_environ: Callable[..., Any],
) -> None:
    """Hand over the classes of `bustapi.routing`; called once, where they are defined.

    :param numbers: Werkzeug's classes of converters that the router has the like of: their
        names there, and the attributes that are the arguments.
    """

def make_url_for(fallback: _UrlFor, /) -> _UrlFor:
    """Make the ``url_for`` that builds most URLs of a request without calling `fallback`."""
