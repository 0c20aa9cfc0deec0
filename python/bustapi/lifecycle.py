"""The steps of a request inside an application, and the order of its hooks.

Theory of operation. `full_dispatch_request` is called with the request context pushed:

1. `request_started`, then `preprocess_request`: the ``url_value_preprocessor`` functions, then
   the ``before_request`` functions, of the application first and of the innermost blueprint
   last. The first answer that is not ``None`` ends this step and replaces the next.
2. `dispatch_request`: a routing error is raised here and no sooner, so that hooks have run and
   error handlers see it; otherwise the view function is called.
3. An exception of 1 or 2 goes to `handle_user_exception`, and what a handler returns goes on.
4. `finalize_request`: `make_response`, then `process_response`: the ``after_this_request``
   functions, the ``after_request`` functions of the innermost blueprint first and of the
   application last, each list backwards, then the session is saved; then `request_finished`.

An exception that leaves these steps is `handle_exception`'s. The teardown functions run when
the contexts pop, whatever came before.

Each step is a method that an application may override or replace, on the class or on an
instance, so every step calls the next through ``self``. The native server takes the same steps
in the same order (``lifecycle/steps.rs`` and ``lifecycle/hooks.rs`` of the extension), and
changes with this module.
"""

from __future__ import annotations

import sys
import typing as t
from collections.abc import Iterator
from inspect import iscoroutinefunction
from itertools import chain

from werkzeug.datastructures import Headers
from werkzeug.exceptions import (
    BadRequest,
    BadRequestKeyError,
    HTTPException,
    InternalServerError,
)
from werkzeug.routing import MapAdapter, RequestRedirect, RoutingException, Rule
from werkzeug.wrappers import Response as BaseResponse

from .error_pages import response_of
from .exceptions import FormDataRoutingRedirect
from .foreign_flask import warn_of_flask
from .globals import request, request_ctx
from .signals import (
    appcontext_tearing_down,
    got_request_exception,
    request_finished,
    request_started,
    request_tearing_down,
)

if t.TYPE_CHECKING:  # pragma: no cover
    import logging
    from types import TracebackType

    from . import typing as ft
    from .app import Flask
    from .config import Config
    from .ctx import RequestContext
    from .json.provider import JSONProvider
    from .request import Request
    from .response import Response
    from .sessions import SessionInterface, SessionMixin

# Stands for "no argument given" where `None` is a meaningful argument.
_sentinel = object()
# Werkzeug's, which makes no use of the environ where it is given a response.
_force_type = BaseResponse.force_type.__func__  # type: ignore[attr-defined]

_WRONG_TUPLE = (
    "The view function did not return a valid response tuple. The tuple must have the form"
    " (body, status, headers), (body, status), or (body, headers)."
)
_WRONG_TYPE = (
    "The view function did not return a valid response. The return type must be a string,"
    " dict, list, tuple with headers or status, Response instance, or WSGI callable, but it"
    " was a {}."
)


