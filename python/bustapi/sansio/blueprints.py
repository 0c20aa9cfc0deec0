"""Blueprints: sets of views and hooks, recorded now and applied when an app registers them.

Nothing that is done to a blueprint touches an application. Each setup method appends a
function to `deferred_functions`; registration calls them with a `BlueprintSetupState`, which
knows the application and the prefixes of this registration. The same blueprint can be
registered more than once, under other names.
"""

from __future__ import annotations

import typing as t
from collections import defaultdict
from functools import update_wrapper

from .. import typing as ft
from .scaffold import Scaffold, _endpoint_from_view_func, _sentinel, setupmethod

if t.TYPE_CHECKING:  # pragma: no cover
    import os

    from .app import App

DeferredSetupFunction = t.Callable[["BlueprintSetupState"], None]
T_after_request = t.TypeVar("T_after_request", bound=ft.AfterRequestCallable[t.Any])
T_before_request = t.TypeVar("T_before_request", bound=ft.BeforeRequestCallable)
T_error_handler = t.TypeVar("T_error_handler", bound=ft.ErrorHandlerCallable)
T_teardown = t.TypeVar("T_teardown", bound=ft.TeardownCallable)
T_template_context_processor = t.TypeVar(
    "T_template_context_processor", bound=ft.TemplateContextProcessorCallable
)
T_template_filter = t.TypeVar("T_template_filter", bound=ft.TemplateFilterCallable)
T_template_global = t.TypeVar("T_template_global", bound=ft.TemplateGlobalCallable)
T_template_test = t.TypeVar("T_template_test", bound=ft.TemplateTestCallable)
T_url_defaults = t.TypeVar("T_url_defaults", bound=ft.URLDefaultCallable)
T_url_value_preprocessor = t.TypeVar(
    "T_url_value_preprocessor", bound=ft.URLValuePreprocessorCallable
)


