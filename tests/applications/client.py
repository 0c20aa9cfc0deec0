"""What the scripts speak HTTP with: cookies, forms, files, and nothing that hides an answer."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import typing as t
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

#: Seconds for one answer.
TIMEOUT = 60.0
#: The boundary of multipart bodies: of no interest, so always the same one.
_BOUNDARY = "----a-boundary-of-the-script"


class Answer(t.NamedTuple):
    """An answer that was read to its end."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    #: Path and query that it answers.
    target: str

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> t.Any:
        return json.loads(self.body)


class Client:
    """Requests in sequence, with cookies, on connections of a few requests each.

    :param per_connection: how many requests share a connection, if the server keeps it.
    """

    def __init__(self, port: int, per_connection: int) -> None:
        self.port = port
        self.base = f"http://127.0.0.1:{port}"
        self.cookies: dict[str, str] = {}
        #: Sent with each request.
        self.headers: dict[str, str] = {}
        self._per_connection = per_connection
        self._connection: http.client.HTTPConnection | None = None
        self._requests = 0

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: t.Mapping[str, str] | None = None,
        body: bytes | t.Iterable[bytes] | None = None,
        json: t.Any = None,
        form: t.Mapping[str, t.Any] | t.Sequence[tuple[str, t.Any]] | None = None,
        files: t.Mapping[str, tuple[str, bytes, str]] | None = None,
        follow: bool = False,
        expect: int | None = None,
    ) -> Answer:
        """Send one request and read its answer.

        :param body: sent as it is; an iterable is sent in chunks.
        :param files: name, content and media type by field; the form is then multipart.
        :param follow: whether redirects are followed, each a request of its own.
        :param expect: the status without which the script has no sense.
        """
        fields = {**self.headers, **(headers or {})}

        if json is not None:
            body = _dump(json)
            fields.setdefault("Content-Type", "application/json")
        elif files is not None:
            body = _multipart(_pairs(form or {}), files)
            fields.setdefault("Content-Type", f"multipart/form-data; boundary={_BOUNDARY}")
        elif form is not None:
            body = urlencode(_pairs(form)).encode()
            fields.setdefault("Content-Type", "application/x-www-form-urlencoded")

        if self.cookies:
            fields["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())

        answer = self._send(method, target, fields, body)
        self._keep_cookies(answer)

        if follow and answer.status in {301, 302, 303, 307, 308}:
            place = urlsplit(urljoin(self.base + target, answer.headers["Location"]))
            keeps = answer.status in {307, 308}
            return self.request(
                method if keeps or method == "HEAD" else "GET",
                place.path + (f"?{place.query}" if place.query else ""),
                headers=headers,
                body=body if keeps else None,
                follow=True,
                expect=expect,
            )

        assert expect is None or answer.status == expect, (
            f"{method} {target}: {answer.status}, not {expect}:\n{answer.text[:2000]}"
        )
        return answer

    def get(self, target: str, **options: t.Any) -> Answer:
        return self.request("GET", target, **options)

    def head(self, target: str, **options: t.Any) -> Answer:
        return self.request("HEAD", target, **options)

    def post(self, target: str, **options: t.Any) -> Answer:
        return self.request("POST", target, **options)

    def put(self, target: str, **options: t.Any) -> Answer:
        return self.request("PUT", target, **options)

    def patch(self, target: str, **options: t.Any) -> Answer:
        return self.request("PATCH", target, **options)

    def delete(self, target: str, **options: t.Any) -> Answer:
        return self.request("DELETE", target, **options)

    def options(self, target: str, **options: t.Any) -> Answer:
        return self.request("OPTIONS", target, **options)

    @contextlib.contextmanager
    def one_connection(self) -> t.Iterator[None]:
        """Have all requests of a block on one connection, and so answered by one process."""
        self.close()
        usual, self._per_connection = self._per_connection, sys.maxsize
        try:
            yield
        finally:
            self._per_connection = usual
            self.close()

    def close(self) -> None:
        """Close the connection that is kept, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, method: str, target: str, fields: dict[str, str], body: t.Any) -> Answer:
        if self._requests % self._per_connection == 0:
            self.close()

        self._requests += 1
        connection = self._connection

        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
            self._connection = connection

        connection.request(method, target, body, fields)
        response = connection.getresponse()
        answer = Answer(response.status, response.msg, response.read(), target)

        if response.will_close:
            self.close()

        return answer

    def _keep_cookies(self, answer: Answer) -> None:
        for line in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0" or morsel["expires"].startswith("Thu, 01 Jan 1970"):
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value


def _dump(value: t.Any) -> bytes:
    return json.dumps(value).encode()


def _pairs(form: t.Any) -> list[tuple[str, str]]:
    pairs = form.items() if hasattr(form, "items") else form
    return [
        (name, str(value))
        for name, values in pairs
        for value in (values if isinstance(values, list) else [values])
    ]


def _multipart(
    pairs: list[tuple[str, str]], files: t.Mapping[str, tuple[str, bytes, str]]
) -> bytes:
    pieces = []

    for name, value in pairs:
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        pieces.append(head.encode() + value.encode() + b"\r\n")

    for name, (filename, content, media_type) in files.items():
        head = (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}";'
            f' filename="{filename}"\r\nContent-Type: {media_type}\r\n\r\n'
        )
        pieces.append(head.encode() + content + b"\r\n")

    return b"".join(pieces) + f"--{_BOUNDARY}--\r\n".encode()
