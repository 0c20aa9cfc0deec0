"""The options that commands share, and types of options that click does not have."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import typing as t

import click
from click.core import ParameterSource
from werkzeug.utils import import_string

from ..serving.settings import SETTINGS, Kind, Setting
from ..version import FLASK_VERSION, bustapi_version
from .context import ScriptInfo, load_dotenv


def _set_app(ctx: click.Context, param: click.Option, value: str | None) -> str | None:
    if value is not None:
        ctx.ensure_object(ScriptInfo).app_import_path = value

    return value


# Eager, so that the application is known when a --help text asks for its commands. Such
# text also wants the value when no option was given, as an environment variable may be set.
_app_option = click.Option(
    ["-A", "--app"],
    metavar="IMPORT",
    help=(
        "The Flask application or factory function to load, in the form 'module:name'."
        " Module can be a dotted import or file path. Name is not required if it is"
        " 'app', 'application', 'create_app', or 'make_app', and can be 'name(args)' to"
        " pass arguments."
    ),
    is_eager=True,
    expose_value=False,
    callback=_set_app,
)


def _set_debug(ctx: click.Context, param: click.Option, value: bool) -> bool | None:
    # A default must not overwrite what the environment says.
    source = ctx.get_parameter_source(param.name)

    if source in {ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP}:
        return None

    # Through the environment, as code in a factory may look at it before there is an app.
    os.environ["FLASK_DEBUG"] = "1" if value else "0"
    return value


_debug_option = click.Option(
    ["--debug/--no-debug"],
    help="Set debug mode.",
    expose_value=False,
    callback=_set_debug,
)


def _env_file_callback(ctx: click.Context, param: click.Option, value: str | None) -> str | None:
    if value is not None:
        try:
            # Optional: only these files need it.
            import dotenv  # noqa: F401 # pyright: ignore[reportUnusedImport]
        except ImportError:
            raise click.BadParameter(
                "python-dotenv must be installed to load an env file.",
                ctx=ctx,
                param=param,
            ) from None

    # With an explicit file and without the defaults, the file alone.
    if value is not None or ctx.obj.load_dotenv_defaults:
        load_dotenv(value, load_defaults=ctx.obj.load_dotenv_defaults)

    return value


# Eager, as the files may set what other options default to.
_env_file_option = click.Option(
    ["-e", "--env-file"],
    type=click.Path(exists=True, dir_okay=False),
    help=(
        "Load environment variables from this file, taking precedence over"
        " those set by '.env' and '.flaskenv'. Variables set directly in the"
        " environment take highest precedence. python-dotenv must be installed."
    ),
    is_eager=True,
    expose_value=False,
    callback=_env_file_callback,
)


def get_version(ctx: click.Context, param: click.Parameter, value: t.Any) -> None:
    """Callback of ``--version``: print the versions and exit."""
    if not value or ctx.resilient_parsing:
        return

    click.echo(
        f"Python {platform.python_version()}\n"
        f"Flask {FLASK_VERSION}\n"
        f"Werkzeug {importlib.metadata.version('werkzeug')}\n"
        f"BustAPI {bustapi_version()}",
        color=ctx.color,
    )
    ctx.exit()


version_option = click.Option(
    ["--version"],
    help="Show the version of BustAPI, and of the Flask API it provides.",
    expose_value=False,
    callback=get_version,
    is_flag=True,
    is_eager=True,
)

COMPAT_FLAG = "--flask-compat"
COMPAT_VARIABLE = "BUSTAPI_FLASK_COMPAT"


def install_flask_compat(ctx: click.Context, param: click.Parameter | None, value: t.Any) -> None:
    """Callback of ``--flask-compat``: put this package in Flask's place."""
    if not value:
        return

    try:
        # By name: the alias is above everything that it aliases, this module included.
        import_string("bustapi.flask_compat:install")()
    except RuntimeError as error:
        raise click.ClickException(str(error)) from None


