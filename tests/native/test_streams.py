"""Streamed answers over sockets: what waits, who is closed, and how much is made ahead."""

from __future__ import annotations

import contextlib
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from live import DEADLINE, read_answer, until

APP = """
import itertools
import sys
import threading

from bustapi import Flask, request, stream_with_context
from bustapi.serving import serve

app = Flask(__name__)
gate = threading.Event()
asked = threading.Event()
begun = threading.Event()
made = itertools.count()
produced = 0
threads = set()


def say(text):
    # In one write, as many threads say something.
    sys.stderr.write(text + "\\n")


@app.teardown_request
def teardown(error):
    if request.path == "/kept":
        say(f"teardown {error!r}")


@app.get("/")
def index():
    asked.set()
    return "quick"


@app.get("/slow")
def slow():
    begun.set()
    return "slow" if asked.wait(10) else "nobody asked"


@app.get("/begun")
def has_begun():
    return str(begun.is_set())


@app.get("/open")
def open_gate():
    gate.set()
    return "open"


def events():
    last = int(request.args.get("last", 1))

    def generate():
        yield "data: first\\n\\n"
        gate.wait(60)

        for _ in range(last):
            yield "data: last\\n\\n"

        say("after the last")

    return closing(generate())


def closing(pieces):
    try:
        yield from pieces
    except GeneratorExit:
        say("exit")
        raise
    finally:
        say("finally")


@app.get("/events")
def event_stream():
    return app.response_class(events(), mimetype="text/event-stream")


@app.get("/kept")
def kept():
    return app.response_class(stream_with_context(events()), mimetype="text/event-stream")


@app.get("/endless")
def endless():
    def generate():
        global produced

        for produced in made:
            yield b"x" * 65536

    return app.response_class(generate())


@app.get("/short")
def short():
    def generate():
        for _ in range(3):
            threads.add(threading.get_ident())
            yield b"piece"

    return app.response_class(generate())


@app.get("/threads")
def how_many_threads():
    return str(len(threads))


@app.get("/produced")
def how_many():
    return str(produced)


if __name__ == "__main__":
    serve(app, host="127.0.0.1", port=0, threads=2, stream_threads=int(sys.argv[1]))
"""

REQUEST = "GET {} HTTP/1.1\r\nHost: live.test\r\nConnection: close\r\n\r\n"


@pytest.fixture
def ask():
    """Sends a request and leaves the answer to be read; the connection is closed at the end."""
    with contextlib.ExitStack() as connections:

        def send(server, target):
            connection = connections.enter_context(contextlib.closing(server.connect()))
            connection.sendall(REQUEST.format(target).encode())
            return connection

        yield send


def receive_until(connection, text):
    """What comes up to `text`."""
    received = b""

    while text not in received:
        piece = connection.recv(65536)
        assert piece, f"the end, without {text!r}: {received!r}"
        received += piece

    return received


@pytest.mark.parametrize("count", [4, 8, 250])
def test_waiting_streams_hold_up_no_views(live_server, ask, count):
    server = live_server(APP, "--threads", "4")
    streams = [ask(server, "/events") for _ in range(count)]

    for stream in streams:
        assert receive_until(stream, b"first\n\n").startswith(b"HTTP/1.1 200 ")

    with ThreadPoolExecutor(1) as clients:
        slow = clients.submit(server.get, "/slow")
        until(lambda: server.get("/begun").text == "True")
        assert server.get("/").text == "quick"
        assert slow.result(DEADLINE).text == "slow"

    assert server.get("/open").text == "open"

    for stream in streams:
        assert b"data: last\n\n" in receive_until(stream, b"0\r\n\r\n")

    server.wait_for("after the last", count)
    assert server.stop() == 0
    assert server.log.count("finally") == count
    assert "exit" not in server.log


def test_a_burst_of_short_streams_needs_few_threads(live_server, ask):
    # A thread for each would have all of them wait at the interpreter's lock, which wakes every
    # one that waits once in a switch interval.
    server = live_server(APP)
    streams = [ask(server, "/short") for _ in range(300)]

    for stream in streams:
        assert read_answer(stream).text == "piece" * 3

    assert 1 <= int(server.get("/threads").text) < 60
    assert server.stop() == 0


def test_streams_beyond_the_limit_wait_and_are_told_of(live_server, ask):
    server = live_server(APP, command=[sys.executable, "served.py", "2"])
    first, second = ask(server, "/events"), ask(server, "/events")
    receive_until(first, b"first")
    receive_until(second, b"first")
    third = ask(server, "/events")
    server.wait_for("2 streams are waiting for their applications")
    fourth = ask(server, "/events")
    assert server.get("/").text == "quick"
    server.get("/open")

    for stream in (first, second, third, fourth):
        receive_until(stream, b"last")

    assert server.stop() == 0
    assert server.log.count("streams are waiting") == 1


@pytest.mark.parametrize("target", ["/events", "/kept"])
def test_a_stream_whose_client_leaves_is_closed_once(live_server, ask, target):
    server = live_server(APP)
    stream = ask(server, f"{target}?last=100000")
    receive_until(stream, b"first")
    # Nothing can interrupt the generator's waiting. What it yields next tells that the client has
    # gone, and not only ended its sending: it is closed at one of the pieces after that.
    stream.close()
    server.get("/open")
    server.wait_for("finally")

    if target == "/kept":
        # As in Flask, the contexts are popped after the view, and again after the stream.
        server.wait_for("teardown GeneratorExit()")

    assert server.get("/").text == "quick"
    assert server.stop() == 0
    assert server.log.count("exit") == 1
    assert server.log.count("finally") == 1
    assert "after the last" not in server.log
    assert server.log.count("teardown") == (2 if target == "/kept" else 0)
    assert "Traceback" not in server.log


def test_a_stream_waits_for_its_reader(live_server, ask):
    server = live_server(APP)
    stream = ask(server, "/endless")
    assert stream.recv(100).startswith(b"HTTP/1.1 200 ")
    seen = []

    def is_waiting():
        seen.append(int(server.get("/produced").text))
        # As much is made ahead as the system's buffers take. Without a limit there would soon be
        # more.
        assert seen[-1] < 512, "32 MB were made for nobody"
        return len(seen) > 20 and len(set(seen[-20:])) == 1

    until(is_waiting)

    # The stream goes on when the client reads.
    for _ in range(400):
        stream.recv(65536)

    until(lambda: int(server.get("/produced").text) > seen[-1])
    stream.close()
    assert server.stop() == 0


def test_open_streams_go_on_to_their_end_after_a_stop(live_server, ask):
    server = live_server(APP)
    stream = ask(server, "/events")
    receive_until(stream, b"first")
    idle = ask(server, "/")
    assert read_answer(idle).text == "quick"
    other = server.connect()
    server.process.send_signal(signal.SIGTERM)
    # A client that has connected before is still served.
    with contextlib.closing(other):
        other.sendall(REQUEST.format("/open").encode())
        assert read_answer(other).text == "open"

    receive_until(stream, b"data: last")
    assert server.wait() == 0
