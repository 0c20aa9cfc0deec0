"""Which error handler answers, and what becomes of an error that none answers."""

from __future__ import annotations

import pytest
from werkzeug.exceptions import (
    BadRequestKeyError,
    Forbidden,
    HTTPException,
    InternalServerError,
    NotFound,
)
from werkzeug.routing import RequestRedirect

import bustapi
from bustapi import Blueprint, abort, request
from bustapi.debughelpers import FormDataRoutingRedirect


class ShopError(Exception):
    pass


class SoldOut(ShopError):
    pass


@pytest.fixture(autouse=True)
def _no_propagation(app):
    app.config["PROPAGATE_EXCEPTIONS"] = False


def raising(error):
    def view():
        raise error

    return view


def answering(name):
    return lambda error: (name, 299)


@pytest.mark.parametrize(
    ("registered", "raised", "expected"),
    [
        ([404], NotFound(), "404"),
        ([NotFound], NotFound(), "NotFound"),
        ([HTTPException], NotFound(), "HTTPException"),
        # A code comes before a class, however near.
        ([HTTPException, 404], NotFound(), "404"),
        ([Exception], SoldOut(), "Exception"),
        ([Exception, ShopError], SoldOut(), "ShopError"),
        ([SoldOut, ShopError], SoldOut(), "SoldOut"),
        # HTTP exceptions are exceptions.
        ([Exception], Forbidden(), "Exception"),
        ([Exception, HTTPException], Forbidden(), "HTTPException"),
        # 500 is for what nothing else takes.
        ([500], SoldOut(), "500"),
        ([500, ShopError], SoldOut(), "ShopError"),
        ([InternalServerError], SoldOut(), "InternalServerError"),
    ],
)
def test_which_handler_answers(app, client, registered, raised, expected):
    for key in registered:
        name = str(key) if isinstance(key, int) else key.__name__
        app.register_error_handler(key, answering(name))

    app.add_url_rule("/", "index", raising(raised))
    assert client.get("/").text == expected


def test_blueprint_handlers_come_first(app, client):
    outer = Blueprint("outer", "x", url_prefix="/outer")
    inner = Blueprint("inner", "x", url_prefix="/inner")
    app.register_error_handler(ShopError, answering("app"))
    outer.register_error_handler(ShopError, answering("outer"))
    inner.register_error_handler(SoldOut, answering("inner"))

    for scope in (app, outer, inner):
        scope.add_url_rule("/sold-out", "sold_out", raising(SoldOut()))
        scope.add_url_rule("/shop", "shop", raising(ShopError()))

    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    paths = ["/sold-out", "/outer/sold-out", "/outer/inner/sold-out", "/outer/inner/shop"]
    assert [client.get(path).text for path in paths] == ["app", "outer", "inner", "outer"]


def test_blueprint_does_not_answer_for_unknown_urls(app, client):
    blueprint = Blueprint("b", "x", url_prefix="/b")
    blueprint.register_error_handler(404, answering("blueprint"))
    blueprint.app_errorhandler(403)(answering("all"))
    app.register_blueprint(blueprint)
    app.add_url_rule("/forbidden", "forbidden", lambda: abort(403))
    assert client.get("/b/missing").status_code == 404
    assert client.get("/forbidden").text == "all"


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (999, ValueError, "'999' is not a recognized HTTP error code"),
        (int, ValueError, "'int' is not a subclass of Exception"),
        (KeyboardInterrupt, ValueError, "not a subclass of Exception"),
        (NotFound(), TypeError, "is an instance, not a class"),
    ],
)
def test_keys_that_are_refused(app, key, error, message):
    with pytest.raises(error, match=message):
        app.register_error_handler(key, answering("x"))


def test_error_in_a_handler(app, client):
    app.register_error_handler(404, raising(ShopError()))
    assert client.get("/missing").status_code == 500


def test_http_exception_without_code_is_no_error(app, client):
    response = bustapi.Response("through", 202)
    error = HTTPException(response=response)
    app.register_error_handler(HTTPException, answering("handler"))
    app.add_url_rule("/", "index", raising(error))
    assert client.get("/").text == "through"


def test_redirect_of_routing_is_no_error(app, client):
    app.add_url_rule("/slash/", "slash", lambda: "x")
    app.register_error_handler(Exception, answering("handler"))
    assert client.get("/slash").status_code == 308


def test_trap_http_exceptions(app, client):
    app.add_url_rule("/", "index", lambda: abort(403))
    assert client.get("/").status_code == 403
    app.config.update(TRAP_HTTP_EXCEPTIONS=True, PROPAGATE_EXCEPTIONS=True)

    with pytest.raises(Forbidden):
        client.get("/")


@pytest.mark.parametrize(
    ("trap", "debug", "propagates"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, False)],
)
def test_trap_bad_request_errors(app, client, trap, debug, propagates):
    app.config.update(TRAP_BAD_REQUEST_ERRORS=trap, DEBUG=debug, PROPAGATE_EXCEPTIONS=True)
    app.add_url_rule("/", "index", lambda: request.form["missing"], methods=["POST"])

    if propagates:
        with pytest.raises(BadRequestKeyError, match="missing"):
            client.post("/")
    else:
        response = client.post("/")
        assert response.status_code == 400
        assert ("missing" in response.text) is debug


@pytest.mark.parametrize(
    ("testing", "debug", "configured", "propagates"),
    [
        (False, False, None, False),
        (True, False, None, True),
        (False, True, None, True),
        (True, True, False, False),
        (False, False, True, True),
    ],
)
def test_when_exceptions_propagate(app, client, testing, debug, configured, propagates):
    app.config.update(TESTING=testing, DEBUG=debug, PROPAGATE_EXCEPTIONS=configured)
    app.add_url_rule("/", "index", raising(SoldOut("secret")))

    if propagates:
        with pytest.raises(SoldOut):
            client.get("/")
    else:
        response = client.get("/")
        assert response.status_code == 500
        assert "secret" not in response.text


def test_redirect_that_would_lose_a_form_explains_itself(app, client, monkeypatch):
    app.config.update(DEBUG=True, PROPAGATE_EXCEPTIONS=True)
    app.add_url_rule("/slash/", "slash", lambda: "x", methods=["GET", "POST"])
    monkeypatch.setattr(RequestRedirect, "code", 301)
    assert client.get("/slash").status_code == 301

    with pytest.raises(FormDataRoutingRedirect, match="canonical URL"):
        client.post("/slash", data={"a": "b"})


def test_got_request_exception_is_sent_once(app, client):
    seen = []

    def receive(sender, exception):
        seen.append(type(exception))

    bustapi.got_request_exception.connect(receive, app)
    app.add_url_rule("/", "index", raising(SoldOut()))
    app.add_url_rule("/handled", "handled", lambda: abort(404))
    client.get("/")
    client.get("/handled")
    assert seen == [SoldOut]


def test_subclass_can_decide(client):
    class App(bustapi.Flask):
        def handle_user_exception(self, e):
            return f"user {type(e).__name__}"

        def handle_exception(self, e):
            return bustapi.Response(f"last {type(e).__name__}", 500)

    app = App("x")
    app.add_url_rule("/", "index", raising(SoldOut()))
    app.after_request(lambda response: response)
    assert app.test_client().get("/").text == "user SoldOut"
    # What it returns is still made a response of, and None cannot be.
    app.handle_user_exception = lambda e: None
    assert app.test_client().get("/").text == "last TypeError"
