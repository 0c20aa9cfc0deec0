from __future__ import annotations

import logging

import jinja2
import pytest

import bustapi
from bustapi import g, request, session
from bustapi.templating import DispatchingJinjaLoader, Environment


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "templates").mkdir()
    return tmp_path / "templates"


@pytest.fixture
def shop(folder):
    """An app with its own templates folder."""
    app = bustapi.Flask("shop", root_path=str(folder.parent))
    app.secret_key = "k"
    app.testing = True
    return app


def render(app, source, **context):
    with app.test_request_context():
        return bustapi.render_template_string(source, **context)


def test_rendering_a_file(shop, folder):
    (folder / "a.html").write_text("{{ name }} {{ request.path }}")

    with shop.test_request_context("/x"):
        assert bustapi.render_template("a.html", name="<b>") == "&lt;b&gt; /x"


def compiled(app, monkeypatch):
    """The names of the templates that the app compiles from now on."""
    names = []
    compile_template = app.jinja_env.compile

    def compile_and_note(source, name=None, *args, **kwargs):
        names.append(name)
        return compile_template(source, name, *args, **kwargs)

    monkeypatch.setattr(app.jinja_env, "compile", compile_and_note)
    return names


def test_a_template_is_compiled_once_in_a_process(shop, folder, monkeypatch):
    (folder / "a.html").write_text("{{ name }}")
    names = compiled(shop, monkeypatch)

    with shop.app_context():
        assert [bustapi.render_template("a.html", name=name) for name in "bc"] == ["b", "c"]

    assert names == ["a.html"]
    # As in Flask: what lasts longer is the application's to choose.
    assert shop.jinja_env.bytecode_cache is None


def test_bytecode_is_kept_where_the_app_says(folder, tmp_path, monkeypatch):
    kept = tmp_path / "bytecode"
    kept.mkdir()

    def render_in_a_new_app():
        app = bustapi.Flask("shop", root_path=str(folder.parent))
        app.jinja_options = {"bytecode_cache": jinja2.FileSystemBytecodeCache(str(kept))}
        names = compiled(app, monkeypatch)

        with app.app_context():
            return bustapi.render_template("a.html", name="<b>"), names

    (folder / "a.html").write_text("{{ name }}")
    assert render_in_a_new_app() == ("&lt;b&gt;", ["a.html"])
    assert render_in_a_new_app() == ("&lt;b&gt;", [])
    (folder / "a.html").write_text("{{ name }}!")
    assert render_in_a_new_app() == ("&lt;b&gt;!", ["a.html"])
    (file,) = kept.iterdir()
    file.write_bytes(b"of another version")
    assert render_in_a_new_app() == ("&lt;b&gt;!", ["a.html"])


def test_html_is_escaped_by_file_name(shop, folder):
    for name in ("a.html", "a.htm", "a.xml", "a.xhtml", "a.svg", "a.txt"):
        (folder / name).write_text("{{ v }}")

    with shop.app_context():
        escaped = {
            name: bustapi.render_template(name, v="<") == "&lt;"
            for name in shop.jinja_env.list_templates()
        }

    assert escaped == {
        "a.html": True,
        "a.htm": True,
        "a.xml": True,
        "a.xhtml": True,
        "a.svg": True,
        "a.txt": False,
    }


def test_the_first_of_several_templates(shop, folder):
    (folder / "b.html").write_text("b")

    with shop.app_context():
        assert bustapi.render_template(["a.html", "b.html"]) == "b"

        with pytest.raises(jinja2.TemplatesNotFound):
            bustapi.render_template(["x.html", "y.html"])

        with pytest.raises(jinja2.TemplateNotFound):
            bustapi.render_template("x.html")


def test_a_template_object_is_rendered(shop):
    with shop.app_context():
        template = shop.jinja_env.from_string("{{ v }}")
        assert bustapi.render_template(template, v=1) == "1"


def test_what_templates_know(shop):
    shop.add_url_rule("/x", endpoint="x")

    @shop.context_processor
    def more():
        return {"extra": "e", "given": "processor"}

    with shop.test_request_context("/y"):
        g.value = "G"
        session["value"] = "S"
        bustapi.flash("F")
        text = bustapi.render_template_string(
            "{{ g.value }} {{ session.value }} {{ request.path }} {{ config.TESTING }}"
            " {{ url_for('x') }} {{ get_flashed_messages()[0] }} {{ extra }} {{ given }}",
            given="caller",
        )

    assert text == "G S /y True /x F e caller"


