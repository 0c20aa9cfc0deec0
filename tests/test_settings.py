"""The table of the server's settings, and the ways to set them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import werkzeug.serving
from click.testing import CliRunner

from bustapi import _native
from bustapi.cli import FlaskGroup
from bustapi.serving import native, run, serve
from bustapi.serving.settings import SERVER_DEFAULTS, SETTINGS, Kind, read_variables
from live import DEADLINE, read_answer

#: Text and what it is read as, by what a setting holds.
TEXTS = {
    Kind.TEXT: ("localhost", "localhost"),
    Kind.PATH: ("some/socket", "some/socket"),
    Kind.COUNT: ("7", 7),
    Kind.SIZE: ("12k", 12 << 10),
    Kind.TIME: ("2.5", 2.5),
    Kind.FLAG: ("on", True),
    Kind.MODE: ("660", 0o660),
}


@pytest.fixture
def served(monkeypatch):
    """What reaches the server, in place of a server."""
    calls = []
    monkeypatch.setattr(run, "serve", lambda app, **options: calls.append(options))
    return calls


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for setting in SETTINGS.values():
        monkeypatch.delenv(setting.variable, raising=False)

    # A command leaves it set, and `app.run` does nothing then.
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "false")


def test_the_table_has_all_of_the_servers_settings():
    assert set(SERVER_DEFAULTS) <= set(SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))
def test_the_table_tells_the_kind_of_each_default(setting):
    value = SERVER_DEFAULTS.get(setting.name, setting.default)
    kinds = {bool: {Kind.FLAG}, float: {Kind.TIME}, int: {Kind.COUNT, Kind.SIZE}}
    kinds |= {str: {Kind.TEXT}, type(None): {Kind.SIZE, Kind.PATH, Kind.MODE}}
    assert setting.kind in kinds[type(value)]
    assert not (setting.is_native and setting.default is not None), "the server has the default"


@pytest.mark.parametrize("way", ["option", "variable", "flask variable", "keyword"])
@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_can_be_set_in_every_way(app, served, name, way):
    setting = SETTINGS[name]
    text, value = TEXTS[setting.kind]

    if way == "keyword":
        app.run(load_dotenv=False, **{name: value})
    else:
        group = FlaskGroup(create_app=lambda: app)
        arguments, variables = [], {}

        if way == "option":
            arguments = [setting.option, *([] if setting.kind is Kind.FLAG else [text])]
        elif way == "variable":
            variables = {setting.variable: text}
        else:
            variables = {f"FLASK_RUN_{name.upper()}": text}

        result = CliRunner().invoke(group, ["run", *arguments], env=variables)
        assert result.exit_code == 0, result.output

    assert served[0][name] == value


@pytest.mark.parametrize("name", SERVER_DEFAULTS)
def test_a_process_is_given_what_serve_is(app, monkeypatch, name):
    _, value = TEXTS[SETTINGS[name].kind]
    configs = []

    def bind(config, *arguments, **options):
        configs.append(config)
        raise OSError("there is no such address")

    monkeypatch.setattr(native, "bind", bind)

    with pytest.raises(OSError, match="no such address"):
        serve(app, host="", port=0, **{name: value})

    assert configs[0].values() == {**SERVER_DEFAULTS, name: value}


def test_a_variable_sets_what_app_run_is_not_told(app, served, monkeypatch):
    monkeypatch.setenv("BUSTAPI_WORKERS", "3")
    monkeypatch.setenv("BUSTAPI_MAX_HEADERS", "50")
    monkeypatch.setenv("BUSTAPI_PORT", "99")
    app.run(load_dotenv=False, max_headers=60)
    assert (served[0]["workers"], served[0]["max_headers"], served[0]["port"]) == (3, 60, 5000)


def test_a_variable_that_cannot_be_read_is_named(monkeypatch):
    monkeypatch.setenv("BUSTAPI_HEAD_TIMEOUT", "soon")
    with pytest.raises(ValueError, match="BUSTAPI_HEAD_TIMEOUT.*number of seconds, not 'soon'"):
        read_variables()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_body_size", "none", None),
        ("max_body_size", "0", 0),
        ("max_head_size", "1M", 1 << 20),
        ("max_head_size", "4096", 4096),
        ("head_timeout", "0", 0),
        ("access_log", "no", False),
    ],
)
def test_texts(name, text, value):
    assert SETTINGS[name].read(text) == value


@pytest.mark.parametrize(
    ("name", "value", "error", "says"),
    [
        ("max_head_size", "none", ValueError, "a number of bytes"),
        ("max_head_size", "k", ValueError, "a number of bytes"),
        ("max_head_size", "1t", ValueError, "a number of bytes"),
        ("max_head_size", "0", ValueError, "must be 1 to"),
        ("max_headers", -1, ValueError, "must be 1 to 10000, not -1"),
        ("max_headers", 10**30, ValueError, "must be 1 to 10000"),
        ("max_headers", -(10**30), ValueError, "must be 1 to 10000"),
        ("max_headers", 1.5, TypeError, "a whole number"),
        ("max_headers", b"1", TypeError, "bytes"),
        ("head_timeout", "nan", ValueError, "must be 0 to"),
        ("head_timeout", "inf", ValueError, "must be 0 to"),
        ("head_timeout", -0.1, ValueError, "must be 0 to"),
        ("head_timeout", True, TypeError, "a number of seconds"),
        ("access_log", "maybe", ValueError, "on or off"),
        ("access_log", 1, TypeError, "true or false"),
        ("workers", 0, ValueError, "1 or more"),
        ("workers", True, TypeError, "a whole number"),
        ("workers", "1.5", ValueError, "a whole number"),
        ("unix_socket", 5, TypeError, "must be text"),
    ],
)
def test_values_that_cannot_be_had(app, served, capfd, name, value, error, says):
    with pytest.raises(error, match=says):
        SETTINGS[name].read(value)

    # The setting is refused before a server is announced.
    with pytest.raises(error, match=says):
        app.run(load_dotenv=False, **{name: value})

    assert capfd.readouterr() == ("", "")
    assert not served


def test_an_unknown_keyword_is_refused_before_anything_is_announced(app, capfd):
    with pytest.raises(TypeError, match=r"run\(\) got .*'wrkers'\. Did you mean 'workers'\?"):
        app.run(load_dotenv=False, wrkers=2)

    with pytest.raises(TypeError, match=r"'use_reloadr'\. Did you mean 'use_reloader'\?"):
        app.run(load_dotenv=False, ssl_context="adhoc", use_reloadr=True)

    with pytest.raises(TypeError, match="unexpected keyword argument 'hostname'$"):
        app.run(load_dotenv=False, hostname="localhost")

    with pytest.raises(TypeError, match=r"serve\(\) got .*'max_heders'\. Did you mean"):
        serve(app, host="127.0.0.1", port=0, max_heders=2)

    with pytest.raises(TypeError, match="no setting `max_heders`"):
        _native.ServerConfig(max_heders=2)

    assert capfd.readouterr() == ("", "")


def test_who_replaces_run_simple_knows_its_arguments(app, monkeypatch):
    calls = []
    monkeypatch.setenv("BUSTAPI_WORKERS", "3")
    monkeypatch.setattr(werkzeug.serving, "run_simple", lambda *a, **options: calls.append(options))
    app.run(load_dotenv=False, own=1, processes=3, use_reloader=True)
    assert calls == [
        {"own": 1, "processes": 3, "use_reloader": True, "use_debugger": False, "threaded": True}
    ]


# --- what does not go together


def invoke(app, *arguments, **variables):
    group = FlaskGroup(create_app=lambda: app)
    variables["FLASK_RUN_FROM_CLI"] = None
    return CliRunner().invoke(group, ["run", *arguments], env=variables)


@pytest.mark.parametrize("other", [["--host", "localhost"], ["--port", "8000"]])
def test_two_addresses_are_refused(app, served, other):
    result = invoke(app, "--unix-socket", "socket", *other)
    assert result.exit_code == 2
    assert "'--unix-socket' stands in place of '--host' and '--port'" in result.output

    result = invoke(app, BUSTAPI_UNIX_SOCKET="socket", FLASK_RUN_PORT="80")
    assert result.exit_code == 2

    with pytest.raises(ValueError, match="unix_socket"):
        app.run("localhost", load_dotenv=False, unix_socket="socket")

    assert not served


def test_an_address_on_the_command_line_wins_over_the_environments(app, served):
    assert invoke(app, "--port", "80", BUSTAPI_UNIX_SOCKET="socket").exit_code == 0
    assert (served[0]["unix_socket"], served[0]["port"]) == (None, 80)
    assert invoke(app, "--unix-socket", "other", BUSTAPI_HOST="localhost").exit_code == 0
    assert served[1]["unix_socket"] == "other"


def test_a_reloader_and_workers_are_refused_together(app, served, capsys):
    result = invoke(app, "--reload", "--workers", "3")
    assert result.exit_code == 1
    assert "Error: a reloader cannot be had together with 3 workers." in result.output

    for workers in ({"workers": 2}, {"processes": 2}):
        with pytest.raises(SystemExit):
            app.run(load_dotenv=False, use_reloader=True, **workers)

    with pytest.raises(ValueError, match="only one worker"):
        serve(app, host="", port=0, reload=True, workers=2)

    assert not served
    # Debug mode asks for a reloader only where there can be one.
    result = invoke(app, "--debug", "--workers", "3")
    assert "Code changes restart nothing, as there are 3 workers" in result.output
    app.run(load_dotenv=False, debug=True, workers=2)
    assert "Code changes restart nothing" in capsys.readouterr().err
    assert [options["reload"] for options in served] == [False, False]
    assert invoke(app, "--reload").exit_code == 0
    assert served[2]["reload"]


# --- under the server


APP = """
from bustapi import Flask

