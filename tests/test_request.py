from __future__ import annotations

import gc
import io
import weakref

import pytest
from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import BadRequest, BadRequestKeyError, RequestEntityTooLarge
from werkzeug.test import EnvironBuilder

import bustapi
from bustapi import Request, request
from bustapi.exceptions import DebugFilesKeyError


class Raw:
    """What the native server hands over, made of an environ. Counts what is read."""

    def __init__(self, **kwargs):
        self._environ = EnvironBuilder(**kwargs).get_environ()
        self._request = Request(dict(self._environ))
        self.read = []

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        self.read.append(name)
        return getattr(self._request, name)

    def environ(self):
        self.read.append("environ")
        return self._environ


# --- a request that was parsed natively


@pytest.mark.parametrize(
    "name",
    [
        "method",
        "scheme",
        "server",
        "root_path",
        "path",
        "query_string",
        "remote_addr",
        "shallow",
        "args",
        "host",
        "url",
        "base_url",
        "root_url",
        "full_path",
        "access_route",
        "cookies",
        "content_type",
        "content_length",
        "mimetype",
        "form",
        "is_json",
        "user_agent",
    ],
)
def test_a_raw_request_reads_as_one_of_an_environ(name):
    kwargs = {
        "method": "POST",
        "path": "/a b/é",
        "base_url": "https://shop.test:8443/mount/",
        "query_string": "q=1&q=2&r=%C3%A9",
        "headers": {"Cookie": "a=1; b=2", "User-Agent": "x/1"},
        "environ_base": {"REMOTE_ADDR": "192.0.2.1"},
        "data": {"field": "value"},
    }
    plain = Request(EnvironBuilder(**kwargs).get_environ())
    raw = Request._from_raw(Raw(**kwargs))

    if name == "user_agent":
        assert raw.user_agent.string == plain.user_agent.string == "x/1"
    else:
        assert getattr(raw, name) == getattr(plain, name)


def test_what_nobody_reads_is_not_converted():
    raw = Raw(path="/x")
    wrapped = Request._from_raw(raw)
    wrapped.url_rule = None
    assert wrapped.path == wrapped.path == "/x"
    assert wrapped.endpoint is None
    assert raw.read == ["path"]
    assert wrapped.method == "GET"
    assert raw.read == ["path", "method"]


def test_paths_are_normalised_as_werkzeug_does():
    raw = Raw()
    raw._request.path = "//x"
    raw._request.root_path = "/mount/"
    raw._request.method = "get"
    wrapped = Request._from_raw(raw)
    assert (wrapped.path, wrapped.root_path, wrapped.method) == ("/x", "/mount", "GET")


def test_the_environ_is_made_once_and_names_the_request():
    raw = Raw()
    wrapped = Request._from_raw(raw)
    assert wrapped.environ is wrapped.environ
    assert wrapped.environ["werkzeug.request"] is wrapped
    assert raw.read == ["environ"]


def test_headers_follow_the_environ():
    wrapped = Request._from_raw(Raw(headers={"X-One": "1"}))
    assert isinstance(wrapped.headers, EnvironHeaders)
    assert wrapped.headers["X-One"] == "1"
    wrapped.environ["HTTP_X_TWO"] = "2"
    assert wrapped.headers["x-two"] == "2"


def test_a_raw_body_is_read_from_the_environ():
    wrapped = Request._from_raw(Raw(method="POST", json={"a": 1}))
    assert wrapped.json == {"a": 1}
    assert wrapped.get_data() == b'{"a": 1}'
    upload = Request._from_raw(
        Raw(method="POST", data={"f": (io.BytesIO(b"content"), "f.txt"), "k": "v"})
    )
    assert upload.form.to_dict() == {"k": "v"}
    assert upload.files["f"].read() == b"content"
    upload.close()


def test_attributes_of_a_raw_request_can_be_assigned():
    wrapped = Request._from_raw(Raw(path="/x"))
    wrapped.path = "/y"
    assert wrapped.path == "/y"
    assert wrapped._raw.read == []


def test_a_subclass_may_be_raw():
    class Own(Request):
        @property
        def upper(self):
            return self.path.upper()

    wrapped = Own._from_raw(Raw(path="/x"))
    assert type(wrapped) is Own
    assert wrapped.upper == "/X"
    assert repr(wrapped) == "<Own 'http://localhost/x' [GET]>"


def test_a_request_without_raw_and_environ_has_no_path():
    class Own(Request):
        def __init__(self, environ, *args, **kwargs):
            with pytest.raises(AttributeError, match="^'Own' object has no attribute 'path'$"):
                _ = self.path

            super().__init__(environ, *args, **kwargs)

    assert Own(EnvironBuilder(path="/x").get_environ()).path == "/x"


def test_a_raw_request_goes_through_a_context(app):
    @app.get("/<name>")
    def index(name):
        return f"{name} {request.args['q']} {bustapi.g.seen}"

    @app.before_request
    def before():
        bustapi.g.seen = request.endpoint

    raw = Raw(path="/x", query_string={"q": "1"})
    wrapped = app.request_class._from_raw(raw)
    context = bustapi.ctx.RequestContext(app, {}, request=wrapped)

    with context:
        assert app.full_dispatch_request().get_data(as_text=True) == "x 1 index"

    assert wrapped.environ["werkzeug.request"] is None


def test_a_raw_request_is_freed_without_the_garbage_collector(app):
    # Routed somewhere: an error's traceback would hold the request.
    app.add_url_rule("/x", endpoint="x")
    gc.collect()
    gc.disable()

    try:
        wrapped = app.request_class._from_raw(Raw(path="/x"))

        with bustapi.ctx.RequestContext(app, {}, request=wrapped):
            assert request.headers["Host"] == "localhost"

        gone = weakref.ref(wrapped)
        del wrapped
        assert gone() is None
    finally:
        gc.enable()


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
