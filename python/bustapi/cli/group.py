"""Groups of commands: those that load an application's commands too, and ``bustapi`` itself."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import typing as t

import click

from ..globals import current_app
from .commands import routes_command, shell_command
from .context import AppGroup, ScriptInfo
from .discovery import NoAppException, application_traceback
from .options import (
    COMPAT_FLAG,
    _app_option,
    _debug_option,
    _env_file_option,
    flask_compat_option,
    install_flask_compat,
    version_option,
)
from .run import run_command

if t.TYPE_CHECKING:  # pragma: no cover
    from ..app import Flask


class FlaskGroup(AppGroup):
    """A group with the built-in commands and those of the application that it loads.

    :param add_default_commands: add ``run``, ``shell`` and ``routes``.
    :param create_app: makes the application; without it, ``--app`` tells where it is.
    :param add_version_option: add ``--version``.
    :param load_dotenv: read ``.flaskenv`` and ``.env``.
    :param set_debug_flag: set the application's debug mode from ``FLASK_DEBUG``.
    :param extra: keywords of `click.Group`.
    """

    def __init__(
        self,
        add_default_commands: bool = True,
        create_app: t.Callable[..., Flask] | None = None,
        add_version_option: bool = True,
        load_dotenv: bool = True,
        set_debug_flag: bool = True,
        **extra: t.Any,
    ) -> None:
        params: list[click.Parameter] = list(extra.pop("params", None) or ())
        # The env file first: it may set the variables of the other two.
        params += (_env_file_option, _app_option, _debug_option)

        if add_version_option:
            params.append(version_option)

        extra.setdefault("context_settings", {}).setdefault("auto_envvar_prefix", "FLASK")
        super().__init__(params=params, **extra)
        self.create_app = create_app
        self.load_dotenv = load_dotenv
        self.set_debug_flag = set_debug_flag

        if add_default_commands:
            for command in (run_command, shell_command, routes_command):
                self.add_command(command)

        self._loaded_plugin_commands = False

    def _load_plugin_commands(self) -> None:
        """Add the commands of installed packages, entry points of ``flask.commands``."""
        if self._loaded_plugin_commands:
            return

        for entry_point in importlib.metadata.entry_points(group="flask.commands"):
            try:
                command = entry_point.load()
            except ModuleNotFoundError as error:
                # The plugin was made for Flask, which is not installed: only its command is
                # missing.
                if error.name != "flask":
                    raise

                click.secho(
                    f"Warning: command '{entry_point.name}' needs Flask; use '{COMPAT_FLAG}'.",
                    err=True,
                    fg="yellow",
                )
            else:
                self.add_command(command, entry_point.name)

        self._loaded_plugin_commands = True

    def get_command(  # pyright: ignore[reportIncompatibleMethodOverride] Flask's names
        self, ctx: click.Context, name: str
    ) -> click.Command | None:
        """A command of this group or of a package; or of the application, which is loaded."""
        self._load_plugin_commands()
        command = super().get_command(ctx, name)

        if command is not None:
            return command

        try:
            app = ctx.ensure_object(ScriptInfo).load_app()
        except NoAppException as e:
            # What click says of an unknown command comes after it.
            click.secho(f"Error: {e.format_message()}\n", err=True, fg="red")
            return None

        # For commands that were not registered with an AppGroup.
        if not current_app or current_app._get_current_object() is not app:  # type: ignore[attr-defined]
            ctx.with_resource(app.app_context())

        return app.cli.get_command(ctx, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands; an application that cannot be loaded is reported."""
        self._load_plugin_commands()
        names = set(super().list_commands(ctx))

        try:
            names.update(ctx.ensure_object(ScriptInfo).load_app().cli.list_commands(ctx))
        except NoAppException as e:
            click.secho(f"Error: {e.format_message()}\n", err=True, fg="red")
        except Exception as e:  # noqa: BLE001 the application's, printed: help must not fail
            click.secho(f"{application_traceback(e)}\n", err=True, fg="red")

        return sorted(names)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: t.Any,
    ) -> click.Context:
        """`click.Group.make_context` with a `ScriptInfo`; from here on `app.run` does nothing."""
        os.environ["FLASK_RUN_FROM_CLI"] = "true"

        if "obj" not in extra and "obj" not in self.context_settings:
            extra["obj"] = ScriptInfo(
                create_app=self.create_app,
                set_debug_flag=self.set_debug_flag,
                load_dotenv_defaults=self.load_dotenv,
            )

        return super().make_context(info_name, args, parent=parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`click.Group.parse_args`; help, which lists commands, finds the application too."""
        help_asked = len(args) == 1 and args[0] in self.get_help_option_names(ctx)

        if help_asked or (not args and self.no_args_is_help):
            # --help is eager too, and as the first one given comes before these.
            _env_file_option.handle_parse_result(ctx, {}, [])
            _app_option.handle_parse_result(ctx, {}, [])

        return super().parse_args(ctx, args)


class _BustAPIGroup(FlaskGroup):
    """The ``bustapi`` command, which can put itself in Flask's place."""

    def __init__(self, **extra: t.Any) -> None:
        super().__init__(**extra)
        self._compat_option = flask_compat_option()
        # Behind the env files, which may set its variable.
        self.params.append(self._compat_option)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`FlaskGroup.parse_args`; ``--flask-compat`` may stand after any command as well.

        As an option of a command it would come too late: looking for the command already
        imports packages that add some, and these import Flask.
        """
        end = args.index("--") if "--" in args else len(args)
        own = [arg for arg in args[:end] if arg != COMPAT_FLAG]

        if len(own) < end:
            install_flask_compat(ctx, None, True)

        return super().parse_args(ctx, [*own, *args[end:]])

    def list_commands(self, ctx: click.Context) -> list[str]:
        """`FlaskGroup.list_commands`, of packages that import Flask as well."""
        # --help is eager too, and as the first option given comes before these.
        for option in (_env_file_option, self._compat_option):
            if ctx.get_parameter_source(option.name) is None:
                option.handle_parse_result(ctx, {}, [])

        return super().list_commands(ctx)


cli = _BustAPIGroup(
    name="bustapi",
    help="""\
Serve Flask applications with BustAPI, and run their commands.

An application to load must be given with the '--app' option,
'FLASK_APP' environment variable, or with a 'wsgi.py' or 'app.py' file
in the current directory.
""",
)


def main() -> None:
    """Run the ``bustapi`` command and exit the process with its status."""
    try:
        cli.main(prog_name="bustapi")
    except Exception as error:  # noqa: BLE001 outermost call; it is printed, and fails the process
        click.echo(application_traceback(error), err=True, nl=False)
        click.secho(f"Error: {type(error).__name__}: {error}", err=True, fg="red")
        sys.exit(1)
