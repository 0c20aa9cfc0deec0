"""The application: registering, configuration, URLs, files, WSGI and serving."""

from __future__ import annotations

import gc
import importlib.metadata
import inspect
import io
import socket
import sys
import weakref
from datetime import timedelta

import pytest
import werkzeug.serving
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BuildError
from werkzeug.test import run_wsgi_app

import bustapi
from bustapi import request, session, url_for
from bustapi.logging import default_handler
from bustapi.serving import run

# --- names


def test_both_names_are_one_class():
    assert bustapi.BustAPI is bustapi.Flask
    assert bustapi.Flask.__name__ == "Flask"


def test_version_is_that_of_the_flask_api():
    with pytest.warns(DeprecationWarning, match="'__version__' attribute is deprecated"):
        assert bustapi.__version__ == "3.1.3"


def test_own_version_is_there_too():
    try:
        expected = importlib.metadata.version("bustapi")
    except importlib.metadata.PackageNotFoundError:
        expected = "0+source"

    assert bustapi.__bustapi_version__ == expected


def test_unknown_name_of_the_package():
    with pytest.raises(AttributeError):
        bustapi.no_such_name  # noqa: B018


def test_name_of_a_script_is_its_file(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/srv/shop.py", raising=False)
    assert bustapi.Flask("__main__", root_path="/srv").name == "shop"
    monkeypatch.delattr(sys.modules["__main__"], "__file__")
    assert bustapi.Flask("__main__", root_path="/srv").name == "__main__"


# --- setup


def test_relative_instance_path_is_refused():
    with pytest.raises(ValueError, match="must be absolute"):
        bustapi.Flask("x", instance_path="instance")


def test_instance_relative_config(tmp_path):
    app = bustapi.Flask("x", instance_path=str(tmp_path), instance_relative_config=True)
    assert app.config.root_path == str(tmp_path)


def test_setup_after_the_first_request_is_refused(app, client):
    client.get("/")

    with pytest.raises(AssertionError, match="'add_url_rule' can no longer be called"):
        app.add_url_rule("/late", view_func=str)

    with pytest.raises(AssertionError, match="'before_request'"):
        app.before_request(str)


def test_endpoint_of_another_function_is_refused(app):
    app.add_url_rule("/", "index", lambda: "a")

    with pytest.raises(AssertionError, match="existing endpoint function: index"):
        app.add_url_rule("/b", "index", lambda: "b")


def test_methods_must_not_be_a_string(app):
    with pytest.raises(TypeError, match="list of strings"):
        app.route("/", methods="POST")(str)


@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "patch"])
def test_method_decorators(app, client, method):
    getattr(app, method)("/")(lambda: method)

    with pytest.raises(TypeError, match="Use the 'route' decorator"):
        getattr(app, method)("/x", methods=["GET"])

    assert client.open("/", method=method.upper()).text == method
    assert client.open("/", method="DELETE" if method != "delete" else "PUT").status_code == 405


def test_automatic_options(app, client):
    @app.route("/", methods=["GET", "POST"])
    def index():
        return "never for OPTIONS"

    @app.route("/own", methods=["GET", "OPTIONS"])
    def own():
        return request.method

    response = client.options("/")
    assert response.text == ""
    assert response.allow.as_set() == {"get", "head", "options", "post"}
    assert client.options("/own").text == "OPTIONS"


def test_automatic_options_can_be_configured_away(app, client):
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.add_url_rule("/", "index", lambda: "")
    assert client.options("/").status_code == 405


def test_view_function_says_what_it_wants(app, client):
    def view():
        return request.method

    view.methods = ["PUT"]
    view.required_methods = ["TRACE"]
    view.provide_automatic_options = False
    app.add_url_rule("/", view_func=view)
    assert client.put("/").text == "PUT"
    assert client.open("/", method="TRACE").text == "TRACE"
    assert client.get("/").status_code == 405
    assert client.options("/").status_code == 405


def test_endpoint_decorator(app, client):
    app.add_url_rule("/", endpoint="later")

    @app.endpoint("later")
    def view():
        return request.endpoint

    assert client.get("/").text == "later"


