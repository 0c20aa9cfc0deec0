"""The relay and the comparison themselves: what must be seen, and what must not."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading

import pytest

from .application import Normalisation
from .comparison import differences
from .relay import Exchange, Relay


class Answering:
    """A server that reads one request, answers with fixed bytes, and closes."""

    def __init__(self, *answers: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._answers = answers
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as connection:
            for answer in self._answers:
                received = b""
                while not received.endswith((b"\r\n\r\n", b"END")):
                    received += connection.recv(65536)
                connection.sendall(answer)

    def join(self) -> None:
        self._thread.join(20)


def record(*answers: bytes, requests: list[tuple[str, str, bytes | None]]) -> list[Exchange]:
    """What the relay sees of requests on one connection."""
    server = Answering(*answers)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    relay = Relay(port, server.port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for method, target, body in requests:
        connection.request(method, target, body)
        connection.getresponse().read()
    connection.close()
    server.join()
    return relay.close()


def test_all_exchanges_of_a_connection_are_seen():
    packed = gzip.compress(b"packed")
    exchanges = record(
        b"HTTP/1.1 201 CREATED\r\nX-A: 1\r\nContent-Length: 3\r\n\r\none",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        + packed,
        requests=[
            ("POST", "/one?a=b", b"body END"),
            ("HEAD", "/head", None),
            ("GET", "/two", None),
            ("GET", "/three", None),
        ],
    )
    assert [(e.method, e.target, e.status, e.body) for e in exchanges] == [
        ("POST", "/one?a=b", 201, b"one"),
        ("HEAD", "/head", 200, b""),
        ("GET", "/two", 200, b"two"),
        ("GET", "/three", 200, b"packed"),
    ]
    assert ("X-A", "1") in exchanges[0].headers


ONE = Exchange("GET", "/", 200, [("Date", "now"), ("X-A", "1"), ("Content-Length", "5")], b"id 12")


def test_what_the_server_decides_is_no_difference():
    other = ONE._replace(headers=[("content-length", "5"), ("x-a", "1"), ("Connection", "close")])
    assert differences([ONE], [other]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"status": 201},
        {"headers": [("X-A", "2"), ("Content-Length", "5")]},
        {"headers": [("X-A", "1"), ("X-A", "1"), ("Content-Length", "5")]},
        {"headers": [("Content-Length", "5")]},
        {"body": b"id 13"},
        {"body": b"\xff\xfe"},
        {"target": "/other"},
    ],
)
def test_everything_else_is_one(change):
    assert len(differences([ONE], [ONE._replace(**change)])) == 1
    assert differences([ONE], [ONE]) == []


def test_a_missing_request_is_a_difference():
    assert len(differences([ONE, ONE], [ONE])) == 1


def test_what_is_random_is_named():
    rules = [Normalisation(r"(?P<keep>id )\d+", "counted")]
    longer = ONE._replace(body=b"id 1234", headers=[("X-A", "1"), ("Content-Length", "7")])
    assert differences([ONE], [longer], rules) == []
    assert len(differences([ONE], [longer._replace(body=b"no 1234")], rules)) == 1


def test_order_matters_unless_there_is_none():
    first, second = ONE, ONE._replace(target="/2")
    assert differences([first, second], [second, first])
    assert differences([first, second], [second, first], unordered=True) == []


def test_a_length_may_be_found_out_but_not_lost():
    chunked = ONE._replace(headers=[("X-A", "1"), ("Transfer-Encoding", "chunked")])
    assert differences([chunked], [ONE]) == []
    assert differences([chunked], [chunked]) == []
    assert differences([chunked], [ONE._replace(headers=[])])
    assert differences([ONE], [chunked])
