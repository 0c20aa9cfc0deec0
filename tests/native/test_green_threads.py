"""Applications under gevent and eventlet: refused by the native server, served as WSGI."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bustapi.serving import serve
from live import DEADLINE, PACKAGE, bustapi_command

APP = """
import queue
import threading
import time

from bustapi import Flask, g, request, session

app = Flask(__name__)
app.secret_key = "green"
lock = threading.Lock()
items = queue.Queue()


@app.get("/")
def index():
    return "index"


@app.get("/lock")
def locked():
    with lock:
        time.sleep(0.005)

    return "ok"


@app.get("/put")
def put():
    items.put("put")
    return "put"


@app.get("/take")
def take():
    return items.get(timeout=15)


@app.get("/async")
async def later():
    return "later"


@app.get("/own/<name>")
def own(name):
    g.name = session["name"] = name

    for _ in range(5):
        time.sleep(0.002)
        assert g.name == session["name"] == request.view_args["name"] == name

    return name


@app.get("/stream")
def stream():
    def pieces():
        for number in range(5):
            time.sleep(0.002)
            yield f"{number} "

    return app.response_class(pieces())


def main():
    app.run(port=0)
"""
PATCHES = {
    "gevent": "from gevent import monkey\nmonkey.patch_all()\n",
    "gevent's queues": "from gevent import monkey\nmonkey.patch_queue()\n",
    "eventlet": "import eventlet\neventlet.monkey_patch()\n",
}
MAIN = "\nif __name__ == '__main__':\n    main()\n"


def run_to_end(folder, command):
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PACKAGE, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.mark.parametrize("way", ["run", "workers", "app.run", "patched before"])
@pytest.mark.parametrize("library", PATCHES)
def test_the_native_server_says_what_serves(tmp_path, library, way):
    name = library.partition("'")[0]
    pytest.importorskip(name)
    patch = PATCHES[library]
    commands = {
        "run": bustapi_command(),
        "workers": bustapi_command("--workers", "2"),
        "app.run": [sys.executable, "served.py"],
        "patched before": [sys.executable, "-c", f"{patch}import served; served.main()"],
    }
    source = APP + MAIN if way == "patched before" else patch + APP + MAIN
    (tmp_path / "served.py").write_text(source)
    ran = run_to_end(tmp_path, commands[way])
    assert ran.returncode == 1
    # eventlet has its own to say where it comes late, in another worker also afterwards.
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith("Error")]
    assert way == "workers" or ran.stderr.endswith(f"{line}\n")
    assert name == "eventlet" or ran.stderr == f"{line}\n"
    assert line.startswith(f"Error: {name} has replaced Python's threads")
    assert ("gunicorn -k gevent" if name == "gevent" else "eventlet.wsgi.server") in line
    assert "Running on" not in ran.stdout


def test_serve_raises(monkeypatch, app):
    monkey = pytest.importorskip("gevent.monkey")
    monkeypatch.setattr(monkey, "is_module_patched", lambda name: name == "threading")

    with pytest.raises(RuntimeError, match="gunicorn -k gevent"):
        serve(app, host="127.0.0.1", port=0)


def check_that_it_works(server):
    with ThreadPoolExecutor(16) as pool:
        taken = pool.submit(server.get, "/take")
        # It is waiting, or will find the item.
        assert server.get("/put").text == "put"
        assert taken.result().text == "put"
        paths = [f"/own/{number}" for number in range(48)]
        assert [a.text for a in pool.map(server.get, paths)] == [str(n) for n in range(48)]
        answers = list(pool.map(server.get, ["/lock"] * 48))
        assert {answer.text for answer in answers} == {"ok"}
        answers = list(pool.map(server.get, ["/stream"] * 16))
        assert {answer.text for answer in answers} == {"0 1 2 3 4 "}

    assert server.get("/async").text == "later"


@pytest.mark.parametrize("part", ["socket", "select", "time", "ssl", "subprocess"])
def test_what_else_is_patched_does_no_harm(live_server, part):
    pytest.importorskip("gevent")
    source = f"from gevent import monkey\nmonkey.patch_{part}()\n{APP}"
    check_that_it_works(live_server(source))


def test_under_gunicorns_gevent_worker(live_server):
    pytest.importorskip("gevent")
    pytest.importorskip("gunicorn")
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-b", "127.0.0.1:0", "served:app"]
    server = live_server(APP, command=command, wait=False)
    server.wait_until_running(says="Listening at")
    check_that_it_works(server)


def test_under_eventlets_server(live_server):
    pytest.importorskip("eventlet")
    program = """
import eventlet
eventlet.monkey_patch()
from eventlet import wsgi
import served
listener = eventlet.listen(("127.0.0.1", 0))
print("Running on http://127.0.0.1:%d" % listener.getsockname()[1], flush=True)
wsgi.server(listener, served.app)
"""
    check_that_it_works(live_server(APP, command=[sys.executable, "-c", program]))
