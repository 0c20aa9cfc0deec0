"""The application as it is set up: configuration, Rules, blueprints, templates.

`App` adds the setup half of an application to the serving half, `bustapi.lifecycle`. What
gives requests a way in (WSGI, ASGI, servers, test clients) is `bustapi.app.Flask`'s.
"""

from __future__ import annotations

import os
import sys
import typing as t
from datetime import timedelta

from werkzeug.exceptions import Aborter
from werkzeug.utils import cached_property
from werkzeug.utils import redirect as _werkzeug_redirect

from .. import typing as ft
from ..config import Config, ConfigAttribute
from ..ctx import _AppCtxGlobals
from ..foreign_flask import warn_of_flask
from ..helpers import _split_blueprint_path, get_debug_flag
from ..json.provider import DefaultJSONProvider, JSONProvider
from ..lifecycle import Lifecycle
from ..logging import create_logger
from ..package_location import find_package
from ..plan import Generation
from ..routing import BuildError, Map, Rule
from ..templating import DispatchingJinjaLoader, Environment
from .scaffold import Scaffold, _endpoint_from_view_func, setupmethod

if t.TYPE_CHECKING:  # pragma: no cover
    import logging

    from werkzeug.wrappers import Response as BaseResponse

    from ..response import Response
    from ..testing import FlaskClient, FlaskCliRunner
    from .blueprints import Blueprint

T_shell_context_processor = t.TypeVar(
    "T_shell_context_processor", bound=ft.ShellContextProcessorCallable
)
T_teardown = t.TypeVar("T_teardown", bound=ft.TeardownCallable)
T_template_filter = t.TypeVar("T_template_filter", bound=ft.TemplateFilterCallable)
T_template_global = t.TypeVar("T_template_global", bound=ft.TemplateGlobalCallable)
T_template_test = t.TypeVar("T_template_test", bound=ft.TemplateTestCallable)

_AUTOESCAPED = (".html", ".htm", ".xml", ".xhtml", ".svg")


def _make_timedelta(value: timedelta | int | None) -> timedelta | None:
    """A configured duration; a number means seconds."""
    if value is None or isinstance(value, timedelta):
        return value

    return timedelta(seconds=value)


