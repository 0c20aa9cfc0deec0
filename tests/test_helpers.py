from __future__ import annotations

import importlib.util
import io
import os
import sys
import types

import pytest
import werkzeug.exceptions
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as WerkzeugResponse

import bustapi
from bustapi import helpers


class Files:
    """A folder as an app's root path, with two files."""

    def __init__(self, path):
        (path / "files").mkdir()
        (path / "files" / "a.txt").write_bytes(b"0123456789")
        (path / "secret.txt").write_bytes(b"secret")
        self.app = bustapi.Flask(__name__, root_path=str(path))
        self.client = self.app.test_client()


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, False),
        ("", False),
        ("0", False),
        ("False", False),
        ("no", False),
        ("1", True),
        ("YES", True),
        ("anything", True),
    ],
)
def test_the_debug_flag(monkeypatch, value, expected):
    monkeypatch.setattr(os, "environ", {} if value is None else {"FLASK_DEBUG": value})
    assert helpers.get_debug_flag() is expected


@pytest.mark.parametrize(
    ("value", "default", "expected"),
    [
        (None, True, True),
        (None, False, False),
        ("", False, False),
        ("0", False, True),
        ("No", False, True),
        ("1", True, False),
        ("x", True, False),
    ],
)
def test_loading_of_dotenv(monkeypatch, value, default, expected):
    monkeypatch.setattr(os, "environ", {} if value is None else {"FLASK_SKIP_DOTENV": value})
    assert helpers.get_load_dotenv(default) is expected


# --- streaming


def test_a_streamed_generator_keeps_the_contexts(app, client):
    app.secret_key = "k"

    @app.get("/")
    def index():
        bustapi.session["name"] = "s"
        bustapi.g.name = "g"

        def pieces():
            yield bustapi.request.args["q"]
            yield bustapi.session["name"]
            yield bustapi.g.name
            yield bustapi.current_app.name

        return bustapi.stream_with_context(pieces())

    assert client.get("/?q=r").text == f"rsg{app.name}"
    assert not bustapi.has_request_context()
    assert not bustapi.has_app_context()


def test_a_streaming_function_is_decorated(app, client):
    @app.get("/")
    def index():
        @bustapi.stream_with_context
        def pieces(greeting):
            """Yields."""
            yield greeting
            yield bustapi.request.path

        assert (pieces.__name__, pieces.__doc__) == ("pieces", "Yields.")
        return pieces("hi ")

    assert client.get("/").text == "hi /"


@pytest.mark.parametrize("consumed", [0, 1, 2])
def test_what_is_streamed_is_closed_and_the_context_popped(app, client, consumed):
    events = []

    class Pieces:
        def __init__(self):
            self.left = ["a", "b"]

        def __iter__(self):
            return self

        def __next__(self):
            if not self.left:
                raise StopIteration

            return self.left.pop(0)

        def close(self):
            events.append(("closed", bustapi.has_request_context()))

    @app.teardown_request
    def teardown(exc):
        events.append(("teardown", True))

    @app.get("/")
    def index():
        return app.response_class(bustapi.stream_with_context(Pieces()))

    response = client.get("/")
    body = response.iter_encoded()
    assert [next(body) for _ in range(consumed)] == [b"a", b"b"][:consumed]
    response.close()
    # Closed within the request, which is torn down afterwards.
    assert set(events) == {("closed", True), ("teardown", True)}
    assert events[-1] == ("teardown", True)
    assert not bustapi.has_request_context()


def test_streaming_sees_later_changes_of_the_session(app, client):
    app.secret_key = "k"

    @app.get("/")
    def index():
        def pieces():
            yield repr(dict(bustapi.session))

        body = bustapi.stream_with_context(pieces())
        bustapi.session["late"] = 1
        return body

    assert client.get("/").text == "{'late': 1}"


def test_an_error_while_streaming_leaves_no_context(app, client):
    @app.get("/")
    def index():
        def pieces():
            yield "a"
            raise LookupError("later")

        return bustapi.stream_with_context(pieces())

    with pytest.raises(LookupError, match="later"):
        client.get("/", buffered=True)

    assert not bustapi.has_request_context()
    assert not bustapi.has_app_context()


def test_streaming_needs_a_request(app):
    message = (
        "^'stream_with_context' can only be used when a request context is active,"
        " such as in a view function.$"
    )

    with pytest.raises(RuntimeError, match=message):
        bustapi.stream_with_context(iter([]))

    decorated = bustapi.stream_with_context(lambda: iter([]))

    with app.app_context(), pytest.raises(RuntimeError, match=message):
        decorated()


