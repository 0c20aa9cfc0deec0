"""Signals to a server: what ends it and how, and the handlers of applications."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from live import DEADLINE, until

APP = """
import ctypes
import os
import signal
import sys
import threading
import time

from bustapi import Flask

app = Flask(__name__)


def say(text):
    print(text, file=sys.stderr, flush=True)


@app.get("/")
def index():
    return str(os.getpid())


@app.get("/waits")
def waits():
    say("waiting")
    try:
        with open("pipe") as pipe:
            return pipe.read()
    except BaseException as error:
        say(f"raised {error!r}")
        raise


@app.get("/computes")
def computes():
    say("computing")
    while not os.path.exists("done"):
        sum(range(1000))
    return "computed"


@app.get("/holds")
def holds():
    # The call keeps the interpreter's lock for longer than any test waits.
    say("holding")
    ctypes.PyDLL(None).sleep(120)
    return "held"


@app.get("/forks")
def forks():
    child = os.fork()
    if child == 0:
        time.sleep(120)
        os._exit(1)
    os.kill(child, signal.SIGTERM)
    return str(os.waitpid(child, 0)[1])
"""

HANDLER = """
def handle(number, frame):
    say(f"handled {number} on {threading.current_thread().name}")
    %s

signal.signal(signal.%s, handle)
"""


def app_with_handler(name, action="pass"):
    return APP + HANDLER % (action, name)


@pytest.fixture
def pipe(tmp_path):
    """A named pipe that the view ``waits`` reads."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_handler_is_called_while_no_request_comes(live_server, workers):
    server = live_server(app_with_handler("SIGUSR1"), "--workers", str(workers))
    process_id = int(server.get("/").text)

    for count in (1, 2):
        os.kill(process_id, signal.SIGUSR1)
        server.wait_for(f"handled {signal.SIGUSR1:d} on MainThread", count)

    assert int(server.get("/").text)
    assert server.stop() == 0


def test_a_handler_that_fails_is_reported_and_the_server_goes_on(live_server):
    server = live_server(app_with_handler("SIGUSR1", "raise ValueError('of the handler')"))
    assert server.get("/").status == 200
    server.process.send_signal(signal.SIGUSR1)
    server.wait_for("ValueError: of the handler")
    assert server.get("/").status == 200
    assert server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_view_that_computes_is_not_interrupted(live_server, tmp_path, number):
    server = live_server(APP)

    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.get, "/computes")
        server.wait_for("computing")
        server.process.send_signal(number)
        until(lambda: refuses(server))
        (tmp_path / "done").touch()
        assert answer.result(DEADLINE).text == "computed"

    assert server.wait() == 0
    assert "KeyboardInterrupt" not in server.log


def refuses(server):
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True

    return False


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_handler_that_exits_lets_open_requests_finish(live_server, pipe, name):
    server = live_server(app_with_handler(name, "sys.exit(3)"))

    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.get, "/waits")
        server.wait_for("waiting")
        server.process.send_signal(getattr(signal, name))
        server.wait_for("handled")
        pipe.write_text("finished")
        assert answer.result(DEADLINE).text == "finished"

    assert server.wait() == 3
    assert "raised" not in server.log


def test_a_handler_of_the_stopping_signal_need_not_exit(live_server):
    server = live_server(app_with_handler("SIGTERM"))
    assert server.get("/").status == 200
    assert server.stop() == 0
    assert "handled" in server.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("view", ["waits", "holds"])
def test_a_second_signal_ends_the_server_at_once(live_server, pipe, number, view):
    server = live_server(APP)

    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.get, f"/{view}")
        server.wait_for("waiting" if view == "waits" else "holding")
        server.process.send_signal(number)
        until(lambda: refuses(server))
        assert server.process.poll() is None
        server.process.send_signal(number)
        assert server.wait() == 128 + number
        assert answer.exception(DEADLINE) is not None


def test_a_child_of_a_view_is_ended_by_signals_and_the_server_is_not(live_server):
    server = live_server(APP)
    assert server.get("/forks").text == str(signal.SIGTERM.value)
    assert server.get("/").status == 200
    assert server.stop() == 0


def test_serving_again_and_what_is_left_behind(live_server):
    source = APP + (
        "\nif __name__ == '__main__':\n"
        "    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]\n"
        "    for turn in range(2):\n"
        "        app.run(port=0)\n"
        "        after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]\n"
        "        say(f'served {turn} {before == after} {signal.set_wakeup_fd(-1)}')\n"
    )
    server = live_server(source, command=[sys.executable, "served.py"])

    for turn, number in enumerate((signal.SIGINT, signal.SIGTERM)):
        server.wait_until_running(turn + 1)
        assert server.get("/").status == 200
        server.process.send_signal(number)
        server.wait_for(f"served {turn} True -1")

    assert server.wait() == 0
