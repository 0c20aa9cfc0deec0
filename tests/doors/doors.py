"""The doors that lead into an application: WSGI, ASGI, the test client, and a socket.

Each takes a wire request to the app of a case and gives the answer as status line, header
pairs and body.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import signal
import socket
import threading
import typing as t
from urllib.parse import unquote_to_bytes

from .answer import Answer, Jar, answer
from .case import Case, Framework, Request

#: Seconds that an answer may take.
DEADLINE = 20.0

Raw = tuple[str, list[tuple[str, str]], bytes, bool]


class Wsgi:
    """Calls the app as a server does by PEP 3333."""

    def __init__(self, app: t.Any) -> None:
        self.app = app

    def take(self, request: Request, headers: list[tuple[str, str]]) -> Raw:
        """Call, and read the body to its end, if it has one."""
        started: list[tuple[str, list[tuple[str, str]]]] = []
        body: list[bytes] = []

        def start_response(status, headers, exc_info=None):
            started[:] = [(status, headers)]
            return body.append

        cut = False
        chunks = self.app(self.environ(request, headers), start_response)

        try:
            for chunk in chunks:
                body.append(chunk)
        except Exception:
            # The head is sent with the first piece of the body; until then there is none.
            if not any(body):
                raise

            cut = True
        finally:
            if hasattr(chunks, "close"):
                chunks.close()

        status, answered = started[0]
        return status, answered, b"".join(body), cut

    def environ(self, request: Request, headers: list[tuple[str, str]]) -> dict[str, t.Any]:
        """What a server makes of the request."""
        path, _, query = request.target.partition("?")
        name, _, port = request.host.partition(":")
        environ: dict[str, t.Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "REQUEST_URI": request.target,
            "RAW_URI": request.target,
            "SERVER_NAME": name,
            "SERVER_PORT": port or "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }

        for key, value in headers:
            # Names with underscores could pass for others; servers leave them out.
            if "_" in key:
                continue

            key = key.upper().replace("-", "_")
            key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
            value = value.encode().decode("latin-1")
            # Repeats are one header; of cookies, by the other separator (RFC 9113, 8.2.3).
            separator = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{environ[key]}{separator}{value}" if key in environ else value

        return environ


class Client(Wsgi):
    """The app's own test client, which keeps no cookies here."""

    def take(self, request: Request, headers: list[tuple[str, str]]) -> Raw:
        """Open the request; exceptions pass through as they do in tests."""
        client = self.app.test_client(use_cookies=False)
        # Neither a user agent of its own, nor the end of a chunked body lost.
        client.environ_base = {"REMOTE_ADDR": "127.0.0.1", "wsgi.input_terminated": True}
        response = client.open(self.environ(request, headers))
        cut = False
        chunks = []

        try:
            for chunk in response.iter_encoded():
                chunks.append(chunk)
        except Exception:  # noqa: BLE001 whatever the app raises ends its body
            cut = True
        finally:
            response.close()

        return response.status, list(response.headers), b"".join(chunks), cut


class Asgi:
    """Calls the app as an ASGI 3 server does."""

    def __init__(self, app: t.Any) -> None:
        self.app = app

    def take(self, request: Request, headers: list[tuple[str, str]]) -> Raw:
        """Run the call on a loop of its own."""
        return asyncio.run(asyncio.wait_for(self._take(request, headers), DEADLINE))

    async def _take(self, request: Request, headers: list[tuple[str, str]]) -> Raw:
        path, _, query = request.target.partition("?")
        name, _, port = request.host.partition(":")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers],
            "client": ("127.0.0.1", 1),
            "server": (name, int(port or 80)),
        }
        chunks = [request.body[i : i + 4096] for i in range(0, len(request.body), 4096)] or [b""]
        waiting = [
            {"type": "http.request", "body": chunk, "more_body": i < len(chunks) - 1}
            for i, chunk in enumerate(chunks)
        ]
        sent: list[dict[str, t.Any]] = []
        finished = asyncio.Event()

        async def receive():
            if waiting:
                return waiting.pop(0)

            await finished.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

            if message["type"] == "http.response.body" and not message.get("more_body"):
                finished.set()

        try:
            await self.app(scope, receive, send)
        except Exception:
            if not sent:
                raise
        finally:
            finished.set()

        start = sent[0]
        assert start["type"] == "http.response.start", sent
        answered = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in start["headers"]]
        body = b"".join(message.get("body", b"") for message in sent[1:])
        cut = len(sent) < 2 or bool(sent[-1].get("more_body"))
        code = start["status"]
        return str(code), answered, body, cut


