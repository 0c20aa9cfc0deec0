"""The application object: the ways into it, and the contexts around what it does.

`Flask` (also named `BustAPI`) is the application of `bustapi.sansio.app` with doors: WSGI and
ASGI calls, the server, test clients and the command line. All of them lead to `wsgi_app` or
to the steps of `bustapi.lifecycle`.
"""

from __future__ import annotations

import os
import typing as t
import weakref
from datetime import timedelta
from urllib.parse import quote as _url_quote

import click
from werkzeug.datastructures import ImmutableDict
from werkzeug.routing import BuildError, MapAdapter
from werkzeug.routing import Rule as Rule
from werkzeug.serving import is_running_from_reloader
from werkzeug.utils import import_string
from werkzeug.wsgi import get_host

from . import cli, plan
from . import typing as ft  # noqa: F401 # pyright: ignore[reportUnusedImport] as in Flask
from ._native import Defaults
from .asgi import AsgiApp, mark_single_callable
from .cli import discovery
from .ctx import AppContext, RequestContext
from .globals import _cv_app, _cv_request, g, request, session
from .globals import current_app as current_app
from .globals import request_ctx as request_ctx
from .helpers import get_debug_flag, get_flashed_messages, get_load_dotenv
from .helpers import send_from_directory as send_from_directory
from .resources import open_file, open_readable, send_file_max_age, send_static
from .routing import build_in_request
from .sansio.app import App
from .serving.run import choose_reloader, require_server, serve_app, settle_options
from .sessions import SecureCookieSessionInterface, SessionInterface
from .signals import appcontext_tearing_down as appcontext_tearing_down
from .signals import got_request_exception as got_request_exception
from .signals import request_finished as request_finished
from .signals import request_started as request_started
from .signals import request_tearing_down as request_tearing_down
from .templating import Environment, _default_template_ctx_processor
from .wrappers import Request, Response

if t.TYPE_CHECKING:  # pragma: no cover
    import collections.abc as cabc
    from types import TracebackType

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from .asgi import Receive, Scope, Send
    from .testing import EnvironBuilder, FlaskClient, FlaskCliRunner

_NO_URL_ADAPTER = (
    "Unable to build URLs outside an active request without 'SERVER_NAME' configured."
    " Also configure 'APPLICATION_ROOT' and 'PREFERRED_URL_SCHEME' as needed."
)
# What RFC 3986 allows in a fragment, and "%" so that quoted text is not quoted again.
_ANCHOR_SAFE = "%!#$&'()*+,/:;=?@"


def _testing(name: str) -> t.Any:
    """A class of `bustapi.testing`, which is loaded when first asked for, as Flask does.

    Click's part of it brings Python's debugger along: a server would start later for it.
    """
    return import_string(f"{__package__}.testing:{name}")