class App(Scaffold, Lifecycle):
    """An application without a way in for requests; the base of `bustapi.app.Flask`.

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

    #: Class of `aborter`, which `bustapi.abort` calls.
    aborter_class = Aborter
    #: Class of `jinja_env`.
    jinja_environment = Environment
    #: Class of `bustapi.g`.
    app_ctx_globals_class = _AppCtxGlobals
    #: Class of `config`.
    config_class = Config
    #: The ``TESTING`` setting: exceptions propagate, and extensions may ease tests.
    testing = ConfigAttribute[bool]("TESTING")
    #: The ``SECRET_KEY`` setting, which signs the session cookie.
    secret_key = ConfigAttribute[str | bytes | None]("SECRET_KEY")
    #: The ``PERMANENT_SESSION_LIFETIME`` setting; set it to a timedelta or to seconds.
    permanent_session_lifetime = ConfigAttribute[timedelta](
        "PERMANENT_SESSION_LIFETIME",
        get_converter=_make_timedelta,  # type: ignore[arg-type]
    )
    #: Class of `json`.
    json_provider_class: type[JSONProvider] = DefaultJSONProvider
    #: Keywords that `create_jinja_environment` makes the environment with.
    jinja_options: dict[str, t.Any] = {}  # noqa: RUF012 subclasses replace it
    #: Class of the Rules made by `add_url_rule`.
    url_rule_class = Rule
    #: Class of `url_map`.
    url_map_class = Map
    #: Class of test clients; ``None`` stands for `bustapi.testing.FlaskClient`.
    test_client_class: type[FlaskClient] | None = None
    #: Class of CLI runners; ``None`` stands for `bustapi.testing.FlaskCliRunner`.
    test_cli_runner_class: type[FlaskCliRunner] | None = None

    default_config: t.Mapping[str, t.Any]
    # Counts assignments to the object, so that the server's plan of it notices. A subclass may
    # assign before it calls `__init__`, when no server can have a plan: all such objects share one.
    _generation = Generation()

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
    ) -> None:
        # A second call leaves the plans that there are with the object that they look at.
        self.__dict__.setdefault("_generation", Generation())
        super().__init__(
            import_name=import_name,
            static_folder=static_folder,
            static_url_path=static_url_path,
            template_folder=template_folder,
            root_path=root_path,
        )

        if instance_path is None:
            instance_path = self.auto_find_instance_path()
        elif not os.path.isabs(instance_path):
            raise ValueError(
                "If an instance path is provided it must be absolute."
                " A relative path was given instead."
            )

        self.instance_path = instance_path
        self.config = self.make_config(instance_relative_config)
        self.aborter = self.make_aborter()
        self.json: JSONProvider = self.json_provider_class(self)
        #: Called in turn when `url_for` cannot build a URL; see `handle_url_build_error`.
        self.url_build_error_handlers: list[
            t.Callable[[Exception, str, dict[str, t.Any]], str]
        ] = []
        self.teardown_appcontext_funcs: list[ft.TeardownCallable] = []
        self.shell_context_processors: list[ft.ShellContextProcessorCallable] = []
        #: Registered blueprints by their dotted names.
        self.blueprints: dict[str, Blueprint] = {}
        #: Where extensions keep what they need, by the extension's name.
        self.extensions: dict[str, t.Any] = {}
        self.url_map = self.url_map_class(host_matching=host_matching)
        self.subdomain_matching = subdomain_matching
        self._got_first_request = False
        #: The view that sends the static files, if the application has one.
        self._static_view: t.Callable[..., Response] | None = None
        warn_of_flask()

    def __setattr__(self, name: str, value: t.Any) -> None:
        super().__setattr__(name, value)

        # This one is set by handling requests.
        if name != "_got_first_request":
            self._generation.advance()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._generation.advance()

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_first_request:
            raise AssertionError(
                f"The setup method '{f_name}' can no longer be called on the application."
                " It has already handled its first request, any changes will not be"
                " applied consistently.\n"
                "Make sure all imports, decorators, functions, etc. needed to set up"
                " the application are done before running it."
            )

    @cached_property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The import name; for a script that is run, the name of its file."""
        if self.import_name != "__main__":
            return self.import_name

        filename: str | None = getattr(sys.modules["__main__"], "__file__", None)

        if filename is None:
            return "__main__"

        return os.path.splitext(os.path.basename(filename))[0]

    @cached_property
    def logger(self) -> logging.Logger:
        """The logger named `name`; it gets a handler if nothing else would show its records."""
        return create_logger(self)

    # -- configuration --------------------------------------------------------------------

    def make_config(self, instance_relative: bool = False) -> Config:
        """Make `config` from the defaults and ``FLASK_DEBUG``.

        :param instance_relative: files are named relative to the instance folder.
        """
        defaults = {**self.default_config, "DEBUG": get_debug_flag()}
        return self.config_class(
            self.instance_path if instance_relative else self.root_path, defaults
        )

    @property
    def debug(self) -> bool:
        """The ``DEBUG`` setting; setting it also sets whether changed templates reload."""
        return self.config["DEBUG"]  # type: ignore[no-any-return]

    @debug.setter
    def debug(self, value: bool) -> None:
        self.config["DEBUG"] = value

        if self.config["TEMPLATES_AUTO_RELOAD"] is None:
            self.jinja_env.auto_reload = value

    def make_aborter(self) -> Aborter:
        """Make `aborter`."""
        return self.aborter_class()

    def auto_find_instance_path(self) -> str:
        """The instance folder: beside the package, or ``var/NAME-instance`` if installed."""
        prefix, package_path = find_package(self.import_name)

        if prefix is None:
            return os.path.join(package_path, "instance")

        return os.path.join(prefix, "var", f"{self.name}-instance")

    # -- blueprints and Rules -------------------------------------------------------------

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: t.Any) -> None:
        """Apply a blueprint to this application.

        :param options: ``url_prefix``, ``subdomain``, ``url_defaults`` and ``cli_group``
            instead of the blueprint's own, and ``name`` to register it under another name.
        :raises ValueError: if the name is taken.
        """
        blueprint.register(self, options)

    def iter_blueprints(self) -> t.ValuesView[Blueprint]:
        """The registered blueprints, in the order of registration."""
        return self.blueprints.values()

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        """Register a Rule and its view function; see `Scaffold.add_url_rule`.

        :raises TypeError: if ``methods`` is a string.
        :raises AssertionError: if the endpoint has another view function already.
        """
        if endpoint is None:
            endpoint = _endpoint_from_view_func(view_func)  # type: ignore[arg-type]

        options["endpoint"] = endpoint
        methods = options.pop("methods", None)

        # A view function can say what it wants, as class-based views do.
        if methods is None:
            methods = getattr(view_func, "methods", None) or ("GET",)

        if isinstance(methods, str):
            raise TypeError(
                "Allowed methods must be a list of strings, for"
                ' example: @app.route(..., methods=["POST"])'
            )

        all_methods = {method.upper() for method in methods}
        required_methods: set[str] = set(getattr(view_func, "required_methods", ()))

        if provide_automatic_options is None:
            provide_automatic_options = getattr(view_func, "provide_automatic_options", None)

        if provide_automatic_options is None:
            provide_automatic_options = (
                "OPTIONS" not in all_methods and self.config["PROVIDE_AUTOMATIC_OPTIONS"]
            )

            if provide_automatic_options:
                required_methods.add("OPTIONS")

        rule_obj = self.url_rule_class(rule, methods=all_methods | required_methods, **options)
        rule_obj.provide_automatic_options = bool(provide_automatic_options)
        self.url_map.add(rule_obj)

        if view_func is None:
            return

        registered = self.view_functions.get(endpoint)

        if registered is not None and registered != view_func:
            raise AssertionError(
                f"View function mapping is overwriting an existing endpoint function: {endpoint}"
            )

        self.view_functions[endpoint] = view_func

    # -- templates ------------------------------------------------------------------------

    @cached_property
    def jinja_env(self) -> Environment:
        """The template environment, made when first asked for."""
        return self.create_jinja_environment()

    def create_jinja_environment(self) -> Environment:
        """Make `jinja_env`."""
        raise NotImplementedError()

    def create_global_jinja_loader(self) -> DispatchingJinjaLoader:
        """Make the loader that asks the application's loader, then each blueprint's."""
        return DispatchingJinjaLoader(self)

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Whether a template's values are escaped: HTML, XML, SVG and templates from strings."""
        return filename is None or filename.endswith(_AUTOESCAPED)

    @setupmethod
    def template_filter(
        self, name: str | None = None
    ) -> t.Callable[[T_template_filter], T_template_filter]:
        """Decorate a template filter; named as the function by default."""

        def decorator(f: T_template_filter) -> T_template_filter:
            self.add_template_filter(f, name=name)
            return f

        return decorator

    @setupmethod
    def add_template_filter(self, f: ft.TemplateFilterCallable, name: str | None = None) -> None:
        """Add a template filter."""
        self.jinja_env.filters[name or f.__name__] = f

    @setupmethod
    def template_test(
        self, name: str | None = None
    ) -> t.Callable[[T_template_test], T_template_test]:
        """Decorate a template test; named as the function by default."""

        def decorator(f: T_template_test) -> T_template_test:
            self.add_template_test(f, name=name)
            return f

        return decorator

    @setupmethod
    def add_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """Add a template test."""
        self.jinja_env.tests[name or f.__name__] = f

    @setupmethod
    def template_global(
        self, name: str | None = None
    ) -> t.Callable[[T_template_global], T_template_global]:
        """Decorate a template global; named as the function by default."""

        def decorator(f: T_template_global) -> T_template_global:
            self.add_template_global(f, name=name)
            return f

        return decorator

    @setupmethod
    def add_template_global(self, f: ft.TemplateGlobalCallable, name: str | None = None) -> None:
        """Add a template global."""
        self.jinja_env.globals[name or f.__name__] = f

    # -- further hooks --------------------------------------------------------------------

    @setupmethod
    def teardown_appcontext(self, f: T_teardown) -> T_teardown:
        """Call `f` when an app context pops, with the unhandled error or ``None``."""
        self.teardown_appcontext_funcs.append(f)
        return f

    @setupmethod
    def shell_context_processor(self, f: T_shell_context_processor) -> T_shell_context_processor:
        """Add the dict that `f` returns to the names of the ``shell`` command."""
        self.shell_context_processors.append(f)
        return f

    # -- URLs -----------------------------------------------------------------------------

    def redirect(self, location: str, code: int = 302) -> BaseResponse:
        """A response, of the class `response_class`, that redirects to `location`."""
        return _werkzeug_redirect(location, code=code, Response=self.response_class)

    def inject_url_defaults(self, endpoint: str, values: dict[str, t.Any]) -> None:
        """Let the ``url_defaults`` functions that apply to `endpoint` add to `values`."""
        scopes: list[str | None] = [None]

        if "." in endpoint:
            scopes += reversed(_split_blueprint_path(endpoint.rpartition(".")[0]))

        for scope in scopes:
            if scope in self.url_default_functions:
                for add_defaults in self.url_default_functions[scope]:
                    add_defaults(endpoint, values)

    def handle_url_build_error(
        self, error: BuildError, endpoint: str, values: dict[str, t.Any]
    ) -> str:
        """Ask `url_build_error_handlers` for the URL that could not be built.

        Called while `error` is handled. A handler declines with ``None``, or with a
        `BuildError` of its own, which then is the one to raise.

        :raises werkzeug.routing.BuildError: if none knows.
        """
        for handler in self.url_build_error_handlers:
            try:
                rv = handler(error, endpoint, values)
            except BuildError as e:
                error = e
            else:
                if rv is not None:
                    return rv

        # A bare raise keeps the traceback as it is.
        if error is sys.exc_info()[1]:
            raise

        raise error
