"""The command line: ``bustapi``, and the groups and decorators for commands of one's own.

A command finds its application through the `ScriptInfo` in click's context. Options that
influence how the application is loaded (``--env-file``, ``--app``, ``--debug``) are eager or
act through environment variables, so that they come before it is imported.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import typing as t

import click
from werkzeug.serving import is_running_from_reloader, run_simple

from . import app_discovery
from .app_discovery import NoAppException as NoAppException
from .app_discovery import application_traceback
from .app_discovery import find_app_by_string as find_app_by_string
from .app_discovery import find_best_app as find_best_app
from .app_discovery import locate_app as locate_app
from .app_discovery import prepare_import as prepare_import
from .cli_commands import routes_command as routes_command
from .cli_commands import shell_command as shell_command
from .cli_context import AppGroup as AppGroup
from .cli_context import F as F
from .cli_context import ScriptInfo as ScriptInfo
from .cli_context import load_dotenv as load_dotenv
from .cli_context import pass_script_info as pass_script_info
from .cli_context import with_appcontext as with_appcontext
from .cli_options import (
    COMPAT_FLAG,
    _app_option,
    _debug_option,
    _env_file_option,
    flask_compat_option,
    install_flask_compat,
)
from .cli_options import CertParamType as CertParamType
from .cli_options import SeparatedPathType as SeparatedPathType
from .cli_options import _validate_key as _validate_key
from .cli_options import get_version as get_version
from .cli_options import version_option as version_option
from .globals import current_app
from .helpers import get_debug_flag
from .helpers import get_load_dotenv as get_load_dotenv
from .serving.run import serve_app

if t.TYPE_CHECKING:  # pragma: no cover
    import ssl
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from .app import Flask

#: What ``app.run()`` says when a command serves the application already.
IGNORED_RUN = (
    " * Ignoring a call to 'app.run()' that would block the current 'flask' CLI command.\n"
    "   Only call 'app.run()' in an 'if __name__ == \"__main__\"' guard."
)


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
                # Made for Flask, and there is none: its command is missed, no other is.
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

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # A command's own option would come too late: looking for the command already
        # imports packages that add some, and these import Flask.
        if COMPAT_FLAG in args:
            install_flask_compat(ctx, None, True)

        return super().parse_args(ctx, args)


def show_server_banner(debug: bool | None, app_import_path: str | None) -> None:
    """Say what is about to be served; not again in the process that a reloader starts."""
    if is_running_from_reloader():
        return

    if app_import_path is not None:
        click.echo(f" * Serving Flask app '{app_import_path}'")

    if debug is not None:
        click.echo(f" * Debug mode: {'on' if debug else 'off'}")


@click.command("run", short_help="Run a server.")
@click.option("--host", "-h", default="127.0.0.1", help="The interface to bind to.")
@click.option("--port", "-p", default=5000, help="The port to bind to.")
@click.option("--unix-socket", type=click.Path(), help="The path of a socket to bind to instead.")
@click.option("--workers", type=click.IntRange(1), help="The number of processes.  [default: 1]")
@click.option("--threads", type=click.IntRange(1), help="Threads for views in each process.")
@click.option(
    "--access-log/--no-access-log",
    default=None,
    help="Write a line for each request. By default in debug mode only.",
)
@click.option(
    "--cert",
    type=CertParamType(),
    help="Specify a certificate file to use HTTPS.",
    is_eager=True,
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    callback=_validate_key,
    expose_value=False,
    help="The key file to use when specifying a certificate.",
)
@click.option(
    "--reload/--no-reload",
    default=None,
    help="Restart when code changes. By default in debug mode only.",
)
@click.option(
    "--debugger/--no-debugger",
    default=None,
    help="Show an interactive debugger for errors. By default in debug mode only.",
)
@click.option(
    "--with-threads/--without-threads",
    default=True,
    help="Enable or disable multithreading.",
)
@click.option(
    "--extra-files",
    default=None,
    type=SeparatedPathType(),
    help=f"Further files to restart for. Multiple paths are separated by {os.path.pathsep!r}.",
)
@click.option(
    "--exclude-patterns",
    default=None,
    type=SeparatedPathType(),
    help=(
        "Files matching these fnmatch patterns are no reason to restart. Multiple"
        f" patterns are separated by {os.path.pathsep!r}."
    ),
)
@pass_script_info
def run_command(
    info: ScriptInfo,
    host: str,
    port: int,
    reload: bool | None,
    debugger: bool | None,
    with_threads: bool,
    cert: ssl.SSLContext | tuple[str, str | None] | t.Literal["adhoc"] | None,
    extra_files: list[str] | None,
    exclude_patterns: list[str] | None,
    workers: int | None = None,
    threads: int | None = None,
    access_log: bool | None = None,
    unix_socket: str | None = None,
) -> None:
    """Serve the application until stopped with CTRL+C.

    With '--debug', the server restarts when code changes, and errors show a debugger.
    Debug mode is for development only.
    """
    try:
        app = info.load_app()
    except Exception as e:
        if not is_running_from_reloader():
            raise

        # The mistake will be mended, and the reloader must live to see it.
        click.echo(application_traceback(e), err=True)
        app = _unloadable_app(e)

    debug = get_debug_flag()
    show_server_banner(debug, info.app_import_path)
    native = {"workers": workers, "threads": threads, "access_log": access_log}
    serve_app(
        f"unix://{unix_socket}" if unix_socket else host,
        port,
        app,
        run_simple=run_simple,
        use_reloader=debug if reload is None else reload,
        use_debugger=debug if debugger is None else debugger,
        threaded=with_threads,
        ssl_context=cert,
        extra_files=extra_files,
        exclude_patterns=exclude_patterns,
        **{name: value for name, value in native.items() if value is not None},
    )


# Where Flask has the group's option only, people look for it here.
run_command.params[:0] = [_app_option, _debug_option]
run_command.params.append(flask_compat_option())


def _unloadable_app(error: Exception) -> Flask:
    """An application that answers every request with the reason why it could not be loaded."""
    app = app_discovery.get_application_class()(__name__, static_folder=None)

    def raise_error(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise error from None

    app.wsgi_app = raise_error  # type: ignore[method-assign]
    return app


cli = _BustAPIGroup(
    name="flask",
    params=[flask_compat_option()],
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


if __name__ == "__main__":
    main()
