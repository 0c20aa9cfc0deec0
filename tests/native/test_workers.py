"""Several processes: what each loads, who outlives whom, and how they end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bustapi.serving.worker import describe_end
from live import DEADLINE, PACKAGE, bustapi_command, until

APP = """
import os
import sys
import threading

from bustapi import Flask, request

app = Flask(__name__)
imported = os.getpid()


def say(text):
    # In one piece, as several processes write.
    sys.stderr.write(text + "\\n")
    sys.stderr.flush()


@app.get("/process")
def process():
    return str(os.getpid())


@app.get("/importer")
def importer():
    return f"{imported} {os.getpid()}"


@app.get("/multiprocess")
def multiprocess():
    return str(request.environ["wsgi.multiprocess"])


@app.get("/waits/<name>")
def waits(name):
    say(f"waiting {name} in {os.getpid()}")
    # Opening it for reading waits for the test to open it for writing.
    with open(name) as pipe:
        return pipe.read()
"""
#: Runs as `python served.py`.
MAIN = """

if __name__ == "__main__":
    app.run(port=0, workers=2, drain_timeout={drain})
"""
MODES = pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["loaded", "preloaded"])


def workers_of(server, count=2):
    """The process ids of all workers."""

    def ask():
        found = set()

        for _ in range(20):
            # Those that are being replaced close connections.
            with contextlib.suppress(OSError):
                found.add(int(server.get("/process").text))

        return len(found) == count and found

    return until(ask)


def is_alive(process_id):
    try:
        with open(f"/proc/{process_id}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def is_refused(server):
    try:
        server.connect().close()
    except OSError:
        return True

    return False


def run_to_end(folder, *arguments, **options):
    """Run the command, which is expected not to serve."""
    return subprocess.run(
        bustapi_command(*arguments, **options),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PACKAGE},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.fixture
def pipe(tmp_path):
    """A named pipe that the view ``waits`` reads."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


# --- loading


THREAD = """
import queue

jobs = queue.Queue()


def work():
    while True:
        jobs.get().set()


threading.Thread(target=work, name="the app's thread", daemon=True).start()


@app.get("/job")
def job():
    done = threading.Event()
    jobs.put(done)
    return str(done.wait(2))
"""


def test_each_worker_loads_the_application_itself(live_server):
    server = live_server(APP + THREAD, "--workers", "2")
    workers = workers_of(server)
    seen = {tuple(map(int, server.get("/importer").text.split())) for _ in range(20)}
    assert seen == {(process, process) for process in workers}
    assert server.process.pid not in workers
    assert {server.get("/job").text for _ in range(6)} == {"True"}
    assert server.stop() == 0
    assert "threads" not in server.log


def test_preloading_loads_it_once_and_names_the_threads_that_are_lost(live_server):
    server = live_server(APP + THREAD, "--workers", "2", "--preload")
    workers = workers_of(server)
    seen = {tuple(map(int, server.get("/importer").text.split())) for _ in range(20)}
    (importer,) = {importer for importer, _ in seen}
    # The process that the user started has not loaded it.
    assert importer not in {*workers, server.process.pid}
    assert "the app's thread" in server.wait_for("do not have the threads")
    assert server.stop() == 0
    assert not any(map(is_alive, [importer, *workers]))


def test_app_run_forks_and_names_the_threads_as_well(live_server):
    source = APP + THREAD + MAIN.format(drain=30)
    server = live_server(source, command=[sys.executable, "served.py"])
    workers = workers_of(server)
    seen = {tuple(map(int, server.get("/importer").text.split())) for _ in range(20)}
    assert seen == {(server.process.pid, process) for process in workers}
    assert "the app's thread" in server.wait_for("do not have the threads")
    assert server.stop() == 0


BROKEN = {
    "import": ("import no_such_module_at_all\n", "served:app"),
    "error": ("raise ValueError('not today')\n", "served:app"),
    "exit": ("import sys\nsys.exit('no settings')\n", "served:app"),
    "status": ("import sys\nsys.exit(3)\n", "served:app"),
    "attribute": (APP, "served:nothing"),
    "factory": ("def create_app(name):\n    pass\n", "served"),
}


