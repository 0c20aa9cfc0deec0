"""The requests that are measured, and the answers they must get."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Sizes of the static files and of the upload, in bytes.
STATIC_SIZES = {"10k.bin": 10_240, "10m.bin": 10 * 1024 * 1024}
UPLOAD_SIZE = 1024 * 1024

BROWSER_HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br",
    "Referer": "http://127.0.0.1/catalogue",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Cookie": "theme=dark; visits=17; token=0123456789abcdef0123456789abcdef",
}
GREETING = {"message": "Hello, World!"}
FORM = {
    "name": "Grace Hopper",
    "email": "grace@example.org",
    "age": "41",
    "city": "New York",
    "comment": "Nanoseconds & wires, 30 cm each",
}
ORDER: dict[str, Any] = {
    "order": 20731,
    "customer": "Grace Hopper",
    "paid": True,
    "discount": None,
    "total": 1093.75,
    "labels": ["gift", "express", "fragile"],
    "lines": [
        {"article": f"A-{number:04d}", "text": f"Wire, {number} ns", "count": number, "net": 12.5}
        for number in range(1, 14)
    ],
}
BOUNDARY = "benchmark-7d1f4c2a"


@dataclass(frozen=True)
class Workload:
    """One kind of request.

    `variant` names the application it needs, which is started for it: ``base``, ``routes``
    (500 more routes), ``session`` (a secret key) or ``hooks`` (one before, one after).
    """

    name: str
    path: str
    #: The exact body; or the value its JSON must have; or parts a text must contain.
    wanted: bytes | Mapping[str, Any] | tuple[str, ...]
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    variant: str = "base"
    #: The status the answer must have.
    wanted_status: int = 200
    #: A header the answer must have, in lower case.
    wanted_header: str = ""
    #: The figure to judge by is requests per second and the probe, not CPU time.
    waits: bool = False
    #: Most connections: a large body on many of them takes longer than a run for all.
    connections: int = 1024
    #: Shortest run that tells its figures, in seconds: a p99 of probes needs some hundred.
    least_seconds: int = 0

    def wrong(self, status: int, headers: Mapping[str, str], body: bytes) -> str:
        """Why an answer is wrong; empty if it is right."""
        if status != self.wanted_status:
            return f"status {status}: {body[:80]!r}"

        if self.wanted_header and self.wanted_header not in headers:
            return f"no {self.wanted_header} header"

        return "" if self._is_wanted(body) else f"wrong body: {body[:80]!r}"

    def _is_wanted(self, body: bytes) -> bool:
        if isinstance(self.wanted, bytes):
            return body == self.wanted

        if isinstance(self.wanted, tuple):
            return all(part.encode() in body for part in self.wanted)

        try:
            answer: object = json.loads(body)
        except ValueError:
            return False

        return answer == self.wanted


def noise(size: int) -> bytes:
    """Bytes that do not compress, the same in every run."""
    return random.Random(size).randbytes(size)


def write_static_files(folder: Path) -> None:
    """Write the files of the static workloads."""
    folder.mkdir(parents=True, exist_ok=True)

    for name, size in STATIC_SIZES.items():
        path = folder / name

        if not path.exists() or path.stat().st_size != size:
            path.write_bytes(noise(size))


def multipart_body() -> bytes:
    """A form with one field and one file of `UPLOAD_SIZE`."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="title"\r\n\r\nwire\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="wire.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + noise(UPLOAD_SIZE) + f"\r\n--{BOUNDARY}--\r\n".encode()


def misses() -> list[Workload]:
    """Requests that end in an error that nobody handles; frameworks differ in what they answer."""

    def page(name: str) -> tuple[str, ...]:
        return (f"<h1>{name}</h1>", "</p>")

    allowed = Workload(
        "405", "/json", page("Method Not Allowed"), "POST", wanted_status=405, wanted_header="allow"
    )
    return [
        Workload("404", "/missing", page("Not Found"), wanted_status=404),
        allowed,
        Workload("abort", "/abort", page("Not Found"), wanted_status=404),
        Workload("exception", "/raise", page("Internal Server Error"), wanted_status=500),
    ]


def workloads() -> list[Workload]:
    """All workloads, in the order of the report."""
    json_type = {"Content-Type": "application/json"}
    form_type = {"Content-Type": "application/x-www-form-urlencoded"}
    multipart_type = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    searched = {
        "q": "rust",
        "page": 2,
        "tags": ["a", "b"],
        "lang": BROWSER_HEADERS["Accept-Language"],
        "theme": "dark",
    }
    table_parts = ("<td>Item &lt;0&gt;</td>", "<td>Item &lt;9&gt;</td><td>13.5</td>", "</table>")
    upload = Workload(
        "multipart",
        "/upload",
        {"size": UPLOAD_SIZE},
        "POST",
        multipart_type,
        multipart_body(),
        connections=8,
    )
    return [
        Workload("plain", "/", b"Hello, World!"),
        Workload("json", "/json", GREETING),
        Workload("param", "/user/123", {"id": 123}),
        Workload("query", "/search?q=rust&page=2&tags=a&tags=b", searched, headers=BROWSER_HEADERS),
        Workload("echo", "/echo", ORDER, "POST", json_type, json.dumps(ORDER).encode()),
        Workload(
            "form",
            "/form",
            {"name": FORM["name"], "email": FORM["email"]},
            "POST",
            form_type,
            urlencode(FORM).encode(),
        ),
        upload,
        Workload("template", "/template", table_parts),
        Workload("async", "/async", GREETING),
        Workload("static", "/static/10k.bin", noise(STATIC_SIZES["10k.bin"])),
        Workload("static-10m", "/static/10m.bin", noise(STATIC_SIZES["10m.bin"]), connections=8),
        Workload("routes", "/api/v1/resource498/7/items", {"r": 498, "id": 7}, variant="routes"),
        Workload("session", "/session", {"n": 2}, variant="session", wanted_header="set-cookie"),
        Workload("hooks", "/json", GREETING, variant="hooks", wanted_header="x-hook"),
        Workload("blocking", "/blocking", {"ok": True}, waits=True, least_seconds=5),
    ]
