"""When two records of a script are the same, and what is said where they are not."""

from __future__ import annotations

import difflib
import hashlib
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from .application import Normalisation
    from .relay import Exchange

#: Headers of the connection and of the server, which an application does not decide: when a server
#: keeps a connection and how it frames a body are its own affairs, as are its name and its clock.
OF_THE_SERVER = frozenset({"date", "server", "connection", "keep-alive", "transfer-encoding"})
_LENGTH = "content-length:"
#: Stands for the length of a body that was sent in chunks.
_CHUNKED = f"{_LENGTH} chunked"
# How much is shown of one difference.
_LINES = 12
_WIDTH = 300


class Plain(t.NamedTuple):
    """An exchange without what is random."""

    name: str
    status: int
    headers: list[str]
    body: str


def normalise(exchange: Exchange, rules: Sequence[Normalisation]) -> Plain:
    """Drops the server's own headers, and applies the rules to all the rest."""

    def applied(text: str) -> str:
        for rule in rules:
            text = rule.apply(text)
        return text

    framing = [_CHUNKED for name, _ in exchange.headers if name.lower() == "transfer-encoding"]
    headers = framing + [
        applied(f"{name.lower()}: {_without_order(name, value)}")
        for name, value in exchange.headers
        if name.lower() not in OF_THE_SERVER
    ]
    # Headers of different names have no order; those of one name keep theirs.
    headers.sort(key=lambda line: line.partition(":")[0])

    try:
        text = exchange.body.decode()
    except UnicodeDecodeError:
        digest = hashlib.sha256(exchange.body).hexdigest()
        body = f"{len(exchange.body)} bytes, SHA-256 {digest}"
    else:
        body = applied(text)

        if body != text:
            # A normalised body has no certain length. That it fits the body, the relay has seen.
            headers = [
                f"{_LENGTH} *" if line.startswith(_LENGTH) and line != _CHUNKED else line
                for line in headers
            ]

    return Plain(f"{exchange.method} {applied(exchange.target)}", exchange.status, headers, body)


def _without_order(name: str, value: str) -> str:
    # Werkzeug writes a set of methods: their order differs between processes on Flask, too.
    # (Eve's permission for other origins is made of the same.)
    if name.lower() in {"allow", "access-control-allow-methods"}:
        return ", ".join(sorted(value.split(", ")))
    return value


def differences(
    expected: Sequence[Exchange],
    found: Sequence[Exchange],
    rules: Sequence[Normalisation] = (),
    *,
    unordered: bool = False,
) -> list[str]:
    """What differs, one text for each exchange that does; empty if nothing does."""
    left = [normalise(exchange, rules) for exchange in expected]
    right = [normalise(exchange, rules) for exchange in found]

    if unordered:
        left.sort()
        right.sort()

    names, others = [plain.name for plain in left], [plain.name for plain in right]

    if names != others:
        lines = list(difflib.unified_diff(names, others, "flask", "bustapi", lineterm="", n=1))
        return ["other requests were made:\n" + _shown(lines)]

    return [
        f"{number}. {one.name}: {text}"
        for number, (one, other) in enumerate(zip(left, right, strict=True), 1)
        if (text := _difference(one, other))
    ]


def _difference(one: Plain, other: Plain) -> str:
    parts = []

    if one.status != other.status:
        parts.append(f"status {one.status} on Flask, {other.status} here")

    if _CHUNKED in one.headers or one.status == 204:
        # A server may find out a length that Werkzeug's does not, but not lose one; that of a 204,
        # which Tornado sends, no server should (RFC 9110, section 8.6).
        one, other = (
            side._replace(headers=[h for h in side.headers if not h.startswith(_LENGTH)])
            for side in (one, other)
        )

    if one.headers != other.headers:
        lines = [
            line
            for line in difflib.ndiff(one.headers, other.headers)
            if line.startswith(("- ", "+ "))
        ]
        parts.append("headers (- Flask, + here):\n" + _shown(lines))

    if one.body != other.body:
        diff = difflib.unified_diff(
            one.body.splitlines(), other.body.splitlines(), "flask", "bustapi", lineterm="", n=0
        )
        parts.append("body:\n" + _shown([line for line in diff if not line.startswith("@@")]))

    return "; ".join(parts)


def _shown(lines: Sequence[str]) -> str:
    shown = [f"        {line[:_WIDTH]}" for line in lines[:_LINES]]
    if len(lines) > _LINES:
        shown.append(f"        and {len(lines) - _LINES} lines more")
    return "\n".join(shown)