def test_without_a_request_there_is_only_g(shop):
    with shop.app_context():
        g.value = "G"
        text = bustapi.render_template_string("{{ g.value }}{{ request is defined }}")

    assert text == "GTrue"


def test_reading_the_session_in_a_template_counts_as_access(shop):
    client = shop.test_client()

    @shop.get("/no")
    def no():
        return bustapi.render_template_string("{{ request.path }}")

    @shop.get("/yes")
    def yes():
        return bustapi.render_template_string("{{ session.get('a') }}")

    assert "Cookie" not in client.get("/no").vary
    assert "Cookie" in client.get("/yes").vary


def test_rendering_needs_an_app():
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        bustapi.render_template_string("")


def test_a_macro_imported_without_context_sees_globals_only(shop, folder):
    (folder / "m.html").write_text("{% macro m() %}{{ request.path }}{% endmacro %}")

    with shop.test_request_context("/p"):
        text = bustapi.render_template_string("{% from 'm.html' import m %}{{ m() }}")

    assert text == "/p"


def test_filters_tests_and_globals(shop):
    shop.add_template_filter(lambda s: s[::-1], "backwards")
    shop.add_template_test(lambda n: n == 7, "seven")
    shop.add_template_global(lambda: "called", "call")
    source = "{{ 'ab'|backwards }} {{ 7 is seven }} {{ call() }}"
    assert render(shop, source) == "ba True called"


def test_json_in_templates(shop):
    assert render(shop, "{{ v|tojson }}", v={"b": "</script>", "a": 1}) == (
        '{"a": 1, "b": "\\u003c/script\\u003e"}'
    )


# --- loaders


def test_the_app_goes_before_its_blueprints(shop, folder, tmp_path):
    other = tmp_path / "blueprint"
    other.mkdir()
    (folder / "both.html").write_text("app")
    (other / "both.html").write_text("blueprint")
    (other / "own.html").write_text("own")
    shop.register_blueprint(bustapi.Blueprint("b", __name__, template_folder=str(other)))

    with shop.app_context():
        assert bustapi.render_template("both.html") == "app"
        assert bustapi.render_template("own.html") == "own"

    loader = shop.jinja_env.loader
    assert isinstance(loader, DispatchingJinjaLoader)
    assert sorted(loader.list_templates()) == ["both.html", "own.html"]


def test_an_app_without_a_templates_folder():
    app = bustapi.Flask(__name__, template_folder=None)
    assert app.jinja_env.loader.list_templates() == []

    with app.app_context(), pytest.raises(jinja2.TemplateNotFound):
        bustapi.render_template("a.html")


class Records(logging.Handler):
    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


def test_the_search_is_explained(shop, folder, tmp_path):
    records = Records()
    shop.logger.addHandler(records)
    shop.logger.setLevel(logging.INFO)
    shop.config["EXPLAIN_TEMPLATE_LOADING"] = True
    first, second = tmp_path / "first", tmp_path / "second"

    for name in (first, second):
        name.mkdir()
        (name / "twice.html").write_text(name.name)

    for number, name in enumerate((first, second)):
        shop.register_blueprint(
            bustapi.Blueprint(f"b{number}", __name__, template_folder=str(name))
        )

    @shop.get("/<name>")
    def index(name):
        return bustapi.render_template(name)

    try:
        assert shop.test_client().get("/twice.html").text == "first"
        (explained,) = records.texts
        lines = explained.split("\n")
        assert lines[0] == "Locating template 'twice.html':"
        assert lines[1] == "    1: trying loader of application 'shop'"
        assert lines[2] == "       class: jinja2.loaders.FileSystemLoader"
        assert "       encoding: 'utf-8'" in lines
        assert f"         - {folder}" in lines
        assert "       -> no match" in lines
        assert f"    2: trying loader of blueprint 'b0' ({__name__})" in lines
        assert f"       -> found ({str(first / 'twice.html')!r})" in lines
        assert f"       -> found ({str(second / 'twice.html')!r})" in lines
        assert lines[-1] == "Warning: multiple loaders returned a match for the template."
    finally:
        shop.logger.removeHandler(records)
        shop.logger.setLevel(logging.NOTSET)


