"""JSON read and written natively, compared with the standard library."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import enum
import itertools
import json
import random
import struct
import uuid

import pytest
from markupsafe import Markup

from bustapi._native import dump_json, load_json
from bustapi.json.provider import _default

# --- reading


def same(first, second):
    """Equal in type and value at every depth, order of keys and bits of floats included."""
    if type(first) is not type(second):
        return False

    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)

    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))

    if isinstance(first, float):
        return struct.pack("d", first) == struct.pack("d", second)

    return first == second


def check_json(text):
    def load(loads):
        try:
            return loads(text)
        except (ValueError, RecursionError) as e:
            return type(e), str(e)

    expected = load(json.loads)
    assert same(load(load_json), expected), (text, expected)


# fmt: off
JSON_TEXTS = [
    *["0", "-0", "-0.0", "0.0", "1", "-1", "01", "-01", "1.", ".5", "+1", "1e5", "1E+5", "1e-5"],
    *["1e", "1e+", "1.e5", "-", "1e400", "-1e400", "1e-400", "5e-324", "2.5e-324", "0e0", "-0e-0"],
    *["9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"],
    *[
        "18446744073709551616",
        "1" * 400,
        "1" * 4300,
        "1" * 4301,
        "0." + "1" * 5000,
        "1" * 5000 + "e5",
    ],
    *["1.7976931348623157e308", "1.7976931348623159e308", "2.2250738585072011e-308"],
    *["9007199254740993", "9007199254740993.0", "0.1", "123456789012345678901234567890.5"],
    *["NaN", "Infinity", "-Infinity", "-NaN", "Inf", "nan", "[NaN, 1]", '{"a": -Infinity}'],
    *["null", "true", "false", "nul", "True", "nulll", "", " ", "\n1\t", "\x0b1", "\xa01", "1\x00"],
    *[
        '""',
        '"',
        '"a',
        '"\\u00e9"',
        '"\\ud83d\\ude00"',
        '"\\ud83d"',
        '"\\ude00\\ud83d"',
        '"\\ud83dx"',
    ],
    *[
        '"\\ud83d\\u0041"',
        '"\\x41"',
        '"\\u12"',
        '"\\u12g4"',
        '"\\/\\b\\f\\n\\r\\t\\"\\\\"',
        '"\\',
        '"\\',
    ],
    *['"\x00"', '"\x1f"', '"\x7f"', '"\x80"', '"é😀"', '"\n"', '"\\u0000"', "'a'", '"\\u+123"'],
    *["[]", "[ ]", "[1,]", "[,1]", "[1 2]", "[1,2", "[", "]", "[[]]", "[1]]", "[1] 2", "{}", "{ }"],
    *['{"a":1,}', "{a:1}", '{"a" 1}', '{"a":}', '{"a":1 "b":2}', "{1:2}", '{"a":1}x', '{"": null}'],
    *[
        '{"a":1,"b":2,"a":3}',
        '{"a":{"a":1,"a":2},"a":[]}',
        "/* */ 1",
        "1 // x",
        "\ufeff1",
        '{"a":1',
    ],
    *["[" * n + "]" * n for n in (10, 199, 200, 201, 202, 300)],
    *['{"a":' * n + "1" + "}" * n for n in (10, 199, 200, 201, 300)],
]
# fmt: on


@pytest.mark.parametrize("text", JSON_TEXTS, ids=lambda text: repr(text)[:30])
def test_json_is_read_as_python_reads_it(text):
    check_json(text)
    check_json(text.encode("utf-8", "surrogatepass"))

    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin1"):
        if encoding != "latin1" or text.isascii():
            check_json(text.encode(encoding, "surrogatepass"))

    check_json(bytearray(text.encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize(
    "text",
    [
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\xc3"',
        b"\xef\xbb\xbf1",
        b"\xff\xfe1\0",
        '"\ud800"',
        b'"\0"',
    ],
)
def test_json_of_odd_bytes(text):
    check_json(text)


def test_generated_json():
    order = random.Random(1)

    def number():
        kind = order.randrange(6)

        if kind == 0:
            return str(
                order.randrange(-(10 ** order.randrange(1, 30)), 10 ** order.randrange(1, 30))
            )

        if kind == 1:
            return repr(struct.unpack("d", order.randbytes(8))[0])

        if kind == 2:
            digits = "".join(order.choices("0123456789", k=order.randrange(1, 40)))
            return f"{order.randrange(100)}.{digits}e{order.randrange(-330, 320)}"

        if kind == 3:
            # Halfway between two floats, and next to it.
            mantissa = order.randrange(2**52, 2**53) * 2 + 1
            return str(mantissa * 2 ** order.randrange(1, 60)) + order.choice(
                ["", ".0", ".1", "e0"]
            )

        if kind == 4:
            return "".join(order.choices("0123456789.-+eE", k=order.randrange(1, 8)))

        return str(order.randrange(100))

    def value(depth):
        kind = order.randrange(7 if depth else 5)

        if kind < 3:
            return number()

        if kind == 3:
            characters = order.choices(
                ['a"', "\\", "é", "\\n", "\\u00e9", "\\ud800", "😀", " "], k=4
            )
            return '"' + "".join(characters).replace('"', '\\"') + '"'

        if kind == 4:
            return order.choice(["true", "false", "null", "NaN", "", "[", "nul"])

        space = order.choice(["", " ", "\n\t\r"])

        if kind == 5:
            return f"[{space}" + f",{space}".join(value(depth - 1) for _ in range(3)) + f"{space}]"

        members = (f'"{order.choice("abc")}"{space}:{value(depth - 1)}' for _ in range(3))
        return "{" + f",{space}".join(members) + f"{space}}}"

    for _ in range(30_000):
        check_json(number())

    for _ in range(5_000):
        check_json(value(3).encode("utf-8", "surrogatepass"))


def test_nesting_beyond_any_stack():
    for text in ("[" * 100_000, b'{"a":' * 100_000, "[" * 100_000 + "]" * 100_000):
        with pytest.raises(RecursionError):
            load_json(text)


def test_json_with_options_is_pythons(app):
    from decimal import Decimal

    assert app.json.loads("1.10", parse_float=Decimal) == Decimal("1.10")


# --- writing


class Colour(enum.IntEnum):
    RED = 1


class Celsius(float):
    pass


@dataclasses.dataclass
class Point:
    x: int
    at: datetime.date


class Node(dict):
    pass


CYCLE = []
CYCLE.append(CYCLE)
DEEP = None

for _ in range(100):
    DEEP = [DEEP]

VALUES = [
    *[None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**63, 10**100, Colour.RED, [Colour.RED]],
    *[0.0, -0.0, 1.0, 0.1, 1e16, 1e15, 1e-4, 1e-5, 1e300, 5e-324, 123456789.125, Celsius(1.5)],
    *[float("nan"), float("inf"), float("-inf")],
    *["", "a", "\x00\x1f\x7f\x80", '"\\/', "\n\r\t\b\f", "é€😀", "\ud800", "\u2028", Markup("<b>")],
    *[[], [[]], (), (1, (2,)), [1, "a", None], {}, {"a": {}}, {"b": 1, "a": 2, "\ud800": 3}],
    *[{"é": 1, "z": 2, "😀": 3, "\uffff": 4, "A": 5}, {1: 2, 10: 3, 9: 1}, {None: 1}, {True: 1}],
    *[{1.5: 1, 0.5: 2}, {"a": 1, 1: 2}, {(1,): 2}, Node(a=1), [Node()], DEEP, CYCLE],
    *[datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 1, 2, 3), decimal.Decimal("1.10")],
    *[
        uuid.UUID(int=5),
        Point(1, datetime.date(2024, 1, 1)),
        {"p": [Point(2, None)]},
        object(),
        {1},
    ],
    *[object(), b"bytes", {"a": object()}, 10**5000],
]


@pytest.mark.parametrize("value", VALUES, ids=map(str, itertools.count()))
@pytest.mark.parametrize("separators", [None, (",", ":")])
def test_json_is_written_as_python_writes_it(app, value, separators):
    layout = {"separators": separators} if separators else {}

    def write(dumps):
        try:
            return dumps()
        except (TypeError, ValueError, RecursionError) as e:
            return type(e), str(e)

    expected = write(
        lambda: json.dumps(value, default=_default, sort_keys=True, ensure_ascii=True, **layout)
    )
    assert write(lambda: app.json.dumps(value, **layout)) == expected
    assert write(lambda: app.json.dumps([value], **layout)) == write(
        lambda: json.dumps([value], default=_default, sort_keys=True, **layout)
    )


def test_floats_are_written_as_python_writes_them():
    order = random.Random(2)

    for _ in range(50_000):
        value = struct.unpack("d", order.randbytes(8))[0]
        rounded = round(order.uniform(-1, 1) * 10 ** order.randrange(-20, 20), order.randrange(25))

        for number in (value, rounded, float(order.randrange(10**17))):
            assert dump_json(number, _default, False) == json.dumps(number)


def test_what_is_written_natively():
    for value in ({"a": [1, 2.5, "é", None, True, (1,)]}, Markup("a"), uuid.UUID(int=1)):
        assert dump_json(value, _default, False) == json.dumps(
            value, default=_default, separators=(",", ":"), sort_keys=True
        )

    for value in ({1: 2}, Colour.RED, Node(), DEEP, "\ud800"):
        assert dump_json(value, _default, False) is None


def test_other_options_are_pythons(app):
    assert app.json.dumps({"b": 1, "a": "é"}, indent=1) == '{\n "a": "\\u00e9",\n "b": 1\n}'
    assert app.json.dumps({"b": 1, "a": "é"}, sort_keys=False, ensure_ascii=False) == (
        '{"b": 1, "a": "é"}'
    )
    assert app.json.dumps([1, 2], separators=(";", "=")) == "[1;2]"
    assert app.json.dumps([object()], default=lambda value: "x") == '["x"]'
    assert app.json.dumps({1: [float("nan")]}, skipkeys=True) == '{"1": [NaN]}'
    app.json.ensure_ascii = app.json.sort_keys = False
    assert app.json.dumps({"b": 1, "a": "é"}) == '{"b": 1, "a": "é"}'


@pytest.mark.parametrize("value", [1, "a", [uuid.UUID(int=1)], {1}, {"a": object()}])
def test_without_a_default(app, value):
    def write(dumps):
        try:
            return dumps(value, default=None)
        except TypeError as e:
            return str(e)

    assert write(app.json.dumps) == write(json.dumps)
    app.json.default = None
    assert write(lambda value, **_: app.json.response(value).get_data(as_text=True)[:-1]) == write(
        lambda value, **_: json.dumps(value, separators=(",", ":"))
    )


def test_errors_of_default_are_raised(app):
    class Fault(Exception):
        pass

    def default(value):
        raise Fault(value)

    with pytest.raises(Fault):
        app.json.dumps([1, object()], default=default)


@pytest.mark.parametrize(
    "rest",
    [{1: 2}, {"b": {None: [iter("cd")]}, "a": 1}, "\ud800", Colour.RED, DEEP, {"\udc00": 1}],
    ids=str,
)
@pytest.mark.parametrize("compact", [True, False])
def test_default_is_called_once_for_each_value(app, rest, compact):
    """Also where Python writes something after that."""
    layout = {"separators": (",", ":")} if compact else {}

    def write(dumps, **options):
        given = []
        value = {"a": iter("xy"), "b": copy.deepcopy(rest), "c": [iter("z")]}

        def default(value):
            given.append(value)
            return list(value)

        return dumps(value, default=default, **layout, **options), len(given)

    assert write(app.json.dumps) == write(json.dumps, sort_keys=True)


def test_errors_after_default_was_called(app):
    circular = {1: iter("a")}
    circular[2] = circular

    for value, error in (({1: 1, "a": 2}, TypeError), (circular, ValueError)):
        with pytest.raises(error) as expected:
            json.dumps([iter("a"), value], default=list, sort_keys=True)

        with pytest.raises(error) as caught:
            app.json.dumps([iter("a"), value], default=list)

        assert str(caught.value) == str(expected.value)


def test_default_may_return_what_it_must_write_again(app):
    def default(value):
        return uuid.UUID(int=1) if isinstance(value, set) else {"u": str(value)}

    expected = json.dumps([{1}], default=default, sort_keys=True)
    assert app.json.dumps([{1}], default=default) == expected
