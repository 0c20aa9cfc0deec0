"""What the native server leaves behind between requests: nothing."""

from __future__ import annotations

import json
import sys

import pytest

APP = """\
import asyncio
import gc
import threading
import weakref
from contextvars import ContextVar

from bustapi import Flask, after_this_request, current_app, request

app = Flask(__name__)
seen = ContextVar("seen", default="nothing")
passing = weakref.WeakSet()


class Passing:
    def __call__(self, response):
        response.headers["X-Passing"] = "called"
        return response


@app.get("/passing")
def register():
    function = Passing()
    passing.add(function)
    after_this_request(function)
    return "registered"


@app.get("/left")
def left():
    gc.collect()
    return str(len(passing))


@app.get("/variable/<value>")
def variable(value):
    before = seen.get()
    seen.set(value)
    return f"{before} {threading.current_thread().name}"


@app.get("/task")
async def task():
    first = asyncio.current_task()
    await asyncio.sleep(0)
    assert asyncio.current_task() is first and first in asyncio.all_tasks()
    return {"coroutine": first.get_coro().__name__, "done": first.done()}


@app.get("/child")
async def child():
    async def name():
        await asyncio.sleep(0)
        return f"{current_app.name} {request.endpoint}"

    return await asyncio.wait_for(asyncio.create_task(name()), 5)


@app.get("/at-once")
async def at_once():
    return asyncio.current_task().get_name()


@app.get("/tools")
async def tools():
    def in_thread():
        return seen.get(), request.path

    seen.set("of this request")
    async with asyncio.timeout(20):
        thread = await asyncio.to_thread(in_thread)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.sleep(0, number)) for number in range(3)]

    try:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()
    except TimeoutError:
        expired = True

    return {"thread": thread, "group": [task.result() for task in tasks], "expired": expired}


@app.get("/forgotten")
async def forgotten():
    return seen.get()


@app.get("/loop")
async def loop():
    return type(asyncio.get_running_loop()).__module__


@app.get("/fails")
async def fails():
    await asyncio.sleep(0)
    raise LookupError("inside")


@app.errorhandler(LookupError)
async def handle(error):
    await asyncio.sleep(0)
    return str(error), 418
"""


def test_functions_of_one_request_are_let_go(live_server):
    server = live_server(APP)
    answers = [server.get("/passing") for _ in range(20)]
    assert {answer.header("X-Passing") for answer in answers} == {"called"}
    assert server.get("/left").text == "0"


def test_context_variables_end_with_the_request(live_server):
    server = live_server(APP)
    # More than it takes for the view to move to the IO thread.
    answers = [server.get(f"/variable/{number}").text for number in range(30)]
    assert {answer.split()[0] for answer in answers} == {"nothing"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks run in no context of their own")
@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
def test_coroutine_views_are_tasks(live_server, event_loop):
    without_uvloop = "import sys\nsys.modules['uvloop'] = None\n" if event_loop == "asyncio" else ""
    server = live_server(without_uvloop + APP)
    assert server.get("/loop").text.startswith(event_loop)

    for _ in range(3):
        assert server.get("/task").text == '{"coroutine":"task","done":false}\n'
        assert server.get("/child").text == "served child"
        assert server.get("/at-once").text == "at_once"
        assert json.loads(server.get("/tools").body) == {
            "thread": ["of this request", "/tools"],
            "group": [0, 1, 2],
            "expired": True,
        }
        assert server.get("/forgotten").text == "nothing"
        failed = server.get("/fails")
        assert (failed.status, failed.text) == (418, "inside")
