from __future__ import annotations

import asyncio
import functools

import pytest

from bustapi import request, session
from bustapi.views import MethodView, View, http_method_funcs


def answer(client, path, methods):
    """Which of the methods a path answers, and how."""
    found = {}

    for method in methods:
        response = client.open(path, method=method)

        if response.status_code != 405:
            found[method] = response.text

    return found


def test_a_view_gets_rule_arguments_and_its_own(app, client):
    class Show(View):
        def __init__(self, prefix, *, end):
            self.prefix = prefix
            self.end = end

        def dispatch_request(self, name):
            return f"{self.prefix}{name}{self.end}"

    app.add_url_rule("/<name>", view_func=Show.as_view("show", "<", end=">"))
    assert client.get("/x").text == "<x>"
    assert client.post("/x").status_code == 405


def test_the_view_function_says_what_it_is_of():
    class Show(View):
        """Shows."""

        methods = ["PUT"]
        provide_automatic_options = False

        def dispatch_request(self):
            return ""

    view = Show.as_view("show")
    assert view.__name__ == "show"
    assert view.__doc__ == "Shows."
    assert view.__module__ == __name__
    assert view.view_class is Show
    assert view.methods == ["PUT"]
    assert view.provide_automatic_options is False


def test_a_base_view_does_not_answer(app):
    with app.test_request_context(), pytest.raises(NotImplementedError):
        View.as_view("base")()


@pytest.mark.parametrize(("every_request", "instances"), [(True, 2), (False, 1)])
def test_instances(app, client, every_request, instances):
    made = []

    class Show(View):
        init_every_request = every_request

        def __init__(self):
            made.append(self)

        def dispatch_request(self):
            return ""

    app.add_url_rule("/", view_func=Show.as_view("show"))
    client.get("/")
    client.get("/")
    assert len(made) == instances


def test_the_class_can_be_replaced_on_the_view_function(app, client):
    class Show(View):
        def dispatch_request(self):
            return type(self).__name__

    class Other(Show):
        pass

    view = Show.as_view("show")
    view.view_class = Other
    app.add_url_rule("/", view_func=view)
    assert client.get("/").text == "Other"


def test_decorators_apply_the_first_one_innermost(app, client):
    names = []

    def wrap(mark):
        def decorate(f):
            names.append(f.__name__)

            @functools.wraps(f)
            def wrapper(**kwargs):
                return f"{mark}({f(**kwargs)})"

            return wrapper

        return decorate

    class Show(View):
        decorators = [wrap("a"), wrap("b")]

        def dispatch_request(self):
            return "x"

    view = Show.as_view("show")
    assert view.__name__ == "show"
    assert names == ["show", "show"]
    app.add_url_rule("/", view_func=view)
    assert client.get("/").text == "b(a(x))"


def test_a_decorators_result_gets_the_attributes():
    class Show(View):
        methods = ["POST"]
        decorators = [lambda f: lambda **kwargs: f(**kwargs)]

        def dispatch_request(self):
            return ""

    view = Show.as_view("show")
    assert (view.__name__, view.view_class, view.methods) == ("show", Show, ["POST"])


def test_a_method_view_answers_what_it_defines(app, client):
    class Item(MethodView):
        def get(self, id):
            return f"get {id}"

        def propfind(self, id):
            return "not an HTTP method that is looked for"

        def delete(self, id):
            return f"delete {id}"

    assert Item.methods == {"GET", "DELETE"}
    app.add_url_rule("/<int:id>", view_func=Item.as_view("item"))
    assert answer(client, "/3", ["GET", "POST", "PUT", "DELETE", "PROPFIND"]) == {
        "GET": "get 3",
        "DELETE": "delete 3",
    }


def test_head_falls_back_on_get(app, client):
    class Item(MethodView):
        def get(self):
            return "body", {"X-Method": request.method}

    class WithHead(Item):
        def head(self):
            return "", {"X-Method": "explicit"}

    app.add_url_rule("/plain", view_func=Item.as_view("plain"))
    app.add_url_rule("/explicit", view_func=WithHead.as_view("explicit"))
    response = client.head("/plain")
    assert (response.data, response.headers["X-Method"]) == (b"", "HEAD")
    assert client.head("/explicit").headers["X-Method"] == "explicit"


def test_methods_are_inherited():
    class Readable:
        def get(self):
            return ""

    class Named:
        methods = ["PROPFIND"]

    class Base(MethodView):
        def post(self):
            return ""

    class Both(Readable, Named, Base):
        def put(self):
            return ""

    class Nothing(MethodView):
        pass

    assert Both.methods == {"GET", "POST", "PUT", "PROPFIND"}
    assert Base.methods == {"POST"}
    assert Nothing.methods is None


def test_methods_that_are_given_stay():
    class Given(MethodView):
        methods = ["GET"]

        def get(self):
            return ""

        def post(self):
            return ""

    assert Given.methods == ["GET"]


def test_a_method_without_function_is_a_mistake(app):
    class Given(MethodView):
        methods = ["GET", "PUT"]

        def get(self):
            return ""

    app.add_url_rule("/", view_func=Given.as_view("given"))
    app.testing = True

    with pytest.raises(AssertionError, match="^Unimplemented method 'PUT'$"):
        app.test_client().put("/")


def test_options_are_answered_unless_told_otherwise(app, client):
    class Automatic(MethodView):
        def get(self):
            return ""

    class Manual(Automatic):
        provide_automatic_options = False

    class Own(Automatic):
        def options(self):
            return "own"

    for view in (Automatic, Manual, Own):
        app.add_url_rule(f"/{view.__name__}", view_func=view.as_view(view.__name__))

    response = client.options("/Automatic")
    assert response.status_code == 200
    assert sorted(response.allow) == ["GET", "HEAD", "OPTIONS"]
    assert client.options("/Manual").status_code == 405
    assert client.options("/Own").text == "own"


def test_coroutine_methods(app, client):

    class Single(View):
        async def dispatch_request(self):
            await asyncio.sleep(0)
            return request.path

    class Several(MethodView):
        async def post(self):
            await asyncio.sleep(0)
            return request.method

    app.add_url_rule("/single", view_func=Single.as_view("single"))
    app.add_url_rule("/several", view_func=Several.as_view("several"))
    assert client.get("/single").text == "/single"
    assert client.post("/several").text == "POST"


def test_a_view_uses_the_session(app, client):
    app.secret_key = "k"

    class Counter(MethodView):
        def get(self):
            return {"count": session.get("count", 0)}

        def post(self):
            session["count"] = session.get("count", 0) + 1
            return self.get()

    app.add_url_rule("/", view_func=Counter.as_view("counter"))
    assert client.post("/").json == {"count": 1}
    assert client.post("/").json == {"count": 2}
    assert client.get("/").json == {"count": 2}


def test_the_names_of_methods():
    assert sorted(http_method_funcs) == [
        "delete",
        "get",
        "head",
        "options",
        "patch",
        "post",
        "put",
        "trace",
    ]
