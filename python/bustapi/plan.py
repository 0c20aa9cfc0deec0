"""What the native server may do itself for an application, and what it must call.

The server takes a request through the steps of :mod:`bustapi.lifecycle`. A step that is
Flask's own and has nothing to do is left out; whatever the application has replaced is
called. :func:`describe` tells the two apart. It is asked again when something it looked at
has changed, so nothing here is kept.
"""

from __future__ import annotations

import inspect
import mimetypes
import os
import typing as t
from datetime import timedelta

from werkzeug.http import HTTP_STATUS_CODES

from . import signals
from ._native import Generation as Generation  # what an app counts with
from ._native import is_default_provider, is_default_response
from .ctx import AppContext, RequestContext
from .event_loop import HAS_TASK_CONTEXTS
from .foreign_flask import warn_of_flask
from .response import Response
from .sessions import (
    SecureCookieSession,
    SecureCookieSessionInterface,
    _has_default_format,
    _mark_modified,
    session_json_serializer,
)

if t.TYPE_CHECKING:
    from werkzeug.wrappers import Response as ResponseBase

    from .app import Flask

_CONTEXT_STEPS = ("push", "pop", "match_request", "_open_session")
_RESPONSE_STATE = {
    "headers",
    "_status",
    "_status_code",
    "direct_passthrough",
    "_on_close",
    "response",
}
_APP_STEPS = (
    "__call__",
    "wsgi_app",
    "request_context",
    "app_context",
    "full_dispatch_request",
    "preprocess_request",
    "dispatch_request",
    "ensure_sync",
    "async_to_sync",
    "finalize_request",
    "make_response",
    "process_response",
    "create_url_adapter",
    "send_static_file",
    "get_send_file_max_age",
    "secret_key",
    "permanent_session_lifetime",
)
_INTERFACE_STEPS = (
    "open_session",
    "save_session",
    "get_signing_serializer",
    "is_null_session",
    "session_class",
    "get_cookie_name",
    "get_cookie_domain",
    "get_cookie_path",
    "get_cookie_httponly",
    "get_cookie_secure",
    "get_cookie_samesite",
    "get_cookie_partitioned",
    "get_expiration_time",
    "should_set_cookie",
    "_native_signer",
    "_sign",
)
_SESSION_STEPS = (
    "__init__",
    "__new__",
    "__iter__",
    "__len__",
    "__bool__",
    "get",
    "permanent",
    "modified",
    "accessed",
)

# What the classes held when they were defined, before anything could patch them.
_defaults: dict[type, dict[str, t.Any]] = {}


def _note(cls: type, names: tuple[str, ...]) -> None:
    _defaults[cls] = {name: inspect.getattr_static(cls, name, None) for name in names}


def set_application_class(cls: type[Flask]) -> None:
    """Tell which class's steps are Flask's own; called once, where it is defined."""
    _note(cls, _APP_STEPS)


_note(RequestContext, _CONTEXT_STEPS)
_note(AppContext, ("push", "pop"))
_note(SecureCookieSessionInterface, _INTERFACE_STEPS)
_note(SecureCookieSession, _SESSION_STEPS)
_note(Response, ("set_cookie", "vary"))


def _has_own(obj: object, defaults_of: type, *names: str) -> bool:
    """Whether an object, or its class, has replaced any of the steps."""
    cls = type(obj)
    attributes = getattr(obj, "__dict__", {})
    return any(name in attributes for name in names) or _replaces(cls, defaults_of, *names)


def _replaces(cls: type, defaults_of: type, *names: str) -> bool:
    defaults = _defaults[defaults_of]
    return any(
        inspect.getattr_static(cls, name, None) is not defaults[name] for name in names or defaults
    )


