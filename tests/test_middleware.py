"""WSGI middlewares around an application, as WSGI and under the native server."""

from __future__ import annotations

import io

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.http_proxy import ProxyMiddleware
from werkzeug.middleware.lint import LintMiddleware
from werkzeug.middleware.profiler import ProfilerMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.middleware.shared_data import SharedDataMiddleware
from werkzeug.test import Client

import bustapi
from bustapi import request, url_for


@pytest.fixture
def shop():
    app = bustapi.Flask("shop", root_path=".", static_folder=None)
    app.secret_key = "shop"

    @app.get("/")
    def index():
        return {
            "remote": request.remote_addr,
            "scheme": request.scheme,
            "host": request.host,
            "root": request.script_root,
            "path": request.path,
            "url": request.url,
            "external": url_for("index", _external=True),
        }

    @app.get("/fails")
    def fails():
        raise ValueError("on purpose")

    @app.route("/echo", methods=["GET", "POST"])
    def echo():
        return request.get_data()

    @app.get("/stream")
    def stream():
        return (f"{i} " for i in range(3))

    return app


FORWARDED = {
    "X-Forwarded-For": "1.1.1.1, 2.2.2.2",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "outside.test",
    "X-Forwarded-Port": "8443",
    "X-Forwarded-Prefix": "/prefix",
}


def test_proxy_fix(shop):
    shop.wsgi_app = ProxyFix(shop.wsgi_app, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)
    answer = shop.test_client().get("/", headers=FORWARDED).json
    assert answer == {
        "remote": "2.2.2.2",
        "scheme": "https",
        "host": "outside.test:8443",
        "root": "/prefix",
        "path": "/",
        "url": "https://outside.test:8443/prefix/",
        "external": "https://outside.test:8443/prefix/",
    }


def test_without_proxy_fix_nothing_is_believed(shop):
    answer = shop.test_client().get("/", headers=FORWARDED).json
    assert answer["remote"] == "127.0.0.1"
    assert answer["url"] == "http://localhost/"


def test_dispatcher(shop):
    front = bustapi.Flask("front")
    front.add_url_rule("/", "index", lambda: url_for("index"))
    front.add_url_rule("/shopping", "shopping", lambda: "not the shop")
    front.wsgi_app = DispatcherMiddleware(front.wsgi_app, {"/shop": shop, "/plain": plain})
    client = front.test_client()
    assert client.get("/").text == "/"
    assert client.get("/shopping").text == "not the shop"
    assert client.get("/shop/").json["root"] == "/shop"
    assert client.get("/shop/").json["external"] == "http://localhost/shop/"
    assert client.post("/shop/echo", data="body").text == "body"
    assert client.get("/shop/missing").status_code == 404
    assert client.get("/plain/x").text == "/plain /x"


def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode()]


def test_dispatcher_alone():
    one, two = bustapi.Flask("one"), bustapi.Flask("two")

    for app in (one, two):
        app.add_url_rule("/", "index", lambda: bustapi.current_app.name)

    client = Client(DispatcherMiddleware(one, {"/two": two}))
    assert client.get("/").text == "one"
    assert client.get("/two/").text == "two"


def test_contexts_do_not_mix_between_mounted_apps(shop):
    outer = bustapi.Flask("outer")

    @outer.get("/")
    def index():
        bustapi.g.mine = 1
        inner = shop.test_client().get("/").json["path"]
        return [inner, bustapi.g.mine, bustapi.current_app.name]

    assert outer.test_client().get("/").json == ["/", 1, "outer"]


def test_shared_data(shop, tmp_path):
    (tmp_path / "a.txt").write_text("shared")
    shop.wsgi_app = SharedDataMiddleware(shop.wsgi_app, {"/shared": str(tmp_path)})
    client = shop.test_client()

    with client.get("/shared/a.txt") as response:
        assert response.text == "shared"

    assert client.get("/shared/b.txt").status_code == 404
    assert client.get("/").status_code == 200


def test_profiler(shop):
    profile = io.StringIO()
    shop.wsgi_app = ProfilerMiddleware(shop.wsgi_app, stream=profile)
    assert shop.test_client().get("/stream").text == "0 1 2 "
    assert "function calls" in profile.getvalue()


