"""Bodies of requests to coroutine views: received before the view is called, on the one loop."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys

import pytest

from live import DEADLINE, read_answer

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="tasks cannot be given a context before Python 3.11"
)

APP = """
import asyncio
import hashlib
import sys

from bustapi import Flask, request

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = LIMIT


def answer(body):
    return {
        "loop": id(asyncio.get_running_loop()),
        "length": len(body),
        "digest": hashlib.md5(body).hexdigest(),
    }


@app.post("/data")
async def data():
    return answer(request.get_data())


@app.post("/stream")
async def stream():
    return answer(b"".join(request.stream))


@app.post("/chunks")
async def chunks():
    pieces = []
    while piece := request.stream.read(1000):
        pieces.append(piece)
        await asyncio.sleep(0)
    return answer(b"".join(pieces))


@app.post("/form")
async def form():
    return answer(request.form["field"].encode())


@app.post("/unread")
async def unread():
    return answer(b"")


@app.get("/alive")
async def alive():
    return "alive"
"""
KINDS = ("announced", "chunked", "expected")


def app_with(limit=None):
    return APP.replace("LIMIT", repr(limit))


def in_chunks(body, size=60_000):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def post(connection, target, body, kind="announced"):
    """Send a body in one of the ways that there are; the answer."""
    fields = {
        "announced": f"Content-Length: {len(body)}",
        "chunked": "Transfer-Encoding: chunked",
        "expected": f"Content-Length: {len(body)}\r\nExpect: 100-continue",
    }
    head = f"POST {target} HTTP/1.1\r\nHost: a\r\n{fields[kind]}\r\n\r\n".encode()

    if kind == "expected":
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        head = b""

    connection.sendall(head + (in_chunks(body) if kind == "chunked" else body))
    return read_answer(connection)


# Lengths of bodies that the server has whole, that it keeps in memory, that just fit there, and
# that it keeps in a file.
LENGTHS = (3, 65_537, 262_144, 262_145, 3_000_000)


def test_all_bodies_are_read_on_one_loop(live_server):
    server = live_server(app_with())
    loops = set()

    with contextlib.closing(server.connect()) as connection:
        for length in LENGTHS:
            body = (b"0123456789\n" * (length // 11 + 1))[:length]

            for kind in KINDS:
                for target in ("/data", "/stream", "/chunks"):
                    answer = json.loads(post(connection, target, body, kind).text)
                    loops.add(answer.pop("loop"))
                    digest = hashlib.md5(body).hexdigest()
                    assert answer == {"length": length, "digest": digest}

                assert post(connection, "/unread", body, kind).status == 200

    assert len(loops) == 1


def test_a_body_that_is_on_its_way_holds_up_nobody(live_server):
    server = live_server(app_with())
    body = b"x" * 400_000

    with contextlib.closing(server.connect()) as slow:
        slow.sendall(
            b"POST /data HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n" + body[:300_000]
        )

        for _ in range(3):
            assert server.get("/alive").text == "alive"

        slow.sendall(body[300_000:])
        assert json.loads(read_answer(slow).text)["length"] == 400_000


def test_a_client_that_leaves_its_upload_harms_nobody(live_server):
    server = live_server(app_with())

    with contextlib.closing(server.connect()) as slow:
        slow.sendall(b"POST /data HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\nx")

    assert server.get("/alive").text == "alive"
    assert server.stop() == 0
    assert "Traceback" not in server.log


@pytest.mark.parametrize(("kind", "status"), [("announced", 413), ("chunked", 200)])
def test_what_the_application_refuses_is_not_received(live_server, kind, status):
    server = live_server(app_with(100_000))

    with contextlib.closing(server.connect()) as connection:
        assert post(connection, "/data", b"x" * 100_000, kind).status == 200

    # More is announced than ever comes: the answer waits for no more than has to be seen. As with
    # Werkzeug, `get_data` ends a body of unknown length at the limit.
    fields = {
        "announced": b"Content-Length: 9000000\r\n\r\n",
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n895440\r\n",
    }

    with contextlib.closing(server.connect()) as connection:
        connection.settimeout(DEADLINE)
        connection.sendall(b"POST /data HTTP/1.1\r\nHost: a\r\n" + fields[kind] + b"x" * 100_001)
        assert read_answer(connection).status == status


def test_beyond_what_is_gathered_the_view_reads_as_it_comes(live_server):
    server = live_server(app_with(), "--gathered-body-size", "100000")
    body = b"y" * 300_000

    with contextlib.closing(server.connect()) as connection:
        for kind in KINDS:
            answer = json.loads(post(connection, "/chunks", body, kind).text)
            assert answer["digest"] == hashlib.md5(body).hexdigest()


def test_a_form(live_server):
    server = live_server(app_with())
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    answer = server.request("POST", "/form", b"field=" + b"z" * 300_000, headers)
    assert json.loads(answer.text)["length"] == 300_000


def test_without_room_for_a_file_the_request_fails_alone(live_server, tmp_path):
    server = live_server(app_with(), variables={"TMPDIR": str(tmp_path / "missing")})
    assert server.request("POST", "/data", b"x" * 300_000).status == 500
    server.wait_for("cannot be kept in a temporary file")
    assert server.request("POST", "/data", b"x" * 100_000).status == 200
