"""Jinja templates: the app's environment, where templates are found, rendering.

Templates come from the app's folder first, then from the blueprints' folders in
the order of registration.
"""

from __future__ import annotations

import typing as t

from jinja2 import BaseLoader, Template, TemplateNotFound
from jinja2 import Environment as BaseEnvironment
from jinja2.runtime import Context, new_context

from .explanations import explain_template_loading_attempts
from .globals import _cv_app, _cv_request, current_app, request
from .helpers import stream_with_context
from .signals import before_render_template, template_rendered

if t.TYPE_CHECKING:
    from blinker import NamedSignal

    from .app import Flask
    from .explanations import TemplateSource
    from .sansio.app import App
    from .sansio.scaffold import Scaffold


def _default_template_ctx_processor() -> dict[str, t.Any]:
    """Give templates the objects behind `g` and `request`, which are read often.

    Not the session: reading it through its proxy is what marks it as accessed.
    """
    context: dict[str, t.Any] = {}
    app_context = _cv_app.get(None)
    request_context = _cv_request.get(None)

    if app_context is not None:
        context["g"] = app_context.g

    if request_context is not None:
        context["request"] = request_context.request

    return context


class _Template(Template):
    """A template that puts its context together quickly.

    Jinja asks a :class:`~collections.ChainMap` for each of a dozen globals, twice, which takes as
    long as all else around a small template.
    """

    def new_context(
        self,
        vars: dict[str, t.Any] | None = None,  # noqa: A002 Jinja's names
        shared: bool = False,
        locals: t.Mapping[str, t.Any] | None = None,  # noqa: A002
    ) -> Context:
        """Make the context of one rendering, as Jinja's method does."""
        layers: list[t.Mapping[str, t.Any]] | None = getattr(self.globals, "maps", None)

        if shared or layers is None:
            return super().new_context(vars, shared, locals)

        names: dict[str, t.Any] = {}

        for layer in reversed(layers):
            names.update(layer)

        everything = dict(names, **vars) if vars else names.copy()
        return new_context(
            self.environment, self.name, self.blocks, everything, True, names, locals
        )


# Jinja's own name for them is what users see.
_Template.__name__ = _Template.__qualname__ = Template.__name__


class Environment(BaseEnvironment):
    """A Jinja environment that loads what its app and the app's blueprints have.

    :param app: kept as :attr:`app`.
    :param options: for Jinja's environment. Without a ``loader`` it gets the app's.
    """

    template_class = _Template

    def __init__(self, app: App, **options: t.Any) -> None:
        if "loader" not in options:
            options["loader"] = app.create_global_jinja_loader()

        super().__init__(**options)
        self.app = app


class DispatchingJinjaLoader(BaseLoader):
    """Asks the loaders of an app and its blueprints, one after the other."""

    def __init__(self, app: App) -> None:
        self.app = app

    def get_source(
        self, environment: BaseEnvironment, template: str
    ) -> tuple[str, str | None, t.Callable[[], bool] | None]:
        """Return the first match. With ``EXPLAIN_TEMPLATE_LOADING`` all are asked
        nevertheless, and their answers logged.

        :raises jinja2.TemplateNotFound: no loader has the template.
        """
        explain = self.app.config["EXPLAIN_TEMPLATE_LOADING"]
        attempts: list[tuple[BaseLoader, Scaffold, TemplateSource | None]] = []
        first: TemplateSource | None = None

        for owner, loader in self._iter_loaders(template):
            try:
                source = loader.get_source(environment, template)
            except TemplateNotFound:
                attempts.append((loader, owner, None))
                continue

            attempts.append((loader, owner, source))

            if first is None:
                first = source

                if not explain:
                    break

        if explain:
            explain_template_loading_attempts(self.app, template, attempts)

        if first is None:
            raise TemplateNotFound(template)

        return first

    def _iter_loaders(self, template: str) -> t.Iterator[tuple[Scaffold, BaseLoader]]:
        """Yield the app and the blueprints that have a loader, each with it."""
        owners: tuple[Scaffold, ...] = (self.app, *self.app.iter_blueprints())

        for owner in owners:
            loader = owner.jinja_loader

            if loader is not None:
                yield owner, loader

    def list_templates(self) -> list[str]:
        """Return the names that any loader has, each once, in no order."""
        names: set[str] = set()

        for _, loader in self._iter_loaders(""):
            names.update(loader.list_templates())

        return list(names)


def _begin_rendering(app: Flask, template: Template, context: dict[str, t.Any]) -> None:
    """Complete the context and send the signal; the caller's values win."""
    app.update_template_context(context)
    _send(before_render_template, app, template, context)


def _end_rendering(app: Flask, template: Template, context: dict[str, t.Any]) -> None:
    _send(template_rendered, app, template, context)


def _send(signal: NamedSignal, app: Flask, template: Template, context: dict[str, t.Any]) -> None:
    # Sending to nobody takes a microsecond, which is a noticeable part of a small template.
    if signal.receivers:
        signal.send(app, _async_wrapper=app.ensure_sync, template=template, context=context)


def _render(app: Flask, template: Template, context: dict[str, t.Any]) -> str:
    _begin_rendering(app, template, context)
    text = template.render(context)
    _end_rendering(app, template, context)
    return text


def _stream(app: Flask, template: Template, context: dict[str, t.Any]) -> t.Iterator[str]:
    _begin_rendering(app, template, context)

    def generate() -> t.Iterator[str]:
        yield from template.generate(context)
        _end_rendering(app, template, context)

    pieces = generate()
    return stream_with_context(pieces) if request else pieces


def _current_app() -> Flask:
    return t.cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined] # it is a proxy


def render_template(
    template_name_or_list: str | Template | list[str | Template],
    **context: t.Any,
) -> str:
    """Render a template.

    :param template_name_or_list: its name, or several: the first that exists.
    :param context: the template's variables.
    :raises jinja2.TemplateNotFound: there is no such template.
    :raises jinja2.TemplatesNotFound: none of several exists.
    """
    app = _current_app()
    template = app.jinja_env.get_or_select_template(template_name_or_list)
    return _render(app, template, context)


def render_template_string(source: str, **context: t.Any) -> str:
    """Render a template that is given as text; its output is escaped as HTML.

    :param source: the template.
    :param context: the template's variables.
    """
    app = _current_app()
    return _render(app, app.jinja_env.from_string(source), context)


def stream_template(
    template_name_or_list: str | Template | list[str | Template],
    **context: t.Any,
) -> t.Iterator[str]:
    """Render a template piece by piece, for a streamed response.

    The request context, if any, stays while the pieces are made.

    :param template_name_or_list: its name, or several: the first that exists.
    :param context: the template's variables.
    :raises jinja2.TemplateNotFound: there is no such template.
    :raises jinja2.TemplatesNotFound: none of several exists.
    """
    app = _current_app()
    template = app.jinja_env.get_or_select_template(template_name_or_list)
    return _stream(app, template, context)


def stream_template_string(source: str, **context: t.Any) -> t.Iterator[str]:
    """Render a template that is given as text piece by piece.

    :param source: the template.
    :param context: the template's variables.
    """
    app = _current_app()
    return _stream(app, app.jinja_env.from_string(source), context)
