"""The command line: finding applications, groups, options, and the built-in commands."""

from __future__ import annotations

import importlib.abc
import inspect
import os
import socket
import ssl
import subprocess
import sys
import types

import click
import pytest
import werkzeug.serving
from click.testing import CliRunner

import bustapi
from bustapi import cli as cli_module
from bustapi import current_app
from bustapi.cli import (
    AppGroup,
    FlaskGroup,
    NoAppException,
    ScriptInfo,
    cli,
    find_app_by_string,
    find_best_app,
    load_dotenv,
    locate_app,
    prepare_import,
    run_command,
    with_appcontext,
)
from bustapi.cli.discovery import application_traceback
from bustapi.serving import run
from bustapi.serving.native import Unloaded

#: click 8.1, whose runner mixes the two streams unless told otherwise.
OLD_CLICK = "mix_stderr" in inspect.signature(CliRunner).parameters


@pytest.fixture
def runner():
    return CliRunner()


@pytest.fixture
def split_runner():
    """Has what went to standard error apart."""
    return CliRunner(mix_stderr=False) if OLD_CLICK else CliRunner()


def make_module(**names):
    module = types.ModuleType("module")
    vars(module).update(names)
    return module


# --- discovery


def test_best_app_by_name_or_alone():
    a, b = bustapi.Flask("a"), bustapi.Flask("b")
    assert find_best_app(make_module(app=a, other=b)) is a
    assert find_best_app(make_module(application=a, other=b)) is a
    assert find_best_app(make_module(any_name=a)) is a
    assert find_best_app(make_module(create_app=lambda: a)) is a
    assert find_best_app(make_module(make_app=lambda debug=False: a)) is a


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, "Failed to find Flask application or factory in module 'module'"),
        ({"a": bustapi.Flask("a"), "b": bustapi.Flask("b")}, "Detected multiple Flask"),
        ({"create_app": lambda x: None}, "but could not call it without arguments"),
        ({"create_app": lambda: None}, "Failed to find Flask application"),
    ],
)
def test_no_best_app(names, message):
    with pytest.raises(NoAppException, match=message):
        find_best_app(make_module(**names))


def test_type_error_inside_a_factory_is_the_factorys():
    def create_app(*args):
        raise TypeError("inside")

    with pytest.raises(TypeError, match="inside"):
        find_best_app(make_module(create_app=create_app))

    with pytest.raises(TypeError, match="inside"):
        find_app_by_string(make_module(create_app=create_app), "create_app(1)")


def test_app_by_string():
    app = bustapi.Flask("x")

    def create(name, *, port=1):
        created = bustapi.Flask(name)
        created.port = port
        return created

    module = make_module(app=app, create=create, number=1)
    assert find_app_by_string(module, " app ") is app
    created = find_app_by_string(module, "create('y', port=2)")
    assert (created.name, created.port) == ("y", 2)

    for reference, message in [
        ("missing", "Failed to find attribute 'missing' in 'module'"),
        ("a.b", "as an attribute name or function call"),
        ("a b", "as an attribute name or function call"),
        ("a.b()", "must be a simple name"),
        ("create(os)", "as literal values"),
        ("create()", "could not be called with the specified arguments"),
        ("number", "A valid Flask application was not obtained from 'module:number'"),
    ]:
        with pytest.raises(NoAppException, match=message):
            find_app_by_string(module, reference)


def test_app_of_flask_itself_gets_a_hint(split_runner):
    foreign = type("Flask", (), {"__module__": "flask.app"})

    with pytest.raises(NoAppException, match="use '--flask-compat'"):
        find_best_app(make_module(app=foreign()))

    with pytest.raises(NoAppException, match="use '--flask-compat'"):
        find_app_by_string(make_module(app=foreign()), "app")

    # A factory has none until it is called.
    def create_app():
        return foreign()

    for find in (find_best_app, lambda module: find_app_by_string(module, "create_app")):
        with pytest.raises(NoAppException) as caught:
            find(make_module(create_app=create_app))

        message = caught.value.format_message()
        assert "is an application of Flask itself, not of BustAPI: use '--flask-compat'" in message
        assert "Failed to find" not in message

    result = split_runner.invoke(FlaskGroup(create_app=create_app), ["routes"])
    assert result.exit_code == 2
    assert "use '--flask-compat'" in result.stderr


