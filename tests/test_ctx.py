from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest
import werkzeug.exceptions
from greenlet import greenlet

import bustapi
from bustapi import current_app, g, request, session
from bustapi.ctx import AppContext, RequestContext
from bustapi.globals import _cv_app, _cv_request, app_ctx, request_ctx

# --- globals


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("current_app", "application"),
        ("g", "application"),
        ("app_ctx", "application"),
        ("request", "request"),
        ("session", "request"),
        ("request_ctx", "request"),
    ],
)
def test_proxies_without_a_context(name, kind):
    proxy = getattr(bustapi.globals, name)
    assert not proxy

    with pytest.raises(RuntimeError, match=f"^Working outside of {kind} context.\n"):
        _ = proxy.anything

    with pytest.raises(RuntimeError, match=f"Working outside of {kind} context"):
        proxy._get_current_object()


def test_the_messages_tell_what_to_do():
    with pytest.raises(RuntimeError) as caught:
        _ = g.x

    assert str(caught.value) == (
        "Working outside of application context.\n\n"
        "This typically means that you attempted to use functionality that needed\n"
        "the current application. To solve this, set up an application context\n"
        "with app.app_context(). See the documentation for more information."
    )

    with pytest.raises(RuntimeError) as caught:
        _ = request.path

    assert str(caught.value) == (
        "Working outside of request context.\n\n"
        "This typically means that you attempted to use functionality that needed\n"
        "an active HTTP request. Consult the documentation on testing for\n"
        "information about how to avoid this problem."
    )


def test_the_variables_hold_the_very_contexts(app):
    context = app.test_request_context()
    assert _cv_request.get(None) is None

    with context:
        assert _cv_request.get() is context
        assert request_ctx._get_current_object() is context
        assert _cv_app.get() is app_ctx._get_current_object()
        assert current_app._get_current_object() is app
        assert request._get_current_object() is context.request
        assert request_ctx
        assert g is not None

    assert not request_ctx
    assert not app_ctx


def test_has_context(app):
    assert not bustapi.has_app_context()
    assert not bustapi.has_request_context()

    with app.app_context():
        assert bustapi.has_app_context()
        assert not bustapi.has_request_context()

        with app.test_request_context():
            assert bustapi.has_request_context()

        assert not bustapi.has_request_context()

    assert not bustapi.has_app_context()


# --- g


def test_g_is_a_namespace(app):
    with app.app_context():
        g.a = 1
        assert g.a == 1
        assert "a" in g
        assert "b" not in g
        assert list(g) == ["a"]
        assert g.get("a") == 1
        assert g.get("b") is None
        assert g.get("b", 2) == 2
        assert g.setdefault("a", 5) == 1
        assert g.setdefault("c") is None
        assert g.pop("a") == 1
        assert g.pop("a", 9) == 9
        assert g.pop("a", None) is None
        del g.c
        assert list(g) == []

        with pytest.raises(KeyError):
            g.pop("a")

        with pytest.raises(AttributeError, match="^a$"):
            _ = g.a

        with pytest.raises(AttributeError, match="^a$"):
            del g.a


def test_the_repr_of_g(app):
    assert repr(g) == "<LocalProxy unbound>"

    with app.app_context() as context:
        assert repr(g) == f"<flask.g of '{app.name}'>"
        inside = context.g

    assert repr(inside).startswith("<bustapi.ctx._AppCtxGlobals object at ")


def test_g_does_not_leak_into_the_next_request(app, client):
    @app.get("/")
    def index():
        seen = list(g)
        g.mark = 1
        return seen

    assert client.get("/").json == []
    assert client.get("/").json == []


def test_the_class_of_g(app):
    class Own:
        def greet(self):
            return "hi"

    app.app_ctx_globals_class = Own

    with app.app_context():
        assert g.greet() == "hi"


# --- app contexts


def test_an_app_context_is_torn_down_once(app):
    seen = []
    app.teardown_appcontext(lambda exc: seen.append((exc, bool(current_app))))
    context = app.app_context()
    context.push()
    context.push()
    context.pop()
    assert seen == []
    context.pop()
    assert seen == [(None, True)]