class Socket:
    """The native server in a process of its own, and a client over TCP.

    :param build: makes the app, in that process.
    :param keep: use one connection for all requests, as long as the server keeps it.
    """

    def __init__(self, build: t.Callable[[], t.Any], *, keep: bool) -> None:
        self.keep = keep
        self._connection: socket.socket | None = None
        reading, writing = os.pipe()
        self._process = os.fork()

        if self._process == 0:
            os.close(reading)
            _serve(build, writing)

        os.close(writing)
        self._output = os.fdopen(reading, errors="replace")
        self.lines: list[str] = []
        self._port = self._read_port()
        # What the app logs is kept for the report of a failure.
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read_port(self) -> int:
        for line in self._output:
            self.lines.append(line)

            if "Running on" in line:
                return int(line.split(" (")[0].rpartition(":")[2])

        raise RuntimeError("The server did not start:\n" + "".join(self.lines))

    def _read(self) -> None:
        self.lines.extend(self._output)

    def close(self) -> None:
        """Stop the server, which has to end well."""
        self._disconnect()
        os.kill(self._process, signal.SIGTERM)
        _, status = os.waitpid(self._process, 0)
        self._reader.join()
        self._output.close()

        if status != 0:
            raise RuntimeError(f"The server ended with {status}:\n" + "".join(self.lines[-40:]))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def take(self, request: Request, headers: list[tuple[str, str]]) -> Raw:
        """Send the request and read the answer."""
        if self._connection is None:
            self._connection = socket.create_connection(("127.0.0.1", self._port), DEADLINE)

        self._connection.sendall(_write(request, headers))
        response = http.client.HTTPResponse(self._connection, method=request.method)

        try:
            response.begin()
            cut = False

            try:
                body = response.read()
            except http.client.IncompleteRead as e:
                body, cut = e.partial, True

            will_close = response.will_close or cut
            status = f"{response.status} {response.reason}"
            return status, response.getheaders(), body, cut
        except BaseException:
            will_close = True
            raise
        finally:
            response.close()

            if will_close or not self.keep:
                self._disconnect()


def _write(request: Request, headers: list[tuple[str, str]]) -> bytes:
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    head = "\r\n".join([*lines, "", ""]).encode()

    if not request.chunked:
        return head + request.body

    pieces = [request.body[i : i + 7] for i in range(0, len(request.body), 7)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return head + chunks + b"0\r\n\r\n"


def _serve(build: t.Callable[[], t.Any], output: int) -> t.NoReturn:
    """Be the server's process: all that it prints goes to `output`."""
    status = 1

    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        from bustapi.serving import serve

        serve(build(), host="127.0.0.1", port=0)
        status = 0
    except BaseException:  # noqa: BLE001 the end of a process; it is printed
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def run_case(case: Case, framework: Framework, door: str, prepare: t.Any) -> list[Answer]:
    """Take all requests of a case through a door.

    :param prepare: called with the app that was built, to change how it is called.
    """

    def build() -> t.Any:
        app = case.build(framework)
        prepare(app, framework)
        return app

    way: t.Any

    if door == "socket":
        way = Socket(build, keep=True)
    elif door == "sockets":
        way = Socket(build, keep=False)
    else:
        way = {"wsgi": Wsgi, "asgi": Asgi, "client": Client}[door](build())

    jar = Jar()
    answers = []

    try:
        for request in case.requests:
            answers.append(_take(way, request, jar))
    finally:
        if isinstance(way, Socket):
            way.close()

    return answers


def _take(way: t.Any, request: Request, jar: Jar) -> Answer:
    headers = [("Host", request.host), *request.headers]
    names = {name.lower() for name, _ in headers}

    if request.cookies and "cookie" not in names and jar.header():
        headers.append(("Cookie", jar.header()))

    if request.chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    elif request.body or request.method in {"POST", "PUT", "PATCH"}:
        headers.append(("Content-Length", str(len(request.body))))

    try:
        status, answered, body, cut = way.take(request, headers)
    except (Exception, GeneratorExit) as e:  # noqa: BLE001 it is what the case tells
        return Answer(raises=type(e).__name__)

    jar.store(answered)
    return answer(status, answered, body, cut)