@pytest.mark.parametrize(
    ("path", "name", "folder"),
    [
        ("shop.py", "shop", "."),
        ("shop", "shop", "."),
        ("package/__init__.py", "package", "."),
        ("package/inner/views.py", "package.inner.views", "."),
        ("plain/views.py", "views", "plain"),
    ],
)
def test_prepare_import(tmp_path, monkeypatch, path, name, folder):
    for package in ("package", "package/inner"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()

    monkeypatch.setattr(sys, "path", list(sys.path))
    assert prepare_import(str(tmp_path / path)) == name
    assert sys.path[0] == os.path.realpath(tmp_path / folder)


def test_locate_app(importable):
    importable(
        shop="from bustapi import Flask\napp = Flask('shop')",
        broken="import no_such_module",
        failing="1 / 0",
    )
    assert locate_app("shop", None).name == "shop"
    assert locate_app("shop", "app").name == "shop"
    assert locate_app("missing", None, raise_if_not_found=False) is None

    with pytest.raises(NoAppException, match="Could not import 'missing'"):
        locate_app("missing", None)

    with pytest.raises(NoAppException) as caught:
        locate_app("broken", None, raise_if_not_found=False)

    message = caught.value.format_message()
    assert message.startswith("While importing 'broken', an ImportError was raised:\n\nTraceback")
    assert "No module named 'no_such_module'" in message
    assert "discovery" not in message
    assert "--flask-compat" not in message

    with pytest.raises(ZeroDivisionError) as failed:
        locate_app("failing", None)

    assert "failing.py" in application_traceback(failed.value)


@pytest.mark.parametrize("line", ["from flask import Flask", "import flask.views"])
def test_an_application_that_misses_flask_is_told_of_flask_compat(importable, monkeypatch, line):
    class NoFlask(importlib.abc.MetaPathFinder):
        """An environment in which bustapi is installed and Flask is not."""

        def find_spec(self, name, path=None, target=None):
            if name == "flask":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.partition(".")[0] == "flask"]:
        monkeypatch.delitem(sys.modules, name)

    monkeypatch.setattr(sys, "meta_path", [NoFlask(), *sys.meta_path])
    importable(shop=line)

    with pytest.raises(NoAppException) as caught:
        locate_app("shop", None)

    message = caught.value.format_message()
    assert "While importing 'shop', an ImportError was raised:\n\nTraceback" in message
    assert message.endswith(
        "\n\nFlask is not installed: use '--flask-compat', or import from 'bustapi'."
    )


def test_script_info(importable, monkeypatch):
    folder = importable(shop="from bustapi import Flask\na = Flask('a')\nb = Flask('b')")
    monkeypatch.setenv("FLASK_DEBUG", "1")
    info = ScriptInfo("shop:b")
    app = info.load_app()
    assert (app.name, app.debug) == ("b", True)
    assert info.load_app() is app
    assert ScriptInfo(str(folder / "shop.py") + ":a").load_app().name == "a"
    app = bustapi.Flask("made")
    assert ScriptInfo(create_app=lambda: app, set_debug_flag=False).load_app() is app
    assert app.debug is True

    with pytest.raises(NoAppException, match="Could not locate a Flask application"):
        ScriptInfo().load_app()


@pytest.mark.parametrize("name", ["wsgi", "app"])
def test_default_files(importable, name):
    importable(**{name: "from bustapi import Flask\nsite = Flask('found')"})
    assert ScriptInfo().load_app().name == "found"


# --- groups


