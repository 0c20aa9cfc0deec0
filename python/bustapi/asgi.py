"""A WSGI application as an ASGI 3 application.

Theory of operation. The WSGI call, from the environ to closing the iterable, runs as one job
on a pool thread, in a copy of the context variables of the ASGI task. Beside it, on the event
loop, a *pump* calls ``receive``: it hands the body's chunks to the thread, one ahead of what
is read, and then waits for the disconnect. The thread hands its messages to ``send`` on the
loop and waits until they are taken, so that a slow client slows the application down.

When the client leaves, reading the body and sending raise `ClientDisconnected` in the thread:
the iterable is closed as at the end of a request, and nothing is sent any more.

A WebSocket is refused before it is accepted, which ASGI servers turn into 403.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import io
import queue
import sys
import typing as t
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from types import TracebackType
from urllib.parse import unquote_to_bytes

if t.TYPE_CHECKING:  # pragma: no cover
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Scope = MutableMapping[str, t.Any]
Message = MutableMapping[str, t.Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

#: Requests that run at once; the others wait for a thread. Views mostly wait for something
#: else, so there are far more threads than processors.
POOL_THREADS = 40


class ClientDisconnected(OSError):
    """The client left before its request was answered."""

    def __init__(self) -> None:
        super().__init__("the client disconnected")


def mark_single_callable(call: Callable[..., t.Any]) -> None:
    """Make `inspect` and `asyncio` take `call` for a coroutine function.

    uvicorn and hypercorn look at ``__call__`` to tell ASGI 3 from other interfaces.
    """
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(call)
    else:
        # Before 3.12 this is how `asyncio.coroutine` left its mark, and asyncio still looks.
        call._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]


@functools.cache
def _shared_pool() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="bustapi-asgi")


class AsgiApp:
    """An ASGI 3 application that calls a WSGI application.

    :param application: the WSGI callable; it is called with two arguments.
    :param pool: threads to call it on; all instances share one of `POOL_THREADS` by default.
    """

    def __init__(
        self,
        application: WSGIApplication,
        pool: concurrent.futures.Executor | None = None,
    ) -> None:
        self.application = application
        self.pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope.

        :raises ValueError: for a protocol other than HTTP, lifespan and WebSocket.
        """
        if scope["type"] == "http":
            await self._serve_http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _serve_lifespan(receive, send)
        elif scope["type"] == "websocket":
            await _refuse_websocket(receive, send)
        else:
            raise ValueError(f"unsupported ASGI scope type {scope['type']!r}")

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        exchange = _Exchange(loop, receive, send)
        environ = build_environ(scope, io.BufferedReader(exchange.body))
        pump = loop.create_task(exchange.pump())
        context = contextvars.copy_context()
        call = loop.run_in_executor(
            self.pool or _shared_pool(),
            lambda: context.run(lambda: exchange.run(self.application, environ)),
        )

        try:
            # A server cancels the task when the client leaves; the thread must end by itself.
            await asyncio.shield(call)
        except asyncio.CancelledError:
            exchange.abandon()
            await asyncio.wait([call])

            # Nobody waits for it any more, so the loop's handler must report it.
            if (error := call.exception()) is not None:
                loop.call_exception_handler(
                    {"message": "error after the client disconnected", "exception": error}
                )

            raise
        finally:
            pump.cancel()