@MODES
@pytest.mark.parametrize("fault", BROKEN)
def test_an_application_that_cannot_be_loaded_is_told_once(tmp_path, fault, preload):
    source, app = BROKEN[fault]
    (tmp_path / "served.py").write_text(source)
    alone = run_to_end(tmp_path, app=app)
    several = run_to_end(tmp_path, "--workers", "3", *preload, app=app)
    assert alone.returncode != 0
    assert several.stderr == alone.stderr
    assert several.returncode == alone.returncode


@pytest.mark.parametrize(("workers", "expected"), [("1", "False"), ("2", "True")])
def test_wsgi_multiprocess(live_server, workers, expected):
    server = live_server(APP, "--workers", workers)
    assert server.get("/multiprocess").text == expected


# --- addresses


@MODES
def test_a_second_server_on_the_same_port_is_refused(live_server, tmp_path, preload):
    server = live_server(APP, "--workers", "2", *preload)
    second = run_to_end(tmp_path, "--workers", "2", *preload, port=server.port)
    assert second.returncode == 1
    assert "in use" in second.stderr
    assert len(workers_of(server)) == 2


@pytest.mark.parametrize("workers", ["1", "2"])
def test_others_may_connect_to_a_unix_socket(live_server, tmp_path, workers):
    path = tmp_path / "socket"
    options = ["--unix-socket", str(path), "--workers", workers]
    server = live_server(APP, *options, port=None)
    assert server.get("/process").status == 200
    assert path.stat().st_mode & 0o777 == 0o777
    assert server.stop() == 0
    assert not path.exists()
    live_server(APP, *options, "--unix-socket-mode", "600", port=None)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_unix_socket_outlives_the_worker_that_was_first(live_server, tmp_path):
    path = tmp_path / "socket"
    server = live_server(APP, "--unix-socket", str(path), "--workers", "2", port=None)
    first = {int(server.get("/process").text)}

    for process in first:
        os.kill(process, signal.SIGTERM)

    server.wait_for("; starting another")
    assert until(lambda: int(server.get("/process").text) not in first)
    assert path.exists()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_standard_streams(live_server, tmp_path, workers, closed):
    path = tmp_path / "socket"
    (tmp_path / "served.py").write_text(APP)
    options = ("--unix-socket", str(path), "--workers", workers, "--access-log")
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *bustapi_command(*options, port=None)]
    server = live_server(APP, command=command, wait=False)
    server.address = str(path)
    until(lambda: server.process.poll() is not None or not is_refused(server))

    for _ in range(10):
        assert server.get("/process").status == 200

    assert server.stop() == 0


# --- the parent's end


@MODES
def test_workers_end_with_their_parent(live_server, pipe, preload):
    server = live_server(APP, "--workers", "2", *preload)
    workers = workers_of(server)

    with ThreadPoolExecutor(1) as clients:
        # One worker is in a view, which must not keep it alive.
        answer = clients.submit(server.get, "/waits/pipe")
        server.wait_for("waiting pipe")
        server.process.kill()
        killed = time.monotonic()
        until(lambda: not any(map(is_alive, workers)))
        assert time.monotonic() - killed < 5

        with pytest.raises(ConnectionError):
            answer.result(DEADLINE)

    assert is_refused(server)


@MODES
def test_quit_ends_all_at_once(live_server, pipe, preload):
    server = live_server(APP, "--workers", "2", *preload)
    workers = workers_of(server)

    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.get, "/waits/pipe")
        server.wait_for("waiting pipe")
        assert server.stop(signal.SIGQUIT) == 0

        with pytest.raises(ConnectionError):
            answer.result(DEADLINE)

    assert not any(map(is_alive, workers))


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN])
def test_other_signals_orphan_nobody(live_server, number):
    server = live_server(APP, "--workers", "2")
    workers = workers_of(server)
    server.process.send_signal(number)

    if number != signal.SIGUSR1:
        server.wait_for(f"{number.name} has no effect")

    assert workers_of(server) == workers
    assert server.stop() == 0
    assert not any(map(is_alive, workers))