def test_commands_run_in_an_app_context(app, runner):
    @click.command()
    @with_appcontext
    def one():
        click.echo(current_app.name)

    @app.cli.command()
    def two():
        click.echo(current_app.name)

    @app.cli.command(with_appcontext=False)
    def three():
        click.echo(bool(current_app))

    @app.cli.group()
    def four():
        click.echo("group")

    @four.command()
    def five():
        click.echo(current_app.name)

    assert isinstance(four, AppGroup)
    info = ScriptInfo(create_app=lambda: app)
    outputs = [runner.invoke(command, obj=info).output for command in (one, two, three)]
    assert outputs == ["bustapi_test\n", "bustapi_test\n", "False\n"]
    assert runner.invoke(app.cli, ["four", "five"], obj=info).output == "group\nbustapi_test\n"


def test_flask_group_has_the_apps_commands(app, runner):
    @app.cli.command("hello")
    @click.pass_context
    def hello(ctx):
        click.echo(f"{current_app.name} {ctx.obj.data}")

    @click.command("plain")
    def plain():
        click.echo(current_app.name)

    app.cli.add_command(plain)
    group = FlaskGroup(create_app=lambda: app)
    assert runner.invoke(group, ["hello"]).output == "bustapi_test {}\n"
    assert runner.invoke(group, ["plain"]).output == "bustapi_test\n"


@pytest.mark.skipif(OLD_CLICK, reason="click leaves the context of a help open, of Flask's too")
def test_help_has_the_apps_commands(app, runner):
    app.cli.add_command(click.Command("hello"))
    shown = runner.invoke(FlaskGroup(create_app=lambda: app), ["--help"]).output
    assert all(name in shown for name in ("hello", "run", "shell", "routes"))


def test_unknown_command_without_an_app(runner, importable):
    importable()
    result = runner.invoke(cli, ["hello"])
    assert result.exit_code == 2
    assert "Error: Could not locate a Flask application" in result.output
    assert "No such command 'hello'" in result.output


def test_help_with_an_app_that_fails(split_runner):
    def create_app():
        raise ZeroDivisionError("oh no")

    result = split_runner.invoke(FlaskGroup(create_app=create_app), ["--help"])
    assert result.exit_code == 0
    assert "ZeroDivisionError: oh no" in result.stderr
    assert "Commands:" in result.stdout


def test_options_act_before_the_app_is_made(runner, monkeypatch):
    monkeypatch.setenv("FLASK_DEBUG", "0")

    def create_app():
        app = bustapi.Flask("x")
        early = os.environ["FLASK_DEBUG"]

        @app.cli.command()
        def show():
            click.echo(f"{early} {app.debug}")

        return app

    group = FlaskGroup(create_app=create_app)
    assert runner.invoke(group, ["show"]).output == "0 False\n"
    assert runner.invoke(group, ["--debug", "show"]).output == "1 True\n"
    assert runner.invoke(group, ["--no-debug", "show"]).output == "0 False\n"


def test_options_of_a_group(runner):
    group = FlaskGroup(
        params=[click.Option(["--x"])], add_default_commands=False, add_version_option=False
    )
    assert list(group.commands) == []
    assert [param.name for param in group.params] == ["x", "env_file", "app", "debug"]


def test_app_option_and_variable(runner, importable, monkeypatch):
    importable(shop="from bustapi import Flask\na = Flask('a')\nb = Flask('b')")
    assert "/static" in runner.invoke(cli, ["--app", "shop:a", "routes"]).output
    monkeypatch.setenv("FLASK_APP", "shop:b")
    assert runner.invoke(cli, ["routes"]).exit_code == 0


def test_version(runner):
    output = runner.invoke(cli, ["--version"]).output
    assert "\nFlask 3.1.3\n" in output
    assert "\nBustAPI " in output


class EntryPoint:
    def __init__(self, name, load):
        self.name = name
        self.load = load


