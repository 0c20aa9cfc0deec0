"""The order of the steps of a request, and what each makes of what it gets."""

from __future__ import annotations

import asyncio
import builtins
import threading

import pytest
from werkzeug.exceptions import InternalServerError
from werkzeug.wrappers import Response as WerkzeugResponse

import bustapi
from bustapi import Blueprint, after_this_request, g, request, session
from bustapi.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    got_request_exception,
    request_finished,
    request_started,
    request_tearing_down,
)

SIGNALS = {
    "appcontext_pushed": appcontext_pushed,
    "request_started": request_started,
    "got_request_exception": got_request_exception,
    "request_finished": request_finished,
    "request_tearing_down": request_tearing_down,
    "appcontext_tearing_down": appcontext_tearing_down,
    "appcontext_popped": appcontext_popped,
}


@pytest.fixture
def steps(app):
    """What happens in an app with every kind of hook, in a nested blueprint."""
    steps = []
    outer = Blueprint("outer", "x")
    inner = Blueprint("inner", "x")

    def add_hooks(scope, name):
        def before(kind, index):
            def hook(*args):
                steps.append(f"{name} {kind} {index}")

            return hook

        def after(kind, index):
            def hook(value):
                steps.append(f"{name} {kind} {index}")
                return value

            return hook

        for index in (1, 2):
            scope.url_value_preprocessor(before("values", index))
            scope.before_request(before("before", index))
            scope.after_request(after("after", index))
            scope.teardown_request(after("teardown", index))

    add_hooks(app, "app")
    add_hooks(outer, "outer")
    add_hooks(inner, "inner")
    app.teardown_appcontext(lambda error: steps.append("teardown_appcontext"))

    @inner.get("/")
    def index():
        after_this_request(lambda response: steps.append("after_this") or response)
        steps.append("view")
        return "x"

    @inner.get("/fail")
    def fail():
        raise ZeroDivisionError

    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    return steps


def test_order_of_all_steps(app, client, steps):
    connected = []

    for name, signal in SIGNALS.items():

        def receiver(sender, name=name, **extra):
            steps.append(name)

        signal.connect(receiver, app)
        connected.append((signal, receiver))

    assert client.get("/").text == "x"
    assert steps == [
        "appcontext_pushed",
        "request_started",
        "app values 1",
        "app values 2",
        "outer values 1",
        "outer values 2",
        "inner values 1",
        "inner values 2",
        "app before 1",
        "app before 2",
        "outer before 1",
        "outer before 2",
        "inner before 1",
        "inner before 2",
        "view",
        "after_this",
        "inner after 2",
        "inner after 1",
        "outer after 2",
        "outer after 1",
        "app after 2",
        "app after 1",
        "request_finished",
        "inner teardown 2",
        "inner teardown 1",
        "outer teardown 2",
        "outer teardown 1",
        "app teardown 2",
        "app teardown 1",
        "request_tearing_down",
        "teardown_appcontext",
        "appcontext_tearing_down",
        "appcontext_popped",
    ]


def test_an_unhandled_error_skips_the_after_steps_and_gets_them_as_500(app, client, steps):
    with pytest.raises(ZeroDivisionError):
        client.get("/fail")

    assert not [step for step in steps if "after" in step]
    assert steps[-7:-1] == [
        "inner teardown 2",
        "inner teardown 1",
        "outer teardown 2",
        "outer teardown 1",
        "app teardown 2",
        "app teardown 1",
    ]
    steps.clear()
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert client.get("/fail").status_code == 500
    assert next(step for step in steps if "after" in step) == "inner after 2"


def test_not_found_takes_the_road(app, client, steps):
    assert client.get("/missing").status_code == 404
    assert steps == [
        "app values 1",
        "app values 2",
        "app before 1",
        "app before 2",
        "app after 2",
        "app after 1",
        "app teardown 2",
        "app teardown 1",
        "teardown_appcontext",
    ]


def test_before_request_can_answer(app, client):
    reached = []
    app.before_request(lambda: ("stopped", 418))
    app.before_request(lambda: reached.append("second"))
    app.add_url_rule("/", "index", lambda: reached.append("view"))
    response = client.get("/")
    assert (response.text, response.status_code, reached) == ("stopped", 418, [])


def test_before_request_runs_before_a_routing_error_is_raised(app, client):
    app.before_request(lambda: "caught" if request.routing_exception else None)
    assert client.get("/missing").text == "caught"


def test_hook_lists_may_be_changed_directly(app, client):
    app.add_url_rule("/", "index", lambda: g.get("a", "-"))
    assert client.get("/").text == "-"
    app.before_request_funcs[None].append(lambda: setattr(g, "a", "+"))
    assert client.get("/").text == "+"


def test_after_request_replaces_the_response(app, client):
    app.add_url_rule("/", "index", lambda: "old")
    app.after_request(lambda response: bustapi.Response("new", 201))
    response = client.get("/")
    assert (response.text, response.status_code) == ("new", 201)


def test_session_is_saved_after_the_hooks(app, client):
    app.add_url_rule("/", "index", lambda: "x")

    @app.after_request
    def change(response):
        session["changed"] = True
        return response

    client.get("/")

    with client.session_transaction() as stored:
        assert stored["changed"] is True


def test_g_does_not_reach_the_next_request(app, client):
    @app.get("/")
    def index():
        g.count = g.get("count", 0) + 1
        return str(g.count)

    assert [client.get("/").text for _ in range(3)] == ["1", "1", "1"]


