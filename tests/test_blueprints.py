"""Blueprints: registering, nesting, names, prefixes, hooks and commands."""

from __future__ import annotations

import click
import pytest

import bustapi
from bustapi import Blueprint, request, url_for
from bustapi.blueprints import BlueprintSetupState
from bustapi.sansio.blueprints import Blueprint as SansioBlueprint


def test_the_base_class_is_real():
    assert issubclass(Blueprint, SansioBlueprint)


@pytest.mark.parametrize(
    ("name", "message"), [("", "may not be empty"), ("a.b", "may not contain a dot")]
)
def test_bad_names(name, message):
    with pytest.raises(ValueError, match=message):
        Blueprint(name, "x")


def test_dots_in_endpoints_are_refused():
    blueprint = Blueprint("b", "x")

    with pytest.raises(ValueError, match="'endpoint' may not contain a dot"):
        blueprint.add_url_rule("/", endpoint="a.b")

    def view():
        return ""

    view.__name__ = "a.b"

    with pytest.raises(ValueError, match="'view_func' name may not contain a dot"):
        blueprint.add_url_rule("/", view_func=view)


def test_registered_twice_under_other_names(app, client):
    blueprint = Blueprint("b", "x")
    blueprint.add_url_rule("/", "index", lambda: f"{request.endpoint} {url_for('.index')}")
    app.register_blueprint(blueprint, url_prefix="/a")
    app.register_blueprint(blueprint, url_prefix="/c", name="other")

    with pytest.raises(ValueError, match="The name 'b' is already registered for this blueprint"):
        app.register_blueprint(blueprint)

    with pytest.raises(ValueError, match="already registered for a different blueprint"):
        app.register_blueprint(Blueprint("b", "x"))

    assert client.get("/a/").text == "b.index /a/"
    assert client.get("/c/").text == "other.index /c/"
    assert list(app.iter_blueprints()) == [blueprint, blueprint]


def test_setup_after_registration_is_refused(app):
    blueprint = Blueprint("b", "x")
    app.register_blueprint(blueprint)

    with pytest.raises(
        AssertionError, match="'record' can no longer be called on the blueprint 'b'"
    ):
        blueprint.record(print)

    with pytest.raises(AssertionError, match="'get'"):
        blueprint.get("/")


def test_not_on_itself():
    blueprint = Blueprint("b", "x")

    with pytest.raises(ValueError, match="Cannot register a blueprint on itself"):
        blueprint.register_blueprint(blueprint)


@pytest.mark.parametrize(
    ("prefix", "rule", "url"),
    [
        (None, "/a", "/a"),
        ("/p", "/a", "/p/a"),
        ("/p/", "/a", "/p/a"),
        ("/p", "a", "/p/a"),
        ("/p", "", "/p"),
        ("/p/", "", "/p/"),
        ("/p", "/", "/p/"),
        ("/", "/a", "/a"),
    ],
)
def test_joining_prefix_and_rule(app, prefix, rule, url):
    blueprint = Blueprint("b", "x", url_prefix=prefix)
    blueprint.add_url_rule(rule, "index", str)
    app.register_blueprint(blueprint)
    (registered,) = app.url_map.iter_rules("b.index")
    assert registered.rule == url


def test_url_defaults(app, client):
    blueprint = Blueprint("b", "x", url_defaults={"a": 1, "b": 1})
    blueprint.add_url_rule("/", "index", lambda **values: values, defaults={"b": 2})
    app.register_blueprint(blueprint, url_defaults={"c": 3})
    assert client.get("/").json == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(
    ("own", "given", "nested_own", "nested_given", "url"),
    [
        ("/a", None, "/b", None, "/a/b/"),
        ("/a", "/A", "/b", None, "/A/b/"),
        ("/a", None, "/b", "/B", "/a/B/"),
        (None, None, "/b", None, "/b/"),
        ("/a", None, None, None, "/a/"),
        ("/a/", None, "b", None, "/a/b/"),
        (None, None, None, None, "/"),
    ],
)
def test_nested_prefixes(app, own, given, nested_own, nested_given, url):
    outer = Blueprint("outer", "x", url_prefix=own)
    inner = Blueprint("inner", "x", url_prefix=nested_own)
    inner.add_url_rule("/", "index", str)
    outer.register_blueprint(inner, **({"url_prefix": nested_given} if nested_given else {}))
    app.register_blueprint(outer, **({"url_prefix": given} if given else {}))
    (rule,) = app.url_map.iter_rules("outer.inner.index")
    assert rule.rule == url


