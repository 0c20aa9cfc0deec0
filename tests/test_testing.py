"""The test client, the builder of requests, and the runner of commands."""

from __future__ import annotations

import importlib.metadata

import click
import pytest
import werkzeug.test
from werkzeug.wrappers import Request as WerkzeugRequest

import bustapi
from bustapi import Blueprint, current_app, g, request, session
from bustapi.cli import ScriptInfo
from bustapi.globals import _cv_request
from bustapi.testing import EnvironBuilder, FlaskClient, FlaskCliRunner


def url_of(app, *args, **kwargs):
    with app.test_request_context(*args, **kwargs):
        return request.url


@pytest.mark.parametrize(
    ("args", "kwargs", "url"),
    [
        ((), {}, "https://shop.test/root/"),
        (("/a?b=c",), {}, "https://shop.test/root/a?b=c"),
        (("/",), {"subdomain": "www"}, "https://www.shop.test/root/"),
        (("/",), {"url_scheme": "http"}, "http://shop.test/root/"),
        (("http://other.test/x",), {}, "http://other.test/root/x"),
        (("/x",), {"base_url": "http://base.test/r"}, "http://base.test/r/x"),
        (("/x", "http://base.test/"), {}, "http://base.test/x"),
        (("/x",), {"query_string": {"a": "1"}}, "https://shop.test/root/x?a=1"),
    ],
)
def test_urls_of_requests(app, args, kwargs, url):
    app.config.update(
        SERVER_NAME="shop.test", APPLICATION_ROOT="/root", PREFERRED_URL_SCHEME="https"
    )
    assert url_of(app, *args, **kwargs) == url


@pytest.mark.parametrize("extra", [{"subdomain": "a"}, {"url_scheme": "https"}])
def test_base_url_excludes_its_parts(app, extra):
    with pytest.raises(AssertionError, match="Cannot pass"):
        app.test_request_context("/", base_url="http://a.test", **extra)


def test_json_of_the_application(app, client):
    class Provider(bustapi.Flask.json_provider_class):
        def dumps(self, obj, **kwargs):
            return '"own"'

    app.json = Provider(app)
    app.add_url_rule("/", "index", lambda: request.get_data(), methods=["POST"])
    assert client.post("/", json={"a": 1}).data == b'"own"'


def test_json_of_responses(app, client):
    app.add_url_rule("/", "index", lambda: {"a": 1})
    response = client.get("/")
    assert response.json == {"a": 1}
    assert response.json_module is app.json


def test_environ_base(app, client):
    app.add_url_rule("/", "index", lambda: f"{request.remote_addr} {request.user_agent}")
    version = importlib.metadata.version("werkzeug")
    assert client.get("/").text == f"127.0.0.1 Werkzeug/{version}"
    client.environ_base["REMOTE_ADDR"] = "10.0.0.1"
    assert client.get("/").text.startswith("10.0.0.1 ")
    other = {"REMOTE_ADDR": "10.0.0.2"}
    assert client.get("/", environ_base=other).text.startswith("10.0.0.2 ")
    assert client.get("/", environ_overrides=other).text.startswith("10.0.0.2 ")


def test_what_open_takes(app, client):
    app.add_url_rule("/x", "x", lambda: f"{request.args['a']} {request.remote_addr}")
    builder = EnvironBuilder(app, "/x?a=1")
    assert client.open(builder).text == "1 127.0.0.1"
    assert "REMOTE_ADDR" not in (builder.environ_base or {})
    assert client.open(builder.get_environ()).text == "1 127.0.0.1"
    assert client.open(WerkzeugRequest(builder.get_environ())).text == "1 127.0.0.1"
    assert client.open(werkzeug.test.EnvironBuilder("/x?a=2")).text == "2 127.0.0.1"


def test_follow_redirects(app, client):
    app.add_url_rule("/a", "a", lambda: bustapi.redirect("/b"))
    app.add_url_rule("/b", "b", lambda: "end")
    assert client.get("/a").status_code == 302
    response = client.get("/a", follow_redirects=True)
    assert (response.text, len(response.history)) == ("end", 1)


# --- contexts


def test_contexts_are_kept_in_a_with_block(app):
    @app.get("/<name>")
    def index(name):
        g.name = name
        return ""

    with app.test_client() as client:
        client.get("/a")
        assert (request.path, g.name, current_app.name) == ("/a", "a", app.name)
        client.get("/b")
        assert (request.path, g.name) == ("/b", "b")

    assert not request
    assert not current_app
    assert _cv_request.get(None) is None