def test_swapped_view_function_is_called(app, client):
    app.add_url_rule("/", "index", lambda: "old")
    assert client.get("/").text == "old"
    app.view_functions["index"] = lambda: "new"
    assert client.get("/").text == "new"


def test_lifetime_may_be_in_seconds(app):
    app.config["PERMANENT_SESSION_LIFETIME"] = 60
    assert app.permanent_session_lifetime == timedelta(seconds=60)


def test_setting_debug_reloads_templates(app):
    app.debug = True
    assert app.config["DEBUG"] is True
    assert app.jinja_env.auto_reload is True


@pytest.mark.parametrize(
    ("name", "escaped"), [(None, True), ("a.html", True), ("a.svg", True), ("a.txt", False)]
)
def test_autoescape(app, name, escaped):
    assert app.select_jinja_autoescape(name) is escaped


def test_template_decorators(app):
    @app.template_filter()
    def backwards(s):
        return s[::-1]

    @app.template_filter("up")
    def upper(s):
        return s.upper()

    @app.template_test()
    def answer(n):
        return n == 42

    @app.template_global("twice")
    def double(n):
        return n * 2

    with app.app_context():
        template = "{{ 'ab'|backwards }} {{ 'x'|up }} {{ 42 is answer }} {{ twice(3) }}"
        assert bustapi.render_template_string(template) == "ba X True 6"


# --- files


def test_static_files(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "a.txt").write_text("file")
    app = bustapi.Flask("x", root_path=str(tmp_path), static_folder="assets")
    client = app.test_client()

    with client.get("/assets/a.txt") as response:
        assert response.text == "file"
        assert response.cache_control.no_cache is True

    assert client.get("/assets/../x.py").status_code == 404
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = timedelta(hours=1)

    with client.get("/assets/a.txt") as response:
        assert response.cache_control.max_age == 3600


def test_static_host_needs_host_matching():
    with pytest.raises(AssertionError, match="Invalid static_host"):
        bustapi.Flask("x", static_host="static.test")

    app = bustapi.Flask("x", static_host="static.test", host_matching=True)
    (rule,) = app.url_map.iter_rules("static")
    assert rule.host == "static.test"


def test_no_static_folder(app):
    app = bustapi.Flask("x", static_folder=None)
    assert not app.has_static_folder
    assert app.static_folder is None
    assert app.static_url_path is None

    with pytest.raises(RuntimeError, match="'static_folder' must be set"):
        app.send_static_file("a")


def test_open_resource(tmp_path):
    app = bustapi.Flask("x", root_path=str(tmp_path), instance_path=str(tmp_path / "i"))
    (tmp_path / "a").write_text("grün", encoding="utf-8")

    with app.open_resource("a") as f:
        assert f.read() == "grün".encode()

    with app.open_resource("a", "r", "utf-8") as f:
        assert f.read() == "grün"

    with pytest.raises(ValueError, match="only be opened for reading"):
        app.open_resource("a", "w")

    (tmp_path / "i").mkdir()

    with app.open_instance_resource("b", "w") as f:
        f.write("ü")

    with app.open_instance_resource("b", "rb") as f:
        assert f.read() == "ü".encode()


# --- URLs


def test_url_for_in_a_request(app, client):
    @app.get("/")
    def index():
        return " ".join(
            [
                url_for("index"),
                url_for("item", number=3, q="a b"),
                url_for("index", _external=True),
                url_for("index", _scheme="https"),
                url_for("index", _anchor="x y/z"),
            ]
        )

    app.add_url_rule("/item/<int:number>", "item", str)
    assert client.get("/").text.split(" ") == [
        "/",
        "/item/3?q=a+b",
        "http://localhost/",
        "https://localhost/",
        "/#x%20y/z",
    ]


