"""Generates cases: rules that compete, and requests that lie near them.

Everything is drawn from a `random.Random` that hypothesis makes. Drawn one by one, choices
would be shrunk by hypothesis, but it favours the ends of ranges and repeats what it drew
before, and rules seldom met then; `reduce` makes failures small instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

#: Calls made of each map.
CALLS = 20

_STATICS = [
    *["a", "b", "1"] * 6,
    "ab", "a.b", "x-y", "12", "ä", "x y", "%", "%2F", "+", "~(", ".", "..", "a;b", "|",
]  # fmt: skip
_CONVERTERS = [
    "", "", "", "", "string:", "string(length=2):", "string(minlength=2, maxlength=3):",
    "int:", "int:", "int:", "int(fixed_digits=2):", "int(min=3, max=20):", "int(signed=True):",
    "float:", "float(signed=True):", "path:", "path:", 'any(a, b, "c.d", "x y"):', "uuid:",
    "hex:", "word:", "slug:", "pair:", "guarded:", "number:",
]  # fmt: skip
#: Texts that a converter takes, or nearly does.
_FITTING: dict[str, list[str]] = {
    "string": ["ab", "abc", "x y", "日本", "7"],
    "int": ["7", "12", "3", "007", "20", "-3", "٣", "9" * 640, "9" * 641, "9" * 4300, "9" * 4301],
    "float": ["1.5", "-0.5", "12.0", "1e5", "9" * 400 + ".0", "1." + "9" * 5000],
    "path": ["a", "a/b/c", "a//b", "x/", "a/"],
    "any": ["a", "b", "c.d", "x y", "ab"],
    "uuid": ["12345678-9abc-def0-1234-56789abcdef0", "12345678-9ABC-DEF0-1234-56789ABCDEF0"],
    "hex": ["ff", "1", "a0", "g1"],
    "word": ["ab", "abc", "a"],
    "slug": ["a-b", "ä_1", "e\u0301", "²", "a.b"],
    "pair": ["a/1", "ab/12", "a"],
    "guarded": ["a", "ba", "ab"],
    "number": ["7", "12", "9" * 4300, "9" * 5000],
}
_TEXTS = [
    "a", "b", "ab", "abc", "c.d", "a.b", "x y", "1", "7", "12", "007", "-3", "1.5", "-0.5", "g1",
    "ff", "٣", "ä", "a/1", "ab/12", "a/b/c", "%2F", "a%20b", ".", "..", "", " ", "a\nb", "x|y",
    "1e5", "99999999999999999999", "12345678-9abc-def0-1234-56789abcdef0", "日本", "😀", "'",
    '"', "<a>", "\x00", "{}", "a+b", "\u2028", "a\r", "\ufffd", "e\u0301", "İ",
]  # fmt: skip
_NAMES = ["x", "y", "z"]
_METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PROPFIND"]
_HOSTS = ["h.test", "h.test", "h.test:8080", "www.h.test", "a.test", "H.Test", "12.test"]
_SUBDOMAINS = ["", "www", "a", "a.b", "12", "X"]
_ENDPOINTS = ["e", "f", "blue.g"]
_VALUES: list[Any] = [
    *_TEXTS, 0, 1, 7, 12, -3, 10**20, 1.0, 1.5, 1e16, 1e-7, -0.0, True, False, None, [],
    ["a", "b"], [1, None, "x y"], {"uuid": "12345678-9abc-def0-1234-56789abcdef0"},
    {"tuple": ["a", 2]}, {"bytes": "a b&ä"}, "9" * 5000, {"digits": 400}, {"digits": 4300},
    {"digits": 5000}, {"float": "inf"}, {"float": "nan"}, {"float": "1e308"},
]  # fmt: skip
_DEFAULTS: list[Any] = ["a", "b", "12", 1, 7, 12, 1.5, None, True, {"tuple": ["a", 2]}]
_VARIABLE = re.compile(r"<(?:([a-z]+)(?:\([^)]*\))?:)?([a-z]+)>")


class Generator:
    """Draws the parts of a case."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.pick = random.choice

    def once_in(self, times: int) -> bool:
        """True once in so many times."""
        return self.random.randrange(times) == 0

    def sometimes(self, times: int, options: list[Any]) -> Any:
        """One of the options once in so many times, or else `None`."""
        return self.pick(options) if self.once_in(times) else None

    def case(self) -> dict[str, Any]:
        """A map of up to ten rules, and `CALLS` calls."""
        options = {
            "strict_slashes": not self.once_in(3),
            "merge_slashes": not self.once_in(3),
            "redirect_defaults": not self.once_in(3),
            "host_matching": self.once_in(5),
            "default_subdomain": "www" if self.once_in(6) else "",
            "sort_parameters": self.once_in(3),
        }
        hosts = options["host_matching"]
        rules = [self.rule(hosts) for _ in range(self.random.randint(1, 10))]
        calls = [self.call(rules, hosts) for _ in range(CALLS)]
        return {"map": options, "rules": rules, "calls": calls}

    # -- rules ----------------------------------------------------------------------------

    def rule_string(self) -> str:
        """A rule; its variables have different names, but for once in a while."""
        names = [*_NAMES, *"wvutsr"]
        self.random.shuffle(names)

        def variable() -> str:
            name = names[-1] if self.once_in(60) else names.pop()
            return f"<{self.pick(_CONVERTERS)}{name}>"

        def static() -> str:
            return self.pick(_STATICS)

        shapes: list[Callable[[], str]] = [
            *[static] * 5,
            *[variable] * 7,
            lambda: static() + variable(),
            lambda: variable() + static(),
            lambda: variable() + self.pick(["-", ".", "", "a"]) + variable(),
        ]
        text = ""
        for _ in range(self.pick([0, 1, 1, 1, 1, 2, 2, 2, 3, 4])):
            text += "//" if self.once_in(15) else "/"
            text += self.pick(shapes)()
        if not text or self.once_in(3):
            text += "//" if self.once_in(15) else "/"
        return text

    def rule(self, host_matching: bool) -> dict[str, Any]:
        """The arguments of a rule."""
        defaults = None
        if self.once_in(4):
            names = [*_NAMES, "extra"]
            count = self.random.randint(0, 2)
            defaults = {self.pick(names): self.pick(_DEFAULTS) for _ in range(count)}
        methods = [
            ["GET"],
            ["GET", "POST"],
            ["POST"],
            ["post", "PUT"],
            ["PROPFIND"],
            [],
            ["OPTIONS"],
        ]
        redirects = [
            "call",
            "/new",
            "new/page?q=1",
            "http://other/",
            "../up",
            "to/<x>/x",
            "",
            "a b?ä",
        ]
        subdomains = ["", "www", "<x>", "<int:y>", "<x>.b", "a"]
        hosts = ["h.test", "h.test", "<x>.test", "www.<path:x>", "h.test:8080"]
        return {
            "rule": self.rule_string(),
            "endpoint": self.pick(_ENDPOINTS),
            "methods": self.sometimes(2, methods),
            "defaults": defaults,
            "subdomain": None if host_matching else self.sometimes(6, subdomains),
            "host": self.pick(hosts) if host_matching and not self.once_in(4) else None,
            "strict_slashes": self.sometimes(4, [True, False]),
            "merge_slashes": self.sometimes(6, [True, False]),
            "redirect_to": self.sometimes(15, redirects),
            "alias": self.once_in(12),
            "build_only": self.once_in(15),
            "websocket": self.once_in(15),
        }

    # -- calls ----------------------------------------------------------------------------

    def bind(self, host_matching: bool) -> dict[str, Any]:
        """The arguments of `Map.bind`."""
        bind: dict[str, Any] = {"server_name": self.pick(_HOSTS)}
        if self.once_in(40 if host_matching else 5):
            bind["subdomain"] = self.pick(_SUBDOMAINS)
        if self.once_in(4):
            bind["script_name"] = self.pick(["", "/", "/app", "/app/", "app", "/a b//", "/ä"])
        if self.once_in(6):
            bind["url_scheme"] = self.pick(["https", "https", "ws", "wss", "http", ""])
        if self.once_in(4):
            queries = ["a=1&b=ä", "", {"q": "x y", "r": [1, 2]}, {}, {"none": None}]
            bind["query_args"] = self.pick(queries)
        return bind

    def path(self, rules: list[dict[str, Any]]) -> str:
        """A path: mostly one of the rules', with its variables filled in, and then changed."""
        if self.once_in(8):
            count = self.random.randrange(6)
            segments = [self.pick(["", *_STATICS, *_TEXTS]) for _ in range(count)]
            return self.pick(["", "/", "//"]) + "/".join(segments)

        def fill(match: re.Match[str]) -> str:
            return self.pick(_TEXTS if self.once_in(6) else _FITTING[match[1] or "string"])

        path = _VARIABLE.sub(fill, self.pick(rules)["rule"])
        change = self.random.randrange(20)
        if change < 2:
            return path.rstrip("/")
        if change < 4:
            return path + "/"
        if change == 4:
            return path.replace("/", "//", self.random.randint(1, 3))
        if change == 5:
            return path.lstrip("/")
        if change == 6:
            return path.upper()
        return path + self.pick(_TEXTS) if change == 7 else path

    def call(self, rules: list[dict[str, Any]], host_matching: bool) -> dict[str, Any]:
        """A method of an adapter, and its arguments."""
        bind = self.bind(host_matching)
        kind = self.pick(["match"] * 12 + ["allowed", "test"] + ["build"] * 6)
        if kind == "build":
            return {"call": kind, "bind": bind, **self.build(rules)}
        call: dict[str, Any] = {"call": kind, "bind": bind, "path_info": self.path(rules)}
        if kind != "allowed":
            call["method"] = self.sometimes(3, [*_METHODS, "post", "--", ""])
        if kind == "match":
            call["websocket"] = self.sometimes(8, [True, False])
            call["query_args"] = self.sometimes(6, ["p=1", "", {"p": "a b"}, {"none": None}])
        return call

    def build(self, rules: list[dict[str, Any]]) -> dict[str, Any]:
        """The arguments of `MapAdapter.build`, near those that a rule needs."""
        near = self.pick(rules)
        names = [match[2] for match in _VARIABLE.finditer(near["rule"])]
        if self.once_in(8) and names:
            names.pop()
        more = [*_NAMES, "w", "extra", "q", "1 &", "ä"]
        names += [self.pick(more) for _ in range(self.pick([0, 0, 0, 1, 2]))]
        fitting = ["ab", "a", "7", 7, 12, "12", 1.5, "c.d", "a/1"]
        return {
            "endpoint": "nowhere" if self.once_in(20) else near["endpoint"],
            "values": {name: self.pick(_VALUES if self.once_in(3) else fitting) for name in names},
            "method": self.sometimes(6, [*_METHODS, "get"]),
            "force_external": self.once_in(3),
            "append_unknown": not self.once_in(6),
            "url_scheme": self.sometimes(4, ["", "https", "ws", "ftp"]),
        }


def reduce(case: dict[str, Any], differs: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The case without what it does not need to differ."""
    for part in ("calls", "rules"):
        number = 0
        while number < len(case[part]):
            smaller = {**case, part: case[part][:number] + case[part][number + 1 :]}
            if differs(smaller):
                case = smaller
            else:
                number += 1
    for part in ("calls", "rules"):
        for number, entry in enumerate(case[part]):
            for name in list(entry):
                without = {key: value for key, value in case[part][number].items() if key != name}
                entries = [*case[part]]
                entries[number] = without
                try:
                    smaller = {**case, part: entries}
                    case = smaller if differs(smaller) else case
                except (KeyError, TypeError):
                    # The argument is not one that can be left out.
                    continue
    return case