class Lifecycle:
    """Takes a routed request to a response; the half of `Flask` that works while serving.

    The attributes declared here are set up by the other half, `bustapi.sansio.app.App`.
    """

    if t.TYPE_CHECKING:  # pragma: no cover
        config: Config
        # A `ConfigAttribute`, which is declared to work on `App` alone.
        testing: t.Any
        json: JSONProvider
        request_class: type[Request]
        response_class: type[Response]
        session_interface: SessionInterface
        view_functions: dict[str, ft.RouteCallable]
        error_handler_spec: dict[
            ft.AppOrBlueprintKey,
            dict[int | None, dict[type[Exception], ft.ErrorHandlerCallable]],
        ]
        before_request_funcs: dict[ft.AppOrBlueprintKey, list[ft.BeforeRequestCallable]]
        after_request_funcs: dict[ft.AppOrBlueprintKey, list[ft.AfterRequestCallable[t.Any]]]
        teardown_request_funcs: dict[ft.AppOrBlueprintKey, list[ft.TeardownCallable]]
        teardown_appcontext_funcs: list[ft.TeardownCallable]
        url_value_preprocessors: dict[ft.AppOrBlueprintKey, list[ft.URLValuePreprocessorCallable]]
        _got_first_request: bool

        @property
        def debug(self) -> bool: ...  # noqa: D102
        @property
        def logger(self) -> logging.Logger: ...  # noqa: D102
        def log_exception(  # noqa: D102
            self,
            exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
        ) -> None: ...
        @staticmethod
        def _get_exc_class_and_code(
            exc_class_or_code: type[Exception] | int,
        ) -> tuple[type[Exception], int | None]: ...

    # -- the steps ------------------------------------------------------------------------

    def full_dispatch_request(self) -> Response:
        """Take the request of the current context through all steps.

        :raises Exception: what no error handler took.
        """
        if not self._got_first_request:
            self._got_first_request = True
            warn_of_flask()

        try:
            request_started.send(self, _async_wrapper=self.ensure_sync)
            rv = self.preprocess_request()

            if rv is None:
                rv = self.dispatch_request()
        except Exception as e:  # noqa: BLE001 the error handlers decide
            rv = self.handle_user_exception(e)

        return self.finalize_request(rv)

    def preprocess_request(self) -> ft.ResponseReturnValue | None:
        """Run the ``url_value_preprocessor`` and ``before_request`` functions.

        What the first ``before_request`` function to do so returns becomes the answer.
        """
        scopes = (None, *reversed(request.blueprints))

        for scope in scopes:
            if scope in self.url_value_preprocessors:
                for preprocessor in self.url_value_preprocessors[scope]:
                    preprocessor(request.endpoint, request.view_args)

        for scope in scopes:
            if scope in self.before_request_funcs:
                for before in self.before_request_funcs[scope]:
                    rv: ft.ResponseReturnValue | None = self.ensure_sync(before)()

                    if rv is not None:
                        return rv

        return None

    def dispatch_request(self) -> ft.ResponseReturnValue:
        """Call the view function that the request matched, and return what it returns.

        :raises werkzeug.exceptions.HTTPException: the routing error, if nothing matched.
        """
        current = request_ctx.request

        if current.routing_exception is not None:
            self.raise_routing_exception(current)

        rule = t.cast("Rule", current.url_rule)

        if current.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
            return self.make_default_options_response()

        view_args = t.cast("dict[str, t.Any]", current.view_args)
        view = self.ensure_sync(self.view_functions[rule.endpoint])
        return t.cast("ft.ResponseReturnValue", view(**view_args))

    def raise_routing_exception(self, request: Request) -> t.NoReturn:
        """Raise the error that routing left on the request.

        In debug mode, a redirect that would lose a form's data raises an explanation instead.
        """
        error = request.routing_exception

        if (
            self.debug
            and isinstance(error, RequestRedirect)
            and error.code not in {307, 308}
            and request.method not in {"GET", "HEAD", "OPTIONS"}
        ):
            raise FormDataRoutingRedirect(request)

        raise t.cast("HTTPException", error)

    def make_default_options_response(self) -> Response:
        """Answer OPTIONS with the methods that the URL allows; override to change that."""
        adapter = t.cast("MapAdapter", request_ctx.url_adapter)
        response = self.response_class()
        response.allow.update(adapter.allowed_methods())
        return response

    # -- from return value to response ----------------------------------------------------

    def finalize_request(
        self,
        rv: ft.ResponseReturnValue | HTTPException,
        from_error_handler: bool = False,
    ) -> Response:
        """Make a response of a return value and run the steps that come after.

        :param from_error_handler: the value answers an error that was already reported; a
            further one is logged and does not replace it.
        """
        response = self.make_response(rv)

        try:
            response = self.process_response(response)
            request_finished.send(self, _async_wrapper=self.ensure_sync, response=response)
        except Exception:
            if not from_error_handler:
                raise

            self.logger.exception("Request finalizing failed with an error while handling an error")

        return response

    def make_response(self, rv: ft.ResponseReturnValue) -> Response:
        """Convert what a view returned to an instance of `response_class`.

        :param rv: a body, or a tuple of body, status and headers; see
            `bustapi.typing.ResponseReturnValue`.
        :raises TypeError: for anything else, and for ``None``.
        """
        body, status, headers = _split_return_value(rv)

        if body is None:
            raise TypeError(
                f"The view function for {request.endpoint!r} did not return a valid"
                " response. The function either returned None or ended without a"
                " return statement."
            )

        response: Response

        if isinstance(body, self.response_class):
            response = body
        elif isinstance(body, (str, bytes, bytearray, Iterator)):
            # The class sets status and headers itself, before it adds its default headers.
            return self.response_class(t.cast("t.Any", body), status=status, headers=headers)
        elif isinstance(body, (dict, list)):
            response = t.cast("Response", self.json.response(body))
        elif isinstance(body, BaseResponse) or callable(body):
            response = self._response_of_wsgi(body)
        else:
            raise TypeError(_WRONG_TYPE.format(type(body).__name__))

        if isinstance(status, (str, bytes, bytearray)):
            response.status = status  # type: ignore[assignment]
        elif status is not None:
            response.status_code = status

        if headers:
            response.headers.update(headers)

        return response

    def _response_of_wsgi(self, body: t.Any) -> Response:
        """Convert another class's response, or what a WSGI application answers."""
        force = self.response_class.force_type
        is_own = getattr(force, "__func__", None) is not _force_type

        if isinstance(body, HTTPException) and not is_own:
            response = response_of(body, request.method)

            if response is not None:
                return t.cast("Response", force(response))

        try:
            return t.cast("Response", force(t.cast("t.Any", body), request.environ))
        except TypeError as e:
            raise TypeError(f"{e}\n{_WRONG_TYPE.format(type(body).__name__)}").with_traceback(
                sys.exc_info()[2]
            ) from None

    def process_response(self, response: Response) -> Response:
        """Run the functions that come after the view, then save the session."""
        ctx: RequestContext = t.cast("t.Any", request_ctx)._get_current_object()

        for after in ctx._after_request_functions:
            response = self.ensure_sync(after)(response)

        for scope in chain(request.blueprints, (None,)):
            if scope in self.after_request_funcs:
                for after in reversed(self.after_request_funcs[scope]):
                    response = self.ensure_sync(after)(response)

        session = t.cast("SessionMixin", ctx._session)

        if not self.session_interface.is_null_session(session):
            self.session_interface.save_session(t.cast("Flask", self), session, response)

        return response

    # -- errors ---------------------------------------------------------------------------

    def _find_error_handler(
        self, e: Exception, blueprints: list[str]
    ) -> ft.ErrorHandlerCallable | None:
        """The handler registered closest to an exception, if any.

        Handlers of its status code come before those of classes alone; among these the
        innermost blueprint's before the application's; among these the nearest base class's.
        The extension's ``lifecycle/error_handlers.rs`` tells whether there is one.
        """
        exc_class, code = self._get_exc_class_and_code(type(e))
        codes = (None,) if code is None else (code, None)

        for registered_code in codes:
            for scope in (*blueprints, None):
                handlers = self.error_handler_spec[scope][registered_code]

                if not handlers:
                    continue

                for cls in exc_class.__mro__:
                    handler = handlers.get(cls)

                    if handler is not None:
                        return handler

        return None

    def trap_http_exception(self, e: Exception) -> bool:
        """Whether an HTTP exception is to be treated as an error of the program.

        ``TRAP_HTTP_EXCEPTIONS`` traps all, ``TRAP_BAD_REQUEST_ERRORS`` those of status 400;
        unless set, the latter traps missing form keys in debug mode.
        """
        if self.config["TRAP_HTTP_EXCEPTIONS"]:
            return True

        trap_bad_request = self.config["TRAP_BAD_REQUEST_ERRORS"]

        if trap_bad_request is None:
            return self.debug and isinstance(e, BadRequestKeyError)

        return bool(trap_bad_request) and isinstance(e, BadRequest)

    def should_ignore_error(self, error: BaseException | None) -> bool:
        """Whether the teardown functions are not to be told of an error; override to say."""
        return False

    def handle_http_exception(self, e: HTTPException) -> HTTPException | ft.ResponseReturnValue:
        """Let an error handler answer an HTTP exception, or the exception answer for itself."""
        # Without a code it is a response in disguise; and redirects of routing are no errors.
        if e.code is None or isinstance(e, RoutingException):
            return e

        handler = self._find_error_handler(e, request.blueprints)

        if handler is None:
            return e

        return t.cast("ft.ResponseReturnValue", self.ensure_sync(handler)(e))

    def handle_user_exception(self, e: Exception) -> HTTPException | ft.ResponseReturnValue:
        """Answer an exception raised by a view or a hook; called while it is handled.

        :raises Exception: `e` again, if no handler takes it.
        """
        if isinstance(e, BadRequestKeyError) and (
            self.debug or self.config["TRAP_BAD_REQUEST_ERRORS"]
        ):
            e.show_exception = True

        if isinstance(e, HTTPException) and not self.trap_http_exception(e):
            return self.handle_http_exception(e)

        handler = self._find_error_handler(e, request.blueprints)

        if handler is None:
            raise

        return t.cast("ft.ResponseReturnValue", self.ensure_sync(handler)(e))

    def handle_exception(self, e: Exception) -> Response:
        """Answer an exception that nothing took with an internal server error.

        It is logged, and a handler for 500 or `InternalServerError` may make the response;
        the exception is that error's ``original_exception``.

        :raises Exception: `e` again, if exceptions are to propagate: when testing, in debug
            mode, or as ``PROPAGATE_EXCEPTIONS`` says.
        """
        exc_info = sys.exc_info()
        got_request_exception.send(self, _async_wrapper=self.ensure_sync, exception=e)
        propagate = self.config["PROPAGATE_EXCEPTIONS"]

        if propagate is None:
            propagate = self.testing or self.debug

        if propagate:
            # A bare raise keeps the traceback as it is.
            if exc_info[1] is e:
                raise

            raise e

        self.log_exception(exc_info)
        server_error: InternalServerError | ft.ResponseReturnValue
        server_error = InternalServerError(original_exception=e)
        handler = self._find_error_handler(server_error, request.blueprints)

        if handler is not None:
            server_error = self.ensure_sync(handler)(server_error)

        return self.finalize_request(server_error, from_error_handler=True)

    # -- teardown -------------------------------------------------------------------------

    def do_teardown_request(
        self,
        exc: BaseException | None = _sentinel,  # type: ignore[assignment]
    ) -> None:
        """Run the ``teardown_request`` functions; the request context calls this as it pops.

        :param exc: the unhandled error; by default the exception being handled, if any.
        """
        if exc is _sentinel:
            exc = sys.exc_info()[1]

        for scope in chain(request.blueprints, (None,)):
            if scope in self.teardown_request_funcs:
                for teardown in reversed(self.teardown_request_funcs[scope]):
                    self.ensure_sync(teardown)(exc)

        request_tearing_down.send(self, _async_wrapper=self.ensure_sync, exc=exc)

    def do_teardown_appcontext(
        self,
        exc: BaseException | None = _sentinel,  # type: ignore[assignment]
    ) -> None:
        """Run the ``teardown_appcontext`` functions; the app context calls this as it pops.

        :param exc: the unhandled error; by default the exception being handled, if any.
        """
        if exc is _sentinel:
            exc = sys.exc_info()[1]

        for teardown in reversed(self.teardown_appcontext_funcs):
            self.ensure_sync(teardown)(exc)

        appcontext_tearing_down.send(self, _async_wrapper=self.ensure_sync, exc=exc)

    # -- coroutine functions --------------------------------------------------------------

    def ensure_sync(self, func: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        """Give `func` back, or a function that runs it to its end if it is ``async def``."""
        if iscoroutinefunction(func):
            return self.async_to_sync(func)

        return func

    def async_to_sync(
        self, func: t.Callable[..., t.Coroutine[t.Any, t.Any, t.Any]]
    ) -> t.Callable[..., t.Any]:
        """Make a function that runs the coroutine function `func` to its end.

        :raises RuntimeError: without the optional dependency asgiref.
        """
        try:
            # Optional: only applications with coroutine functions need it.
            from asgiref.sync import async_to_sync
        except ImportError:
            raise RuntimeError(
                "Install Flask with the 'async' extra in order to use async views."
            ) from None

        return async_to_sync(func)


def _split_return_value(rv: t.Any) -> tuple[t.Any, t.Any, t.Any]:
    """Body, status and headers of a view's return value; ``None`` for what is not given.

    :raises TypeError: for a tuple of a wrong length.
    """
    if not isinstance(rv, tuple):
        return rv, None, None

    parts: list[t.Any] = [*rv]

    if len(parts) == 3:
        return parts[0], parts[1], parts[2]

    if len(parts) != 2:
        raise TypeError(_WRONG_TUPLE)

    is_headers = isinstance(parts[1], (Headers, dict, tuple, list))
    return (parts[0], None, parts[1]) if is_headers else (parts[0], parts[1], None)
