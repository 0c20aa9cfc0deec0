"""The same answers through every door, with and without plans, as real Flask gives."""

from __future__ import annotations

import functools
import typing as t

import pytest

from . import table  # noqa: F401 importing it fills the table
from .case import CASES
from .compare import SERVER_ANSWERS, expect, simplify
from .record import flasks_answers, take
from .record import recorded as read_recorded

pytestmark = pytest.mark.slow

#: Each door, and how the app is changed before it is entered.
DOORS = [
    ("wsgi", "plans"),
    ("client", "plans"),
    ("asgi", "plans"),
    ("socket", "plans"),
    ("sockets", "wrapped"),
    ("socket", "overridden"),
    ("sockets", "watched"),
]


@functools.cache
def recorded() -> dict[str, t.Any]:
    return read_recorded()


@functools.cache
def answers(door: str, plans: str) -> tuple[dict[str, t.Any], str]:
    return take("bustapi", door, plans)


def test_the_table_is_large_enough():
    count = sum(len(case.requests) for case in CASES.values())
    assert count == sum(map(len, recorded()["wsgi"].values()))
    assert count > 300


def test_flask_gives_the_recorded_answers():
    again = flasks_answers()
    assert again == {name: recorded()[name] for name in again}


def test_the_servers_own_answers_are_to_requests_of_the_table():
    named = {(name, describe(r)) for name, case in CASES.items() for r in case.requests}
    assert named >= SERVER_ANSWERS.keys()


def describe(request: t.Any) -> str:
    return str(request) if request.host == "door.test" else f"{request} at {request.host}"


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("door", "plans"), DOORS, ids=map("-".join, DOORS))
def test_answers(door, plans, name):
    given, log = answers(door, plans)
    flasks = recorded()["wsgi"][name]

    if door == "client":
        flasks = recorded()["client"].get(name, flasks)

    assert isinstance(given[name], list), f"{given[name]}\n{log[-3000:]}"
    assert len(given[name]) == len(flasks)
    differences = []

    for i, (request, flask, actual) in enumerate(
        zip(CASES[name].requests, flasks, given[name], strict=True)
    ):
        expected = expect(flask, door, (name, describe(request)))
        actual = simplify(actual, expected, door)

        if actual != expected:
            differences += [f"{i}: {describe(request)} {request.headers}"]
            differences += [
                f"  {key}\n    Flask:   {expected.get(key)!r}\n    BustAPI: {actual.get(key)!r}"
                for key in sorted({*expected, *actual})
                if expected.get(key) != actual.get(key)
            ]

    assert not differences, "\n" + "\n".join(differences)
