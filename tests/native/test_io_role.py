"""No request waits for another: views that were quick and then wait, or keep the interpreter."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from live import DEADLINE, until

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs /proc")

APP = """
import asyncio
import ctypes
import http.client
import sys
import threading

from bustapi import Flask, request

app = Flask(__name__)
event = threading.Event()
lock = threading.Lock()


def say(text):
    print(text, file=sys.stderr, flush=True)


def thread_name():
    with open(f"/proc/self/task/{threading.get_native_id()}/comm") as comm:
        return comm.read().strip()


@app.get("/")
def index():
    return thread_name()


@app.get("/polls")
def polls():
    if "wait" in request.args:
        say(f"polling on {thread_name()}")
        return str(event.wait(60))
    return thread_name()


@app.get("/set")
def set_event():
    event.set()
    return thread_name()


@app.get("/clear")
def clear():
    event.clear()
    return thread_name()


@app.get("/locks")
def locks():
    if "wait" in request.args:
        say(f"locking on {thread_name()}")
    with lock:
        return thread_name()


@app.get("/holds_lock")
def holds_lock():
    lock.acquire()
    return "held"


@app.get("/frees_lock")
def frees_lock():
    lock.release()
    return thread_name()


@app.get("/own")
def own():
    if "port" in request.args:
        say(f"asking on {thread_name()}")
        client = http.client.HTTPConnection("127.0.0.1", int(request.args["port"]), timeout=30)
        client.request("GET", "/")
        return client.getresponse().read()
    return thread_name()


@app.get("/keeps")
def keeps():
    # The call keeps the interpreter's lock.
    if seconds := request.args.get("seconds", type=int):
        say("keeping")
        ctypes.PyDLL(None).sleep(seconds)
    return thread_name()


@app.get("/coroutine")
async def coroutine():
    await asyncio.sleep(0)
    return "awaited"
"""

IO_THREAD = "bustapi-io"


def settle(server, target):
    """Ask until the endpoint's view runs with the IO role."""
    until(lambda: server.get(target).text == IO_THREAD)


class Asking:
    """Asks the same again and again meanwhile, and notes how long the slowest answer took."""

    def __init__(self, server, target):
        self.server, self.target = server, target
        self.slowest, self.count = 0.0, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self):
        while not self._over.wait(0.005):
            began = time.monotonic()
            assert self.server.get(self.target).status == 200
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.count += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._over.set()
        self._thread.join(DEADLINE)


def test_a_view_that_waits_once_holds_up_nobody(live_server):
    server = live_server(APP)
    settle(server, "/")

    for turn in range(3):
        server.get("/clear")
        settle(server, "/polls")

        with ThreadPoolExecutor(1) as clients, Asking(server, "/") as asking:
            answer = clients.submit(server.get, "/polls?wait=1")
            server.wait_for(f"polling on {IO_THREAD}", turn + 1)
            until(lambda asking=asking, count=asking.count: asking.count > count + 50)
            assert not answer.done()
            # The long poll is woken by another request.
            server.get("/set")
            assert answer.result(DEADLINE).text == "True"

        assert asking.slowest < 1


def test_a_view_may_ask_its_own_server(live_server):
    server = live_server(APP)
    settle(server, "/")

    for _ in range(3):
        settle(server, "/own")
        assert server.get(f"/own?port={server.port}").status == 200
    assert f"asking on {IO_THREAD}" in server.log


def test_a_lock_that_another_request_frees(live_server):
    server = live_server(APP)
    settle(server, "/locks")
    server.get("/holds_lock")

    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.get, "/locks?wait=1")
        server.wait_for(f"locking on {IO_THREAD}")
        server.get("/frees_lock")
        assert answer.result(DEADLINE).status == 200


def test_the_end_waits_for_a_view_that_lost_the_io_role(live_server):
    server = live_server(APP)
    settle(server, "/polls")

    with ThreadPoolExecutor(2) as clients:
        answer = clients.submit(server.get, "/polls?wait=1")
        server.wait_for(f"polling on {IO_THREAD}")
        with contextlib.closing(server.connect()) as late:
            late.sendall(b"GET /set HTTP/1.1\r\nHo")
            # The server has answered since, so it has read that.
            assert server.get("/").status == 200
            server.process.send_signal(signal.SIGTERM)
            until(lambda: refuses(server))
            late.sendall(b"st: a\r\n\r\n")
            assert answer.result(DEADLINE).text == "True"

    assert server.wait() == 0


def refuses(server):
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True

    return False


def test_what_needs_no_python_goes_on_while_a_view_keeps_the_interpreter(live_server):
    seconds = 4
    server = live_server(APP)
    settle(server, "/keeps")
    # An endpoint that nobody has asked for yet, a coroutine function's too, must be asked about.
    with ThreadPoolExecutor(3) as clients:
        began = time.monotonic()
        kept = clients.submit(server.get, f"/keeps?seconds={seconds}")
        server.wait_for("keeping")
        unknown = [clients.submit(server.get, target) for target in ("/set", "/coroutine")]

        while time.monotonic() < began + seconds - 1.5:
            asked = time.monotonic()
            assert server.exchange(b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
            assert time.monotonic() - asked < 1

        assert not kept.done()
        assert kept.result(DEADLINE).text == IO_THREAD
        assert [answer.result(DEADLINE).status for answer in unknown] == [200, 200]


APP_WITH_FILES = (
    APP
    + """
app.secret_key = "known"

if "HOOK" in os.environ:
    @app.after_request
    def after(response):
        return response
"""
).replace("import http.client\n", "import http.client\nimport os\n")


def ask_file_while_kept(live_server, tmp_path, *headers, **options):
    """Whether static files are answered while a view keeps the interpreter."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.txt").write_text("file")
    server = live_server(APP_WITH_FILES, **options)
    settle(server, "/keeps")
    assert server.get("/static/a.txt").text == "file"

    with ThreadPoolExecutor(2) as clients:
        kept = clients.submit(server.get, "/keeps?seconds=3")
        server.wait_for("keeping")
        began = time.monotonic()
        file = server.get("/static/a.txt", *headers)
        took = time.monotonic() - began

        # The application answers this one.
        assert server.get("/static/b.txt").status == 404
        assert time.monotonic() - began > 2
        assert file.text == "file"
        assert kept.result(DEADLINE).status == 200

    return took < 2


def test_static_files_go_on_while_a_view_keeps_the_interpreter(live_server, tmp_path):
    assert ask_file_while_kept(live_server, tmp_path, ("Cookie", "other=1"))


def test_static_files_that_a_hook_sees_wait_for_it(live_server, tmp_path):
    variables = {"HOOK": "1"}
    assert not ask_file_while_kept(live_server, tmp_path, variables=variables)


def test_static_files_of_a_session_wait_for_the_application(live_server, tmp_path):
    assert not ask_file_while_kept(live_server, tmp_path, ("Cookie", "session=x"))
