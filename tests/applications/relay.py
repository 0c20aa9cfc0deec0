"""A relay between a driver and a server that records every exchange, and changes nothing.

Whatever drives an application (the scripts' own client, boto3, MLflow's client, a browser) is seen
in the same way: as bytes that pass in both directions of a connection.
"""

from __future__ import annotations

import contextlib
import email.message
import gzip
import http.client
import io
import itertools
import socket
import threading
import time
import typing as t


class Exchange(t.NamedTuple):
    """A request's line and its answer."""

    method: str
    target: str
    #: 0 if the connection ended without an answer.
    status: int
    headers: list[tuple[str, str]]
    #: Without transfer and content codings.
    body: bytes


class _Connection:
    """The bytes of one connection, with the time at which each piece of a request came."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.received = bytearray()
        #: Offset in `sent` and time of each piece.
        self.times: list[tuple[int, int]] = []

    def time_of(self, offset: int) -> int:
        return max((start, time) for start, time in self.times if start <= offset)[1]


class Relay:
    """Listens on one port of this machine and passes on to another."""

    def __init__(self, port: int, server: int) -> None:
        self._server = server
        self._clock = itertools.count()
        self._lock = threading.Lock()
        self._connections: list[_Connection] = []
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server), 30)
            except OSError:
                client.close()
                continue

            connection = _Connection()
            with self._lock:
                self._connections.append(connection)
                self._open.update((client, server))

            for side in (client, server):
                side.settimeout(None)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            for arguments in (
                (client, server, connection, True),
                (server, client, connection, False),
            ):
                thread = threading.Thread(target=self._pass_on, args=arguments, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass_on(
        self, source: socket.socket, target: socket.socket, connection: _Connection, request: bool
    ) -> None:
        kept = connection.sent if request else connection.received

        # A reset on either side ends the passing on, as a close does.
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if request:
                    connection.times.append((len(kept), next(self._clock)))
                kept += piece
                target.sendall(piece)

        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def close(self) -> list[Exchange]:
        """End all connections; what was exchanged, in the order in which the requests came."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()

        # The driver has all its answers. What has not ended now is kept for more requests.
        end = time.monotonic() + 1
        for thread in self._threads:
            thread.join(max(0, end - time.monotonic()))
        for side in self._open:
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for side in self._open:
            side.close()

        timed = [entry for connection in self._connections for entry in _exchanges(connection)]
        return [exchange for _, exchange in sorted(timed, key=lambda entry: entry[0])]


class _Unclosed(io.BytesIO):
    """What is left after one answer is the next one's."""

    def close(self) -> None:
        pass

    def makefile(self, *_: t.Any, **__: t.Any) -> _Unclosed:
        return self


def _exchanges(connection: _Connection) -> t.Iterator[tuple[int, Exchange]]:
    requests = _Unclosed(bytes(connection.sent))
    answers = _Unclosed(bytes(connection.received))

    while True:
        offset = requests.tell()
        line = requests.readline()

        if not line:
            return

        method, _, rest = line.decode("latin-1").strip().partition(" ")
        target = rest.rpartition(" ")[0]
        _skip_body(requests, http.client.parse_headers(requests))
        yield connection.time_of(offset), _answer(answers, method, target)


def _skip_body(requests: io.BytesIO, headers: email.message.Message) -> None:
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        while size := int(requests.readline().split(b";")[0] or b"0", 16):
            requests.read(size + 2)
        while requests.readline().strip():
            pass
    else:
        requests.read(int(headers.get("Content-Length", 0)))


def _answer(answers: _Unclosed, method: str, target: str) -> Exchange:
    response = http.client.HTTPResponse(answers, method=method)  # type: ignore[arg-type]

    try:
        response.begin()
        body = response.read()
    except (http.client.HTTPException, ValueError) as error:
        return Exchange(method, target, 0, [], f"broken answer: {error!r}".encode())

    headers = response.getheaders()

    if response.getheader("Content-Encoding") == "gzip" and body:
        body = gzip.decompress(body)

    return Exchange(method, target, response.status, headers, body)