@pytest.mark.parametrize(
    ("outer_subdomain", "inner_subdomain", "given", "expected"),
    [
        ("a", "b", None, "b.a"),
        (None, "b", None, "b"),
        ("a", None, None, "a"),
        ("a", "b", "c", "c.a"),
    ],
)
def test_nested_subdomains(outer_subdomain, inner_subdomain, given, expected):
    app = bustapi.Flask("x", subdomain_matching=True)
    outer = Blueprint("outer", "x", subdomain=outer_subdomain)
    inner = Blueprint("inner", "x", subdomain=inner_subdomain)
    inner.add_url_rule("/", "index", str)
    outer.register_blueprint(inner, **({"subdomain": given} if given else {}))
    app.register_blueprint(outer)
    (rule,) = app.url_map.iter_rules("outer.inner.index")
    assert rule.subdomain == expected


def test_url_for_within_a_nested_blueprint(app, client):
    outer = Blueprint("outer", "x", url_prefix="/outer")
    inner = Blueprint("inner", "x", url_prefix="/inner")
    inner.add_url_rule("/", "index", lambda: url_for(".other") + " " + url_for("outer.index"))
    inner.add_url_rule("/other", "other", str)
    outer.add_url_rule("/", "index", str)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert client.get("/outer/inner/").text == "/outer/inner/other /outer/"


def test_hooks_for_the_whole_application(app, client):
    blueprint = Blueprint("b", "x", url_prefix="/b")
    steps = []

    @blueprint.before_app_request
    def before():
        steps.append("before")

    @blueprint.after_app_request
    def after(response):
        steps.append("after")
        return response

    @blueprint.teardown_app_request
    def teardown(error):
        steps.append("teardown")

    @blueprint.app_url_value_preprocessor
    def values(endpoint, view_args):
        steps.append("values")

    @blueprint.app_url_defaults
    def defaults(endpoint, view_args):
        view_args["q"] = 1

    @blueprint.app_context_processor
    def processor():
        return {"name": "eve"}

    blueprint.app_template_filter("up")(str.upper)
    blueprint.app_template_test("odd2")(lambda n: n % 2)
    blueprint.app_template_global("twice")(lambda n: n * 2)
    app.register_blueprint(blueprint)
    app.register_blueprint(blueprint, name="again")

    @app.get("/")
    def index():
        text = "{{ name|up }} {{ 3 is odd2 }} {{ twice(2) }} {{ url_for('index') }}"
        return bustapi.render_template_string(text)

    assert client.get("/").text == "EVE 1 4 /?q=1"
    assert steps == ["values", "before", "after", "teardown"]


def test_hooks_of_its_own_requests_alone(app, client):
    blueprint = Blueprint("b", "x", url_prefix="/b")
    steps = []
    blueprint.before_request(lambda: steps.append(request.blueprint))
    blueprint.context_processor(lambda: {"name": "eve"})
    blueprint.add_url_rule("/", "index", lambda: bustapi.render_template_string("{{ name }}"))
    app.add_url_rule("/", "index", lambda: bustapi.render_template_string("-{{ name }}-"))
    app.register_blueprint(blueprint)
    assert client.get("/b/").text == "eve"
    assert client.get("/").text == "--"
    assert steps == ["b"]