def test_a_template_that_is_nowhere_is_explained_to_its_blueprint(shop):
    records = Records()
    shop.logger.addHandler(records)
    shop.logger.setLevel(logging.INFO)
    shop.config["EXPLAIN_TEMPLATE_LOADING"] = True
    blueprint = bustapi.Blueprint("cart", __name__)

    @blueprint.get("/")
    def index():
        return bustapi.render_template("missing.html")

    shop.register_blueprint(blueprint)

    try:
        with pytest.raises(jinja2.TemplateNotFound):
            shop.test_client().get("/")
    finally:
        shop.logger.removeHandler(records)
        shop.logger.setLevel(logging.NOTSET)

    assert records.texts[0].split("\n")[-4:] == [
        "Error: the template could not be found.",
        "  The template was looked up from an endpoint that belongs to the blueprint 'cart'.",
        "  Maybe you did not place a template in the right folder?",
        "  See https://flask.palletsprojects.com/blueprints/#templates",
    ]


# --- environments


def test_an_environment_knows_its_app(shop):
    assert isinstance(shop.jinja_env, Environment)
    assert shop.jinja_env.app is shop
    loader = jinja2.DictLoader({})
    assert Environment(shop, loader=loader).loader is loader


def test_an_environment_class_of_ones_own(shop):
    class Own(Environment):
        pass

    shop.jinja_environment = Own
    assert type(shop.jinja_env) is Own


# --- streaming


def test_a_streamed_template_keeps_the_request(shop, folder):
    (folder / "s.html").write_text("{% for i in range(3) %}{{ request.path }}{% endfor %}")
    sent = []

    @shop.get("/a")
    def a():
        return bustapi.stream_template("s.html")

    @shop.get("/b")
    def b():
        return bustapi.stream_template_string("{{ v }}{{ session.get('x') }}", v=1)

    with bustapi.template_rendered.connected_to(lambda *a, **k: sent.append(1), shop):
        client = shop.test_client()
        assert client.get("/a").text == "/a/a/a"
        assert client.get("/b").text == "1None"

    assert sent == [1, 1]


def test_a_template_is_streamed_without_a_request_too(shop):
    with shop.app_context():
        pieces = bustapi.stream_template_string("{{ v }}", v=1)
        assert list(pieces) == ["1"]


def test_request_proxies_are_replaced_in_the_context(shop):
    seen = {}

    def receive(sender, template, context, **extra):
        seen.update(context)

    with (
        bustapi.before_render_template.connected_to(receive, shop),
        shop.test_request_context(),
    ):
        bustapi.render_template_string("", a=1)
        assert seen["request"] is request._get_current_object()
        assert seen["g"] is g._get_current_object()
        assert seen["a"] == 1
        assert "session" not in seen


def test_contexts_of_templates_are_jinjas(app):
    templates = {
        "base": "{{ shared }} {{ own }} {{ value }} {% block body %}{% endblock %}",
        "child": "{% extends 'base' %}{% block body %}{{ own }}{% include 'part' %}{% endblock %}",
        "part": "{% set own = 'set' %}[{{ own }} {{ value }} {{ g.name }}]",
        "macros": "{% macro show(x) %}{{ x }} {{ shared }} {{ value }}{% endmacro %}",
        "import": "{% import 'macros' as m %}{{ m.show(own) }}",
        "with": "{% from 'macros' import show with context %}{{ show(own) }}",
    }
    plain = jinja2.Environment(loader=jinja2.DictLoader(templates))
    app.jinja_loader = jinja2.DictLoader(templates)
    app.jinja_env.globals["shared"] = plain.globals["shared"] = "global"
    plain.globals["g"] = g

    with app.test_request_context():
        g.name = "g"

        for name in templates:
            ours = app.jinja_env.get_template(name, globals={"own": "local"})
            theirs = plain.get_template(name, globals={"own": "local"})
            values = {"value": "<given>", "g": g}
            assert ours.render(values) == theirs.render(values)
            assert ours.render(own="given", g=g) == theirs.render(own="given", g=g)
            assert vars(ours.module).keys() == vars(theirs.module).keys()

        template = app.jinja_env.from_string("{{ later }}")
        app.jinja_env.globals["later"] = "added"
        assert template.render() == "added"
        exported = app.jinja_env.from_string("{% set a = 1 %}{% set shared = 2 %}").module
        assert (exported.a, exported.shared) == (1, 2)