def test_teardown_hears_of_the_error(app):
    seen = []
    app.teardown_appcontext(seen.append)
    error = LookupError()

    with pytest.raises(LookupError), app.app_context():
        raise error

    assert seen == [error]

    # Without an argument it is the error being handled, if any.
    context = app.app_context()
    context.push()

    try:
        raise error
    except LookupError:
        context.pop()

    context.push()

    try:
        raise error
    except LookupError:
        context.pop(None)

    assert seen == [error, error, None]


def test_contexts_are_popped_in_order(app):
    outer, inner = app.app_context(), app.app_context()
    outer.push()
    inner.push()

    with pytest.raises(AssertionError) as caught:
        outer.pop()

    assert str(caught.value) == f"Popped wrong app context. ({inner!r} instead of {outer!r})"
    inner._cv_tokens.clear()
    assert not app_ctx


def test_an_error_in_teardown_pops_the_context(app):
    @app.teardown_appcontext
    def teardown(exc):
        raise LookupError("teardown")

    with pytest.raises(LookupError), app.app_context():
        pass

    assert not app_ctx


def test_nested_apps(app):
    other = bustapi.Flask("other")

    with app.app_context():
        g.mark = "outer"

        with other.app_context():
            assert current_app.name == "other"
            assert "mark" not in g

        assert g.mark == "outer"


def test_url_for_needs_a_server_name(app):
    with app.app_context(), pytest.raises(RuntimeError, match="SERVER_NAME"):
        bustapi.url_for("x")


# --- request contexts


def test_a_request_brings_its_app_along(app):
    other = bustapi.Flask("other")

    with app.app_context() as context:
        g.mark = 1

        with app.test_request_context():
            # The app is current already: its context, and its g, are shared.
            assert app_ctx._get_current_object() is context
            assert g.mark == 1

        with other.test_request_context():
            assert current_app.name == "other"

        assert current_app.name == app.name


def test_a_context_is_made_of_an_environ(app):
    environ = {
        "REQUEST_METHOD": "PUT",
        "PATH_INFO": "/x",
        "SERVER_NAME": "h",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }
    context = RequestContext(app, environ)
    assert isinstance(context.request, app.request_class)
    assert context.request.json_module is app.json
    assert context.request.environ is environ
    assert context.flashes is None
    assert context.url_adapter is not None
    assert repr(context) == f"<RequestContext 'http://h/x' [PUT] of {app.name}>"
    # Nothing was routed before the push.
    assert context.request.url_rule is None


def test_pushing_opens_the_session_and_routes(app):
    app.secret_key = "k"
    app.add_url_rule("/<int:id>", endpoint="item")
    context = app.test_request_context("/3")

    with pytest.raises(AssertionError, match=r"^The session has not yet been opened\.$"):
        _ = context.session

    with context:
        assert request.endpoint == "item"
        assert request.view_args == {"id": 3}
        assert context._session is not None
        assert not context._session.accessed
        assert session.get("a") is None
        assert context._session.accessed


def test_the_session_is_opened_once(app):
    app.secret_key = "k"
    context = app.test_request_context()

    with context:
        session["a"] = 1

        with context:
            assert session["a"] == 1


def test_a_session_that_is_given_is_used(app):
    given = app.session_interface.session_class({"a": 1})
    context = RequestContext(app, app.test_request_context().request.environ, session=given)

    with context:
        assert session._get_current_object() is given


def test_matching_can_be_overridden(app):
    class Own(RequestContext):
        def match_request(self):
            super().match_request()
            self.request.matched_by = "own"

    with Own(app, app.test_request_context("/").request.environ):
        assert request.matched_by == "own"
        assert isinstance(request.routing_exception, werkzeug.exceptions.NotFound)


def test_a_host_that_cannot_be_bound_is_an_error_of_the_request(app):
    class Own(bustapi.Flask):
        def create_url_adapter(self, request):
            if request is not None:
                raise werkzeug.exceptions.BadRequest("which host?")

            return

    own = Own("own")

    with own.test_request_context() as context:
        assert context.url_adapter is None
        assert own.full_dispatch_request().status_code == 400


def test_a_request_is_torn_down_once(app):
    seen = []
    app.teardown_request(lambda exc: seen.append(("request", exc)))
    app.teardown_appcontext(lambda exc: seen.append(("app", exc)))
    error = LookupError()
    context = app.test_request_context()

    with pytest.raises(LookupError), context, context:
        raise error

    assert seen == [("request", error), ("app", error)]


