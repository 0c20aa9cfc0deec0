"""What the native server may do itself for an application, and what it must call.

The server takes a request through the steps of :mod:`bustapi.lifecycle`. A step that is
Flask's own and has nothing to do is left out; whatever the application has replaced is
called. :func:`describe` tells the two apart. It is asked again when something it looked at
has changed, so nothing here is kept.
"""

from __future__ import annotations

import mimetypes
import os
import typing as t
from datetime import timedelta

from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from . import ctx, response, sessions, signals
from ._native import (
    Defaults,
    is_default_provider,
    is_default_response,
    set_application_class,
    set_plan,
)
from ._native import Generation as Generation  # what an app counts with
from .ctx import AppContext, RequestContext
from .error_pages import page_of
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
    from .app import Flask

#: What the class of applications held when it was defined; set there.
_application_defaults: Defaults


def set_defaults_of_application(defaults: Defaults) -> None:
    """Tell which of an application's steps are Flask's own, by groups of attributes.

    Called once, where the class is defined.
    """
    global _application_defaults
    _application_defaults = defaults
    set_application_class(defaults)


class Description:
    """What the server needs to know of an application; read once by the server.

    Attributes that begin with ``own_`` tell that the application has replaced a step.
    """

    def __init__(self, app: Flask) -> None:
        response_class = app.response_class
        json = app.json
        interface = app.session_interface

        def own(group: str) -> bool:
            return _application_defaults.replaced_in(app, group)

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

        #: The contexts cannot be made natively: the app is called as WSGI. So it is below a path of
        #: the server, which only the environ tells.
        self.wsgi = bool(
            os.environ.get("SCRIPT_NAME")
            or own("wsgi")
            or ctx._request_defaults.replaced_by(RequestContext, "steps")
            or ctx._app_defaults.replaced_by(AppContext)
        )
        self.own_full_dispatch = own("full_dispatch")
        self.own_preprocess = own("preprocess")
        self.own_dispatch = own("dispatch")
        self.own_ensure_sync = own("ensure_sync")
        self.own_finalize = own("finalize")
        self.own_make_response = own("make_response")
        self.own_process_response = own("process_response")
        self.own_errors = own("errors")

        #: Routing looks at more than path and method, or is the application's own.
        self.own_matching = (
            own("matching")
            or bool(os.environ.get("SCRIPT_NAME"))
            or app.subdomain_matching
            or app.url_map.host_matching
            or app.request_class.trusted_hosts is not None
        )
        self.has_task_contexts = HAS_TASK_CONTEXTS

        default_response = is_default_response(response_class)
        self.plain_text = default_response
        #: Instances hold what the native server reads and writes, and nothing else.
        self.lean_response = default_response and vars(Response()).keys() == response._ATTRIBUTES
        #: The provider writes what the native one does: only `_app` is set on it.
        self.plain_json = default_response and is_default_provider(json)
        #: Looked at for each request: what is set on the provider later changes what it writes.
        self.json_attributes: dict[str, t.Any] = getattr(json, "__dict__", {})
        self.status_names = HTTP_STATUS_CODES
        self.page_of = page_of
        self.http_exception = HTTPException
        #: Nothing is to be seen of a session that is neither brought nor asked for.
        self.lazy_session = (
            type(interface) is SecureCookieSessionInterface
            and set(vars(interface)) <= {"_signer"}
            and not sessions._interface_defaults.replaced_by(
                SecureCookieSessionInterface, "steps", "format"
            )
            and not sessions._session_defaults.replaced_by(SecureCookieSession)
        )

        #: The server opens and saves sessions itself.
        self.cookie_sessions = (
            isinstance(interface, SecureCookieSessionInterface)
            and self.lazy_session
            and not response._defaults.replaced_by(response_class, "additions")
            and not own("session_settings")
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

        # The server serves absolute folders only. A relative one is left to the view, which joins
        # it to `root_path` once more, as Flask does.
        if (
            not own("static_files")
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
        self.error_handler_spec = app.error_handler_spec
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


set_plan(describe)