def flask_compat_option() -> click.Option:
    """Make the option, for the group and for its command ``run``."""
    return click.Option(
        [COMPAT_FLAG],
        help="Let 'import flask' give BustAPI, for applications and extensions made for Flask.",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        envvar=COMPAT_VARIABLE,
        callback=install_flask_compat,
    )


class CertParamType(click.ParamType):  # type: ignore[type-arg] # not generic before 8.2
    """A certificate: a file, ``adhoc`` to make one, or an import name of an ``SSLContext``."""

    name = "path"

    def __init__(self) -> None:
        self.path_type = click.Path(exists=True, dir_okay=False, resolve_path=True)

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> t.Any:
        """The file's path, the word ``adhoc``, or the context.

        :raises click.BadParameter: if it is none of them, or a library is missing.
        """
        try:
            # Optional: Python can be built without it.
            import ssl
        except ImportError:
            raise click.BadParameter(
                'Using "--cert" requires Python to be compiled with SSL support.',
                ctx,
                param,
            ) from None

        try:
            return self.path_type(value, param, ctx)
        except click.BadParameter:
            name = str(value).lower()

            if name == "adhoc":
                try:
                    # Optional: only Werkzeug's made-up certificates need it.
                    import cryptography  # noqa: F401 # pyright: ignore[reportUnusedImport]
                except ImportError:
                    raise click.BadParameter(
                        "Using ad-hoc certificates requires the cryptography library.",
                        ctx,
                        param,
                    ) from None

                return name

            context = import_string(name, silent=True)

            if isinstance(context, ssl.SSLContext):
                return context

            raise


def _validate_key(ctx: click.Context, param: click.Parameter, value: t.Any) -> t.Any:
    """Callback of ``--key``: join it to the certificate, or say why it does not fit one."""
    cert = ctx.params.get("cert")
    is_adhoc = cert == "adhoc"

    try:
        # Optional: Python can be built without it.
        import ssl
    except ImportError:
        is_context = False
    else:
        is_context = isinstance(cert, ssl.SSLContext)

    if value is None:
        if cert and not (is_adhoc or is_context):
            raise click.BadParameter('Required when using "--cert".', ctx, param)

        return None

    if is_adhoc:
        raise click.BadParameter('When "--cert" is "adhoc", "--key" is not used.', ctx, param)

    if is_context:
        raise click.BadParameter(
            'When "--cert" is an SSLContext object, "--key" is not used.', ctx, param
        )

    if not cert:
        raise click.BadParameter('"--cert" must also be specified.', ctx, param)

    ctx.params["cert"] = cert, value
    return value


class SeparatedPathType(click.Path):
    """Several paths, separated as in ``PATH``."""

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> t.Any:
        """The list of paths, each checked as `click.Path` does."""
        convert = super().convert
        return [convert(item, param, ctx) for item in self.split_envvar_value(value)]


class SettingType(click.ParamType):  # type: ignore[type-arg] # not generic before 8.2
    """The value of one of the server's settings."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.name = setting.kind.value

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> t.Any:
        """The value, as `bustapi.serving.settings` reads it.

        :raises click.BadParameter: if it cannot be read, or is out of range.
        """
        try:
            return self.setting.read(value)
        except (TypeError, ValueError) as error:
            self.fail(f"{error}.", param, ctx)


def _setting_option(setting: Setting) -> click.Option:
    is_flag = setting.kind is Kind.FLAG
    off = f"/--no-{setting.option.removeprefix('--')}" if is_flag else ""
    names = [f"{setting.option}{off}"]

    if setting.short:
        names.append(setting.short)

    means = setting.means[0].upper() + setting.means[1:]
    return click.Option(
        names,
        # The other defaults are the server's own: `None` leaves a setting as the server has it.
        default=setting.default if setting.name in {"host", "port"} else None,
        type=None if is_flag else SettingType(setting),
        # Besides the one that click derives, FLASK_RUN_ and the name.
        envvar=setting.variable,
        help=f"{means}.  [default: {setting.default_text}]",
    )


def setting_options() -> list[click.Parameter]:
    """Make an option for each of the server's settings."""
    return [_setting_option(setting) for setting in SETTINGS.values()]