def test_record_once(app):
    calls = []
    blueprint = Blueprint("b", "x")
    blueprint.record(lambda state: calls.append(("each", state.first_registration)))
    blueprint.record_once(lambda state: calls.append(("once", state.app is app)))
    app.register_blueprint(blueprint)
    app.register_blueprint(blueprint, name="b2")
    assert calls == [("each", True), ("once", True), ("each", False)]


def test_setup_state_may_be_another_class(app):
    class State(BlueprintSetupState):
        def add_url_rule(self, rule, endpoint=None, view_func=None, **options):
            super().add_url_rule(f"/v1{rule}", endpoint, view_func, **options)

    class Versioned(Blueprint):
        def make_setup_state(self, app, options, first_registration=False):
            return State(self, app, options, first_registration)

    blueprint = Versioned("b", "x")
    blueprint.add_url_rule("/a", "a", str)
    app.register_blueprint(blueprint)
    (rule,) = app.url_map.iter_rules("b.a")
    assert rule.rule == "/v1/a"


def test_register_may_be_overridden(app):
    class Own(Blueprint):
        def register(self, app, options):
            super().register(app, {**options, "url_prefix": "/own"})

    blueprint = Own("b", "x")
    blueprint.add_url_rule("/a", "a", str)
    app.register_blueprint(blueprint)
    assert [rule.rule for rule in app.url_map.iter_rules("b.a")] == ["/own/a"]


def test_view_functions_and_error_handlers_are_copied(app, client):
    blueprint = Blueprint("b", "x", url_prefix="/b")
    blueprint.endpoint("b.index")(lambda: 1 / 0)
    blueprint.add_url_rule("/", endpoint="index")
    app.register_blueprint(blueprint)
    app.error_handler_spec["b"][None][ZeroDivisionError] = lambda error: "late"
    assert blueprint.error_handler_spec[None][None] == {}
    assert client.get("/b/").text == "late"


def test_static_files_and_templates(tmp_path, app, client):
    for folder, name, text in (("files", "a.txt", "file"), ("pages", "b.html", "page")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)

    blueprint = Blueprint(
        "b",
        "x",
        static_folder="files",
        template_folder="pages",
        url_prefix="/b",
        root_path=str(tmp_path),
    )
    blueprint.add_url_rule("/", "index", lambda: bustapi.render_template("b.html"))
    app.register_blueprint(blueprint)

    with client.get("/b/files/a.txt") as response:
        assert response.text == "file"

    assert client.get("/b/").text == "page"

    with blueprint.open_resource("files/a.txt") as f:
        assert f.read() == b"file"

    with pytest.raises(ValueError, match="only be opened for reading"):
        blueprint.open_resource("files/a.txt", "w")

    class Own(Blueprint):
        def get_send_file_max_age(self, filename):
            return 100

    own = Own("own", "x", static_folder="files", url_prefix="/own", root_path=str(tmp_path))
    app = bustapi.Flask("y")
    app.register_blueprint(own)

    with app.test_client().get("/own/files/a.txt") as response:
        assert response.cache_control.max_age == 100


@pytest.mark.parametrize(
    ("own", "given", "args"),
    [
        ({}, {}, ["b", "hello"]),
        ({"cli_group": "custom"}, {}, ["custom", "hello"]),
        ({"cli_group": None}, {}, ["hello"]),
        ({"cli_group": "custom"}, {"cli_group": "other"}, ["other", "hello"]),
        ({"cli_group": "custom"}, {"cli_group": None}, ["hello"]),
    ],
)
def test_commands(app, own, given, args):
    blueprint = Blueprint("b", "x", **own)

    @blueprint.cli.command("hello")
    def hello():
        click.echo(bustapi.current_app.name)

    app.register_blueprint(blueprint, **given)
    assert app.test_cli_runner().invoke(args=args).output == "bustapi_test\n"