app = Flask(__name__)


@app.post("/")
def index():
    return "index"
"""


@pytest.mark.parametrize("way", ["option", "variable", "app.run"])
def test_limits_reach_the_server(live_server, way):
    if way == "option":
        server = live_server(APP, "--max-headers", "3", "--keep-alive-timeout", "0.5")
    elif way == "variable":
        variables = {"BUSTAPI_MAX_HEADERS": "3", "FLASK_RUN_KEEP_ALIVE_TIMEOUT": "0.5"}
        server = live_server(APP, variables=variables)
    else:
        source = APP + "\napp.run(port=0, max_headers=3, keep_alive_timeout=0.5)\n"
        server = live_server(source, command=[sys.executable, "served.py"])

    with server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert read_answer(connection).text == "index"
        connection.settimeout(DEADLINE / 2)
        assert connection.recv(1) == b"", (
            "the connection is closed long before the 75 s of the default"
        )

    with server.connect() as connection:
        fields = b"".join(b"X-%d: 1\r\n" % number for number in range(4))
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
        assert read_answer(connection).status == 431


def test_an_option_that_is_misspelt_or_out_of_range(tmp_path):
    (tmp_path / "served.py").write_text(APP)

    for arguments, says in [
        (["--max-header", "3"], "--max-headers"),
        (["--max-headers", "0"], "`max_headers` must be 1 to 10000, not 0"),
        (["--drain-timeout", "soon"], "`drain_timeout` must be a number of seconds"),
    ]:
        ran = subprocess.run(
            [sys.executable, "-m", "bustapi", "--app", "served", "run", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert ran.returncode == 2
        assert says in ran.stderr
        assert "Running on" not in ran.stderr


def test_every_setting_is_listed_by_help(app):
    output = invoke(app, "--help").output
    assert [name for name, setting in SETTINGS.items() if setting.option not in output] == []