def test_commands_of_installed_packages(split_runner, monkeypatch):
    def needs_flask():
        raise ModuleNotFoundError("No module named 'flask'", name="flask")

    plugin = click.Command("plugin", callback=lambda: click.echo("plugged in"))
    points = [EntryPoint("plugin", lambda: plugin), EntryPoint("other", needs_flask)]
    monkeypatch.setattr(
        cli_module.importlib.metadata,
        "entry_points",
        lambda group: points if group == "flask.commands" else [],
    )
    group = FlaskGroup()
    result = split_runner.invoke(group, ["plugin"])
    assert result.stdout == "plugged in\n"
    assert "command 'other' needs Flask; use '--flask-compat'" in result.stderr

    def broken():
        raise ModuleNotFoundError("No module named 'x'", name="x")

    points.append(EntryPoint("broken", broken))
    assert isinstance(split_runner.invoke(FlaskGroup(), ["plugin"]).exception, ModuleNotFoundError)


# --- the environment


@pytest.fixture
def dotenv(tmp_path, monkeypatch):
    """Writes files of variables, which are unset at the end."""
    pytest.importorskip("dotenv")
    monkeypatch.chdir(tmp_path)

    for name in ("A", "B", "C", "D"):
        # Known to monkeypatch, so that what is loaded is taken back.
        monkeypatch.setenv(f"TEST_{name}", "")
        monkeypatch.delenv(f"TEST_{name}")

    def write(**files):
        for name, text in files.items():
            (tmp_path / f".{name}").write_text(text)

    return write


def test_precedence_of_files(dotenv, tmp_path, monkeypatch):
    dotenv(
        flaskenv="TEST_A=flaskenv\nTEST_B=flaskenv\nTEST_C=flaskenv\nTEST_D=flaskenv",
        env="TEST_B=env\nTEST_C=env\nTEST_D=env",
        own="TEST_C=own\nTEST_D=own",
    )
    monkeypatch.setenv("TEST_D", "set")
    assert load_dotenv(tmp_path / ".own")
    values = [os.environ[f"TEST_{name}"] for name in "ABCD"]
    assert values == ["flaskenv", "env", "own", "set"]


def test_one_file_alone(dotenv, tmp_path):
    dotenv(env="TEST_A=env", own="TEST_B=own")
    assert load_dotenv(tmp_path / ".own", load_defaults=False)
    assert "TEST_A" not in os.environ
    assert not load_dotenv(tmp_path / ".missing", load_defaults=False)


def test_without_python_dotenv(dotenv, monkeypatch, capsys, runner):
    dotenv(env="TEST_A=env")
    monkeypatch.setitem(sys.modules, "dotenv", None)
    assert not load_dotenv()
    assert "Tip: There are .env files present" in capsys.readouterr().err
    result = runner.invoke(FlaskGroup(), ["--env-file", ".env", "routes"])
    assert "python-dotenv must be installed" in result.output


def test_env_file_option_names_the_app(dotenv, importable, runner, monkeypatch):
    monkeypatch.setenv("FLASK_APP", "")
    monkeypatch.delenv("FLASK_APP")
    importable(shop="from bustapi import Flask\na = Flask('a')")
    dotenv(own="FLASK_APP=shop:a")
    assert runner.invoke(FlaskGroup(), ["-e", ".own", "routes"]).exit_code == 0
    monkeypatch.delenv("FLASK_APP", raising=False)


# --- run


@pytest.fixture
def served(monkeypatch):
    """What the command gives the native server, which returns at once."""
    calls = []

    def serve(app, **options):
        # As a worker does.
        calls.append((app.load_here() if isinstance(app, Unloaded) else app, options))

    monkeypatch.setattr(run, "serve", serve)
    return calls


def test_run(app, runner, served):
    group = FlaskGroup(create_app=lambda: app)
    result = runner.invoke(
        group, ["run", "-h", "0.0.0.0", "-p", "81", "--workers", "2", "--threads", "3"]
    )
    assert result.exit_code == 0, result.output
    assert " * Debug mode: off" in result.output
    ((served_app, options),) = served
    assert served_app is app
    assert options == {
        "host": "0.0.0.0",
        "port": 81,
        "workers": 2,
        "threads": 3,
        "reload": False,
        "debug": False,
        "unix_socket": None,
    }


