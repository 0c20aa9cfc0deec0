"""The contexts: which app is current, and which request.

An app context carries the app and `g`; a request context carries the request, the
session and what else belongs to one request. Pushing a context makes it current for
this thread, greenlet or asyncio task, popping it restores what was current before.
A request context brings an app context along unless its app is current already.

A context may be pushed more than once; it is torn down when it is popped for the
last time.
"""

from __future__ import annotations

import sys
import typing as t
from functools import update_wrapper

from werkzeug.exceptions import HTTPException

from . import typing as ft  # noqa: TC001 Flask's module has the name at run time
from ._native import AppContextBase, Defaults, RequestContextBase, set_context_class
from .globals import _cv_app, _cv_request
from .request import Request
from .signals import appcontext_popped, appcontext_pushed

if t.TYPE_CHECKING:
    import contextvars
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.routing import MapAdapter

    from .app import Flask
    from .sessions import SessionMixin

# Stands for an argument that was not given, where `None` means something.
_sentinel: t.Any = object()

F = t.TypeVar("F", bound=t.Callable[..., t.Any])


class _AppCtxGlobals:
    """The object behind `g`: a namespace with some of a dict's methods."""

    # Spelled out, so that type checkers permit any attribute.

    def __getattr__(self, name: str) -> t.Any:
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: t.Any) -> None:
        self.__dict__[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self.__dict__[name]
        except KeyError:
            raise AttributeError(name) from None

    def get(self, name: str, default: t.Any | None = None) -> t.Any:
        """Return an attribute, or `default` if there is none of that name."""
        return self.__dict__.get(name, default)

    def pop(self, name: str, default: t.Any = _sentinel) -> t.Any:
        """Remove an attribute and return it, or `default` if one is given.

        :raises KeyError: there is none of that name, and no default.
        """
        if default is _sentinel:
            return self.__dict__.pop(name)

        return self.__dict__.pop(name, default)

    def setdefault(self, name: str, default: t.Any = None) -> t.Any:
        """Return an attribute, set to `default` first if there is none."""
        return self.__dict__.setdefault(name, default)

    def __contains__(self, item: str) -> bool:
        return item in self.__dict__

    def __iter__(self) -> t.Iterator[str]:
        return iter(self.__dict__)

    def __repr__(self) -> str:
        context = _cv_app.get(None)

        if context is None:
            return super().__repr__()

        return f"<flask.g of '{context.app.name}'>"


def after_this_request(
    f: ft.AfterRequestCallable[t.Any],
) -> ft.AfterRequestCallable[t.Any]:
    """Have a function process the response of this request, and of no other.

    It gets the response and returns it, or another:

    .. code-block:: python

        @app.get("/login")
        def login():
            @after_this_request
            def remember(response):
                response.set_cookie("seen", "1")
                return response

            return render_template("login.html")

    :raises RuntimeError: there is no request context.
    """
    _request_context_for("after_this_request")._after_request_functions.append(f)
    return f


def copy_current_request_context(f: F) -> F:
    """Have a function run in a copy of this request's context, wherever it runs.

    For work that is handed to a greenlet or thread. The copy shares the request and
    session objects with the original, without any lock.

    :raises RuntimeError: there is no request context.
    """
    context = _request_context_for("copy_current_request_context").copy()

    def wrapper(*args: t.Any, **kwargs: t.Any) -> t.Any:
        with context:
            return context.app.ensure_sync(f)(*args, **kwargs)

    return t.cast("F", update_wrapper(wrapper, f))


def _request_context_for(function: str) -> RequestContext:
    """Return the current request context, which `function` cannot do without."""
    context = _cv_request.get(None)

    if context is None:
        raise RuntimeError(
            f"'{function}' can only be used when a request"
            " context is active, such as in a view function."
        )

    return context


def has_request_context() -> bool:
    """Tell whether a request is current, as the truth of ``request`` does."""
    return _cv_request.get(None) is not None


def has_app_context() -> bool:
    """Tell whether an app is current, as the truth of ``current_app`` does."""
    return _cv_app.get(None) is not None


class AppContext(AppContextBase):
    """Makes an app current. Made by ``app.app_context()``, for use in ``with``."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.url_adapter: MapAdapter | None = app.create_url_adapter(None)
        self.g: _AppCtxGlobals = app.app_ctx_globals_class()
        # One for each push that was not popped yet.
        self._cv_tokens: list[contextvars.Token[AppContext]] = []

    def push(self) -> None:
        """Make this context current, and send ``appcontext_pushed``."""
        self._cv_tokens.append(_cv_app.set(self))
        appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def pop(self, exc: BaseException | None = _sentinel) -> None:
        """Restore the context before, after teardown if this is the last pop.

        :param exc: for the teardown functions: why the work ended, ``None`` if it
            went well. The exception being handled if not given.
        :raises AssertionError: another context was pushed later and not popped.
        """
        try:
            if len(self._cv_tokens) == 1:
                if exc is _sentinel:
                    exc = sys.exc_info()[1]

                self.app.do_teardown_appcontext(exc)
        finally:
            current = _cv_app.get()
            _cv_app.reset(self._cv_tokens.pop())

        if current is not self:
            raise AssertionError(f"Popped wrong app context. ({current!r} instead of {self!r})")

        appcontext_popped.send(self.app, _async_wrapper=self.app.ensure_sync)

    def __enter__(self) -> AppContext:
        self.push()
        return self

    def __exit__(
        self,
        exc_type: type | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.pop(exc_value)


class RequestContext(RequestContextBase):
    """Makes a request current. Made by ``app.request_context(environ)`` and, for
    tests, by ``app.test_request_context()``.

    :param app: the app that answers.
    :param environ: made into a request of the app's class if none is given.
    :param request: the request.
    :param session: the session; opened at the first push if ``None``.
    """

    def __init__(
        self,
        app: Flask,
        environ: WSGIEnvironment,
        request: Request | None = None,
        session: SessionMixin | None = None,
    ) -> None:
        self.app = app

        if request is None:
            request = app.request_class(environ)
            request.json_module = app.json

        self.request: Request = request
        self.url_adapter: MapAdapter | None = self._bind_url_adapter()
        #: The flashed messages, once they were taken out of the session.
        self.flashes: list[tuple[str, str]] | None = None
        self._session: SessionMixin | None = session
        self._after_request_functions: list[ft.AfterRequestCallable[t.Any]] = []
        # One for each push that was not popped yet, with the app context that the
        # push brought along.
        self._cv_tokens: list[tuple[contextvars.Token[RequestContext], AppContext | None]] = []

    def _bind_url_adapter(self) -> MapAdapter | None:
        try:
            return self.app.create_url_adapter(self.request)
        except HTTPException as e:
            self.request.routing_exception = e
            return None

    def copy(self) -> RequestContext:
        """Make a context for the same request and session, to be pushed elsewhere."""
        return type(self)(
            self.app,
            environ=self.request.environ,
            request=self.request,
            session=self._session,
        )

    def match_request(self) -> None:
        """Route the request. What routing raises is kept in the request, and raised
        by dispatching, where error handlers see it.
        """
        assert self.url_adapter is not None, "The request's host could not be bound."

        try:
            rule, view_args = self.url_adapter.match(return_rule=True)
        except HTTPException as e:
            self.request.routing_exception = e
        else:
            self.request.url_rule = rule
            self.request.view_args = t.cast("dict[str, t.Any]", view_args)

    def push(self) -> None:
        """Make this context current, open the session, route the request.

        In that order: opening a session may use the context, and URL converters may
        use the session.
        """
        app_context: AppContext | None = _cv_app.get(None)

        if app_context is not None and app_context.app is self.app:
            app_context = None
        else:
            app_context = self.app.app_context()
            app_context.push()

        self._cv_tokens.append((_cv_request.set(self), app_context))

        # Once only: a second push (of a streamed body, say) must see the changes.
        if self._session is None:
            self._session = self._open_session()

        if self.url_adapter is not None:
            self.match_request()

    def _open_session(self) -> SessionMixin:
        interface = self.app.session_interface
        session = interface.open_session(self.app, self.request)

        if session is None:
            return interface.make_null_session(self.app)

        return session

    def pop(self, exc: BaseException | None = _sentinel) -> None:
        """Restore the context before, after teardown if this is the last pop.

        :param exc: for the teardown functions: why the request failed, ``None`` if
            it did not. The exception being handled if not given.
        :raises AssertionError: another context was pushed later and not popped.
        """
        last = len(self._cv_tokens) == 1

        try:
            if last:
                if exc is _sentinel:
                    exc = sys.exc_info()[1]

                self.app.do_teardown_request(exc)
                close = getattr(self.request, "close", None)

                if close is not None:
                    close()
        finally:
            current = _cv_request.get()
            token, app_context = self._cv_tokens.pop()
            _cv_request.reset(token)

            if last:
                _forget_in_environ(current.request)

            if app_context is not None:
                app_context.pop(exc)

            if current is not self:
                raise AssertionError(
                    f"Popped wrong request context. ({current!r} instead of {self!r})"
                )

    def __enter__(self) -> RequestContext:
        self.push()
        return self

    def __exit__(
        self,
        exc_type: type | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.pop(exc_value)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.request.url!r}"
            f" [{self.request.method}] of {self.app.name}>"
        )


def _forget_in_environ(request: t.Any) -> None:
    """Break the cycle of request and environ; the app's class may be any."""
    if isinstance(request, Request):
        request._forget_in_environ()
    else:
        request.environ["werkzeug.request"] = None


#: What the server does in place of the contexts' own methods, and how `url_for` finds the adapter.
_app_defaults = Defaults(AppContext, {"steps": ("push", "pop")})
_request_defaults = Defaults(
    RequestContext,
    {
        "steps": ("push", "pop", "match_request", "_open_session"),
        "url_adapter": ("url_adapter", "__getattribute__"),
    },
)
set_context_class(_request_defaults)
