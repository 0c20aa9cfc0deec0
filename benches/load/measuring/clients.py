"""Clients of a soak: ordinary ones, ones that leave early, crowds, and slow ones.

Each runs on a thread of its own until the deadline, with a seed of its own, and counts what it
did in a `Tally`. An answer that is not what it must be is a failure; that a client which leaves
gets no answer is none.
"""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from .processes import HOST
from .requests import ANSWER_TIME, failure
from .workloads import Workload

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Requests that an ordinary client sends on one connection before it takes another.
REQUESTS_PER_CONNECTION = 50
#: Bytes and seconds between them, of a slow client's request and of its reading.
SLOW_BYTES, SLOW_PAUSE = 24, 0.01
SLOW_READ, SLOW_READS = 65_536, 20
#: Connections of a crowd, and seconds until the next.
CROWD, CROWD_PAUSE = 300, 2.0
#: An answer in pieces; only the application that Flask and BustAPI share has it.
STREAM = Workload("stream", "/stream", b"piece" * 5)


class Tally:
    """What all clients did, and what went wrong; for use by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.done: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def count(self, what: str, wrong: str = "") -> None:
        """Count one request, and why it failed."""
        with self._lock:
            self.done[what] += 1

            if wrong:
                self.failures[f"{what}: {wrong}"] += 1


def raw_request(workload: Workload) -> bytes:
    """A request as it is sent, for one answer."""
    headers = {"Host": HOST, "Connection": "close", **workload.headers}

    if workload.method != "GET":
        headers["Content-Length"] = str(len(workload.body))

    lines = [f"{workload.method} {workload.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + workload.body


class Client(threading.Thread):
    """A client that repeats `act` until the deadline (of `time.monotonic`)."""

    kind = "client"

    def __init__(
        self, port: int, workloads: Sequence[Workload], tally: Tally, deadline: float, seed: int
    ) -> None:
        super().__init__(name=f"{self.kind}-{seed}")
        self.port = port
        self.workloads = workloads
        self.tally = tally
        self.random = random.Random(seed)
        self._deadline = deadline

    def run(self) -> None:
        """Act until the deadline."""
        while time.monotonic() < self._deadline:
            workload = self.random.choice(self.workloads)

            try:
                self.act(workload)
            except (OSError, http.client.HTTPException) as error:
                self.tally.count(self.kind, f"{workload.name}: {type(error).__name__}: {error}")

    def act(self, workload: Workload) -> None:
        """Send something, and count it."""
        self.tally.count(self.kind, failure(self.port, workload, {}))

    def connect(self) -> socket.socket:
        """A connection to the server."""
        return socket.create_connection((HOST, self.port), timeout=ANSWER_TIME)


class OrdinaryClient(Client):
    """Sends many requests on one connection and checks each answer."""

    kind = "ordinary"

    def act(self, workload: Workload) -> None:
        """Use one connection up."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=ANSWER_TIME)

        try:
            for _ in range(REQUESTS_PER_CONNECTION):
                connection.request(
                    workload.method, workload.path, workload.body or None, dict(workload.headers)
                )
                response = connection.getresponse()
                headers = {name.lower(): value for name, value in response.getheaders()}
                wrong = workload.wrong(response.status, headers, response.read())
                self.tally.count(self.kind, f"{workload.name}: {wrong}" if wrong else "")
                workload = self.random.choice(self.workloads)
        finally:
            connection.close()


class LeavingClient(Client):
    """Leaves in the middle of its request, or of the answer."""

    kind = "leaving"

    def act(self, workload: Workload) -> None:
        """Send a part, or read a part, and close; half of the time with a reset."""
        request = raw_request(workload)

        with self.connect() as connection:
            if self.random.random() < 0.5:
                connection.sendall(request[: self.random.randrange(len(request))])
            else:
                connection.sendall(request)
                connection.recv(self.random.choice((1, 4096)))

            if self.random.random() < 0.5:
                linger_on_for_no_time = b"\x01\0\0\0\0\0\0\0"
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_on_for_no_time)

        self.tally.count(self.kind)


class CrowdClient(Client):
    """Comes in numbers at once, asks for a stream, and leaves without reading it."""

    kind = "crowd"

    def act(self, workload: Workload) -> None:
        """Connect, send and leave, `CROWD` times; then let the others have a turn."""
        request = raw_request(STREAM)

        for _ in range(CROWD):
            with self.connect() as connection:
                connection.sendall(request)

        self.tally.count(self.kind)
        time.sleep(CROWD_PAUSE)


class SlowClient(Client):
    """Sends its head a few bytes at a time and reads the answer with pauses."""

    kind = "slow"

    def act(self, workload: Workload) -> None:
        """Send slowly, and read slowly until the answer ends or patience does."""
        head, separator, body = raw_request(workload).partition(b"\r\n\r\n")
        head += separator

        with self.connect() as connection:
            for begin in range(0, len(head), SLOW_BYTES):
                connection.sendall(head[begin : begin + SLOW_BYTES])
                time.sleep(SLOW_PAUSE)

            connection.sendall(body)
            received = connection.recv(SLOW_READ)
            wrong = "" if received.startswith(b"HTTP/1.1 200 ") else f"answer {received[:60]!r}"

            for _ in range(SLOW_READS):
                time.sleep(SLOW_PAUSE)

                if not connection.recv(SLOW_READ):
                    break

        self.tally.count(self.kind, f"{workload.name}: {wrong}" if wrong else "")