@MODES
def test_hup_replaces_the_workers(live_server, tmp_path, preload):
    server = live_server(
        APP + "\n\n@app.get('/')\ndef i():\n    return 'old'\n", "--workers", "2", *preload
    )
    before = workers_of(server)
    source = APP + "\n\n@app.get('/')\ndef i():\n    return 'changed'\n"
    (tmp_path / "served.py").write_text(source)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: not any(map(is_alive, before)))
    assert {server.get("/").text for _ in range(20)} == {"changed"}
    assert len(workers_of(server)) == 2

    # Where the new application cannot be loaded, the workers that serve stay.
    serving = workers_of(server)
    (tmp_path / "served.py").write_text("raise ValueError('not today')\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("the one before it goes on", 1 if preload else 2)
    assert workers_of(server) == serving
    assert server.stop() == 0


# --- a worker's end


def test_how_a_process_ended_is_told_in_words():
    assert describe_end(3 << 8) == "exited with status 3"
    assert describe_end(signal.SIGSEGV) == "was killed by SIGSEGV"
    # This signal ends a process with a core dump.
    assert describe_end(signal.SIGABRT | 0x80) == "was killed by SIGABRT"
    assert describe_end(signal.SIGRTMIN + 1) == f"was killed by signal {signal.SIGRTMIN + 1}"


DYING = """

@app.get("/exits")
def exits():
    os._exit(3)


@app.get("/crashes")
def crashes():
    os.kill(os.getpid(), 11)
    threading.Event().wait()
"""


@MODES
def test_the_log_says_how_a_worker_ended(live_server, preload):
    server = live_server(APP + DYING, "--workers", "2", *preload)

    for path, how in (("/exits", "exited with status 3"), ("/crashes", "was killed by SIGSEGV")):
        with pytest.raises(ConnectionError):
            server.get(path)

        assert re.search(rf"Worker \d+ {how}; starting another", server.wait_for(how))

    assert len(workers_of(server)) == 2
    assert server.stop() == 0


ENDING = """
import atexit
import time
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(2)
goes_on = threading.Event()


def finish(what):
    goes_on.wait(5)
    say(f"{what} in {os.getpid()}")


atexit.register(lambda: say(f"function called in {os.getpid()}"))
threading._register_atexit(lambda: goes_on.set())


@app.get("/leave")
def leave():
    pool.submit(finish, "job done")
    threading.Thread(target=finish, args=["thread ended"]).start()
    return str(os.getpid())
"""


@MODES
def test_workers_end_as_programs_do(live_server, preload):
    server = live_server(APP + ENDING, "--workers", "2", *preload)
    workers = workers_of(server)
    process = int(server.get("/leave").text)
    assert server.stop() == 0

    for worker in workers:
        assert f"function called in {worker}\n" in server.log

    assert f"job done in {process}\n" in server.log
    assert f"thread ended in {process}\n" in server.log
    assert "do not have the threads" not in server.log


def test_a_view_that_does_not_end_keeps_no_function_from_being_called(live_server, pipe):
    """Nor in a process that serves alone, which must not shut the interpreter down either."""
    main = "\n\nif __name__ == '__main__':\n    app.run(port=0, drain_timeout=0.1)\n"
    ending = "\nimport atexit\natexit.register(lambda: say('called'))\n"
    server = live_server(APP + ending + main, command=[sys.executable, "served.py"])

    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.get, "/waits/pipe")
        server.wait_for("waiting pipe")
        assert server.stop() == 0
        assert "called\n" in server.log

        with pytest.raises(ConnectionError):
            answer.result(DEADLINE)


# --- stopping


@MODES
def test_connections_are_refused_while_workers_drain(live_server, pipe, preload):
    server = live_server(APP, "--workers", "2", *preload)

    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.get, "/waits/pipe")
        server.wait_for("waiting pipe")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: is_refused(server))
        assert all(is_refused(server) for _ in range(10))
        pipe.write_text("finished")
        assert answer.result(DEADLINE).text == "finished"

    assert server.wait() == 0