def test_url_for_outside_of_a_request(app):
    app.add_url_rule("/", "index", str)

    with app.app_context(), pytest.raises(RuntimeError, match="'SERVER_NAME'"):
        url_for("index")

    with pytest.raises(RuntimeError, match="'SERVER_NAME'"):
        app.url_for("index")

    app.config.update(
        SERVER_NAME="shop.test", APPLICATION_ROOT="/root", PREFERRED_URL_SCHEME="https"
    )
    assert app.url_for("index") == "https://shop.test/root/"

    with app.app_context():
        assert url_for("index") == "https://shop.test/root/"
        assert url_for("index", _external=False) == "/root/"


def test_scheme_needs_external(app):
    app.add_url_rule("/", "index", str)

    with app.test_request_context(), pytest.raises(ValueError, match="'_external' must be True"):
        url_for("index", _scheme="https", _external=False)


def test_url_defaults_and_value_preprocessor(app, client):
    @app.url_value_preprocessor
    def take(endpoint, values):
        bustapi.g.language = values.pop("language", "?")

    @app.url_defaults
    def add(endpoint, values):
        values.setdefault("language", bustapi.g.language)

    @app.get("/<language>/")
    def index():
        return url_for("about")

    app.add_url_rule("/<language>/about", "about", str)
    assert client.get("/de/").text == "/de/about"


def test_build_error_handlers(app):
    error = BuildError("x", {}, None)
    seen = []
    app.url_build_error_handlers.append(lambda e, endpoint, values: seen.append(values))

    with app.test_request_context():
        with pytest.raises(BuildError, match="'missing'"):
            url_for("missing", a=1, _anchor="b")

        assert seen == [
            {"a": 1, "_anchor": "b", "_method": None, "_scheme": None, "_external": False}
        ]

        def other(e, endpoint, values):
            raise error

        app.url_build_error_handlers.append(other)

        with pytest.raises(BuildError) as caught:
            url_for("missing")

        assert caught.value is error
        app.url_build_error_handlers.append(lambda *args: "/found")
        assert url_for("missing") == "/found"


def test_redirect_is_of_the_response_class(app):
    with app.app_context():
        response = bustapi.redirect("/x", 303)

    assert type(response) is bustapi.Response
    assert (response.status_code, response.location) == (303, "/x")


def test_trusted_hosts(app, client):
    app.config["TRUSTED_HOSTS"] = [".shop.test"]
    app.add_url_rule("/", "index", lambda: "ok")
    assert client.get("/", base_url="http://www.shop.test").text == "ok"
    assert client.get("/", base_url="http://other.test").status_code == 400


def test_host_and_subdomain_matching():
    app = bustapi.Flask("x", host_matching=True, static_folder=None)
    app.add_url_rule("/", "a", lambda: "a", host="a.test")
    app.add_url_rule("/", "b", lambda: "b", host="b.test")
    client = app.test_client()
    assert client.get("/", base_url="http://a.test").text == "a"
    assert client.get("/", base_url="http://b.test").text == "b"

    app = bustapi.Flask("x", subdomain_matching=True, static_folder=None)
    app.config["SERVER_NAME"] = "shop.test"
    app.add_url_rule("/", "sub", lambda user: user, subdomain="<user>")
    assert app.test_client().get("/", subdomain="eve").text == "eve"


# --- WSGI


def test_wsgi_middleware_is_called(app):
    app.wsgi_app = ProxyFix(app.wsgi_app)

    @app.get("/")
    def index():
        return f"{request.remote_addr} {request.scheme}"

    headers = {"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https"}
    assert app.test_client().get("/", headers=headers).text == "10.0.0.1 https"


def test_dispatcher_middleware(app):
    app.add_url_rule("/x", "x", lambda: f"{request.script_root} {url_for('x')}")
    dispatcher = DispatcherMiddleware(lambda environ, start: [b""], {"/shop": app})
    environ = app.test_request_context("/shop/x").request.environ
    body, status, _ = run_wsgi_app(dispatcher, environ)
    assert status == "200 OK"
    assert b"".join(body) == b"/shop /shop/x"


def test_replaced_steps_are_called(app, client, monkeypatch):
    app.add_url_rule("/", "index", lambda: "view")
    app.dispatch_request = lambda: "instance"
    assert client.get("/").text == "instance"
    del app.dispatch_request
    monkeypatch.setattr(bustapi.Flask, "preprocess_request", lambda self: "class")
    assert client.get("/").text == "class"


