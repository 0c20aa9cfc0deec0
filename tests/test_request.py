from __future__ import annotations

import pytest
from werkzeug.exceptions import BadRequest, BadRequestKeyError, RequestEntityTooLarge
from werkzeug.test import EnvironBuilder

import bustapi
from bustapi import Request, request
from bustapi.exceptions import DebugFilesKeyError

# --- routing


def test_what_routing_found(app, client):
    blueprint = bustapi.Blueprint("inner", __name__)
    outer = bustapi.Blueprint("outer", __name__, url_prefix="/outer")

    def show(id):
        return {
            "endpoint": request.endpoint,
            "blueprint": request.blueprint,
            "blueprints": request.blueprints,
            "view_args": request.view_args,
            "rule": str(request.url_rule),
        }

    blueprint.add_url_rule("/<int:id>", view_func=show)
    outer.register_blueprint(blueprint)
    app.register_blueprint(outer)
    app.add_url_rule("/<int:id>", view_func=show)
    assert client.get("/outer/3").json == {
        "endpoint": "outer.inner.show",
        "blueprint": "outer.inner",
        "blueprints": ["outer.inner", "outer"],
        "view_args": {"id": 3},
        "rule": "/outer/<int:id>",
    }
    assert client.get("/3").json == {
        "endpoint": "show",
        "blueprint": None,
        "blueprints": [],
        "view_args": {"id": 3},
        "rule": "/<int:id>",
    }


def test_what_routing_did_not_find(app):
    with app.test_request_context("/missing"):
        assert request.url_rule is None
        assert request.endpoint is None
        assert request.view_args is None
        assert request.blueprints == []
        assert request.routing_exception.code == 404


# --- limits


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("max_content_length", None),
        ("max_form_memory_size", 500_000),
        ("max_form_parts", 1_000),
    ],
)
def test_limits_come_from_the_request_then_the_config(app, name, default):
    assert getattr(Request(EnvironBuilder().get_environ()), name) == default

    with app.test_request_context():
        assert getattr(request, name) == default
        app.config[name.upper()] = 9
        assert getattr(request, name) == 9
        setattr(request, name, 5)
        assert getattr(request, name) == 5
        setattr(request, name, None)
        assert getattr(request, name) == 9


def test_a_class_may_set_a_limit(app):
    class Own(Request):
        max_content_length = 3

    app.request_class = Own
    app.config["MAX_CONTENT_LENGTH"] = 100

    with (
        app.test_request_context(method="POST", data=b"1234"),
        pytest.raises(RequestEntityTooLarge),
    ):
        request.get_data()


def test_a_view_may_lift_the_limit(app, client):
    app.config["MAX_CONTENT_LENGTH"] = 3

    @app.post("/strict")
    def strict():
        return request.get_data()

    @app.post("/lifted")
    def lifted():
        request.max_content_length = 10
        return request.get_data()

    assert client.post("/strict", data=b"1234").status_code == 413
    assert client.post("/lifted", data=b"1234").data == b"1234"
    assert client.post("/lifted", data=b"1" * 11).status_code == 413


def test_form_limits(app, client):
    @app.post("/")
    def index():
        return dict(request.form)

    app.config["MAX_FORM_MEMORY_SIZE"] = 1000
    multipart = {"content_type": "multipart/form-data"}
    assert client.post("/", data={"a": "1" * 800}, **multipart).status_code == 200
    assert client.post("/", data={"a": "1" * 1001}, **multipart).status_code == 413
    app.config["MAX_FORM_PARTS"] = 2
    assert client.post("/", data={"a": "1", "b": "2"}, **multipart).status_code == 200
    assert client.post("/", data=dict.fromkeys("abc", "1"), **multipart).status_code == 413


# --- errors


@pytest.mark.parametrize("debug", [False, True])
def test_json_that_cannot_be_read(app, debug):
    app.debug = debug

    with (
        app.test_request_context(method="POST", data="{", content_type="application/json"),
        pytest.raises(BadRequest) as caught,
    ):
        request.get_json()

    detail = "Failed to decode JSON object" in str(caught.value)
    assert detail is debug
    # Without the detail the cause is still there for logs.
    assert isinstance(caught.value.__cause__, BadRequest) is not debug


def test_json_that_is_nested_too_deeply(app):
    body = b"[" * 100_000
    context = app.test_request_context(method="POST", data=body, content_type="application/json")

    with context:
        assert request.get_json(silent=True) is None

        with pytest.raises(BadRequest):
            _ = request.json

        app.debug = True

        with pytest.raises(BadRequest, match="recursion depth"):
            request.get_json(cache=False)

    # Who asks the parser itself has the parser's error.
    with pytest.raises(RecursionError):
        app.json.loads(body)


def test_json_of_another_media_type(app, client):
    @app.post("/")
    def index():
        return request.json

    assert client.post("/", data="{}").status_code == 415


def test_a_file_sent_as_a_field_is_explained_in_debug_mode(app):
    app.debug = True

    with app.test_request_context(method="POST", data={"photo": "me.png"}):
        with pytest.raises(DebugFilesKeyError) as caught:
            request.files["photo"]

        assert str(caught.value) == (
            "You tried to access the file 'photo' in the request.files dictionary but it does"
            " not exist. The mimetype for the request is"
            " 'application/x-www-form-urlencoded' instead of 'multipart/form-data' which"
            " means that no file contents were transmitted. To fix this error you should"
            ' provide enctype="multipart/form-data" in your form.\n\n'
            "The browser instead transmitted some file names. This was submitted: 'me.png'"
        )

        with pytest.raises(BadRequestKeyError):
            request.files["other"]

        assert type(request.files).__name__ == "ImmutableMultiDict"


def test_a_missing_file_is_a_bad_request_otherwise(app):
    with (
        app.test_request_context(method="POST", data={"photo": "me.png"}),
        pytest.raises(BadRequestKeyError),
    ):
        request.files["photo"]


def test_the_apps_class_is_used(app, client):
    class Own(Request):
        greeting = "hi"

    app.request_class = Own

    @app.get("/")
    def index():
        return request.greeting

    assert client.get("/").text == "hi"