@MODES
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_every_process_is_one(live_server, pipe, number, preload):
    """As a terminal and service managers send it: it is no second one to anybody."""
    server = live_server(APP, "--workers", "2", *preload)
    workers = workers_of(server)

    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.get, "/waits/pipe")
        server.wait_for("waiting pipe")
        importer = int(server.get("/importer").text.split()[0])

        for process in {server.process.pid, importer, *workers}:
            # A worker with nothing to do may have ended already, as the master told it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

        until(lambda: is_refused(server))
        pipe.write_text("finished")
        assert answer.result(DEADLINE).text == "finished"

    assert server.wait() == 0


@MODES
def test_a_second_signal_ends_all_workers_at_once(live_server, pipe, preload):
    server = live_server(APP, "--workers", "2", *preload)
    workers = workers_of(server)

    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.get, "/waits/pipe")
        server.wait_for("waiting pipe")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: is_refused(server))
        assert server.stop() == 128 + signal.SIGTERM

        with pytest.raises(ConnectionError):
            answer.result(DEADLINE)

    assert not any(map(is_alive, workers))


def test_a_worker_that_stands_still_does_not_hold_up_the_end(live_server):
    source = APP + MAIN.format(drain=0.5)
    server = live_server(source, command=[sys.executable, "served.py"])
    workers = workers_of(server)
    os.kill(min(workers), signal.SIGSTOP)
    assert server.stop() == 0
    assert f"Worker {min(workers)} does not end in time" in server.log
    assert not any(map(is_alive, workers))


def test_a_worker_that_stands_still_is_replaced(live_server):
    # Ten seconds are too long for a test.
    shorter = "import bustapi.serving.supervisor\nbustapi.serving.supervisor._STANDSTILL = 0.2\n"
    source = APP + shorter + MAIN.format(drain=30)
    server = live_server(source, command=[sys.executable, "served.py"])
    stopped = min(workers_of(server))
    os.kill(stopped, signal.SIGSTOP)
    server.wait_for(f"Worker {stopped} stands still")
    assert stopped not in workers_of(server)
    assert server.stop() == 0


def test_a_worker_that_is_told_to_end_is_replaced_while_it_drains(live_server, pipe):
    server = live_server(APP, "--workers", "2")

    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.get, "/waits/pipe")
        server.wait_for("waiting pipe")
        busy = int(server.wait_for("waiting pipe in ").rpartition(" ")[2])
        os.kill(busy, signal.SIGTERM)
        server.wait_for("was told to end; starting another")
        # The master does not wait for the worker that drains.
        assert len(workers_of(server)) == 2
        pipe.write_text("finished")
        assert answer.result(DEADLINE).text == "finished"

    assert server.stop() == 0


# --- restarting


SLOW = """
import asyncio
import time


@app.get("/sleeps")
def sleeps():
    time.sleep(30)
    return ""


@app.get("/computes")
def computes():
    while True:
        pass


@app.get("/async")
async def waits_async():
    await asyncio.sleep(30)
    return ""


@app.get("/streams")
def streams():
    def pieces():
        while True:
            yield "x"
            time.sleep(0.1)

    say("streaming")
    return pieces()
"""


@pytest.mark.slow
def test_a_restart_under_load(live_server, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    server = live_server(APP + SLOW, "--debug", port=port)

    for number in range(2, 5):
        before = int(server.get("/process").text)

        with contextlib.ExitStack() as stack:
            for path in ("/sleeps", "/computes", "/async", "/streams"):
                connection = stack.enter_context(contextlib.closing(server.connect()))
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: live.test\r\n\r\n".encode())

            server.wait_for("streaming", number - 1)
            changed = time.time() + number
            os.utime(tmp_path / "served.py", (changed, changed))
            # Clients that connect wait until the next worker serves.
            refusals = wait_for_end(server, before)
            assert server.get("/process").text != str(before)
            assert refusals == 0

        server.wait_until_running(count=number)

    assert server.process.poll() is None
    assert server.stop() == 0


def wait_for_end(server, process):
    """Wait until a process has ended; how many connections were refused meanwhile."""
    refusals = 0

    def has_ended():
        nonlocal refusals
        refusals += is_refused(server)
        return not is_alive(process)

    until(has_ended)
    return refusals