def test_popping_closes_uploads_and_clears_the_environ(app):
    closed = []

    class Own(bustapi.Request):
        def close(self):
            closed.append(bool(request))
            super().close()

    app.request_class = Own

    with app.test_request_context() as context:
        assert context.request.environ["werkzeug.request"] is context.request

    assert closed == [True]
    assert context.request.environ["werkzeug.request"] is None


def test_request_contexts_are_popped_in_order(app):
    outer, inner = app.test_request_context("/outer"), app.test_request_context("/inner")
    outer.push()
    inner.push()

    with pytest.raises(AssertionError) as caught:
        outer.pop()

    assert str(caught.value).startswith("Popped wrong request context. (<RequestContext")
    assert "/inner" in str(caught.value)
    assert "instead of <RequestContext 'http://localhost/outer'" in str(caught.value)
    assert not request


def test_a_session_that_cannot_be_opened_leaves_no_context(app):
    class Failing(app.session_interface.__class__):
        def open_session(self, app, request):
            raise LookupError("store is down")

    app.session_interface = Failing()
    app.testing = True

    with pytest.raises(LookupError, match="store is down"):
        app.test_client().get("/")

    assert not request
    assert not current_app


def test_contexts_are_freed_without_the_garbage_collector(app):
    # Routed somewhere: an error's traceback would hold the context.
    app.add_url_rule("/", endpoint="index")
    gc.collect()
    gc.disable()

    try:
        context = app.test_request_context()

        with context:
            g.itself = app_ctx._get_current_object()
            del g.itself

        gone = [weakref.ref(context), weakref.ref(context.request)]
        del context
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()


# --- functions of the current request


def test_after_this_request(app, client):
    @app.get("/")
    def index():
        @bustapi.after_this_request
        def first(response):
            response.headers["X-First"] = request.path
            return response

        @bustapi.after_this_request
        def second(response):
            return app.response_class("replaced", headers=response.headers)

        return "x"

    @app.get("/other")
    def other():
        return "x"

    response = client.get("/")
    assert response.text == "replaced"
    assert response.headers["X-First"] == "/"
    assert "X-First" not in client.get("/other").headers


@pytest.mark.parametrize(
    "function", [bustapi.after_this_request, bustapi.copy_current_request_context]
)
def test_functions_of_a_request_need_one(app, function):
    with app.app_context(), pytest.raises(RuntimeError) as caught:
        function(lambda response: response)

    assert str(caught.value) == (
        f"'{function.__name__}' can only be used when a request context is active,"
        " such as in a view function."
    )


def test_a_copied_context_runs_in_another_greenlet(app, client):
    app.secret_key = "k"
    greenlets = []

    @app.get("/")
    def index():
        session["a"] = 1

        @bustapi.copy_current_request_context
        def work():
            """Works."""
            return f"{request.args['q']} {session['a']} {current_app.name}"

        assert (work.__name__, work.__doc__) == ("work", "Works.")
        greenlets.append(greenlet(work))
        return ""

    client.get("/?q=1")
    assert not request
    assert greenlets[0].run() == f"1 1 {app.name}"
    assert not request


def test_a_copied_context_runs_in_another_thread(app):
    seen = []

    with app.test_request_context("/x"):
        inherited = threading.Thread(target=lambda: seen.append(bool(request)))
        inherited.start()
        inherited.join()

        @bustapi.copy_current_request_context
        def work():
            seen.append(request.path)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    assert seen == [False, "/x"]


def test_a_copy_shares_request_and_session(app):
    app.secret_key = "k"

    with app.test_request_context() as context:
        copy = context.copy()
        assert copy is not context
        assert copy.request is context.request

        with copy:
            assert session._get_current_object() is context._session


def test_asyncio_tasks_see_their_own_context(app):
    async def task(number):
        with app.test_request_context(f"/{number}"):
            await asyncio.sleep(0)
            return request.path

    async def main():
        return await asyncio.gather(*(task(n) for n in range(5)))

    assert asyncio.run(main()) == [f"/{n}" for n in range(5)]
    assert not request


def test_context_classes_are_exported():
    assert bustapi.ctx.AppContext is AppContext
    assert bustapi.ctx.RequestContext is RequestContext