class Description:
    """What the server needs to know of an application; read once by the server.

    Attributes that begin with ``own_`` tell that the application has replaced a step.
    """

    def __init__(self, app: Flask) -> None:
        application_class = next(cls for cls in type(app).__mro__ if cls in _defaults)
        response_class = app.response_class
        json = app.json
        interface = app.session_interface
        dispatching = ("full_dispatch_request", "preprocess_request", "dispatch_request")

        def own(*names: str) -> bool:
            return _has_own(app, application_class, *names)

        self.generation: Generation = app._generation
        self.classes: list[type] = [
            type(app),
            RequestContext,
            AppContext,
            app.request_class,
            response_class,
            type(json),
            type(interface),
            SecureCookieSession,
        ]
        self.app_context_class = AppContext
        self.request_context_class = RequestContext
        self.response_class = response_class if isinstance(response_class, type) else Response
        self.session_interface = interface

        #: The contexts cannot be made natively: the app is called as WSGI.
        self.wsgi = (
            own("__call__", "wsgi_app", "request_context", "app_context")
            or _replaces(RequestContext, RequestContext)
            or _replaces(AppContext, AppContext)
        )
        self.own_full_dispatch, self.own_preprocess, self.own_dispatch = map(own, dispatching)
        self.own_ensure_sync = own("ensure_sync", "async_to_sync")
        self.own_finalize = own("finalize_request")
        self.own_make_response = own("make_response")
        self.own_process_response = own("process_response")

        #: Routing looks at more than path and method, or is the application's own.
        self.own_matching = (
            own("create_url_adapter")
            or app.subdomain_matching
            or app.url_map.host_matching
            or app.request_class.trusted_hosts is not None
        )
        self.has_task_contexts = HAS_TASK_CONTEXTS

        default_response = is_default_response(response_class)
        self.plain_text = default_response
        #: Instances hold what the native server reads and writes, and nothing else.
        self.lean_response = default_response and set(vars(Response())) == _RESPONSE_STATE
        #: The provider writes what the native one does: only `_app` is set on it.
        self.plain_json = default_response and is_default_provider(json)
        #: Looked at for each request: what is set on the provider later changes what it writes.
        self.json_attributes: dict[str, t.Any] = getattr(json, "__dict__", {})
        self.status_names = HTTP_STATUS_CODES
        #: Nothing is to be seen of a session that is neither brought nor asked for.
        self.lazy_session = (
            type(interface) is SecureCookieSessionInterface
            and set(vars(interface)) <= {"_signer"}
            and not _replaces(SecureCookieSessionInterface, SecureCookieSessionInterface)
            and not _replaces(SecureCookieSession, SecureCookieSession)
        )

        #: The server opens and saves sessions itself.
        self.cookie_sessions = (
            isinstance(interface, SecureCookieSessionInterface)
            and self.lazy_session
            and not _replaces(response_class, Response)
            and not own("secret_key", "permanent_session_lifetime")
            and _has_default_format(interface, app)
        )
        self.session_class = SecureCookieSession
        self.session_on_update = _mark_modified
        self.session_salt = SecureCookieSessionInterface.salt.encode()
        self.session_tags = session_json_serializer.order

        #: The view of static files that the server may send itself, and their folder.
        self.static_view: t.Any = None
        self.static_folder: str | None = None
        self.static_max_age_setting = app.config["SEND_FILE_MAX_AGE_DEFAULT"]
        self.static_max_age: int | None = None
        self.static_precompressed = app.config.get("STATIC_PRECOMPRESSED")
        self.media_types: dict[str, str] = {}

        # A relative folder is joined to `root_path` once more, as Flask does: Python's matter.
        if (
            not own("send_static_file", "get_send_file_max_age")
            and default_response
            and app.static_folder is not None
            and os.path.isabs(app.static_folder)
        ):
            max_age = self.static_max_age_setting
            self.static_view = app._static_view
            self.static_folder = app.static_folder
            # Until it is made, the map lacks the system's types; guessing makes it.
            mimetypes.guess_type("")
            self.media_types = mimetypes.types_map
            self.static_max_age = (
                int(max_age.total_seconds()) if isinstance(max_age, timedelta) else max_age
            )

        self.config = app.config
        self.view_functions = app.view_functions
        self.url_value_preprocessors = app.url_value_preprocessors
        self.before_request_funcs = app.before_request_funcs
        self.after_request_funcs = app.after_request_funcs
        self.teardown_request_funcs = app.teardown_request_funcs
        self.teardown_appcontext_funcs = app.teardown_appcontext_funcs
        self.context_signals: list[dict[t.Any, t.Any]] = [
            signals.appcontext_pushed.receivers,
            signals.appcontext_popped.receivers,
            signals.appcontext_tearing_down.receivers,
            signals.request_tearing_down.receivers,
        ]
        self.request_signals: list[dict[t.Any, t.Any]] = [
            signals.request_started.receivers,
            signals.request_finished.receivers,
        ]


def describe(app: Flask) -> Description:
    """Describe an application that is about to handle a request."""
    description = Description(app)

    if app._got_first_request:
        return description

    warn_of_flask()

    # Setup ends where `full_dispatch_request` begins, and so it does where the native steps take
    # its place. A middleware around `wsgi_app`, or a method around that one, may set up before.
    if not (description.wsgi or description.own_full_dispatch):
        app._got_first_request = True

    return description


def recover(
    app: Flask, error: BaseException, dispatching: bool
) -> tuple[ResponseBase, BaseException | None]:
    """Go on with a request after an exception, as :meth:`Flask.wsgi_app` does.

    :param dispatching: whether it came from before the response was made, so that error
        handlers may take it.
    :return: the response, and the error that teardown functions are told of.
    :raises BaseException: an error that is to propagate, or is no :class:`Exception`.
    """
    try:
        try:
            raise error
        except Exception as e:
            if not dispatching:
                raise

            rv = app.handle_user_exception(e)

        return app.finalize_request(rv), None
    except Exception as e:  # noqa: BLE001 as `wsgi_app`, whose place this takes
        return app.handle_exception(e), e
