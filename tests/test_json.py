from __future__ import annotations

import dataclasses
import datetime
import decimal
import io
import uuid

import pytest
from markupsafe import Markup

from bustapi import json
from bustapi.json.provider import DefaultJSONProvider, JSONProvider


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Shouting(DefaultJSONProvider):
    def dumps(self, obj, **kwargs):
        return super().dumps(obj, **kwargs).upper()

    def loads(self, s, **kwargs):
        return super().loads(s, **kwargs), "seen"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime.date(2024, 2, 29), '"Thu, 29 Feb 2024 00:00:00 GMT"'),
        (datetime.datetime(2024, 2, 29, 12, 30, 15), '"Thu, 29 Feb 2024 12:30:15 GMT"'),
        (
            datetime.datetime(
                2024, 2, 29, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2))
            ),
            '"Wed, 28 Feb 2024 23:00:00 GMT"',
        ),
        (decimal.Decimal("1.10"), '"1.10"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Point(1, 2), '{"x": 1, "y": 2}'),
        (Markup("<b>"), '"<b>"'),
        ({"é": float("inf")}, '{"\\u00e9": Infinity}'),
    ],
)
def test_types_beyond_the_standard_library(app, value, text):
    assert json.dumps(value) == text

    with app.app_context():
        assert json.dumps(value) == text


def test_an_html_method_gives_the_text(app):
    class Widget:
        def __html__(self):
            return "<w>"

    assert app.json.dumps([Widget()]) == '["<w>"]'


@pytest.mark.parametrize("value", [object(), {1}, Point])
def test_other_types_are_refused(app, value):
    with pytest.raises(TypeError):
        app.json.dumps(value)


def test_the_error_names_the_type(app):
    with pytest.raises(TypeError, match="^Object of type set is not JSON serializable$"):
        app.json.dumps({1})


def test_without_an_app_keys_keep_their_order(app):
    assert json.dumps({"b": 1, "a": 2}) == '{"b": 1, "a": 2}'

    with app.app_context():
        assert json.dumps({"b": 1, "a": 2}) == '{"a": 2, "b": 1}'


def test_sorting_wants_keys_of_one_type(app):
    with pytest.raises(TypeError):
        app.json.dumps({1: 1, "a": 2})

    app.json.sort_keys = False
    assert app.json.dumps({1: 1, "a": 2}) == '{"1": 1, "a": 2}'


def test_the_provider_may_write_beyond_ascii(app):
    assert app.json.dumps("é") == '"\\u00e9"'
    app.json.ensure_ascii = False
    assert app.json.dumps("é") == '"é"'


def test_arguments_go_before_the_providers_attributes(app):
    assert app.json.dumps({"b": "é", "a": 1}, sort_keys=False, ensure_ascii=False) == (
        '{"b": "é", "a": 1}'
    )
    assert app.json.dumps({1}, default=list) == "[1]"


def test_the_default_function_can_be_replaced_by_a_subclass(app):
    class Sets(DefaultJSONProvider):
        @staticmethod
        def default(o):
            return sorted(o) if isinstance(o, set) else DefaultJSONProvider.default(o)

    app.json = Sets(app)
    assert app.json.dumps([{2, 1}, uuid.UUID(int=0)]) == f'[[1, 2], "{uuid.UUID(int=0)}"]'


def test_files(app):
    with app.app_context():
        file = io.StringIO()
        json.dump({"b": 1, "a": 2}, file)
        assert file.getvalue() == '{"a": 2, "b": 1}'
        assert json.load(io.BytesIO(file.getvalue().encode())) == {"a": 2, "b": 1}

    file = io.StringIO()
    json.dump({"b": uuid.UUID(int=0), "a": 2}, file)
    assert file.getvalue() == f'{{"b": "{uuid.UUID(int=0)}", "a": 2}}'
    assert json.load(io.StringIO("[1]")) == [1]


def test_the_current_apps_provider_is_asked(app):
    app.json = Shouting(app)

    with app.app_context():
        assert json.dumps("a") == '"A"'
        assert json.loads('"a"') == ("a", "seen")
        file = io.StringIO()
        json.dump("a", file)
        assert file.getvalue() == '"A"'
        assert json.load(io.StringIO('"a"')) == ("a", "seen")
        assert json.jsonify("a").get_data(as_text=True) == '"A"\n'

    assert json.dumps("a") == '"a"'
    assert json.loads('"a"') == "a"


def test_loads_takes_bytes_and_refuses_what_is_not_json(app):
    assert app.json.loads('"é"'.encode()) == "é"

    with pytest.raises(ValueError, match="Expecting value"):
        app.json.loads("nothing")


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "null\n"),
        ((1,), {}, "1\n"),
        ((None,), {}, "null\n"),
        ((1, 2), {}, "[1,2]\n"),
        (([1, 2],), {}, "[1,2]\n"),
        ((), {"a": 1}, '{"a":1}\n'),
    ],
)
def test_jsonify_arguments(app, args, kwargs, text):
    with app.app_context():
        response = json.jsonify(*args, **kwargs)

    assert response.get_data(as_text=True) == text
    assert response.mimetype == "application/json"


def test_jsonify_takes_one_kind_of_arguments(app):
    with (
        app.app_context(),
        pytest.raises(
            TypeError, match=r"^app\.json\.response\(\) takes either args or kwargs, not both$"
        ),
    ):
        json.jsonify(1, a=2)


def test_jsonify_needs_an_app():
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        json.jsonify(1)


@pytest.mark.parametrize(
    ("debug", "compact", "text"),
    [
        (False, None, '{"a":[1]}\n'),
        (True, None, '{\n  "a": [\n    1\n  ]\n}\n'),
        (True, True, '{"a":[1]}\n'),
        (False, False, '{\n  "a": [\n    1\n  ]\n}\n'),
    ],
)
def test_the_layout_of_responses(app, debug, compact, text):
    app.debug = debug
    app.json.compact = compact

    with app.app_context():
        assert json.jsonify(a=[1]).get_data(as_text=True) == text


def test_the_media_type_of_responses(app):
    app.json.mimetype = "application/vnd.api+json"

    with app.app_context():
        assert json.jsonify(1).content_type == "application/vnd.api+json"


def test_a_provider_of_two_methods(app):
    class Reprs(JSONProvider):
        def dumps(self, obj, **kwargs):
            return repr(obj)

        def loads(self, s, **kwargs):
            return f"read {s}"

    app.json = Reprs(app)

    with app.app_context():
        response = json.jsonify(a=1)

    assert response.get_data(as_text=True) == "{'a': 1}"
    assert response.mimetype == "application/json"
    assert app.json.load(io.StringIO("x")) == "read x"


def test_a_bare_provider_has_no_operations(app):
    provider = JSONProvider(app)

    with pytest.raises(NotImplementedError):
        provider.dumps(1)

    with pytest.raises(NotImplementedError):
        provider.loads("1")


def test_views_return_dicts_and_lists(app, client):
    @app.get("/dict")
    def a_dict():
        return {"b": 1, "a": [True, None]}

    @app.get("/list")
    def a_list():
        return [1, "é"]

    assert client.get("/dict").data == b'{"a":[true,null],"b":1}\n'
    assert client.get("/list").data == b'[1,"\\u00e9"]\n'


def test_a_request_is_read_by_the_apps_provider(app, client):
    app.json = Shouting(app)

    @app.post("/")
    def index():
        from bustapi import request

        return repr(request.json)

    assert client.post("/", data='"x"', content_type="application/json").text == "('x', 'seen')"