def test_run_in_debug_mode(app, runner, served):
    group = FlaskGroup(create_app=lambda: app)
    runner.invoke(group, ["--debug", "run", "--unix-socket", "app.sock", "--extra-files", "a:b"])
    runner.invoke(group, ["run", "--debug", "--no-reload", "--no-debugger", "--without-threads"])
    (_, first), (_, second) = served
    assert (first["reload"], first["debug"], first["unix_socket"]) == (True, True, "app.sock")
    assert first["extra_files"] == ["a", "b"]
    assert (second["reload"], second["debug"], second["threads"]) == (False, True, 1)


@pytest.mark.parametrize("where", [werkzeug.serving, cli_module])
def test_run_calls_a_replaced_run_simple(app, runner, served, monkeypatch, where):
    calls = []
    monkeypatch.setattr(where, "run_simple", lambda *args, **options: calls.append((args, options)))
    runner.invoke(FlaskGroup(create_app=lambda: app), ["run"])
    assert served == []
    assert calls == [
        (
            ("127.0.0.1", 5000, app),
            {
                "use_reloader": False,
                "use_debugger": False,
                "threaded": True,
                "ssl_context": None,
                "extra_files": None,
                "exclude_patterns": None,
            },
        )
    ]


def test_replaced_banner_is_called(app, runner, served, monkeypatch):
    shown = []
    monkeypatch.setattr(cli_module, "show_server_banner", lambda *args: shown.append(args))
    runner.invoke(FlaskGroup(create_app=lambda: app), ["run"])
    app.debug = True
    os.environ.pop("FLASK_RUN_FROM_CLI")
    app.run(load_dotenv=False)
    assert shown == [(False, None), (True, "bustapi_test")]


def test_app_that_cannot_be_loaded_while_reloading(split_runner, served, monkeypatch):
    """It is served as an error, so that the reloader sees the mistake mended."""

    def create_app():
        raise ZeroDivisionError("oh no")

    group = FlaskGroup(create_app=create_app)
    assert isinstance(split_runner.invoke(group, ["run"]).exception, ZeroDivisionError)
    monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true")
    result = split_runner.invoke(group, ["run"])
    assert "ZeroDivisionError: oh no" in result.stderr

    with pytest.raises(ZeroDivisionError, match="oh no"):
        served[0][0].test_client().get("/")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "x"], "`port` must be a whole number, not 'x'"),
        (["--workers", "0"], "`workers` must be 1 or more, not 0"),
        (["--bad"], "No such option"),
        (["--key", __file__], '"--cert" must also be specified'),
        (["--cert", __file__], 'Required when using "--cert"'),
        (["--cert", "adhoc", "--key", __file__], '"--key" is not used'),
        (["--cert", "no/such"], "does not exist"),
    ],
)
def test_bad_options(app, runner, served, arguments, message):
    result = runner.invoke(FlaskGroup(create_app=lambda: app), ["run", *arguments])
    assert result.exit_code == 2
    assert message in result.output
    assert served == []


def test_certificates(monkeypatch):
    pytest.importorskip("cryptography")
    options = ["--cert", __file__, "--key", __file__]
    ctx = run_command.make_context("run", options)
    assert ctx.params["cert"] == (__file__, __file__)
    assert run_command.make_context("run", ["--cert", "adhoc"]).params["cert"] == "adhoc"
    module = types.ModuleType("certificates")
    module.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    monkeypatch.setitem(sys.modules, "certificates", module)
    ctx = run_command.make_context("run", ["--cert", "certificates:context"])
    assert ctx.params["cert"] is module.context

    with pytest.raises(click.BadParameter, match="is an SSLContext object"):
        run_command.make_context("run", ["--cert", "certificates:context", "--key", __file__])

    monkeypatch.setitem(sys.modules, "cryptography", None)

    with pytest.raises(click.BadParameter, match="requires the cryptography library"):
        run_command.make_context("run", ["--cert", "adhoc"])

    monkeypatch.setitem(sys.modules, "ssl", None)

    with pytest.raises(click.BadParameter, match="compiled with SSL support"):
        run_command.make_context("run", ["--cert", "adhoc"])