class _Exchange:
    """One request and its response, between the event loop and the thread of the WSGI call."""

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Receive, send: Send) -> None:
        self._loop = loop
        self._receive = receive
        self._send = send
        self._wanted = asyncio.Event()
        self._gone = False
        self._sending: concurrent.futures.Future[None] | None = None
        self._start: Message | None = None
        self._started = False
        # How many bytes the response still owes; `None` if it did not say.
        self._owed: int | None = None
        self.body = _Body(self)
        self.chunks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    # On the event loop.

    async def pump(self) -> None:
        """Hand on the body, then wait for the client to leave."""
        more_body = True

        try:
            while (message := await self._receive())["type"] != "http.disconnect":
                if not more_body:
                    continue

                more_body = message.get("more_body", False)

                if chunk := message.get("body", b""):
                    self.chunks.put(chunk)

                    if more_body:
                        await self._wanted.wait()
                        self._wanted.clear()

                if not more_body:
                    self.chunks.put(b"")
        finally:
            # However it ends, nobody will fill the queue that the thread may be waiting at.
            self.abandon()

    def abandon(self) -> None:
        """Let the thread know that nobody listens any more."""
        self._gone = True
        self.chunks.put(None)

        if self._sending is not None:
            self._sending.cancel()

    async def _send_all(self, messages: list[Message]) -> None:
        for message in messages:
            await self._send(message)

    # On the thread.

    def next_chunk(self) -> bytes:
        """The next part of the body, empty at its end.

        :raises ClientDisconnected: if the client left before the end.
        """
        chunk = self.chunks.get()

        if chunk is None:
            # Put back, so that whatever reads next finds the end as well.
            self.chunks.put(None)
            raise ClientDisconnected

        self._loop.call_soon_threadsafe(self._wanted.set)
        return chunk

    def run(self, application: WSGIApplication, environ: WSGIEnvironment) -> None:
        """Call the application and send what it answers."""
        try:
            iterable = application(environ, self.start_response)

            try:
                for chunk in iterable:
                    self._write(chunk)

                self._finish()
            finally:
                if (close := getattr(iterable, "close", None)) is not None:
                    close()
        except ClientDisconnected:
            # Expected; the application has had its chance to react when it was raised.
            return

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
    ) -> Callable[[bytes], object]:
        """WSGI's ``start_response``; the head is kept until there is something to send.

        :raises RuntimeError: if called twice without `exc_info`.
        """
        if exc_info is not None and exc_info[1] is not None:
            try:
                if self._started:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._start is not None:
            raise RuntimeError("start_response was called twice without exc_info")

        self._owed = None

        for name, value in headers:
            if name.lower() == "content-length":
                self._owed = int(value)

        self._start = {
            "type": "http.response.start",
            "status": int(status.split(None, 1)[0]),
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
            ],
        }
        return self._write

    def _write(self, chunk: bytes) -> None:
        if not chunk:
            return

        if self._owed is not None:
            self._owed -= len(chunk)

        # The last message saves a trip to the loop where the length tells that it is the last.
        self._send_body(chunk, more_body=self._owed is None or self._owed > 0)

    def _finish(self) -> None:
        # A HEAD or 304 response owes bytes that it rightly never sends.
        if self._owed is None or self._owed > 0 or not self._started:
            self._send_body(b"", more_body=False)

    def _send_body(self, chunk: bytes, more_body: bool) -> None:
        if self._start is None:
            raise RuntimeError("the application answered without calling start_response")

        messages: list[Message] = [] if self._started else [self._start]
        self._started = True
        messages.append({"type": "http.response.body", "body": chunk, "more_body": more_body})

        if self._gone:
            raise ClientDisconnected

        self._sending = asyncio.run_coroutine_threadsafe(self._send_all(messages), self._loop)

        try:
            self._sending.result()
        except (concurrent.futures.CancelledError, OSError) as e:
            # Since version 2.4 of the HTTP protocol, `send` raises OSError to a closed client.
            raise ClientDisconnected from e
        finally:
            self._sending = None


class _Body(io.RawIOBase):
    """The request's body as a stream that reads no further than it must."""

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange
        self._rest = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        if not self._rest and not self._ended:
            self._rest = memoryview(self._exchange.next_chunk())
            self._ended = not self._rest

        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _wsgi_text(octets: bytes) -> str:
    """Bytes as WSGI wants them in a string (PEP 3333)."""
    return octets.decode("latin-1")


def _split_path(scope: Scope) -> tuple[str, str]:
    """``SCRIPT_NAME`` and ``PATH_INFO`` of a scope.

    ``path`` includes ``root_path`` as the specification has it; older servers leave it out.
    """
    root = scope.get("root_path", "").rstrip("/").encode()
    raw_path = scope.get("raw_path")

    if raw_path is None:
        path = scope["path"].encode()
    else:
        # Kept as sent, so no byte that is not UTF-8 is lost.
        path = unquote_to_bytes(raw_path.partition(b"?")[0])

    if root and (path == root or path.startswith(root + b"/")):
        path = path[len(root) :]

    return _wsgi_text(root), _wsgi_text(path)


def build_environ(scope: Scope, body: t.IO[bytes]) -> WSGIEnvironment:
    """Make the WSGI environ of an HTTP scope.

    Headers whose name has an underscore are left out: in an environ they could not be told
    from those with a hyphen, which a proxy may have removed or set.
    """
    script_name, path_info = _split_path(scope)
    server = scope.get("server") or ("localhost", 80)
    query = scope.get("query_string", b"")
    raw_target = scope.get("raw_path") or scope["path"].encode()
    target = _wsgi_text(raw_target.partition(b"?")[0] + (b"?" + query if query else b""))
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"].upper(),
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path_info,
        "QUERY_STRING": _wsgi_text(query),
        "REQUEST_URI": target,
        "RAW_URI": target,
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        # The stream ends where the body does, so a missing Content-Length does no harm.
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "asgi.scope": scope,
    }

    if client := scope.get("client"):
        environ["REMOTE_ADDR"] = client[0]
        environ["REMOTE_PORT"] = str(client[1])

    _add_headers(environ, scope["headers"])
    return environ


def _add_headers(environ: WSGIEnvironment, headers: Iterable[tuple[bytes, bytes]]) -> None:
    for name, value in headers:
        if b"_" in name:
            continue

        key = _wsgi_text(name).upper().replace("-", "_")

        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"

        text = _wsgi_text(value)

        if key in environ:
            # HTTP/2 splits cookies, and their separator differs (RFC 9113, section 8.2.3).
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"

        environ[key] = text


async def _serve_lifespan(receive: Receive, send: Send) -> None:
    """Agree to startup and shutdown; a WSGI application has nothing to do at either."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})

        if message["type"] == "lifespan.shutdown":
            return


async def _refuse_websocket(receive: Receive, send: Send) -> None:
    """Close the connection before it is accepted."""
    await receive()
    await send({"type": "websocket.close", "code": 1000})
