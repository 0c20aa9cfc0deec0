"""Coroutine views under the native server: one event loop, and clients that leave."""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from live import DEADLINE, read_answer

APP = """
import asyncio
import sys

from bustapi import Flask, abort, g, request, session

app = Flask(__name__)
app.secret_key = "served"
held = {}


def say(text):
    print(text, file=sys.stderr, flush=True)


@app.before_request
def before():
    g.path = request.path


@app.teardown_request
def teardown(error):
    say(f"teardown {request.path} {error!r}")


@app.get("/meet/<int:number>")
async def meet(number):
    arrived = held.setdefault("arrived", [])
    met = held.setdefault("met", asyncio.Event())
    arrived.append(number)
    if len(arrived) == 20:
        met.set()
    await met.wait()
    session["number"] = number
    return {"path": g.path, "argument": request.args["n"], "number": session["number"]}


@app.get("/fails")
async def fails():
    await asyncio.sleep(0)
    raise ValueError("secret of the app")


@app.get("/missing")
async def missing():
    await asyncio.sleep(0)
    abort(404)


@app.errorhandler(404)
async def not_found(error):
    await asyncio.sleep(0)
    return f"nothing at {request.path}", 404


@app.get("/held")
async def is_held():
    held["event"] = asyncio.Event()
    say("holding")
    try:
        await held["event"].wait()
    except asyncio.CancelledError:
        say("cancelled")
        raise
    return "let go"


@app.get("/loop")
async def loop():
    return type(asyncio.get_running_loop()).__module__


@app.post("/let-go")
async def let_go():
    held["event"].set()
    return "done"
"""


def head(target: str, method: str = "GET") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


# Before, each call has a loop of its own (see differences.md).
one_loop = pytest.mark.skipif(sys.version_info < (3, 11), reason="needs the one event loop")


@one_loop
def test_views_wait_together_each_in_its_own_context(live_server):
    server = live_server(APP, "--threads", "1")

    with ThreadPoolExecutor(20) as clients:
        numbers = range(20)
        answers = clients.map(lambda n: server.get(f"/meet/{n}?n={n}"), numbers, timeout=DEADLINE)
        texts = {answer.text for answer in answers}

    assert len(texts) == 20


def test_errors_are_flasks(live_server):
    server = live_server(APP)
    failed = server.get("/fails")
    assert failed.status == 500
    assert "Internal Server Error" in failed.text
    assert "secret of the app" not in failed.text
    server.wait_for("ValueError: secret of the app")
    server.wait_for("teardown /fails ValueError('secret of the app')")
    missing = server.get("/missing")
    assert (missing.status, missing.text) == (404, "nothing at /missing")


@one_loop
@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
def test_a_view_is_cancelled_when_its_client_leaves(live_server, event_loop):
    without_uvloop = "import sys\nsys.modules['uvloop'] = None\n" if event_loop == "asyncio" else ""
    server = live_server(without_uvloop + APP)
    assert server.get("/loop").text.startswith(event_loop)

    with contextlib.closing(server.connect()) as connection:
        connection.sendall(head("/held"))
        server.wait_for("holding")

    server.wait_for("cancelled")
    server.wait_for("teardown /held")
    assert server.request("POST", "/let-go").text == "done"
    assert server.stop() == 0
    assert server.log.count("teardown /held") == 1
    assert "Traceback" not in server.log


@one_loop
def test_a_client_that_only_ends_its_sending_is_answered(live_server):
    server = live_server(APP)

    with contextlib.closing(server.connect()) as connection:
        connection.sendall(head("/held"))
        connection.shutdown(1)
        server.wait_for("holding")
        # The server asks whether the client is still there.
        asked = connection.recv(1000)
        assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert server.request("POST", "/let-go").text == "done"
        assert read_answer(connection).text == "let go"
        assert connection.recv(1000) == b""

    assert server.stop() == 0
    assert "cancelled" not in server.log