def test_contexts_of_redirects_are_kept(app):
    app.add_url_rule("/a", "a", lambda: bustapi.redirect("/b"))
    app.add_url_rule("/b", "b", lambda: "end")

    with app.test_client() as client:
        client.get("/a", follow_redirects=True)
        assert request.path == "/b"

    assert not current_app


def test_with_blocks_do_not_nest(client):
    with client, pytest.raises(RuntimeError, match="Cannot nest client invocations"):
        client.__enter__()


def test_context_of_an_error_is_kept(app):
    app.add_url_rule("/", "index", lambda: 1 / 0)

    with app.test_client() as client, pytest.raises(ZeroDivisionError):
        client.get("/")

    assert not request


# --- sessions


def test_session_transaction(app, client):
    app.add_url_rule("/", "index", lambda: str(session.get("a")))

    with client.session_transaction() as stored:
        stored["a"] = 1

    assert client.get("/").text == "1"

    with client.session_transaction() as stored:
        assert stored["a"] == 1
        del stored["a"]

    assert client.get("/").text == "None"


def test_session_transaction_for_another_path(app, client):
    app.config.update(SESSION_COOKIE_PATH="/shop")
    app.add_url_rule("/shop/", "index", lambda: str(session.get("a")))

    with client.session_transaction("/shop/") as stored:
        stored["a"] = 1

    assert client.get("/shop/").text == "1"


def test_session_transaction_within_a_kept_context(app):
    app.add_url_rule("/", "index", lambda: "")

    with app.test_client() as client:
        client.get("/")
        current = request._get_current_object()

        with client.session_transaction() as stored:
            stored["a"] = 1

        assert request._get_current_object() is current


def test_session_transaction_needs_cookies(app):
    client = app.test_client(use_cookies=False)

    with pytest.raises(TypeError, match="Cookies are disabled"), client.session_transaction():
        pass


def test_session_transaction_needs_a_session(app, client):
    class NoSession(bustapi.sessions.SessionInterface):
        def open_session(self, app, request):
            return None

    app.session_interface = NoSession()

    with pytest.raises(RuntimeError, match="did not open a session"), client.session_transaction():
        pass


# --- classes


def test_client_class(app):
    class Client(FlaskClient):
        def __init__(self, *args, **kwargs):
            self.user = kwargs.pop("user")
            super().__init__(*args, **kwargs)

        def _request_from_builder_args(self, args, kwargs):
            kwargs.setdefault("headers", {})["X-User"] = self.user
            return super()._request_from_builder_args(args, kwargs)

    app.test_client_class = Client
    app.add_url_rule("/", "index", lambda: request.headers["X-User"])
    client = app.test_client(user="eve")
    assert type(client) is Client
    assert client.get("/").text == "eve"


def test_subdomain_of_a_blueprint():
    app = bustapi.Flask("x", subdomain_matching=True)
    app.config["SERVER_NAME"] = "shop.test"
    blueprint = Blueprint("b", "x", subdomain="<user>")
    blueprint.add_url_rule("/", "index", lambda user: user)
    app.register_blueprint(blueprint)
    assert app.test_client().get("/", subdomain="eve").text == "eve"


# --- commands


def test_cli_runner(app):
    @app.cli.command("hello")
    @click.argument("name")
    def hello(name):
        click.echo(f"{name} {current_app.name}")

    runner = app.test_cli_runner()
    assert type(runner) is FlaskCliRunner
    assert runner.invoke(args=["hello", "eve"]).output == "eve bustapi_test\n"
    assert runner.invoke(hello, ["bob"]).output == "bob bustapi_test\n"


def test_cli_runner_with_another_object(app):
    other = bustapi.Flask("other")
    app.cli.add_command(click.Command("name", callback=None))

    @app.cli.command("who")
    def who():
        click.echo(current_app.name)

    info = ScriptInfo(create_app=lambda: other)
    assert app.test_cli_runner().invoke(args=["who"], obj=info).output == "other\n"


def test_cli_runner_class(app):
    class Runner(FlaskCliRunner):
        pass

    app.test_cli_runner_class = Runner
    assert type(app.test_cli_runner()) is Runner
