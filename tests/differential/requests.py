"""The same request for Werkzeug, and for bustapi by two ways: as its server makes requests, and
from an environ, as WSGI servers and test clients have it.

Werkzeug's environ is put together here, so that nothing of bustapi is on that side.
"""

from __future__ import annotations

import io
import typing as t
from urllib.parse import unquote_to_bytes

import werkzeug
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException

from bustapi import Request
from bustapi._native import RawRequest, make_request

Headers = t.Sequence[tuple[str, str]]


def environ_of(
    target: str, headers: Headers, body: bytes = b"", method: str = "POST"
) -> dict[str, t.Any]:
    """The environ of a request, each field of which is there once."""
    path, _, query = target.partition("?")
    environ: dict[str, t.Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "REQUEST_URI": target,
        "RAW_URI": target,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "5000",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
    }

    for name, value in headers:
        key = name.upper().replace("-", "_")
        own = key in ("CONTENT_TYPE", "CONTENT_LENGTH")
        environ[key if own else f"HTTP_{key}"] = value

    return environ


def three(
    target: str = "/", headers: Headers = (), body: bytes = b"", method: str = "POST"
) -> list[tuple[str, t.Any]]:
    """The request in each implementation, Werkzeug's first."""
    fields = list(headers)

    if not any(name.lower() == "host" for name, _ in fields):
        fields.insert(0, ("Host", "h.test"))

    if body and not any(name.lower() == "content-length" for name, _ in fields):
        fields.append(("Content-Length", str(len(body))))

    pairs = [(name, value.encode("latin-1")) for name, value in fields]
    native = make_request(Request, RawRequest(method, target, pairs, body))
    assert native._raw is not None
    return [
        ("Werkzeug", werkzeug.Request(environ_of(target, fields, body, method))),
        ("native", native),
        ("environ", Request(environ_of(target, fields, body, method))),
    ]


def outcome(read: t.Callable[[], t.Any]) -> t.Any:
    """What reading gives, in a form that can be compared."""
    try:
        return show(read())
    except HTTPException as error:
        return type(error).__name__, error.code, error.description
    except Exception as error:  # noqa: BLE001 whatever is raised is the answer
        return type(error).__name__, str(error)


def show(value: t.Any) -> t.Any:
    """A value with all that there is in it."""
    if isinstance(value, FileStorage):
        parameters = [value.name, value.filename, list(value.headers), value.content_length]
        return [*parameters, value.mimetype, value.mimetype_params, value.read()]

    if hasattr(value, "lists"):
        lists = [(key, [show(item) for item in items]) for key, items in value.lists()]
        return type(value).__name__, lists

    return value


def same(
    read: t.Callable[[t.Any], t.Any],
    target: str = "/",
    headers: Headers = (),
    body: bytes = b"",
    method: str = "POST",
) -> None:
    """Whether reading gives the same in each implementation."""
    (_, theirs), *ours = three(target, headers, body, method)
    expected = outcome(lambda: read(theirs))

    for way, request in ours:
        actual = outcome(lambda: read(request))  # noqa: B023 called at once
        assert actual == expected, f"{way}: {target!r} {headers!r} {body[:500]!r}"
