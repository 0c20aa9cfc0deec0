"""Trace and profile functions under the native server: coverage and debuggers see what runs."""

from __future__ import annotations

import json
import sys

import pytest

APP = """
import asyncio
import sys
import threading
import time

from bustapi import Flask, Response

app = Flask(__name__)
seen = set()


def trace(frame, event, arg):
    if frame.f_code.co_filename != __file__ or frame.f_code.co_name == "seen_names":
        return None
    seen.add(f"{event} {frame.f_code.co_name}")
    return trace


def profile(frame, event, arg):
    if frame.f_code.co_filename == __file__ and event == "call":
        seen.add(f"profile {frame.f_code.co_name}")


def monitor():
    monitoring = sys.monitoring
    monitoring.use_tool_id(monitoring.PROFILER_ID, "test")
    monitoring.register_callback(
        monitoring.PROFILER_ID,
        monitoring.events.PY_START,
        lambda code, offset: code.co_filename == __file__ and seen.add(f"start {code.co_name}"),
    )
    monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.PY_START)


@app.get("/begin/<how>")
def begin(how):
    if how == "trace":
        threading.settrace(trace)
    elif how == "profile":
        threading.setprofile(profile)
    else:
        monitor()
    return ""


@app.get("/end")
def end():
    threading.settrace(None)
    threading.setprofile(None)
    return ""


@app.get("/seen")
def seen_names():
    names = sorted(seen)
    seen.clear()
    return names


@app.get("/quick")
def quick():
    return "quick"


@app.get("/slow")
def slow():
    time.sleep(0.02)
    return "slow"


@app.get("/async")
async def coroutine():
    await asyncio.sleep(0)
    return "async"


@app.get("/stream")
def stream():
    return Response(pieces())


def pieces():
    for n in range(3):
        yield str(n)


if "TRACED" in __import__("os").environ:
    threading.settrace(trace)
    threading.setprofile(profile)
"""
PATHS = ("/quick", "/slow", "/async", "/stream")
FUNCTIONS = ("quick", "slow", "coroutine", "stream", "pieces")


def ask_all(server):
    # The first calls run on the pool, later ones of quick views on the thread that serves.
    for _ in range(8):
        for path in PATHS:
            assert server.get(path).status == 200


def seen_by(server):
    return set(json.loads(server.get("/seen").text))


def test_what_is_set_before_the_server_runs_sees_all(live_server):
    server = live_server(APP, variables={"TRACED": "1"})

    for path, functions in (
        ("/quick", ["quick"]),
        ("/slow", ["slow"]),
        ("/async", ["coroutine"]),
        ("/stream", ["stream", "pieces"]),
    ):
        for _ in range(8):
            assert server.get(path).status == 200
            # Each call must have been seen, whatever thread it ran on.
            expected = {f"{event} {name}" for name in functions for event in ("line", "profile")}
            assert expected <= seen_by(server)


@pytest.mark.parametrize(
    ("how", "events"),
    [
        ("trace", ["call", "line", "return"]),
        ("profile", ["profile"]),
        pytest.param(
            "monitor",
            ["start"],
            marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="new in Python 3.12"),
        ),
    ],
)
def test_what_is_set_by_a_view_sees_later_requests(live_server, how, events):
    server = live_server(APP)
    ask_all(server)
    assert seen_by(server) == set()
    assert server.get(f"/begin/{how}").status == 200
    ask_all(server)
    expected = {f"{event} {name}" for name in FUNCTIONS for event in events}
    assert expected <= seen_by(server)

    if how != "monitor":
        assert server.get("/end").status == 200
        ask_all(server)
        seen_by(server)
        ask_all(server)
        assert seen_by(server) == set()


PRESET = """
import sys

from served import app, trace


def own(frame, event, arg):
    return None


def main():
    sys.settrace(own)
    import threading

    threading.settrace(trace)
    app.run(port=0)


main()
"""


def test_a_thread_keeps_the_function_that_it_has(live_server, tmp_path):
    (tmp_path / "preset.py").write_text(PRESET + "assert sys.gettrace() is own\nprint('kept')\n")
    server = live_server(APP, command=[sys.executable, "preset.py"])
    ask_all(server)
    server.stop()
    server.wait_for("kept")