# --- routes and shell


@pytest.fixture
def routes(app, runner):
    app = bustapi.Flask("x", static_folder=None)
    app.add_url_rule("/b", "a", str, methods=["POST", "GET"])
    app.add_url_rule("/a", "b", str, methods=["DELETE"])

    def show(*arguments, app=app):
        result = runner.invoke(FlaskGroup(create_app=lambda: app), ["routes", *arguments])
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    return show


def test_routes(routes):
    assert routes() == [
        "Endpoint  Methods    Rule",
        "--------  ---------  ----",
        "a         GET, POST  /b  ",
        "b         DELETE     /a  ",
    ]


@pytest.mark.parametrize(
    ("sort", "order"),
    [("endpoint", "ab"), ("rule", "ba"), ("methods", "ba"), ("match", "ab"), ("domain", "ab")],
)
def test_sorted_routes(routes, sort, order):
    assert [line[0] for line in routes("--sort", sort)[2:]] == list(order)


def test_all_methods(routes):
    assert "GET, HEAD, OPTIONS, POST" in routes("--all-methods")[2]


def test_routes_with_domains(routes):
    app = bustapi.Flask("x", static_folder=None)
    app.add_url_rule("/", "a", str, subdomain="b")
    app.add_url_rule("/", "b", str, subdomain="a")
    assert routes(app=app)[0].split() == ["Endpoint", "Methods", "Subdomain", "Rule"]
    assert [line[0] for line in routes("-s", "domain", app=app)[2:]] == ["b", "a"]
    app = bustapi.Flask("x", static_folder=None, host_matching=True)
    app.add_url_rule("/", "a", str, host="a.test")
    assert routes(app=app)[0].split() == ["Endpoint", "Methods", "Host", "Rule"]
    assert routes(app=bustapi.Flask("x", static_folder=None)) == ["No routes were registered."]


def test_shell(app, runner, tmp_path, monkeypatch):
    app.shell_context_processor(lambda: {"answer": 42})
    (tmp_path / "startup.py").write_text("started = True")
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "startup.py"))
    monkeypatch.setattr(sys, "ps1", "", raising=False)
    monkeypatch.setattr(sys, "ps2", "", raising=False)
    monkeypatch.setattr(sys, "__interactivehook__", lambda: None, raising=False)
    result = runner.invoke(
        FlaskGroup(create_app=lambda: app), ["shell"], input="print(app.name, answer, started)\n"
    )
    assert result.exit_code == 0, result.output
    assert "bustapi_test 42 True" in result.output
    assert "App: bustapi_test" in result.output


# --- the process


