"""What an answer through a door must have in common with Flask's own."""

from __future__ import annotations

import base64
import typing as t

Recorded = dict[str, t.Any]

#: Answers that the native server gives instead of Flask's, because the wire has rules that an
#: application behind a gateway does not: by case and request, the status and the reason.
SERVER_ANSWERS = {
    ("trusted_hosts", "GET / at bad host"): (
        "400",
        "RFC 9112, 3.2: a server must refuse a Host field with an invalid value",
    ),
    ("returned", "GET /tuple-bad-status"): ("500", "a status line needs a code of three digits"),
    ("returned_and_seen", "GET /tuple-bad-status"): (
        "500",
        "a status line needs a code of three digits",
    ),
}


def expect(recorded: Recorded, door: str, where: tuple[str, str]) -> Recorded:
    """What Flask's recorded answer to a request should look like through a door.

    :param where: the names of the case and the request.
    """
    is_head = where[1].startswith("HEAD ")
    expected = dict(recorded)

    if door == "asgi" and "raises" not in expected:
        # ASGI messages have no reason phrase.
        expected["status"] = expected["status"].partition(" ")[0]

    if not is_socket(door):
        return expected

    if where in SERVER_ANSWERS:
        return {"status": SERVER_ANSWERS[where][0]}

    if "raises" in expected:
        # The server answers an exception that leaves the application with a 500 that tells nothing.
        return {"status": "500"}

    headers = expected["headers"]

    if not is_head and not expected.get("cut"):
        # A length that is not the body's would break the framing of the connection.
        length = str(_length(expected["body"]))
        headers = [[n, length if n == "content-length" else v] for n, v in headers]

    expected["headers"] = _grouped(headers)
    return expected


def is_socket(door: str) -> bool:
    """Whether an answer through this door came over the wire."""
    return door.startswith("socket")


def simplify(actual: Recorded, expected: Recorded, door: str) -> Recorded:
    """Leave what need not be compared out of an answer."""
    if not is_socket(door) or "status" not in actual:
        return actual

    if expected.keys() == {"status"}:
        # Its text is the server's own; it tells nothing of the exception.
        tells = "secret" in actual["body"] or "Traceback" in actual["body"]
        return {"status": actual["body"] if tells else actual["status"].partition(" ")[0]}

    headers = _grouped(actual["headers"])
    names = [name for name, _ in expected.get("headers", ())]

    if "content-length" not in names:
        # A server may add the length where it knows it (PEP 3333), if it is right.
        headers = [h for h in headers if h != ["content-length", str(_length(actual["body"]))]]

    return {**actual, "headers": headers}


def _length(body: str) -> int:
    """The length of a body, however it was written down."""
    if body.startswith("base64 "):
        return len(base64.b64decode(body[7:]))

    if " bytes, SHA-256 " in body:
        return int(body.partition(" ")[0])

    return len(body.encode())


def _grouped(headers: list[list[str]]) -> list[list[str]]:
    """Headers with repeats beside each other, and the length at the end.

    So the server writes the repeats; the length it adds behind the fields of answers that no
    `Response` object was made for. The order of fields of different names has no meaning
    (RFC 9110, 5.3); that of repeats has, and so is compared.
    """
    names = dict.fromkeys(name for name, _ in headers)

    if "content-length" in names:
        names["content-length"] = names.pop("content-length")

    return [header for name in names for header in headers if header[0] == name]