class Flask(App):
    """An application: a WSGI callable and an ASGI callable, with Flask's API.

    :param import_name: name of the module or package of the application.
    :param static_url_path: URL prefix of the static files; the folder's name by default.
    :param static_folder: folder of static files, relative to `root_path`; ``None`` for none.
    :param static_host: host of the static files; required with `host_matching`.
    :param host_matching: match Rules by the whole host.
    :param subdomain_matching: match Rules by subdomains of ``SERVER_NAME``.
    :param template_folder: folder of templates, relative to `root_path`; ``None`` for none.
    :param instance_path: absolute path of the instance folder; found if ``None``.
    :param instance_relative_config: load configuration files from the instance folder.
    :param root_path: folder of the application; found by `import_name` if ``None``.
    :raises ValueError: for a relative `instance_path`.
    """

    #: The settings that a new application starts with.
    default_config = ImmutableDict(
        {
            "DEBUG": None,
            "TESTING": False,
            "PROPAGATE_EXCEPTIONS": None,
            "SECRET_KEY": None,
            "SECRET_KEY_FALLBACKS": None,
            "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
            "USE_X_SENDFILE": False,
            "TRUSTED_HOSTS": None,
            "SERVER_NAME": None,
            "APPLICATION_ROOT": "/",
            "SESSION_COOKIE_NAME": "session",
            "SESSION_COOKIE_DOMAIN": None,
            "SESSION_COOKIE_PATH": None,
            "SESSION_COOKIE_HTTPONLY": True,
            "SESSION_COOKIE_SECURE": False,
            "SESSION_COOKIE_PARTITIONED": False,
            "SESSION_COOKIE_SAMESITE": None,
            "SESSION_REFRESH_EACH_REQUEST": True,
            "MAX_CONTENT_LENGTH": None,
            "MAX_FORM_MEMORY_SIZE": 500_000,
            "MAX_FORM_PARTS": 1_000,
            "SEND_FILE_MAX_AGE_DEFAULT": None,
            "TRAP_BAD_REQUEST_ERRORS": None,
            "TRAP_HTTP_EXCEPTIONS": False,
            "EXPLAIN_TEMPLATE_LOADING": False,
            "PREFERRED_URL_SCHEME": "http",
            "TEMPLATES_AUTO_RELOAD": None,
            "MAX_COOKIE_SIZE": 4093,
            "PROVIDE_AUTOMATIC_OPTIONS": True,
        }
    )
    #: Class of the requests.
    request_class: type[Request] = Request
    #: Class of the responses.
    response_class: type[Response] = Response
    #: Opens and saves the sessions.
    session_interface: SessionInterface = SecureCookieSessionInterface()
    #: Tells asgiref-based servers that one call with three arguments is how ASGI enters.
    _asgi_single_callable = True

    def __init__(
        self,
        import_name: str,
        static_url_path: str | None = None,
        static_folder: str | os.PathLike[str] | None = "static",
        static_host: str | None = None,
        host_matching: bool = False,
        subdomain_matching: bool = False,
        template_folder: str | os.PathLike[str] | None = "templates",
        instance_path: str | None = None,
        instance_relative_config: bool = False,
        root_path: str | None = None,
    ):
        super().__init__(
            import_name=import_name,
            static_url_path=static_url_path,
            static_folder=static_folder,
            static_host=static_host,
            host_matching=host_matching,
            subdomain_matching=subdomain_matching,
            template_folder=template_folder,
            instance_path=instance_path,
            instance_relative_config=instance_relative_config,
            root_path=root_path,
        )
        #: The application's CLI commands.
        self.cli = cli.AppGroup()
        self.cli.name = self.name

        if self.has_static_folder:
            assert bool(static_host) == host_matching, (
                "Invalid static_host/host_matching combination"
            )
            # A weak reference: the application must not be kept alive by its own Rule.
            app = weakref.ref(self)

            def view(**kw: t.Any) -> Response:
                return app().send_static_file(**kw)  # type: ignore[union-attr]

            # The plan of an endpoint knows the view by this, and may have the server do the same.
            self._static_view = view
            self.add_url_rule(
                f"{self.static_url_path}/<path:filename>",
                endpoint="static",
                host=static_host,
                view_func=view,
            )

    # -- files ----------------------------------------------------------------------------

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Seconds that a sent file may be cached; ``None`` asks for conditional requests.

        Override it to decide per file name.
        """
        return send_file_max_age()

    def send_static_file(self, filename: str) -> Response:
        """View of the static files.

        :raises RuntimeError: without a static folder.
        """
        return send_static(self, filename)

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = None
    ) -> t.IO[t.AnyStr]:
        """Open a file below `root_path` for reading.

        :param mode: ``rb``, ``r`` or ``rt``.
        :param encoding: of the text; not used with ``rb``.
        :raises ValueError: for a mode that writes.
        """
        return open_readable(os.path.join(self.root_path, resource), mode, encoding)

    def open_instance_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> t.IO[t.AnyStr]:
        """Open a file below `instance_path`, for reading or writing.

        :param encoding: of the text; not used with binary modes.
        """
        return open_file(os.path.join(self.instance_path, resource), mode, encoding)

    # -- templates ------------------------------------------------------------------------

    def create_jinja_environment(self) -> Environment:
        """Make `jinja_env` from `jinja_options` and the settings."""
        options = dict(self.jinja_options)
        options.setdefault("autoescape", self.select_jinja_autoescape)

        if "auto_reload" not in options:
            auto_reload = self.config["TEMPLATES_AUTO_RELOAD"]
            options["auto_reload"] = self.debug if auto_reload is None else auto_reload

        environment = self.jinja_environment(self, **options)
        names: dict[str, t.Any] = {
            "url_for": self.url_for,
            "get_flashed_messages": get_flashed_messages,
            "config": self.config,
            # Context processors do not reach imported templates; globals do.
            "request": request,
            "session": session,
            "g": g,
        }
        environment.globals.update(names)
        environment.policies["json.dumps_function"] = self.json.dumps
        return environment

    def update_template_context(self, context: dict[str, t.Any]) -> None:
        """Add what the context processors give to `context`, where it has no such name."""
        given = context.copy()
        req_ctx = _cv_request.get(None)
        scopes = (None,) if req_ctx is None else (None, *reversed(req_ctx.request.blueprints))

        for scope in scopes:
            if scope in self.template_context_processors:
                for processor in self.template_context_processors[scope]:
                    # Asking whether a function is a coroutine function takes longer than this one.
                    if processor is _default_template_ctx_processor:
                        context.update(_default_template_ctx_processor())
                    else:
                        context.update(self.ensure_sync(processor)())

        context.update(given)

    # -- URLs -----------------------------------------------------------------------------

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Bind the URL map to a request, or to ``SERVER_NAME`` outside of one.

        ``None`` if there is neither.

        :raises werkzeug.exceptions.SecurityError: if the request's host is not trusted.
        """
        server_name: str | None = self.config["SERVER_NAME"]

        if request is None:
            if server_name is None:
                return None

            return self.url_map.bind(
                server_name,
                script_name=self.config["APPLICATION_ROOT"],
                url_scheme=self.config["PREFERRED_URL_SCHEME"],
            )

        if (trusted_hosts := self.config["TRUSTED_HOSTS"]) is not None:
            request.trusted_hosts = trusted_hosts

        # Raises for a host that is not trusted, before anything can match.
        request.host = get_host(  # pyright: ignore[reportAttributeAccessIssue] cached
            request.environ, request.trusted_hosts
        )
        subdomain = None

        if self.url_map.host_matching:
            # The map would give up host matching for a server name.
            server_name = None
        elif not self.subdomain_matching:
            # The default one, so that no part of the host is taken for a subdomain.
            subdomain = self.url_map.default_subdomain or ""

        return self.url_map.bind_to_environ(
            request.environ, server_name=server_name, subdomain=subdomain
        )

    def url_for(
        self,
        /,
        endpoint: str,
        *,
        _anchor: str | None = None,
        _method: str | None = None,
        _scheme: str | None = None,
        _external: bool | None = None,
        **values: t.Any,
    ) -> str:
        """Build the URL of an endpoint.

        :param endpoint: its name; in a request, one that starts with a dot is the current
            blueprint's.
        :param _anchor: fragment to append; it is quoted.
        :param _method: choose the Rule for this method.
        :param _scheme: scheme of an external URL.
        :param _external: build a whole URL; by default only outside of a request, or with
            `_scheme`.
        :param values: variable parts of the Rule; the rest becomes the query.
        :raises werkzeug.routing.BuildError: if nothing fits and no handler knows better.
        :raises RuntimeError: outside of a request without ``SERVER_NAME``.
        :raises ValueError: for a `_scheme` without `_external`.
        """
        req_ctx = _cv_request.get(None)

        if req_ctx is not None:
            # Most URLs are built without asking the application; see `routing.build_in_request`.
            if _anchor is None:
                url = build_in_request(self, req_ctx, endpoint, values, _method, _scheme, _external)

                if url is not None:
                    return url

            url_adapter = req_ctx.url_adapter

            if endpoint[:1] == ".":
                blueprint = req_ctx.request.blueprint
                endpoint = endpoint[1:] if blueprint is None else f"{blueprint}{endpoint}"

            if _external is None:
                _external = _scheme is not None
        else:
            app_ctx = _cv_app.get(None)
            # In an app context the adapter is already there.
            url_adapter = self.create_url_adapter(None) if app_ctx is None else app_ctx.url_adapter

            if url_adapter is None:
                raise RuntimeError(_NO_URL_ADAPTER)

            if _external is None:
                _external = True

        if _scheme is not None and not _external:
            raise ValueError("When specifying '_scheme', '_external' must be True.")

        self.inject_url_defaults(endpoint, values)

        try:
            url = url_adapter.build(  # type: ignore[union-attr]
                endpoint,
                values,
                method=_method,
                url_scheme=_scheme,
                force_external=_external,
            )
        except BuildError as error:
            values.update(_anchor=_anchor, _method=_method, _scheme=_scheme, _external=_external)
            return self.handle_url_build_error(error, endpoint, values)

        return url if _anchor is None else f"{url}#{_url_quote(_anchor, safe=_ANCHOR_SAFE)}"

    # -- contexts -------------------------------------------------------------------------

    def app_context(self) -> AppContext:
        """Make an app context; ``with`` pushes it, and `current_app` and `g` work."""
        return AppContext(self)

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """Make a request context for a WSGI environ; ``with`` pushes it."""
        return RequestContext(self, environ)

    def test_request_context(self, *args: t.Any, **kwargs: t.Any) -> RequestContext:
        """Make a request context for a request that `testing.EnvironBuilder` makes up."""
        builder: EnvironBuilder = _testing("EnvironBuilder")(self, *args, **kwargs)

        try:
            return self.request_context(builder.get_environ())
        finally:
            builder.close()

    def log_exception(
        self,
        exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        """Log an exception with its traceback, at error level."""
        # From this module, as the default format names it: "ERROR in app".
        self.logger.error(f"Exception on {request.path} [{request.method}]", exc_info=exc_info)

    # -- doors ----------------------------------------------------------------------------

    def wsgi_app(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> cabc.Iterable[bytes]:
        """The WSGI application; WSGI middleware wraps this attribute, not the application."""
        ctx = self.request_context(environ)
        error: BaseException | None = None

        try:
            try:
                ctx.push()
                response = self.full_dispatch_request()
            except Exception as e:  # noqa: BLE001 the outermost call; it is logged
                error = e
                response = self.handle_exception(e)
            except BaseException as e:
                error = e
                raise

            return response(environ, start_response)
        finally:
            # A test client or a debugger may want the contexts for later.
            if "werkzeug.debug.preserve_context" in environ:
                environ["werkzeug.debug.preserve_context"](_cv_app.get())
                environ["werkzeug.debug.preserve_context"](_cv_request.get())

            if error is not None and self.should_ignore_error(error):
                error = None

            ctx.pop(error)

    @t.overload
    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> cabc.Iterable[bytes]: ...

    @t.overload
    def __call__(
        self, environ: Scope, start_response: Receive, send: Send
    ) -> t.Coroutine[t.Any, t.Any, None]: ...

    def __call__(self, environ: t.Any, start_response: t.Any, send: t.Any = None) -> t.Any:
        """Serve a WSGI request; or with three arguments (scope, receive, send) an ASGI one."""
        if send is None:
            return self.wsgi_app(environ, start_response)

        return self.asgi(environ, start_response, send)

    @property
    def asgi(self) -> AsgiApp:
        """The application for ASGI servers that look at what they call, as ``module:app.asgi``."""
        return AsgiApp(self)

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: t.Any,
    ) -> None:
        """Serve the application until it is stopped.

        Started by the command line, it does nothing: the command serves.

        :param host: address to listen on; the host of ``SERVER_NAME``, or 127.0.0.1.
        :param port: port to listen on; the port of ``SERVER_NAME``, or 5000.
        :param debug: set debug mode; ``None`` leaves it as it is.
        :param load_dotenv: read the ``.env`` and ``.flaskenv`` files first.
        :param options: see `bustapi.serving.run.serve_app`.
        """
        if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
            if not is_running_from_reloader():
                click.secho(cli.IGNORED_RUN, fg="red")

            return

        if get_load_dotenv(load_dotenv):
            cli.load_dotenv()

            # The env files may have set it.
            if "FLASK_DEBUG" in os.environ:
                self.debug = get_debug_flag()

        if debug is not None:
            self.debug = bool(debug)

        # Before anything is announced that a mistake here would prevent.
        options = settle_options(host, port, options)
        require_server(options)
        server_name: str = self.config.get("SERVER_NAME") or ""
        server_host, _, server_port = server_name.partition(":")
        host = host or server_host or "127.0.0.1"

        # A port of 0 is valid: the system chooses one.
        if not port and port != 0:
            port = int(server_port or 5000)

        asked = bool(options["use_reloader"]) if "use_reloader" in options else None
        options["use_reloader"] = choose_reloader(asked, self.debug, options)
        options.setdefault("use_debugger", self.debug)
        options.setdefault("threaded", True)
        cli.show_server_banner(self.debug, self.name)

        try:
            serve_app(host, int(port), self, **options)
        finally:
            # An interactive session may go on setting the application up.
            self._got_first_request = False

    def test_client(self, use_cookies: bool = True, **kwargs: t.Any) -> FlaskClient:
        """Make a test client, of the class `test_client_class`."""
        cls: type[FlaskClient] = self.test_client_class or _testing("FlaskClient")
        return cls(self, self.response_class, use_cookies=use_cookies, **kwargs)

    def test_cli_runner(self, **kwargs: t.Any) -> FlaskCliRunner:
        """Make a runner for CLI commands, of the class `test_cli_runner_class`."""
        cls: type[FlaskCliRunner] = self.test_cli_runner_class or _testing("FlaskCliRunner")
        return cls(self, **kwargs)

    def make_shell_context(self) -> dict[str, t.Any]:
        """The names that the ``shell`` command starts with."""
        names: dict[str, t.Any] = {"app": self, "g": g}

        for processor in self.shell_context_processors:
            names.update(processor())

        return names


# Servers that choose the interface by looking see a coroutine function.
mark_single_callable(Flask.__call__)
BustAPI = Flask
discovery.set_application_class(Flask)
plan.set_defaults_of_application(
    Defaults(
        Flask,
        {
            "wsgi": ("__call__", "wsgi_app", "request_context", "app_context"),
            "full_dispatch": ("full_dispatch_request",),
            "preprocess": ("preprocess_request",),
            "dispatch": ("dispatch_request",),
            "ensure_sync": ("ensure_sync", "async_to_sync"),
            "finalize": ("finalize_request",),
            "make_response": ("make_response",),
            "process_response": ("process_response",),
            "errors": (
                "handle_http_exception",
                "handle_user_exception",
                "raise_routing_exception",
                "trap_http_exception",
                "_find_error_handler",
                "_get_exc_class_and_code",
                "debug",
            ),
            "matching": ("create_url_adapter",),
            "static_files": ("send_static_file", "get_send_file_max_age"),
            "session_settings": ("secret_key", "permanent_session_lifetime"),
            "urls": ("url_for", "inject_url_defaults"),
        },
    )
)