# --- responses and URLs


def test_make_response(app):
    with app.test_request_context():
        assert bustapi.make_response().data == b""
        response = bustapi.make_response("a", 201)
        assert (response.data, response.status_code) == (b"a", 201)
        assert isinstance(response, app.response_class)
        assert bustapi.make_response(("a", 202)).status_code == 202
        assert bustapi.make_response(response) is response
        assert bustapi.make_response({"a": 1}).json == {"a": 1}


def test_url_for_asks_the_app(app):
    class Own(bustapi.Flask):
        def url_for(self, endpoint, **values):
            return f"{endpoint} {values}"

    with Own(__name__).app_context():
        assert bustapi.url_for("x", _anchor="a", q=1) == (
            "x {'_anchor': 'a', '_method': None, '_scheme': None, '_external': None, 'q': 1}"
        )


def test_url_for_in_and_out_of_a_request(app):
    app.add_url_rule("/u/<int:id>", endpoint="user")

    with app.test_request_context():
        assert bustapi.url_for("user", id=3, q="a b", _anchor="x y") == "/u/3?q=a+b#x%20y"
        assert bustapi.url_for("user", id=3, _external=True) == "http://localhost/u/3"
        assert bustapi.url_for("user", id=3, _scheme="https") == "https://localhost/u/3"

    app.config["SERVER_NAME"] = "shop.test"

    with app.app_context():
        assert bustapi.url_for("user", id=3) == "http://shop.test/u/3"
        assert bustapi.url_for("user", id=3, _external=False) == "/u/3"


def test_redirect_asks_the_app(app):
    class Own(bustapi.Flask):
        def redirect(self, location, code=302):
            return self.response_class(f"{location} {code}")

    with Own(__name__).app_context():
        assert bustapi.redirect("/x", 301).data == b"/x 301"

    with app.app_context():
        response = bustapi.redirect("/x")
        assert (response.status_code, response.location) == (302, "/x")
        assert isinstance(response, app.response_class)


def test_redirect_without_an_app():
    class Own(WerkzeugResponse):
        pass

    response = bustapi.redirect("/x", code=308, Response=Own)
    assert type(response) is Own
    assert (response.status_code, response.location) == (308, "/x")


def test_abort_asks_the_apps_aborter(app):
    class Teapot(werkzeug.exceptions.HTTPException):
        code = 999

    with pytest.raises(LookupError):
        bustapi.abort(999)

    with pytest.raises(NotFound) as caught:
        bustapi.abort(404, "gone fishing")

    assert caught.value.description == "gone fishing"

    with app.app_context():
        app.aborter.mapping[999] = Teapot

        with pytest.raises(Teapot):
            bustapi.abort(999)

        with pytest.raises(werkzeug.exceptions.HTTPException) as caught:
            bustapi.abort(app.response_class("own", 418))

    assert caught.value.get_response().data == b"own"


# --- flashed messages


def test_messages_are_flashed_once(app, client):
    app.secret_key = "k"

    @app.post("/")
    def flash():
        bustapi.flash("plain")
        bustapi.flash("bad", "error")
        return ""

    @app.get("/")
    def read():
        first = bustapi.get_flashed_messages(with_categories=True)
        # Again in the same request: the same messages.
        return {
            "all": first,
            "text": bustapi.get_flashed_messages(),
            "errors": bustapi.get_flashed_messages(category_filter=["error"]),
            "none": bustapi.get_flashed_messages(True, ("info",)),
            "left": "_flashes" in bustapi.session,
        }

    client.post("/")
    assert client.get("/").json == {
        "all": [["message", "plain"], ["error", "bad"]],
        "text": ["plain", "bad"],
        "errors": ["bad"],
        "none": [],
        "left": False,
    }
    assert client.get("/").json["all"] == []


def test_flashing_assigns_to_the_session(app):
    app.secret_key = "k"

    with app.test_request_context():
        bustapi.session["_flashes"] = []
        bustapi.session.modified = False
        bustapi.flash("x")
        assert bustapi.session.modified
        assert bustapi.session["_flashes"] == [("message", "x")]


def test_a_templates_macro_is_called_from_python(app):
    with app.app_context():
        app.jinja_loader = None
        app.jinja_env.loader = __import__("jinja2").DictLoader(
            {"m.html": "{% macro hi(n) %}Hi {{ n }}!{% endmacro %}{% set v = 3 %}"}
        )
        assert bustapi.get_template_attribute("m.html", "hi")("<b>") == "Hi &lt;b&gt;!"
        assert bustapi.get_template_attribute("m.html", "v") == 3

        with pytest.raises(AttributeError):
            bustapi.get_template_attribute("m.html", "missing")