def test_call_goes_through_the_class(app, client, monkeypatch):
    def call(self, environ, start_response):
        environ["SEEN"] = "yes"
        return self.wsgi_app(environ, start_response)

    monkeypatch.setattr(bustapi.Flask, "__call__", call)
    app.add_url_rule("/", "index", lambda: request.environ.get("SEEN", "no"))
    assert client.get("/").text == "yes"


def test_teardown_of_an_aborted_request(app):
    seen = []
    app.teardown_request(seen.append)

    @app.get("/")
    def index():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        app.test_client().get("/")

    assert [type(error) for error in seen] == [KeyboardInterrupt]


def test_ignored_error_is_kept_from_teardown(app):
    seen = []
    app.teardown_request(seen.append)
    app.should_ignore_error = lambda error: isinstance(error, ZeroDivisionError)
    app.add_url_rule("/", "index", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/")

    assert seen == [None]


def test_app_is_freed_without_the_collector():
    gc.disable()

    try:
        app = bustapi.Flask("x")

        @app.get("/")
        def index():
            return "x"

        assert app.test_client().get("/").text == "x"
        assert app.asgi.application is app
        ref = weakref.ref(app)
        del app, index
        assert ref() is None
    finally:
        gc.enable()


def test_exceptions_of_two_apps_stay_apart():
    """An app inside another's request: contexts and error handlers are its own."""
    inner = bustapi.Flask("inner")
    inner.register_error_handler(404, lambda e: ("inner 404", 404))
    outer = bustapi.Flask("outer")
    outer.secret_key = "x"

    @outer.get("/")
    def index():
        session["a"] = 1
        text = inner.test_client().get("/missing").text
        return f"{text} {bustapi.current_app.name} {session['a']}"

    assert outer.test_client().get("/").text == "inner 404 outer 1"


def test_not_found_and_method_not_allowed(app, client):
    app.add_url_rule("/", "index", str, methods=["POST"])
    assert client.get("/nowhere").status_code == 404
    response = client.get("/")
    assert response.status_code == 405
    assert response.allow.as_set() == {"post", "options"}


def test_shell_context(app):
    app.shell_context_processor(lambda: {"answer": 42})
    assert app.make_shell_context() == {"app": app, "g": bustapi.g, "answer": 42}


# --- run


@pytest.fixture
def served(monkeypatch):
    """The calls of a `run_simple` that replaces Werkzeug's."""
    calls = []
    monkeypatch.setattr(
        werkzeug.serving, "run_simple", lambda *args, **options: calls.append((args, options))
    )
    return calls


def test_run_calls_a_replaced_run_simple(app, served):
    app.run("0.0.0.0", "81", debug=True, load_dotenv=False, ssl_context="adhoc")
    assert served == [
        (
            ("0.0.0.0", 81, app),
            {
                "use_reloader": True,
                "use_debugger": True,
                "threaded": True,
                "ssl_context": "adhoc",
            },
        )
    ]


@pytest.mark.parametrize(
    ("server_name", "port", "expected"),
    [
        (None, None, ("127.0.0.1", 5000)),
        ("shop.test:81", None, ("shop.test", 81)),
        ("shop.test:81", 0, ("shop.test", 0)),
        ("shop.test", 82, ("shop.test", 82)),
    ],
)
def test_run_takes_the_server_name(app, served, server_name, port, expected):
    app.config["SERVER_NAME"] = server_name
    app.run(port=port, load_dotenv=False)
    assert served[0][0][:2] == expected


def test_run_in_the_command_line_does_nothing(app, served, monkeypatch, capsys):
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    app.run()
    assert served == []
    assert "Ignoring a call to 'app.run()'" in capsys.readouterr().out


def test_run_again_allows_setup(app, served, client):
    client.get("/")
    app.run(load_dotenv=False)
    app.add_url_rule("/later", "later", str)


@pytest.fixture
def natively(monkeypatch):
    """The calls of the native server, which returns at once."""
    calls = []
    monkeypatch.setattr(run, "serve", lambda app, **options: calls.append((app, options)))
    return calls


def test_run_serves_natively(app, natively):
    app.run(port=0, load_dotenv=False, workers=2, extra_files=["a"])
    ((served_app, options),) = natively
    assert served_app is app
    assert options == {
        "host": "127.0.0.1",
        "port": 0,
        "workers": 2,
        "threads": None,
        "reload": False,
        "debug": False,
        "unix_socket": None,
        "extra_files": ["a"],
    }


def test_run_on_a_unix_socket_with_one_thread(app, natively):
    app.run("unix:///run/app.sock", load_dotenv=False, threaded=False, processes=3)
    options = natively[0][1]
    assert options["unix_socket"] == "/run/app.sock"
    assert (options["threads"], options["workers"]) == (1, 3)


def test_debug_serves_behind_the_debugger(app, monkeypatch):
    seen = []

    def serve(served_app, **options):
        seen.append((type(served_app.wsgi_app).__name__, options["debug"], options["reload"]))
        assert "shop.test" in served_app.wsgi_app.trusted_hosts

    monkeypatch.setattr(run, "serve", serve)
    app.run("shop.test", debug=True, load_dotenv=False)
    assert seen == [("DebuggedApplication", True, True)]
    assert "wsgi_app" not in vars(app)


def test_middleware_survives_the_debugger(app, monkeypatch):
    app.wsgi_app = middleware = ProxyFix(app.wsgi_app)
    monkeypatch.setattr(run, "serve", lambda app, **options: None)
    app.run(debug=True, load_dotenv=False)
    assert app.wsgi_app is middleware


def test_what_only_werkzeug_serves_goes_there(app, natively, monkeypatch):
    calls = []
    monkeypatch.setattr(run, "_werkzeug_run_simple", lambda *args, **options: calls.append(options))

    with pytest.warns(RuntimeWarning, match="only it supports ssl_context"):
        run.serve_app("127.0.0.1", 0, app, ssl_context="adhoc")

    assert natively == []
    assert calls == [{"ssl_context": "adhoc"}]


def test_what_no_one_server_can_do_is_one_line(app, natively, capsys):
    with pytest.raises(SystemExit) as ended:
        run.serve_app("127.0.0.1", 0, app, ssl_context="adhoc", workers=2, access_log=True)

    assert (ended.value.code, natively) == (1, [])
    assert capsys.readouterr().err == (
        "Error: access_log, workers cannot be had: Werkzeug's development server, which does not"
        " know that, is needed, as only it supports ssl_context.\n"
    )


def test_a_port_in_use_is_told_with_advice(app, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(SystemExit) as stopped:
            app.run(port=port, load_dotenv=False)

    assert stopped.value.code == 1
    error, advice = capsys.readouterr().err.splitlines()
    assert error == f"Error: cannot listen on 127.0.0.1:{port}: Address already in use."
    assert "--port" in advice


def test_signature_has_flasks_parameters_first():
    parameters = list(inspect.signature(bustapi.Flask.__call__).parameters)
    assert parameters[:3] == ["self", "environ", "start_response"]


def test_errors_stream_is_that_of_the_request(app):
    errors = io.StringIO()
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/", "index", lambda: 1 / 0)
    # The handler that an application gets by itself, unless there are others, as pytest's.
    app.logger.addHandler(default_handler)
    response = app.test_client().get("/", errors_stream=errors)
    app.logger.removeHandler(default_handler)
    assert response.status_code == 500
    assert "ERROR in app: Exception on / [GET]" in errors.getvalue()
    assert "ZeroDivisionError" in errors.getvalue()
    assert "ZeroDivisionError" not in response.text


def test_aborter_class(app):
    class Aborter(bustapi.Flask.aborter_class):
        def __call__(self, code, *args, **kwargs):
            raise NotFound("mine")

    app.aborter = Aborter()

    with app.app_context(), pytest.raises(NotFound, match="mine"):
        bustapi.abort(500)
