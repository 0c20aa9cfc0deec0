"""One case: a map, and calls of its adapters; and what either implementation says to it.

A case is made of what JSON can hold, so that a difference found is recorded as it is.
"""

from __future__ import annotations

import re
import uuid
from types import ModuleType
from typing import Any

import werkzeug.routing
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, RequestRedirect, ValidationError, WebsocketMismatch

import bustapi.routing

Outcome = list[Any]


class HexConverter(BaseConverter):
    """Rejects what its expression takes, and values that are no numbers."""

    regex = "[0-9a-g]+"
    weight = 60

    def to_python(self, value: str) -> int:
        try:
            return int(value, 16)
        except ValueError:
            raise ValidationError from None

    def to_url(self, value: Any) -> str:
        if not isinstance(value, int):
            raise ValidationError
        return f"{value:x}"


class WordConverter(BaseConverter):
    """Nothing but an expression; the router needs no Python for it."""

    regex = r"[a-z]{2,3}"


class SlugConverter(BaseConverter):
    """A class of Python's expressions that others define otherwise."""

    regex = r"[\w-]+"


class PairConverter(BaseConverter):
    """Takes a slash, so it is no part of its own."""

    regex = r"[a-z]+/[0-9]+"
    weight = 150


class GuardedConverter(BaseConverter):
    """Looks ahead, which only Python's expressions can."""

    regex = r"(?!ab)[a-z0-9]+"


class NumberConverter(werkzeug.routing.IntegerConverter):
    """A subclass of a converter that the router has itself."""

    def to_python(self, value: str) -> int:
        return int(super().to_python(value)) * 10


CONVERTERS: dict[str, type[BaseConverter]] = {
    "hex": HexConverter,
    "word": WordConverter,
    "slug": SlugConverter,
    "pair": PairConverter,
    "guarded": GuardedConverter,
    "number": NumberConverter,
}


def redirect(adapter: Any, **values: Any) -> str:
    """A `redirect_to` that shows what it was called with."""
    return f"to/{adapter.server_name}/{sorted(values)}"


def read_value(value: Any) -> Any:
    """A value that JSON has no type for is written as `{"uuid": text}` and the like."""
    if isinstance(value, dict):
        if "uuid" in value:
            return uuid.UUID(value["uuid"])
        if "tuple" in value:
            return tuple(value["tuple"])
        if "digits" in value:
            return 10 ** (value["digits"] - 1)
        if "float" in value:
            return float(value["float"])
        return value["bytes"].encode()
    return value


def _read_values(values: dict[str, Any] | None) -> dict[str, Any] | None:
    return values and {name: read_value(value) for name, value in values.items()}


class Subject:
    """The map of a case in one implementation."""

    def __init__(self, routing: ModuleType, case: dict[str, Any]) -> None:
        self.routing = routing
        self.case = case
        self.map = routing.Map(converters=CONVERTERS, **case["map"])
        self.rules: list[Any] = []
        self.refused = [self._add(rule) for rule in case["rules"]]

    def _add(self, rule: dict[str, Any]) -> str | None:
        options = dict(rule)
        options["defaults"] = _read_values(options.get("defaults"))
        if options.get("redirect_to") == "call":
            options["redirect_to"] = redirect
        try:
            made = self.routing.Rule(options.pop("rule"), **options)
            self.map.add(made)
        except Exception as error:  # noqa: BLE001 whatever is raised is the answer
            return type(error).__name__
        self.rules.append(made)
        return None

    def answer(self, call: dict[str, Any]) -> Outcome:
        """What one call gives, be it an exception."""
        try:
            return self._answer(dict(call))
        except RequestRedirect as error:
            return ["redirect", error.new_url]
        except MethodNotAllowed as error:
            return ["not allowed", sorted(error.valid_methods or ())]
        except NotFound:
            return ["not found"]
        except WebsocketMismatch:
            return ["websocket mismatch"]
        except Exception as error:  # noqa: BLE001 whatever is raised is the answer
            # Addresses, and the classes of the rules, differ.
            message = re.sub(r"0x[0-9a-f]+|werkzeug|bustapi", "", str(error))
            return ["error", type(error).__name__, message]

    def _answer(self, call: dict[str, Any]) -> Outcome:
        kind = call.pop("call")
        adapter = self.map.bind(**call.pop("bind"))
        if kind == "match":
            rule, values = adapter.match(return_rule=True, **call)
            return ["match", self._number(rule), _show(values)]
        if kind == "allowed":
            return ["allowed", sorted(adapter.allowed_methods(**call))]
        if kind == "test":
            return ["test", adapter.test(**call)]
        call["values"] = _read_values(call["values"])
        return ["url", adapter.build(**call)]

    def _number(self, rule: Any) -> int:
        return next(number for number, known in enumerate(self.rules) if known is rule)

    def describe(self) -> Outcome:
        """What the map says about itself."""
        return [
            self.refused,
            [self._number(rule) for rule in self.map.iter_rules()],
            [
                [rule.rule, rule.endpoint, sorted(rule.methods or ()), sorted(rule.arguments)]
                for rule in self.rules
            ],
        ]

    def answers(self) -> list[Outcome]:
        """Everything there is to compare."""
        return [self.describe(), *map(self.answer, self.case["calls"])]


def _show(values: dict[str, Any]) -> list[Any]:
    return sorted([name, type(value).__name__, repr(value)] for name, value in values.items())


def compare(case: dict[str, Any]) -> tuple[list[Outcome], list[Outcome], Subject]:
    """Werkzeug's answers, ours, and our map."""
    ours = Subject(bustapi.routing, case)
    return Subject(werkzeug.routing, case).answers(), ours.answers(), ours