class BlueprintSetupState:
    """One registration of a blueprint on an application; deferred functions get it.

    :param options: the keywords of ``register_blueprint``; they win over the blueprint's own
        ``url_prefix``, ``subdomain`` and ``url_defaults``.
    :param first_registration: whether the application did not have the blueprint before.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        app: App,
        options: t.Any,
        first_registration: bool,
    ) -> None:
        self.app = app
        self.blueprint = blueprint
        self.options = options
        self.first_registration = first_registration

        subdomain = options.get("subdomain")
        self.subdomain = blueprint.subdomain if subdomain is None else subdomain
        url_prefix = options.get("url_prefix")
        self.url_prefix = blueprint.url_prefix if url_prefix is None else url_prefix
        self.name = options.get("name", blueprint.name)
        self.name_prefix = options.get("name_prefix", "")
        #: Default values of all Rules of this registration.
        self.url_defaults = {**blueprint.url_values_defaults, **options.get("url_defaults", {})}

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        **options: t.Any,
    ) -> None:
        """Register a Rule on the application, below the prefix and with the dotted endpoint."""
        if self.url_prefix is not None:
            rule = _join_url(self.url_prefix, rule) if rule else self.url_prefix

        if endpoint is None:
            endpoint = _endpoint_from_view_func(view_func)  # type: ignore[arg-type]

        options.setdefault("subdomain", self.subdomain)
        defaults = self.url_defaults

        if "defaults" in options:
            defaults = {**defaults, **options.pop("defaults")}

        self.app.add_url_rule(
            rule,
            f"{self.name_prefix}.{self.name}.{endpoint}".lstrip("."),
            view_func,
            defaults=defaults,
            **options,
        )


def _join_url(prefix: str, rest: str) -> str:
    return f"{prefix.rstrip('/')}/{rest.lstrip('/')}"


class Blueprint(Scaffold):
    """A set of views, hooks, templates and static files to register on applications.

    :param name: first part of its endpoints; without dots, not empty.
    :param url_prefix: prefix of all its URLs.
    :param subdomain: subdomain of all its Rules.
    :param url_defaults: default values of all its Rules.
    :param cli_group: name of the group for its CLI commands; ``None`` adds them to the
        application's own, and by default the group has the blueprint's name.
    :raises ValueError: for a bad `name`.

    The other parameters are `Scaffold`'s.
    """

    _got_registered_once = False

    def __init__(
        self,
        name: str,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, t.Any] | None = None,
        root_path: str | None = None,
        cli_group: str | None = _sentinel,  # type: ignore[assignment]
    ):
        super().__init__(
            import_name=import_name,
            static_folder=static_folder,
            static_url_path=static_url_path,
            template_folder=template_folder,
            root_path=root_path,
        )

        if not name:
            raise ValueError("'name' may not be empty.")

        if "." in name:
            raise ValueError("'name' may not contain a dot '.' character.")

        self.name = name
        self.url_prefix = url_prefix
        self.subdomain = subdomain
        self.deferred_functions: list[DeferredSetupFunction] = []
        self.url_values_defaults = {} if url_defaults is None else url_defaults
        self.cli_group = cli_group
        self._blueprints: list[tuple[Blueprint, dict[str, t.Any]]] = []

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_registered_once:
            raise AssertionError(
                f"The setup method '{f_name}' can no longer be called on the blueprint"
                f" '{self.name}'. It has already been registered at least once, any"
                " changes will not be applied consistently.\n"
                "Make sure all imports, decorators, functions, etc. needed to set up"
                " the blueprint are done before registering it."
            )

    # -- recording ------------------------------------------------------------------------

    @setupmethod
    def record(self, func: DeferredSetupFunction) -> None:
        """Call `func` with the setup state, at each registration."""
        self.deferred_functions.append(func)

    @setupmethod
    def record_once(self, func: DeferredSetupFunction) -> None:
        """Call `func` with the setup state, at the first registration on each application."""

        def wrapper(state: BlueprintSetupState) -> None:
            if state.first_registration:
                func(state)

        self.record(update_wrapper(wrapper, func))

    def make_setup_state(
        self, app: App, options: dict[str, t.Any], first_registration: bool = False
    ) -> BlueprintSetupState:
        """Make the object that deferred functions get; override to use another class."""
        return BlueprintSetupState(self, app, options, first_registration)

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: t.Any) -> None:
        """Nest `blueprint` in this one: it is registered wherever this one is.

        :raises ValueError: if it is this blueprint itself.
        """
        if blueprint is self:
            raise ValueError("Cannot register a blueprint on itself")

        self._blueprints.append((blueprint, options))

    # -- registration ---------------------------------------------------------------------

    def register(self, app: App, options: dict[str, t.Any]) -> None:
        """Apply everything recorded to `app`; ``app.register_blueprint`` calls this.

        :param options: the keywords of ``register_blueprint``, and for a nested blueprint
            ``name_prefix``.
        :raises ValueError: if `app` already has a blueprint of that name.
        """
        own_name = options.get("name", self.name)
        name = f"{options.get('name_prefix', '')}.{own_name}".lstrip(".")

        if name in app.blueprints:
            which = "this" if app.blueprints[name] is self else "a different"
            existing_at = f" '{name}'" if own_name != name else ""
            raise ValueError(
                f"The name '{own_name}' is already registered for {which} blueprint"
                f"{existing_at}. Use 'name=' to provide a unique name."
            )

        first_registration = all(known is not self for known in app.blueprints.values())
        app.blueprints[name] = self
        self._got_registered_once = True
        state = self.make_setup_state(app, options, first_registration)

        if self.has_static_folder:
            state.add_url_rule(
                f"{self.static_url_path}/<path:filename>",
                view_func=self.send_static_file,  # type: ignore[attr-defined]
                endpoint="static",
            )

        # The name is a new one here, so its hooks cannot be in the application yet.
        self._merge_blueprint_funcs(app, name)

        for deferred in self.deferred_functions:
            deferred(state)

        self._register_commands(app, name, options.get("cli_group", self.cli_group))

        for nested, nested_options in self._blueprints:
            nested.register(app, self._options_below(state, nested, nested_options, name))

    def _register_commands(self, app: App, name: str, group: t.Any) -> None:
        if not self.cli.commands:
            return

        if group is None:
            app.cli.commands.update(self.cli.commands)
            return

        self.cli.name = name if group is _sentinel else group
        app.cli.add_command(self.cli)

    @staticmethod
    def _options_below(
        state: BlueprintSetupState,
        nested: Blueprint,
        options: dict[str, t.Any],
        name: str,
    ) -> dict[str, t.Any]:
        """The options of a nested blueprint, put below the prefixes of its parent."""
        options = {**options, "name_prefix": name}

        subdomain = options.get("subdomain")
        if subdomain is None:
            subdomain = nested.subdomain

        if subdomain is not None and state.subdomain is not None:
            options["subdomain"] = f"{subdomain}.{state.subdomain}"
        elif subdomain is not None or state.subdomain is not None:
            options["subdomain"] = state.subdomain if subdomain is None else subdomain

        url_prefix = options.get("url_prefix")
        if url_prefix is None:
            url_prefix = nested.url_prefix

        if url_prefix is not None and state.url_prefix is not None:
            options["url_prefix"] = _join_url(state.url_prefix, url_prefix)
        elif url_prefix is not None or state.url_prefix is not None:
            options["url_prefix"] = state.url_prefix if url_prefix is None else url_prefix

        return options

    def _merge_blueprint_funcs(self, app: App, name: str) -> None:
        """Copy views, hooks and error handlers to `app`, under the scope `name`."""

        def scope(key: ft.AppOrBlueprintKey) -> str:
            return name if key is None else f"{name}.{key}"

        for key, by_code in self.error_handler_spec.items():
            # Copied, so that what is added to the app later does not reach the blueprint.
            app.error_handler_spec[scope(key)] = defaultdict(
                dict, {code: dict(handlers) for code, handlers in by_code.items()}
            )

        app.view_functions.update(self.view_functions)

        hooks: list[tuple[dict[t.Any, list[t.Any]], ...]] = t.cast(
            "t.Any",
            [
                (self.before_request_funcs, app.before_request_funcs),
                (self.after_request_funcs, app.after_request_funcs),
                (self.teardown_request_funcs, app.teardown_request_funcs),
                (self.url_default_functions, app.url_default_functions),
                (self.url_value_preprocessors, app.url_value_preprocessors),
                (self.template_context_processors, app.template_context_processors),
            ],
        )

        for own, of_app in hooks:
            for key, functions in own.items():
                of_app[scope(key)].extend(functions)

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        """Record a Rule; see `Scaffold.add_url_rule`.

        :raises ValueError: if the endpoint, or the name of the view, has a dot in it.
        """
        if endpoint and "." in endpoint:
            raise ValueError("'endpoint' may not contain a dot '.' character.")

        if view_func and "." in getattr(view_func, "__name__", ""):
            raise ValueError("'view_func' name may not contain a dot '.' character.")

        self.record(
            lambda state: state.add_url_rule(
                rule,
                endpoint,
                view_func,
                provide_automatic_options=provide_automatic_options,
                **options,
            )
        )

    # -- for all of the application -------------------------------------------------------

    def _record_on_app(self, apply: t.Callable[[App], object]) -> None:
        def apply_to_app(state: BlueprintSetupState) -> None:
            apply(state.app)

        self.record_once(apply_to_app)

    @setupmethod
    def app_template_filter(
        self, name: str | None = None
    ) -> t.Callable[[T_template_filter], T_template_filter]:
        """Decorate a template filter for all templates; named as the function by default."""

        def decorator(f: T_template_filter) -> T_template_filter:
            self.add_app_template_filter(f, name=name)
            return f

        return decorator

    @setupmethod
    def add_app_template_filter(
        self, f: ft.TemplateFilterCallable, name: str | None = None
    ) -> None:
        """Add a template filter for all templates."""
        self._record_on_app(lambda app: app.jinja_env.filters.update({name or f.__name__: f}))

    @setupmethod
    def app_template_test(
        self, name: str | None = None
    ) -> t.Callable[[T_template_test], T_template_test]:
        """Decorate a template test for all templates; named as the function by default."""

        def decorator(f: T_template_test) -> T_template_test:
            self.add_app_template_test(f, name=name)
            return f

        return decorator

    @setupmethod
    def add_app_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """Add a template test for all templates."""
        self._record_on_app(lambda app: app.jinja_env.tests.update({name or f.__name__: f}))

    @setupmethod
    def app_template_global(
        self, name: str | None = None
    ) -> t.Callable[[T_template_global], T_template_global]:
        """Decorate a template global for all templates; named as the function by default."""

        def decorator(f: T_template_global) -> T_template_global:
            self.add_app_template_global(f, name=name)
            return f

        return decorator

    @setupmethod
    def add_app_template_global(
        self, f: ft.TemplateGlobalCallable, name: str | None = None
    ) -> None:
        """Add a template global for all templates."""
        self._record_on_app(lambda app: app.jinja_env.globals.update({name or f.__name__: f}))

    @setupmethod
    def before_app_request(self, f: T_before_request) -> T_before_request:
        """`before_request` for every request of the application."""
        self._record_on_app(lambda app: app.before_request_funcs.setdefault(None, []).append(f))
        return f

    @setupmethod
    def after_app_request(self, f: T_after_request) -> T_after_request:
        """`after_request` for every request of the application."""
        self._record_on_app(lambda app: app.after_request_funcs.setdefault(None, []).append(f))
        return f

    @setupmethod
    def teardown_app_request(self, f: T_teardown) -> T_teardown:
        """`teardown_request` for every request of the application."""
        self._record_on_app(lambda app: app.teardown_request_funcs.setdefault(None, []).append(f))
        return f

    @setupmethod
    def app_context_processor(
        self, f: T_template_context_processor
    ) -> T_template_context_processor:
        """`context_processor` for all templates."""
        self._record_on_app(
            lambda app: app.template_context_processors.setdefault(None, []).append(f)
        )
        return f

    @setupmethod
    def app_errorhandler(
        self, code: type[Exception] | int
    ) -> t.Callable[[T_error_handler], T_error_handler]:
        """`errorhandler` for every request of the application."""

        def decorator(f: T_error_handler) -> T_error_handler:
            self._record_on_app(lambda app: app.errorhandler(code)(f))
            return f

        return decorator

    @setupmethod
    def app_url_value_preprocessor(self, f: T_url_value_preprocessor) -> T_url_value_preprocessor:
        """`url_value_preprocessor` for every request of the application."""
        self._record_on_app(lambda app: app.url_value_preprocessors.setdefault(None, []).append(f))
        return f

    @setupmethod
    def app_url_defaults(self, f: T_url_defaults) -> T_url_defaults:
        """`url_defaults` for every URL of the application."""
        self._record_on_app(lambda app: app.url_default_functions.setdefault(None, []).append(f))
        return f