def test_proxy_leaves_other_paths(shop):
    targets = {"/out/": {"target": "http://out.invalid/"}}
    shop.wsgi_app = ProxyMiddleware(shop.wsgi_app, targets)
    assert shop.test_client().get("/echo").status_code == 200


@pytest.mark.parametrize("target", ["/", "/stream", "/missing", "/echo"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_the_app_keeps_to_wsgi(shop, method, target):
    """Werkzeug's checker warns, and so fails the test, where PEP 3333 is broken."""
    client = Client(LintMiddleware(shop))
    response = client.open(target, method=method)
    assert response.status_code in {200, 404}
    response.close()


def test_a_middleware_may_answer_itself(shop):
    def gate(environ, start_response):
        if environ.get("HTTP_X_KEY") != "key":
            start_response("401 UNAUTHORIZED", [("Content-Length", "0")])
            return []

        return shop_app(environ, start_response)

    shop_app = shop.wsgi_app
    shop.wsgi_app = gate
    client = shop.test_client()
    assert client.get("/").status_code == 401
    assert client.get("/", headers={"X-Key": "key"}).status_code == 200


def test_a_middleware_sees_exceptions(shop):
    seen = []

    def catch(environ, start_response):
        try:
            return shop_app(environ, start_response)
        except ValueError as e:
            seen.append(str(e))
            start_response("503 SERVICE UNAVAILABLE", [])
            return [b"later"]

    shop_app = shop.wsgi_app
    shop.wsgi_app = catch
    shop.config["PROPAGATE_EXCEPTIONS"] = True
    assert shop.test_client().get("/fails").status == "503 SERVICE UNAVAILABLE"
    assert seen == ["on purpose"]


LIVE = """
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from bustapi import Flask, jsonify, request, session, url_for

app = Flask(__name__)
app.secret_key = "live"
inner = Flask("inner")


@app.get("/")
def index():
    session["seen"] = True
    return jsonify(request.remote_addr, request.url, url_for("index", _external=True))


@inner.post("/echo/<name>")
def echo(name):
    return request.get_data() + f" {request.script_root} {name}".encode()


@inner.get("/stream")
def stream():
    return (f"{i} " for i in range(3))


app.wsgi_app = ProxyFix(
    DispatcherMiddleware(app.wsgi_app, {"/inner": inner}), x_for=1, x_proto=1, x_host=1, x_prefix=1
)
"""


def test_under_the_native_server(live_server):
    server = live_server(LIVE)
    answer = server.get("/", *FORWARDED.items())
    assert bustapi.json.loads(answer.text) == [
        "2.2.2.2",
        "https://outside.test/prefix/",
        "https://outside.test/prefix/",
    ]
    assert "Path=/" in answer.header("Set-Cookie")
    assert server.request("POST", "/inner/echo/x", b"body").text == "body /inner x"
    assert server.get("/inner/stream").text == "0 1 2 "
    assert server.get("/inner/missing").status == 404


LAZY = """
from bustapi import Blueprint, Flask


def late():
    return app.jinja_env.globals["made"]()


class App(Flask):
    def full_dispatch_request(self):
        if "late" not in self.blueprints:
            late = Blueprint("late", __name__)
            late.add_app_template_global(lambda: "made late", "made")
            self.register_blueprint(late)

        return super().full_dispatch_request()


def lazily(app):
    wsgi_app = app.wsgi_app

    def wrapped(environ, start_response):
        if "lazy" not in app.blueprints:
            lazy = Blueprint("lazy", __name__)
            lazy.add_url_rule("/lazy", view_func=lambda: "set up")
            app.register_blueprint(lazy)

        return wsgi_app(environ, start_response)

    app.wsgi_app = wrapped


"""


@pytest.mark.parametrize(
    ("made", "target", "text"),
    [
        ("app = Flask(__name__)\nlazily(app)", "/lazy", "set up"),
        (
            "app = App(__name__)\napp.add_url_rule('/', view_func=late)",
            "/",
            "made late",
        ),
    ],
    ids=["around wsgi_app", "around full_dispatch_request"],
)
def test_what_stands_around_a_step_may_set_up_before_it(live_server, made, target, text):
    server = live_server(LAZY + made)
    answer = server.get(target)
    assert (answer.status, answer.text) == (200, text), server.log
    assert server.get(target).text == text
