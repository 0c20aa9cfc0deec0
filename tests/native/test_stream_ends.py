"""The end of a streamed answer: what an iterable does behind its last piece, and its `close`."""

from __future__ import annotations

import contextlib

import pytest

from live import read_answer

APP = """
import itertools
import sys

from bustapi import Flask, Response

app = Flask(__name__)


def say(text):
    print(text, file=sys.stderr, flush=True)


@app.get("/whole")
def whole():
    return "whole"


@app.get("/stated")
def stated():
    return Response((piece for piece in ("two ", "pieces")), headers={"Content-Length": "10"})


@app.get("/chunked")
def chunked():
    return (piece for piece in ("two ", "pieces"))


@app.get("/empty")
def empty():
    return "", 204


@app.get("/fails")
def fails():
    raise LookupError("of the view")


def behind(pieces, path):
    try:
        yield from pieces
        say(f"behind {path}")
    finally:
        say(f"finally {path}")


class Counts:
    def __init__(self, pieces):
        self.pieces = iter(pieces)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.pieces)

    def close(self):
        say("closed")


class NotIterable:
    __iter__ = None

    def close(self):
        say("closed")


def fails_first():
    raise LookupError("of the first step")
    yield b""


inner = app.wsgi_app


def middleware(environ, start_response):
    path = environ["PATH_INFO"]
    if path in {"/more", "/endless"}:
        start_response("200 OK", [("Content-Length", "4")])
        pieces = [b"more", b"than", b"that"] if path == "/more" else itertools.repeat(b"more")
        return Counts(pieces)
    if path in {"/first", "/not-started", "/not-iterable"}:
        if path != "/not-started":
            start_response("200 OK", [])
        if path == "/not-iterable":
            return NotIterable()
        return Counts(fails_first() if path == "/first" else iter([b"piece"]))
    return behind(inner(environ, start_response), path)


app.wsgi_app = middleware
"""


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/whole", "/stated", "/chunked", "/empty", "/fails", "/missing"])
def test_an_iterable_is_taken_to_its_end(live_server, method, path):
    server = live_server(APP)

    with contextlib.closing(server.connect()) as connection:
        for count in (1, 2):
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            read_answer(connection, method)
            server.wait_for(f"finally {path}", count)
            assert server.log.count(f"behind {path}") == count


def test_what_is_too_much_is_dropped_and_the_iterable_is_closed(live_server):
    server = live_server(APP)

    with contextlib.closing(server.connect()) as connection:
        for count in (1, 2):
            connection.sendall(b"GET /more HTTP/1.1\r\nHost: a\r\n\r\n")
            assert read_answer(connection).body == b"more"
            server.wait_for("closed", count)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_iterable_that_never_ends_is_closed_in_time(live_server, method):
    server = live_server(APP)
    server.request(method, "/endless")
    server.wait_for("yields more than its answer may hold")
    server.wait_for("closed")


@pytest.mark.parametrize("path", ["/first", "/not-started", "/not-iterable"])
def test_an_iterable_that_cannot_be_sent_is_closed(live_server, path):
    server = live_server(APP)
    assert server.get(path).status == 500
    server.wait_for("closed")


@pytest.mark.parametrize("arguments", [("--debug", "--no-reload"), ("--debug",)])
def test_the_debugger_writes_the_traceback_to_the_console(live_server, arguments):
    server = live_server(APP, *arguments)
    answer = server.get("/fails")
    assert answer.status == 500
    assert "of the view" in answer.text
    server.wait_for(", in fails")
    server.wait_for("LookupError: of the view")


ITERATORS = """
from bustapi import Flask, Response

app = Flask(__name__)


def begun():
    pieces = iter([b"left out", b"some", b"more"])
    next(pieces)
    return pieces


def ended():
    pieces = iter([b"left out"])
    next(pieces)
    next(pieces, None)
    return pieces


MADE = {"new": lambda: iter(["some", b"more"]), "begun": begun, "ended": ended}


@app.get("/<made>")
def silent(made):
    return Response(MADE[made]())


@app.get("/<made>/<int:length>")
def stated(made, length):
    return Response(MADE[made](), headers={"Content-Length": str(length)})
"""


@pytest.mark.parametrize(
    ("made", "text"), [("new", "somemore"), ("begun", "somemore"), ("ended", "")]
)
def test_an_iterator_of_a_list_is_a_stream(live_server, made, text):
    server = live_server(ITERATORS)
    answer = server.get(f"/{made}")
    assert (answer.status, answer.text) == (200, text)
    # Nobody has said how long it is, so that Flask states no length.
    assert answer.header("content-length") is None
    stated = server.get(f"/{made}/{len(text)}")
    assert (stated.text, stated.header("content-length")) == (text, str(len(text)))
    # One that is shorter than it says breaks off, as any stream does.
    short = server.exchange(f"GET /{made}/50 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert short.startswith(b"HTTP/1.1 200 OK\r\n")
    assert short.endswith(f"\r\n\r\n{text}".encode())
    server.wait_for(f"{50 - len(text)} of the 50 bytes of its Content-Length are missing")
    assert server.stop() == 0