# --- files


def test_a_file_relative_to_the_root_path(files):
    @files.app.get("/")
    def index():
        return bustapi.send_file("files/a.txt")

    response = files.client.get("/")
    assert response.data == b"0123456789"
    assert response.mimetype == "text/plain"
    assert response.headers["Content-Disposition"] == "inline; filename=a.txt"
    assert response.cache_control.no_cache
    response.close()
    etag = response.headers["ETag"]

    with files.client.get("/", headers={"If-None-Match": etag}) as unchanged:
        assert unchanged.status_code == 304

    with files.client.get("/", headers={"Range": "bytes=2-4"}) as part:
        assert (part.status_code, part.data) == (206, b"234")


def test_an_open_file(files):
    @files.app.get("/")
    def index():
        return bustapi.send_file(
            io.BytesIO(b"x"), mimetype="image/png", as_attachment=True, download_name="x.png"
        )

    response = files.client.get("/")
    assert response.headers["Content-Disposition"] == "attachment; filename=x.png"
    assert response.content_type == "image/png"


def test_how_long_files_are_cached(files):
    @files.app.get("/<int:age>")
    def index(age):
        return bustapi.send_file("files/a.txt", max_age=age or None)

    class Own(bustapi.Flask):
        def get_send_file_max_age(self, filename):
            return 7 if filename.endswith("a.txt") else None

    files.app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600

    for age, expected in ((5, 5), (0, 3600)):
        with files.client.get(f"/{age}") as response:
            assert response.cache_control.max_age == expected

    own = Own(__name__, root_path=files.app.root_path)

    with own.test_request_context():
        response = bustapi.send_file("files/a.txt")
        assert response.cache_control.max_age == 7
        response.close()


def test_the_server_may_send_the_file(files):
    files.app.config["USE_X_SENDFILE"] = True

    with files.app.test_request_context():
        response = bustapi.send_file("files/a.txt")
        assert response.headers["X-Sendfile"] == os.path.join(files.app.root_path, "files", "a.txt")
        response.close()


def test_a_file_below_a_directory(files):
    @files.app.get("/<path:path>")
    def index(path):
        return bustapi.send_from_directory("files", path, as_attachment=True)

    with files.client.get("/a.txt") as response:
        assert response.data == b"0123456789"
        assert response.headers["Content-Disposition"].startswith("attachment")

    assert files.client.get("/missing.txt").status_code == 404


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/passwd", "x/../../secret.txt", "."])
def test_a_path_leads_out_of_no_directory(files, path):
    with files.app.test_request_context(), pytest.raises(NotFound):
        bustapi.send_from_directory("files", path)


def test_files_need_a_request(files):
    with pytest.raises(RuntimeError, match="Working outside of request context"):
        bustapi.send_file("files/a.txt")

    with files.app.app_context(), pytest.raises(RuntimeError, match="outside of request"):
        bustapi.send_from_directory("files", "a.txt")


# --- where a package lives


def test_the_root_path_of_what_is_imported():
    assert helpers.get_root_path(__name__) == os.path.dirname(os.path.abspath(__file__))
    assert helpers.get_root_path("bustapi") == os.path.dirname(bustapi.__file__)


def test_the_root_path_of_what_is_not_imported_yet(tmp_path, monkeypatch):
    package = tmp_path / "unimported_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert helpers.get_root_path("unimported_package") == str(package)
    assert "unimported_package" not in sys.modules


@pytest.mark.parametrize("name", ["no_such_module_anywhere", "__main__"])
def test_the_root_path_of_what_has_no_file(name, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    monkeypatch.chdir(tmp_path)
    assert helpers.get_root_path(name) == os.getcwd()


def test_a_namespace_package_without_loader_has_no_root_path(tmp_path, monkeypatch):
    class Loader:
        def create_module(self, spec):
            return None

        def exec_module(self, module):
            pass

    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "made_by_a_hook":
                return importlib.util.spec_from_loader(name, Loader())

            return None

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])

    try:
        with pytest.raises(
            RuntimeError,
            match="^No root path can be found for the provided module 'made_by_a_hook'",
        ):
            helpers.get_root_path("made_by_a_hook")
    finally:
        sys.modules.pop("made_by_a_hook", None)


def test_the_names_of_nested_blueprints():
    assert helpers._split_blueprint_path("a") == ["a"]
    assert helpers._split_blueprint_path("a.b.c") == ["a.b.c", "a.b", "a"]
