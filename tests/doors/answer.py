"""Answers, written so that those of two servers can be compared, and what may differ."""

from __future__ import annotations

import base64
import time
import typing as t
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime

from itsdangerous import BadSignature, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode

from .case import SECRET_KEY

#: Headers of the connection and the server, not of the application: HTTP/1.1 servers choose
#: them by how they frame a body and whether they keep the connection (RFC 9112), and a WSGI
#: application may not set them (PEP 3333).
CONNECTION_HEADERS = {"connection", "date", "keep-alive", "server", "transfer-encoding"}
#: Keys that cases sign with, and the salts.
_KEYS = (SECRET_KEY, "new key", "third")
_SALTS = ("cookie-session", "own salt")
#: What time to the minute an answer takes to be made at most, in seconds.
_SLACK = 120


@dataclass
class Answer:
    """One answer.

    Attributes:
        raises: the exception that left the application, instead of an answer.
        cut: the body ended before its time.
    """

    status: str = ""
    headers: list[list[str]] | None = None
    body: str = ""
    raises: str | None = None
    cut: bool = False

    def as_json(self) -> dict[str, t.Any]:
        """Plain values, without those that say nothing."""
        return {name: value for name, value in asdict(self).items() if value not in (None, False)}


def answer(
    status: str, headers: t.Iterable[tuple[str, str]], body: bytes, cut: bool = False
) -> Answer:
    """Write an answer down: times as distances, signatures as what they sign."""
    kept = []

    for name, value in headers:
        name = name.lower()

        if name in CONNECTION_HEADERS:
            continue

        if name == "set-cookie":
            value = _without_time(_without_signature(value))
        elif name == "expires":
            value = _distance(value)
        elif name == "allow":
            # Werkzeug writes a set, in an order that no one chose.
            value = ", ".join(sorted(value.split(", ")))

        kept.append([name, value])

    return Answer(status, kept, _text(body), cut=cut)


def _text(body: bytes) -> str:
    if len(body) > 5000:
        import hashlib

        return f"{len(body)} bytes, SHA-256 {hashlib.sha256(body).hexdigest()}"

    try:
        return body.decode()
    except UnicodeDecodeError:
        return f"base64 {base64.b64encode(body).decode()}"


def _without_time(cookie: str) -> str:
    """Write the expiry of a cookie as a distance from now."""
    parts = cookie.split("; ")
    return "; ".join(
        f"Expires={_distance(part[8:])}" if part.startswith("Expires=") else part for part in parts
    )


def _distance(date: str) -> str:
    moment = parsedate_to_datetime(date).timestamp()
    distance = moment - time.time()

    if distance < -_SLACK:
        # Long ago, or a constant: it does not depend on now.
        return date

    return f"<in {round(distance / _SLACK) * _SLACK} s>"


def _without_signature(cookie: str) -> str:
    """Write a signed session as the key and salt that sign it, and the payload."""
    pair, separator, attributes = cookie.partition(";")
    name, _, value = pair.partition("=")

    for key in _KEYS:
        for salt in _SALTS:
            serializer = URLSafeTimedSerializer(
                key, salt=salt, signer_kwargs={"key_derivation": "hmac"}
            )

            try:
                serializer.loads(value, max_age=_SLACK)
            except BadSignature:
                continue

            payload, _, _ = value.rpartition(".")[0].rpartition(".")
            # zlib's output may differ between versions of it: write what was compressed.
            text = serializer.load_payload(payload.encode())
            compressed = payload.startswith(".")
            written = repr(text) if compressed else base64_decode(payload).decode()
            return f"{name}=<{key}, {salt}, {compressed}: {written}>{separator}{attributes}"

    return cookie


class Jar:
    """The cookies of one client, as far as the table needs it: names and values."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def header(self) -> str:
        """The Cookie header, empty without cookies."""
        return "; ".join(f"{name}={value}" for name, value in self._values.items())

    def store(self, headers: t.Iterable[tuple[str, str]]) -> None:
        """Take the cookies of an answer."""
        for name, value in headers:
            if name.lower() != "set-cookie":
                continue

            pair, _, attributes = value.partition(";")
            key, _, content = pair.partition("=")

            if "max-age=0" in attributes.lower():
                self._values.pop(key, None)
            else:
                self._values[key] = content
