from __future__ import annotations

import pathlib
from datetime import datetime, timezone
from uuid import UUID

import pytest
from markupsafe import Markup

from bustapi.json.tag import JSONTag, TaggedJSONSerializer

ID = UUID("12345678-1234-5678-1234-567812345678")
WHEN = datetime(2024, 2, 29, 12, 30, 15, tzinfo=timezone.utc)


@pytest.fixture
def serializer():
    return TaggedJSONSerializer()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "{}"),
        ({"a": 1, "b": [None]}, '{"a":1,"b":[null]}'),
        ((1, 2), '{" t":[1,2]}'),
        ((), '{" t":[]}'),
        ([(1, (2,))], '[{" t":[1,{" t":[2]}]}]'),
        (b"\x00\xff", '{" b":"AP8="}'),
        (Markup("<b>"), '{" m":"<b>"}'),
        (ID, '{" u":"12345678123456781234567812345678"}'),
        (WHEN, '{" d":"Thu, 29 Feb 2024 12:30:15 GMT"}'),
        ({" t": [1]}, '{" di":{" t__":[1]}}'),
        ({" di": (1,)}, '{" di":{" di__":{" t":[1]}}}'),
        ({" t": 1, " b": 2}, '{" t":1," b":2}'),
        ({"k": {" u": ID}}, '{"k":{" di":{" u__":{" u":"12345678123456781234567812345678"}}}}'),
        ("é", '"\\u00e9"'),
    ],
)
def test_values_are_written_and_read(serializer, value, text):
    assert serializer.dumps(value) == text
    again = serializer.loads(text)
    assert again == value
    assert type(again) is type(value)


def test_markup_is_whatever_has_an_html_method(serializer):
    class Widget:
        def __html__(self):
            return "<w>"

    again = serializer.loads(serializer.dumps(Widget()))
    assert again == Markup("<w>")
    assert isinstance(again, Markup)


def test_datetimes_lose_their_microseconds(serializer):
    assert serializer.loads(serializer.dumps(WHEN.replace(microsecond=7))) == WHEN


def test_types_without_a_tag_are_refused(serializer):
    with pytest.raises(TypeError):
        serializer.dumps({1, 2})


class TagPath(JSONTag):
    __slots__ = ()
    key = " p"

    def check(self, value):
        return isinstance(value, pathlib.PurePosixPath)

    def to_json(self, value):
        return str(value)

    def to_python(self, value):
        return pathlib.PurePosixPath(value)


def test_a_tag_of_ones_own(serializer):
    serializer.register(TagPath)
    value = {"file": pathlib.PurePosixPath("/a")}
    assert serializer.dumps(value) == '{"file":{" p":"/a"}}'
    assert serializer.loads(serializer.dumps(value)) == value


def test_a_name_is_taken_by_force_only(serializer):
    class Other(TagPath):
        __slots__ = ()

        def to_json(self, value):
            return "other"

    serializer.register(TagPath)

    with pytest.raises(KeyError) as caught:
        serializer.register(Other)

    assert caught.value.args == ("Tag ' p' is already registered.",)
    serializer.register(Other, force=True, index=0)
    assert serializer.dumps(pathlib.PurePosixPath("/a")) == '{" p":"other"}'


@pytest.mark.parametrize(("index", "place"), [(None, -1), (0, 0), (-1, -2)])
def test_the_place_in_the_order(serializer, index, place):
    serializer.register(TagPath, index=index)
    assert type(serializer.order[place]) is TagPath


def test_an_earlier_tag_wins(serializer):
    class TagPair(JSONTag):
        __slots__ = ()
        key = " pair"

        def check(self, value):
            return isinstance(value, tuple) and len(value) == 2

        def to_json(self, value):
            return [self.serializer.tag(item) for item in value]

        def to_python(self, value):
            return ("pair", *value)

    serializer.register(TagPair, index=0)
    assert serializer.loads(serializer.dumps(((1, 2), (3,)))) == ("pair", ("pair", 1, 2), (3,))


def test_a_tag_without_a_name_is_asked_for_writing_only(serializer):
    class Hide(JSONTag):
        __slots__ = ()

        def check(self, value):
            return value == "secret"

        def to_json(self, value):
            return "***"

        def tag(self, value):
            return self.to_json(value)

    serializer.register(Hide, index=0)
    assert "" not in serializer.tags
    assert serializer.dumps(["secret"]) == '["***"]'


@pytest.mark.parametrize("call", ["check", "to_json", "to_python"])
def test_the_base_tag_is_abstract(serializer, call):
    with pytest.raises(NotImplementedError):
        getattr(JSONTag(serializer), call)(None)


def test_tags_of_a_subclass():
    class Few(TaggedJSONSerializer):
        default_tags = [TagPath]

    assert list(Few().tags) == [" p"]
    assert Few().dumps([1]) == "[1]"
