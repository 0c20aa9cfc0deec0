"""The command ``run``, and what it and ``app.run()`` say."""

from __future__ import annotations

import os
import sys
import typing as t

import click
from click.core import ParameterSource
from werkzeug.serving import is_running_from_reloader

from ..helpers import get_debug_flag
from ..serving.native import Unloaded
from ..serving.run import choose_reloader, require_server, serve_app
from . import discovery
from .context import ScriptInfo, pass_script_info
from .discovery import application_traceback
from .options import (
    CertParamType,
    SeparatedPathType,
    _app_option,
    _debug_option,
    _validate_key,
    flask_compat_option,
    setting_options,
)

if t.TYPE_CHECKING:  # pragma: no cover
    import ssl
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..app import Flask

#: What ``app.run()`` says when a command serves the application already.
IGNORED_RUN = (
    " * Ignoring a call to 'app.run()' that would block the current 'bustapi' command.\n"
    "   Only call 'app.run()' in an 'if __name__ == \"__main__\"' guard."
)


def _replaceable(name: str) -> t.Any:
    """What has `name` in `bustapi.cli`; where Flask looks it up, programs put their own."""
    return getattr(sys.modules[__name__.rpartition(".")[0]], name)


def show_server_banner(debug: bool | None, app_import_path: str | None) -> None:
    """Say what is about to be served; not again in the process that a reloader starts."""
    if is_running_from_reloader():
        return

    if app_import_path is not None:
        click.echo(f" * Serving Flask app '{app_import_path}'")

    if debug is not None:
        click.echo(f" * Debug mode: {'on' if debug else 'off'}")


@click.command("run", short_help="Run a server.")
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
    /,
    host: str,
    port: int,
    reload: bool | None,
    debugger: bool | None,
    with_threads: bool,
    cert: ssl.SSLContext | tuple[str, str | None] | t.Literal["adhoc"] | None,
    extra_files: list[str] | None,
    exclude_patterns: list[str] | None,
    **settings: t.Any,
) -> None:
    """Serve the application until stopped with CTRL+C.

    With '--debug', the server restarts when code changes, and errors show a debugger.
    Debug mode is for development only.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    _settle_address(click.get_current_context(), given)

    def show_banner() -> None:
        _replaceable("show_server_banner")(get_debug_flag(), info.app_import_path)

    app: Flask | Unloaded
    run_simple = _replaceable("run_simple")

    if given.get("workers", 1) > 1:
        app = Unloaded(lambda: _load(info), show_banner, given.get("preload", False))
    else:
        app = _load(info)
        require_server({"ssl_context": cert}, run_simple)
        show_banner()

    debug = get_debug_flag()
    serve_app(
        host,
        port,
        app,
        run_simple=run_simple,
        use_reloader=choose_reloader(reload, debug, {**given, "ssl_context": cert}, run_simple),
        use_debugger=debug if debugger is None else debugger,
        threaded=with_threads,
        ssl_context=cert,
        extra_files=extra_files,
        exclude_patterns=exclude_patterns,
        **given,
    )


# What a value came from, by how near it is to the user.
_SOURCES = (ParameterSource.ENVIRONMENT, ParameterSource.COMMANDLINE)


def _settle_address(ctx: click.Context, given: dict[str, t.Any]) -> None:
    """Refuse two addresses; one on the command line wins over one of the environment.

    :raises click.UsageError: both came from the same place.
    """

    def nearness(*names: str) -> int:
        sources = (ctx.get_parameter_source(name) for name in names)
        return max(_SOURCES.index(source) if source in _SOURCES else -1 for source in sources)

    if "unix_socket" not in given:
        return

    path, internet = nearness("unix_socket"), nearness("host", "port")

    if internet > path:
        del given["unix_socket"]
    elif internet == path >= 0:
        raise click.UsageError(
            "'--unix-socket' stands in place of '--host' and '--port': give one of them.", ctx
        )


# The settings first, as they are what most people look for.
run_command.params[:0] = setting_options()
# Where Flask has the group's option only, people look for it here.
run_command.params[:0] = [_app_option, _debug_option]
run_command.params.append(flask_compat_option())


def _load(info: ScriptInfo) -> Flask:
    """The application; one that says why it cannot be loaded, where a reloader waits for that."""
    try:
        return info.load_app()
    except Exception as e:
        if not is_running_from_reloader():
            raise

        # The developer will mend the mistake, and the reloader has to be running then.
        click.echo(application_traceback(e), err=True)
        return _unloadable_app(e)


def _unloadable_app(error: Exception) -> Flask:
    """An application that answers every request with the reason why it could not be loaded."""
    app = discovery.get_application_class()(__name__, static_folder=None)

    def raise_error(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise error from None

    app.wsgi_app = raise_error  # type: ignore[method-assign]
    return app