# --- return values


@pytest.mark.parametrize(
    ("value", "status", "body", "headers"),
    [
        ("text", 200, b"text", {"Content-Type": "text/html; charset=utf-8"}),
        (b"bytes", 200, b"bytes", {}),
        (bytearray(b"array"), 200, b"array", {}),
        (("text", 201), 201, b"text", {}),
        (("text", "202 Fine"), 202, b"text", {}),
        (("text", {"X-A": "1"}), 200, b"text", {"X-A": "1"}),
        (("text", [("X-A", "1")]), 200, b"text", {"X-A": "1"}),
        (("text", 203, {"X-A": "1"}), 203, b"text", {"X-A": "1"}),
        (({"a": 1}, 201), 201, b'{"a":1}\n', {"Content-Type": "application/json"}),
        ([1, 2], 200, b"[1,2]\n", {"Content-Type": "application/json"}),
        (iter(["a", "b"]), 200, b"ab", {}),
        (WerkzeugResponse("w", 204), 204, b"", {"Content-Type": "text/plain; charset=utf-8"}),
    ],
)
def test_make_response(app, client, value, status, body, headers):
    app.add_url_rule("/", "index", lambda: value)
    response = client.get("/")
    assert response.status_code == status
    assert response.data == body

    for name, expected in headers.items():
        assert response.headers[name] == expected


def test_wsgi_application_as_return_value(app, client):
    def wsgi(environ, start_response):
        start_response("299 Own", [("X-From", "wsgi")])
        return [b"from wsgi"]

    app.add_url_rule("/", "index", lambda: wsgi)
    response = client.get("/")
    assert (response.status, response.text) == ("299 Own", "from wsgi")


def test_status_and_headers_are_added_to_a_response(app, client):
    response = bustapi.Response("x", headers={"X-A": "1", "X-B": "1"})
    app.add_url_rule("/", "index", lambda: (response, 201, {"X-B": "2"}))
    got = client.get("/")
    assert got.status_code == 201
    assert (got.headers["X-A"], got.headers.getlist("X-B")) == ("1", ["2"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "The view function for 'index' did not return a valid response"),
        (("a", 1, {}, 2), "did not return a valid response tuple"),
        (("a",), "did not return a valid response tuple"),
        (True, "but it was a bool"),
        ((None, 200), "either returned None"),
        (object, "but it was a type"),
    ],
)
def test_wrong_return_values(app, client, value, message):
    app.add_url_rule("/", "index", lambda: value)

    with pytest.raises(TypeError, match=message):
        client.get("/")


def test_own_response_class_is_used(app, client):
    class Response(bustapi.Response):
        default_mimetype = "text/plain"

    app.response_class = Response
    app.add_url_rule("/", "index", lambda: "x")
    assert client.get("/").mimetype == "text/plain"


# --- errors at the end of the steps


def test_error_in_after_request_of_an_error_is_logged(app, client, caplog):
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/", "index", lambda: 1 / 0)

    @app.after_request
    def fail(response):
        raise KeyError("after")

    assert client.get("/").status_code == 500
    assert "Request finalizing failed" in caplog.text


def test_original_exception_reaches_the_handler(app, client):
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/", "index", lambda: 1 / 0)

    @app.errorhandler(InternalServerError)
    def answer(error):
        return repr(error.original_exception), 500

    assert client.get("/").text == "ZeroDivisionError('division by zero')"


# --- coroutine functions


def test_async_view_and_hooks(app, client):
    steps = []

    @app.before_request
    async def before():
        await asyncio.sleep(0)
        g.user = "eve"
        steps.append("before")

    @app.after_request
    async def after(response):
        steps.append("after")
        return response

    @app.teardown_request
    async def teardown(error):
        steps.append("teardown")

    @app.get("/")
    async def index():
        await asyncio.sleep(0)
        return f"{g.user} {request.path}"

    @app.errorhandler(ZeroDivisionError)
    async def handle(error):
        return "handled"

    @app.get("/fail")
    async def fail():
        raise ZeroDivisionError

    assert client.get("/").text == "eve /"
    assert steps == ["before", "after", "teardown"]
    assert client.get("/fail").text == "handled"


def test_async_to_sync_can_be_overridden(client, app):
    called = []

    def own(func):
        def run(*args, **kwargs):
            called.append(func.__name__)
            return asyncio.run(func(*args, **kwargs))

        return run

    app.async_to_sync = own

    @app.get("/")
    async def index():
        return "x"

    assert client.get("/").text == "x"
    assert called == ["index"]


def test_async_without_asgiref(app, monkeypatch):
    real_import = builtins.__import__

    def no_asgiref(name, *args, **kwargs):
        if name.startswith("asgiref"):
            raise ImportError(name)

        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_asgiref)

    async def view():
        return "x"

    with pytest.raises(RuntimeError, match="Install Flask with the 'async' extra"):
        app.ensure_sync(view)


def test_ensure_sync_leaves_functions_alone(app):
    assert app.ensure_sync(len) is len


def test_requests_in_threads_do_not_meet(app):
    barrier = threading.Barrier(4, timeout=10)

    @app.get("/<name>")
    def index(name):
        g.name = name
        barrier.wait()
        return f"{g.name} {request.path}"

    answers = {}

    def ask(name):
        answers[name] = app.test_client().get(f"/{name}").text

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]

    for thread in threads:
        thread.start()

    for thread in threads:
        thread.join(10)

    assert answers == {name: f"{name} /{name}" for name in "abcd"}
