"""What the table is made of: cases, their requests, and the framework they are built on."""

from __future__ import annotations

import importlib
import json as _json
import typing as t
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode

#: Parts of a multipart body are set off by it; fixed, so that bodies are the same each time.
BOUNDARY = "frontier"
#: The key that signs the sessions of the table's apps, unless a case sets another.
SECRET_KEY = "doors"

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    """One request, as it goes over the wire.

    Attributes:
        chunked: send the body in chunks, without a length.
        cookies: send the cookies that earlier answers of the case have set.
    """

    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""
    chunked: bool = False
    cookies: bool = True
    host: str = "door.test"

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


@dataclass(frozen=True)
class Case:
    """An app, by a function that builds it, and the requests that it gets, in this order."""

    name: str
    build: Callable[[Framework], t.Any]
    requests: tuple[Request, ...] = field(repr=False)


class Framework:
    """A framework's names: those of its top module as attributes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._top = importlib.import_module(name)

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._top, name)

    def module(self, name: str) -> t.Any:
        """A module within the framework."""
        return importlib.import_module(f"{self.name}.{name}")

    def app(self, cls: t.Any = None, **options: t.Any) -> t.Any:
        """Make an app in the folder ``site`` of the current directory."""
        app = (cls or self._top.Flask)("doors_app", root_path="site", **options)
        app.secret_key = SECRET_KEY
        return app


CASES: dict[str, Case] = {}


def case(
    *requests: Request,
) -> Callable[[Callable[[Framework], t.Any]], Callable[[Framework], t.Any]]:
    """Add the function's app to the table, with these requests."""

    def add(build: Callable[[Framework], t.Any]) -> Callable[[Framework], t.Any]:
        name = build.__name__
        assert name not in CASES, f"There are two cases {name}."
        CASES[name] = Case(name, build, requests)
        return build

    return add


def request(
    method: str,
    target: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    form: Iterable[tuple[str, str]] | None = None,
    json: t.Any = None,
    files: Iterable[tuple[str, str | None, str | None, bytes]] | None = None,
    **options: t.Any,
) -> Request:
    """Make a request whose body is given as bytes, form, JSON, or multipart parts.

    :param files: of each part the field's name, the file's name, the type, and the content.
    """
    all_headers = list(headers)

    if form is not None:
        body = urlencode(list(form)).encode()
        all_headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    elif json is not None:
        body = _json.dumps(json).encode()
        all_headers.append(("Content-Type", "application/json"))
    elif files is not None:
        body = multipart(files)
        all_headers.append(("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"))

    return Request(method, target, tuple(all_headers), body, **options)


def get(target: str, *pairs: tuple[str, str], **options: t.Any) -> Request:
    """Make a GET request with the headers in `pairs`."""
    return request("GET", target, headers=pairs, **options)


def post(target: str, *pairs: tuple[str, str], **options: t.Any) -> Request:
    """Make a POST request with the headers in `pairs`."""
    return request("POST", target, headers=pairs, **options)


def multipart(parts: Iterable[tuple[str, str | None, str | None, bytes]]) -> bytes:
    """Write a multipart body."""
    pieces = []

    for name, filename, content_type, content in parts:
        disposition = f'Content-Disposition: form-data; name="{name}"'

        if filename is not None:
            disposition += f'; filename="{filename}"'

        lines = [f"--{BOUNDARY}", disposition]

        if content_type is not None:
            lines.append(f"Content-Type: {content_type}")

        pieces.append("\r\n".join([*lines, "", ""]).encode() + content + b"\r\n")

    return b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()
