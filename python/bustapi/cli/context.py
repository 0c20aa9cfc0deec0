"""How a command reaches its application, and the environment it runs in."""

from __future__ import annotations

import os
import typing as t
from functools import update_wrapper

import click

from ..globals import current_app
from ..helpers import get_debug_flag, get_load_dotenv
from . import discovery

if t.TYPE_CHECKING:  # pragma: no cover
    from ..app import Flask

F = t.TypeVar("F", bound=t.Callable[..., t.Any])


class ScriptInfo:
    """What a command line knows of its application, which is loaded when first needed.

    :param app_import_path: where to import it from; see `bustapi.cli.discovery`.
    :param create_app: makes it; `app_import_path` is not used then.
    :param set_debug_flag: set the application's debug mode from ``FLASK_DEBUG``.
    :param load_dotenv_defaults: whether ``.flaskenv`` and ``.env`` are to be read; for the
        information of those who do.
    """

    def __init__(
        self,
        app_import_path: str | None = None,
        create_app: t.Callable[..., Flask] | None = None,
        set_debug_flag: bool = True,
        load_dotenv_defaults: bool = True,
    ) -> None:
        self.app_import_path = app_import_path
        self.create_app = create_app
        #: For commands to keep things in.
        self.data: dict[t.Any, t.Any] = {}
        self.set_debug_flag = set_debug_flag
        self.load_dotenv_defaults = get_load_dotenv(load_dotenv_defaults)
        self._loaded_app: Flask | None = None

    def load_app(self) -> Flask:
        """The application; loaded by the first call.

        :raises NoAppException: if there is none.
        """
        if self._loaded_app is not None:
            return self._loaded_app

        if self.create_app is not None:
            app = self.create_app()
            discovery.check_application(app, "What the command's factory returns")
        else:
            app = discovery.load_app(self.app_import_path)

        if self.set_debug_flag:
            # Through the attribute, which also sets how templates reload.
            app.debug = get_debug_flag()

        self._loaded_app = app
        return app


pass_script_info = click.make_pass_decorator(ScriptInfo, ensure=True)


def with_appcontext(f: F) -> F:
    """Run a command's callback in an app context, pushed unless there is one already."""

    @click.pass_context
    def decorator(ctx: click.Context, /, *args: t.Any, **kwargs: t.Any) -> t.Any:
        if not current_app:
            app = ctx.ensure_object(ScriptInfo).load_app()
            ctx.with_resource(app.app_context())

        return ctx.invoke(f, *args, **kwargs)

    return update_wrapper(decorator, f)  # type: ignore[return-value]


class AppGroup(click.Group):
    """A group whose commands run in an app context."""

    def command(  # type: ignore[override]
        self, *args: t.Any, **kwargs: t.Any
    ) -> t.Callable[[t.Callable[..., t.Any]], click.Command]:
        """`click.Group.command`, with `with_appcontext` unless it is passed as false."""
        wrap = kwargs.pop("with_appcontext", True)
        register: t.Callable[..., click.Command] = super().command(*args, **kwargs)

        def decorator(f: t.Callable[..., t.Any]) -> click.Command:
            return register(with_appcontext(f) if wrap else f)

        return decorator

    def group(  # type: ignore[override]
        self, *args: t.Any, **kwargs: t.Any
    ) -> t.Callable[[t.Callable[..., t.Any]], click.Group]:
        """`click.Group.group`, of this class unless another is asked for."""
        kwargs.setdefault("cls", AppGroup)
        return super().group(*args, **kwargs)  # type: ignore[no-any-return]


def load_dotenv(path: str | os.PathLike[str] | None = None, load_defaults: bool = True) -> bool:
    """Set environment variables from files, where they are not set yet.

    A variable in `path` wins over ``.env``, and that over ``.flaskenv``; both are looked for in
    the working directory and above it.

    :param load_defaults: read ``.flaskenv`` and ``.env``.
    :return: whether there was anything to set; false without python-dotenv.
    """
    try:
        # Optional: only these files need it.
        import dotenv
    except ImportError:
        if path or os.path.isfile(".env") or os.path.isfile(".flaskenv"):
            click.secho(
                " * Tip: There are .env files present. Install python-dotenv to use them.",
                fg="yellow",
                err=True,
            )

        return False

    paths: list[str | os.PathLike[str] | None] = []

    if load_defaults:
        paths += (dotenv.find_dotenv(name, usecwd=True) for name in (".flaskenv", ".env"))

    paths.append(path)

    variables: dict[str, str | None] = {}

    for each in paths:
        if each and os.path.isfile(each):
            variables.update(dotenv.dotenv_values(each, encoding="utf-8"))

    for name, value in variables.items():
        if value is not None:
            os.environ.setdefault(name, value)

    return bool(variables)