def run_bustapi(*arguments, folder, **variables):
    return subprocess.run(
        [sys.executable, "-m", "bustapi", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["run"], 2, "Error: Could not locate a Flask application."),
        (["--app", "missing", "run"], 2, "Error: Could not import 'missing'."),
        (["--app", "empty", "run"], 2, "Error: Failed to find Flask application or factory"),
        (["--app", "failing", "run"], 1, "Error: ZeroDivisionError: division by zero"),
        (["--app", "failing", "routes"], 1, "Error: ZeroDivisionError: division by zero"),
        (["run", "--prot", "1"], 2, "Error: No such option"),
        (["frobnicate"], 2, "Error: No such command 'frobnicate'"),
    ],
)
def test_errors_are_clear(importable, arguments, status, message):
    folder = importable(empty="", failing="1 / 0")
    done = run_bustapi(*arguments, folder=folder)
    assert done.returncode == status
    assert message in done.stderr
    assert "bustapi/" not in done.stderr.replace(str(folder), "")


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_port_in_use_is_told_with_advice(importable, debug):
    folder = importable(shop="from bustapi import Flask\napp = Flask('shop')")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run_bustapi("--app", "shop", *debug, "run", "--port", port, folder=folder)

    assert done.returncode == 1
    error, advice = done.stderr.splitlines()
    assert error == f"Error: cannot listen on 127.0.0.1:{port}: Address already in use."
    assert "--port" in advice


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--flask-compat", "--app", "shop", "hello"], {}),
        (["--app", "shop", "--flask-compat", "hello"], {}),
        (["--app", "shop", "hello", "--flask-compat"], {}),
        (["--app", "shop", "nested", "hello", "--flask-compat"], {}),
        (["--app", "shop", "hello"], {"BUSTAPI_FLASK_COMPAT": "1"}),
        (["--app", "shop", "hello"], {".env": "BUSTAPI_FLASK_COMPAT=1"}),
        (["--app", "shop", "hello"], {".flaskenv": "BUSTAPI_FLASK_COMPAT=1"}),
        (["hello"], {".flaskenv": "BUSTAPI_FLASK_COMPAT=1\nFLASK_APP=shop"}),
        (["-e", "other", "--app", "shop", "hello"], {"other": "BUSTAPI_FLASK_COMPAT=1"}),
    ],
)
def test_flask_compat_comes_before_the_app(importable, arguments, variables):
    files = {name: variables.pop(name) for name in list(variables) if not name.isupper()}
    folder = importable(
        shop="""
import click
from flask import Flask
import flask.views

app = Flask(__name__)

def hello():
    click.echo(f"{Flask.__module__} {flask.__name__}")

app.cli.command("hello")(hello)
app.cli.group("nested")(lambda: None).command("hello")(hello)
"""
    )

    for name, text in files.items():
        pytest.importorskip("dotenv")
        (folder / name).write_text(text)

    done = run_bustapi(*arguments, folder=folder, **variables)
    assert (done.stdout, done.returncode) == ("bustapi.app flask\n", 0), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["routes", "--flask-compat"],
        ["routes", "--flask-compat", "--sort", "rule"],
        ["shell", "--flask-compat"],
        ["--flask-compat", "--help"],
        ["--help", "--flask-compat"],
    ],
)
def test_flask_compat_after_any_command(importable, arguments):
    folder = importable(shop="from flask import Flask\n\napp = Flask(__name__)\n")
    done = run_bustapi("--app", "shop", *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    # The same by the variable.
    arguments = [argument for argument in arguments if argument != "--flask-compat"]
    done = run_bustapi("--app", "shop", *arguments, folder=folder, BUSTAPI_FLASK_COMPAT="1")
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr


def test_flask_compat_behind_two_dashes_is_an_argument(importable):
    folder = importable(
        shop="""
import click
from bustapi import Flask

app = Flask(__name__)

@app.cli.command()
@click.argument("words", nargs=-1)
def say(words):
    click.echo(words)
"""
    )
    done = run_bustapi("--app", "shop", "say", "--", "--flask-compat", folder=folder)
    assert done.stdout == "('--flask-compat',)\n", done.stderr


def test_texts_name_the_command(runner, tmp_path, monkeypatch):
    monkeypatch.delenv("FLASK_APP", raising=False)
    monkeypatch.chdir(tmp_path)
    missing = runner.invoke(cli, ["routes"])
    assert "Use the 'bustapi --app' option" in missing.output
    assert "Usage: bustapi" in missing.output
    assert "'bustapi' command" in cli_module.IGNORED_RUN


def test_flask_compat_too_late(importable, split_runner, monkeypatch):
    monkeypatch.setitem(sys.modules, "flask", types.ModuleType("flask"))
    result = split_runner.invoke(cli, ["--flask-compat", "routes"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Flask is already imported")


def test_a_start_leaves_out_what_only_debugging_needs():
    code = """
import sys
import bustapi.cli
print(sorted({"pdb", "click.testing", "werkzeug.debug"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
