"""The native server as a command, over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from live import DEADLINE, PACKAGE, bustapi_command, read_answer, until

APP = """
import os
import sys
import threading

from bustapi import Flask, request, session

app = Flask(__name__)
app.secret_key = "served"
barrier = threading.Barrier(6)


def say(text):
    print(text, file=sys.stderr, flush=True)


@app.teardown_request
def teardown(error):
    if request.path.startswith("/leave"):
        say(f"teardown {request.path} {error!r}")


@app.get("/")
def index():
    return "index"


@app.get("/process")
def process():
    return str(os.getpid())


@app.post("/echo")
def echo():
    return request.get_data()


@app.get("/fails")
def fails():
    raise ValueError("secret of the app")


@app.get("/fails-late")
def fails_late():
    def generate():
        yield "one"
        raise ValueError("secret of the stream")

    return generate()


@app.get("/line-break/<place>")
def line_break(place):
    if place == "value":
        return "x", {"X-Break": "a\\r\\nX-Injected: 1"}
    if place == "name":
        return "x", {"X-Break\\r\\nX-Injected": "1"}
    if place == "cookie":
        return "x", [("Set-Cookie", "a=1\\nX-Injected: 1")]
    if place == "null":
        return "x", {"X-Break": "a\\0b"}
    return "x", 302, {"Location": "/a\\r\\nX-Injected: 1"}


@app.get("/meet")
def meet():
    barrier.wait(10)
    return "met"


@app.get("/waits/<name>")
def waits(name):
    say(f"waiting {name}")
    # Opening it for reading waits for the test to open it for writing.
    with open(name) as pipe:
        return pipe.read()


@app.get("/leave/stream")
def leave_stream():
    class Pieces:
        def __iter__(self):
            say("streaming")
            while True:
                yield b"x" * 65536

        def close(self):
            say("closed")

    return app.response_class(Pieces())


@app.get("/leave/waiting-stream")
def leave_waiting_stream():
    def generate():
        try:
            # More than the client takes: its leaving is a reset.
            yield b"x" * 65536
            say("at the pipe")
            with open("pipe") as pipe:
                pipe.read()
            yield b"y"
        finally:
            say("closed /leave/waiting-stream")

    return generate()


@app.post("/leave/upload")
def leave_upload():
    say("uploading")
    return str(len(request.get_data()))
"""

LIMITED = """
from bustapi import Flask, request

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1000


@app.post("/read")
def read():
    return str(len(request.get_data()))


@app.post("/form")
def form():
    return str(len(request.form["f"]))


@app.post("/unread")
def unread():
    return "unread"
"""


@pytest.fixture
def pipe(tmp_path):
    """A named pipe that the view ``waits`` reads."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


# --- what goes wrong before anything is served


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


def test_a_port_in_use_is_one_line(tmp_path):
    (tmp_path / "served.py").write_text(APP)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = run_to_end(tmp_path, port=port)

    assert ran.returncode != 0
    (line,) = [line for line in ran.stderr.splitlines() if "rror" in line]
    assert "in use" in line
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "options", "tells"),
    [
        ([], {"app": "nowhere:app"}, "Could not import 'nowhere'"),
        ([], {"app": "served:nothing"}, "Failed to find attribute 'nothing'"),
        ([], {"app": "served:make("}, "Failed to parse"),
        ([], {"app": "served:say"}, "The factory 'say' in module 'served' could not be called"),
        (["--workers", "0"], {}, "--workers"),
        (["--threads", "many"], {}, "--threads"),
        (["--nonsense"], {}, "--nonsense"),
        ([], {"port": 70000}, "port"),
        (["--host", "host.invalid"], {}, "host.invalid"),
        (["--unix-socket", "no/such/folder/socket"], {"port": None}, "no/such/folder"),
    ],
)
def test_a_wrong_command_is_told_in_one_line(tmp_path, arguments, options, tells):
    (tmp_path / "served.py").write_text(APP)
    ran = run_to_end(tmp_path, *arguments, **options)
    assert ran.returncode not in (0, -signal.SIGSEGV), ran.stderr
    assert "Traceback" not in ran.stderr
    assert tells in ran.stderr
    assert len([line for line in ran.stderr.splitlines() if line.startswith("Error")]) == 1


def test_an_app_that_is_missing_is_told(tmp_path):
    command = [sys.executable, "-m", "bustapi", "run", "--port", "0"]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": PACKAGE},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert ran.returncode != 0
    assert "Error: Could not locate" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_app_that_cannot_be_imported_shows_its_own_error(tmp_path):
    (tmp_path / "served.py").write_text("import no_such_module_at_all\n")
    ran = run_to_end(tmp_path)
    assert ran.returncode != 0
    assert "no_such_module_at_all" in ran.stderr
    assert "While importing 'served', an ImportError was raised" in ran.stderr
    assert f"{os.sep}bustapi{os.sep}" not in ran.stderr


# --- what clients send


def head(*lines):
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


MALFORMED = {
    "no version": head("GET /", "Host: a"),
    "bad version": head("GET / HTTP/9.9", "Host: a"),
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "bad method": head("G@T / HTTP/1.1", "Host: a"),
    "space in target": head("GET /a b HTTP/1.1", "Host: a"),
    "no host": head("GET / HTTP/1.1"),
    "two hosts": head("GET / HTTP/1.1", "Host: a", "Host: b"),
    "space before colon": head("GET / HTTP/1.1", "Host: a", "X-A : 1"),
    "folded": head("GET / HTTP/1.1", "Host: a", "X-A: 1", " 2"),
    "no colon": head("GET / HTTP/1.1", "Host: a", "nonsense"),
    "null": head("GET / HTTP/1.1", "Host: a", "X-A: a\0b"),
    "bare line feed in value": head("GET / HTTP/1.1", "Host: a", "X-A: a\rb"),
    "two lengths": head("POST /echo HTTP/1.1", "Host: a", "Content-Length: 1", "Content-Length: 2"),
    "length and chunks": head(
        "POST /echo HTTP/1.1", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked"
    ),
    "negative length": head("POST /echo HTTP/1.1", "Host: a", "Content-Length: -1"),
    "length of words": head("POST /echo HTTP/1.1", "Host: a", "Content-Length: five"),
    "unknown coding": head("POST /echo HTTP/1.1", "Host: a", "Transfer-Encoding: x, gzip"),
}


def test_malformed_requests_are_refused_and_the_server_lives(live_server):
    server = live_server(APP)
    answers = {name: server.exchange(wire) for name, wire in MALFORMED.items()}
    starts = {name: answer[:12] for name, answer in answers.items()}
    refused = {b"HTTP/1.1 400", b"HTTP/1.1 501", b"HTTP/1.1 505"}
    assert {name: start for name, start in starts.items() if start not in refused} == {}
    # One answer each, and nothing of what came after the head.
    assert {name for name, answer in answers.items() if answer.count(b"HTTP/1.1 ") != 1} == set()
    assert server.get("/").text == "index"


def test_heads_that_are_too_large(live_server):
    server = live_server(APP)
    long_target = server.exchange(head(f"GET /{'x' * 200_000} HTTP/1.1", "Host: a"))
    assert long_target.startswith((b"HTTP/1.1 414 ", b"HTTP/1.1 431 "))
    large = server.exchange(head("GET / HTTP/1.1", "Host: a", f"X-Large: {'x' * 300_000}"))
    assert large.startswith(b"HTTP/1.1 431 ")
    many = [f"X-{i}: 1" for i in range(5000)]
    assert server.exchange(head("GET / HTTP/1.1", "Host: a", *many)).startswith(b"HTTP/1.1 431 ")
    assert server.get("/").status == 200


def test_bodies_that_are_too_large(live_server):
    server = live_server(LIMITED)
    assert server.request("POST", "/read", b"x" * 1000).text == "1000"
    assert server.request("POST", "/read", b"x" * 1001).status == 413

    # The answer does not wait for a body that nobody reads.
    for target, status in (("/read", 413), ("/unread", 200)):
        with contextlib.closing(server.connect()) as connection:
            connection.sendall(
                head(f"POST {target} HTTP/1.1", "Host: a", "Content-Length: 900000000")
            )
            assert read_answer(connection).status == status

    # Neither does what is left of the body pass for a request.
    smuggled = b"x" * 2000 + head("GET /smuggled HTTP/1.1", "Host: a")
    length = f"Content-Length: {len(smuggled)}"

    for target in ("/read", "/unread"):
        wire = head(f"POST {target} HTTP/1.1", "Host: a", "Connection: close", length) + smuggled
        assert server.exchange(wire).count(b"HTTP/1.1 ") == 1

    chunk = b"%x\r\n%s\r\n" % (1001, b"x" * 1001)
    chunked = [("Transfer-Encoding", "chunked")]
    # Without a length, reading ends at the limit, as with Werkzeug's own stream.
    assert server.request("POST", "/read", chunk + b"0\r\n\r\n", chunked).text == "1000"
    assert server.request("POST", "/read", b"x" * 999).text == "999"

    # A form is read to its end, or to the limit.
    field = b"--b\r\nContent-Disposition: form-data; name=f\r\n\r\n%s\r\n--b--\r\n"
    form = [*chunked, ("Content-Type", "multipart/form-data; boundary=b")]

    for size, status in ((500, 200), (5000, 413)):
        body = field % (b"x" * size)
        wire = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        assert server.request("POST", "/form", wire, form).status == status

    assert server.request("POST", "/read", b"x" * 999).text == "999"


def test_requests_in_one_packet(live_server):
    server = live_server(APP)
    wire = (
        head("GET / HTTP/1.1", "Host: a")
        + head("POST /echo HTTP/1.1", "Host: a", "Content-Length: 4")
        + b"body"
        + head("GET /nowhere HTTP/1.1", "Host: a")
        + head("GET / HTTP/1.1", "Host: a", "Connection: close")
    )
    answers = server.exchange(wire).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"200", b"404", b"200"]
    assert answers[1].endswith(b"\r\n\r\nbody")


def test_a_connection_is_kept(live_server):
    server = live_server(APP)

    with contextlib.closing(server.connect()) as connection:
        for _ in range(5):
            connection.sendall(head("POST /echo HTTP/1.1", "Host: a", "Content-Length: 2") + b"hi")
            assert read_answer(connection).body == b"hi"


def test_a_client_that_waits_to_be_asked(live_server):
    server = live_server(APP)

    with contextlib.closing(server.connect()) as connection:
        connection.sendall(
            head("POST /echo HTTP/1.1", "Host: a", "Content-Length: 4", "Expect: 100-continue")
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"body")
        assert read_answer(connection).body == b"body"


def test_large_bodies_both_ways(live_server):
    server = live_server(APP)
    body = os.urandom(3_000_000)
    assert server.request("POST", "/echo", body).body == body
    pieces = [body[i : i + 50_000] for i in range(0, len(body), 50_000)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
    chunked = [("Transfer-Encoding", "chunked")]
    assert server.request("POST", "/echo", chunks, chunked).body == body


# --- what applications do


def test_a_view_that_raises(live_server):
    server = live_server(APP)
    answer = server.get("/fails")
    assert answer.status == 500
    assert "The server encountered an internal error" in answer.text
    assert "secret" not in answer.text
    server.wait_for("ValueError: secret of the app")
    assert "Exception on /fails [GET]" in server.log
    assert "Traceback (most recent call last)" in server.log
    assert server.get("/").text == "index"


def test_a_stream_that_raises_ends_the_connection(live_server):
    server = live_server(APP)
    received = server.exchange(head("GET /fails-late HTTP/1.1", "Host: a"))
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"one" in received
    assert b"secret" not in received
    assert not received.endswith(b"0\r\n\r\n"), "the body looks complete"
    server.wait_for("ValueError: secret of the stream")
    assert server.get("/").text == "index"


@pytest.mark.parametrize("place", ["value", "name", "cookie", "null", "location"])
def test_line_breaks_in_headers_stay_off_the_wire(live_server, place):
    server = live_server(APP)
    wire = head(f"GET /line-break/{place} HTTP/1.1", "Host: a", "Connection: close")
    received = server.exchange(wire)
    assert b"X-Injected" not in received.partition(b"\r\n\r\n")[0]
    assert received.startswith(b"HTTP/1.1 500 ")
    server.wait_for("ValueError")


def test_slow_views_do_not_hold_up_others(live_server):
    server = live_server(APP)

    with ThreadPoolExecutor(6) as clients:
        # Each waits until all have come.
        met = [clients.submit(server.get, "/meet") for _ in range(6)]
        assert server.get("/").text == "index"
        assert {future.result(DEADLINE).text for future in met} == {"met"}


def test_a_client_that_leaves_a_stream(live_server):
    server = live_server(APP)

    with contextlib.closing(server.connect()) as connection:
        connection.sendall(head("GET /leave/stream HTTP/1.1", "Host: a"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")

    server.wait_for("closed")
    assert server.get("/").text == "index"
    assert server.stop() == 0
    assert server.log.count("teardown /leave/stream None") == 1
    assert server.log.count("closed") == 1


def test_a_client_that_leaves_while_the_next_piece_is_made(live_server, pipe):
    server = live_server(APP)

    with contextlib.closing(server.connect()) as connection:
        connection.sendall(head("GET /leave/waiting-stream HTTP/1.1", "Host: a"))
        # Not "waiting": the path has that word too, and teardown prints it earlier.
        server.wait_for("at the pipe")
        assert connection.recv(10) == b"HTTP/1.1 2"

    # By now the reset has arrived as well.
    assert server.get("/").text == "index"
    pipe.write_text("go on")
    server.wait_for("closed /leave/waiting-stream")
    assert server.stop() == 0
    assert server.log.count("closed /leave") == 1
    assert server.log.count("teardown /leave") == 1
    assert "Error" not in server.log


def test_a_client_that_ends_its_sending_is_answered(live_server, pipe):
    server = live_server(APP)

    with contextlib.closing(server.connect()) as connection:
        request = head("GET /waits/pipe HTTP/1.1", "Host: a")
        connection.sendall(request + head("GET / HTTP/1.1", "Host: a"))
        connection.shutdown(socket.SHUT_WR)
        server.wait_for("waiting")
        pipe.write_text("read")
        received = b"".join(iter(lambda: connection.recv(65536), b""))

    bodies = [answer.partition(b"\r\n\r\n")[2] for answer in received.split(b"HTTP/1.1 200 OK")]
    assert bodies == [b"", b"read", b"index"]


def test_a_client_that_leaves_its_upload(live_server):
    server = live_server(APP)

    with contextlib.closing(server.connect()) as connection:
        connection.sendall(head("POST /leave/upload HTTP/1.1", "Host: a", "Content-Length: 900000"))
        connection.sendall(b"x" * 100_000)
        server.wait_for("uploading")

    server.wait_for("teardown /leave/upload")
    assert server.get("/").text == "index"
    assert server.stop() == 0
    assert server.log.count("teardown /leave/upload") == 1
    assert server.log.count("Exception on") == 0


# --- the end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_open_requests_are_finished(live_server, pipe, number, workers):
    server = live_server(APP, "--workers", str(workers))

    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.get, "/waits/pipe")
        server.wait_for("waiting pipe")
        server.process.send_signal(number)
        until(lambda: refuses(server))
        pipe.write_text("finished")
        assert answer.result(DEADLINE).text == "finished"

    assert server.wait() == 0


def refuses(server):
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True

    return False


def test_an_idle_connection_does_not_hold_up_the_end(live_server):
    server = live_server(APP)

    with contextlib.closing(server.connect()) as connection:
        connection.sendall(head("GET / HTTP/1.1", "Host: a"))
        assert read_answer(connection).body == b"index"
        assert server.stop() == 0
        assert connection.recv(1) == b""


# --- processes


def test_workers_share_the_work_and_are_replaced(live_server):
    server = live_server(APP, "--workers", "2")

    def processes():
        return {int(server.get("/process").text) for _ in range(20)}

    first = until(lambda: len(found := processes()) == 2 and found)
    assert server.process.pid not in first
    killed = first.pop()
    os.kill(killed, signal.SIGKILL)
    server.wait_for(f"Worker {killed} was killed by SIGKILL")

    second = until(lambda: len(found := processes() - {killed}) == 2 and found)
    assert first < second
    assert server.stop() == 0

    for process in second:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


ENDED_AT_ONCE = """

import pathlib
import signal


def end_once():
    try:
        pathlib.Path("once").touch(exist_ok=False)
    except FileExistsError:
        return

    os.kill(os.getpid(), signal.SIGTERM)


os.register_at_fork(after_in_child=end_once)
"""


def test_a_worker_that_is_ended_as_it_starts_is_replaced(live_server):
    server = live_server(APP + ENDED_AT_ONCE, "--workers", "2", "--preload")
    server.wait_for("was killed by SIGTERM")
    assert until(lambda: len({server.get("/process").text for _ in range(20)}) == 2)
    assert server.stop() == 0


DYING = """

@app.get("/dies/<how>")
def dies(how):
    if how == "abort":
        os.abort()
    os._exit(3)
"""


@pytest.mark.parametrize("how", ["exit", "abort"])
def test_workers_that_requests_kill_are_replaced(live_server, how):
    """Also where the request is among the first of its worker."""
    server = live_server(APP + DYING, "--workers", "2")

    for number in range(1, 5):
        with pytest.raises(ConnectionError):
            server.get(f"/dies/{how}")

        server.wait_for("; starting another", number)

    assert until(lambda: len({server.get("/process").text for _ in range(20)}) == 2)
    assert server.stop() == 0
    assert "failed to start" not in server.log


FAILING = """

def fail(*args, **options):
    raise RuntimeError("no server here")


bustapi.serving.native.serve_here = fail
"""


def test_workers_that_cannot_serve_end_the_server(tmp_path):
    (tmp_path / "served.py").write_text(APP + "\nimport bustapi.serving.native\n" + FAILING)
    command = bustapi_command("--workers", "2")
    environment = {**os.environ, "PYTHONPATH": PACKAGE}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=DEADLINE
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith("Error: a worker failed to start.\n")
    assert "RuntimeError: no server here" in ended.stderr


WATCHED_FORKS = """

def before_fork():
    say(f"forked with {len(os.listdir('/proc/self/task'))} threads")


def after_fork():
    if os.path.exists("hold"):
        say("held")
        # Opening it for reading waits for the test to open it for writing.
        open("hold").close()


os.register_at_fork(before=before_fork, after_in_child=after_fork)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs /proc")
def test_what_connects_while_a_worker_is_replaced_is_served(live_server, tmp_path):
    server = live_server(APP + WATCHED_FORKS, "--workers", "2", "--preload")
    first = until(
        lambda: len(found := {int(server.get("/process").text) for _ in range(20)}) == 2 and found
    )
    os.mkfifo(tmp_path / "hold")
    killed = first.pop()
    os.kill(killed, signal.SIGKILL)
    server.wait_for("held")
    connections = [server.connect() for _ in range(40)]

    for connection in connections:
        connection.sendall(head("GET /process HTTP/1.1", "Host: a", "Connection: close"))

    # The other worker goes on meanwhile.
    assert until(lambda: select.select(connections, [], [], 0)[0])
    (tmp_path / "hold").write_text("")
    answers = [read_answer(connection) for connection in connections]
    assert {answer.status for answer in answers} == {200}
    processes = {int(answer.text) for answer in answers}
    assert killed not in processes
    assert len(processes) == 2
    assert first < processes

    for connection in connections:
        connection.close()

    assert server.stop() == 0
    # Threads do not survive a fork, and what they hold is held for ever.
    server.wait_for("forked with 1 threads", 3)
    assert server.log.count("forked with") == 3


def test_a_unix_socket(live_server, tmp_path):
    server = live_server(APP, "--unix-socket", str(tmp_path / "socket"), port=None)
    assert server.address == str(tmp_path / "socket")
    assert server.get("/").text == "index"
    assert server.request("POST", "/echo", b"x" * 100_000).body == b"x" * 100_000
    assert server.stop() == 0
    # A socket that was left behind is not in the way.
    again = live_server(APP, "--unix-socket", str(tmp_path / "socket"), port=None)
    assert again.get("/").text == "index"


@pytest.mark.slow
def test_a_changed_file_restarts_the_server(live_server, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    server = live_server(APP, "--reload", port=port)
    assert server.get("/").text == "index"
    (tmp_path / "served.py").write_text(APP.replace('return "index"', 'return "changed"'))
    server.wait_until_running(count=2)
    assert server.get("/").text == "changed"


# --- other ways in


def test_the_access_log(live_server):
    server = live_server(APP, "--access-log")
    assert server.get("/?a=b", ("User-Agent", "me")).status == 200
    assert server.wait_for('"GET /?a=b HTTP/1.1" 200 5 "-" "me"').startswith("127.0.0.1 - - [")


@pytest.mark.parametrize(
    ("arguments", "logged"),
    [
        ([], False),
        (["--debug", "--no-reload"], True),
        (["--debug", "--no-reload", "--no-access-log"], False),
    ],
)
def test_the_access_log_is_on_in_debug_mode_only(live_server, arguments, logged):
    server = live_server(APP, *arguments)
    assert server.get("/").status == 200
    assert server.stop() == 0
    assert ('"GET / HTTP/1.1" 200' in server.log) == logged


def test_an_access_log_that_nobody_reads_harms_no_request(live_server):
    leave = """

@app.get("/unread")
def unread():
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 2)
    return "unread"
"""
    server = live_server(APP + leave, "--access-log")
    assert server.get("/unread").text == "unread"

    with contextlib.closing(server.connect()) as connection:
        for _ in range(3):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: live.test\r\n\r\n")
            assert read_answer(connection).text == "index"

    assert server.stop() == 0


def test_app_run(live_server):
    source = APP + "\nif __name__ == '__main__':\n    app.run(port=0)\n"
    server = live_server(source, command=[sys.executable, "served.py"])
    assert server.get("/").text == "index"
    assert server.stop(signal.SIGINT) == 0


def test_serve_in_a_thread(live_server):
    source = APP + (
        "\nif __name__ == '__main__':\n"
        "    from bustapi.serving import serve\n"
        "    options = {'host': '127.0.0.1', 'port': 0}\n"
        "    threading.Thread(target=serve, args=[app], kwargs=options, daemon=True).start()\n"
        "    threading.Event().wait()\n"
    )
    server = live_server(source, command=[sys.executable, "served.py"])
    assert server.get("/").text == "index"
    # The signal is Python's to handle, which ends the process at once.
    assert server.stop() == -signal.SIGTERM


def test_the_app_may_be_named_after_the_command(live_server):
    # The one that is nearer to the command counts.
    command = bustapi_command("--app", "served:create_app()", app="nowhere")
    source = f"{APP}\n\ndef create_app():\n    return app\n"
    assert live_server(source, command=command).get("/").text == "index"


def test_flask_compat(live_server):
    source = (
        "from flask import Flask, jsonify\n"
        "from flask.views import MethodView\n"
        "import flask\n\n"
        "app = Flask(__name__)\n\n"
        "@app.get('/')\n"
        "def index():\n"
        "    return jsonify(flask.Flask.__module__)\n"
    )
    server = live_server(source, "--flask-compat")
    assert json.loads(server.get("/").text).startswith("bustapi")


def test_many_clients_at_once(live_server):
    server = live_server(APP)
    bodies = [os.urandom(200) for _ in range(200)]

    with ThreadPoolExecutor(16) as clients:
        echoes = clients.map(lambda body: server.request("POST", "/echo", body).body, bodies)
        assert list(echoes) == bodies


def test_connections_that_only_come_and_go(live_server):
    server = live_server(APP)
    started = threading.active_count()

    for _ in range(50):
        server.connect().close()

    assert server.get("/").text == "index"
    assert threading.active_count() == started


# --- bodies that nobody reads

UNREAD = """
from bustapi import Flask, request

app = Flask(__name__)
kept = []


@app.get("/")
def index():
    return "index"


@app.route("/keeps", methods=["PUT"])
def keeps():
    kept.append(request._get_current_object())
    return "kept", 403


@app.get("/read-later")
def read_later():
    try:
        kept[-1].stream.read()
    except ValueError as error:
        return str(error)
"""

CHUNK = b"400\r\n" + b"x" * 1024 + b"\r\n"


@pytest.mark.parametrize("target", ["/keeps", "/nowhere", "/"])
def test_a_body_that_is_not_read_does_not_keep_the_next_request(live_server, target):
    server = live_server(UNREAD)
    head = f"PUT {target} HTTP/1.1\r\nHost: a\r\n"
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()

    with contextlib.closing(server.connect()) as connection:
        # The body is small and has arrived, or its length is known: the connection is used again.
        for body in (b"0\r\n\r\n", CHUNK * 2 + b"0\r\n\r\n"):
            connection.sendall(chunked + body)
            assert read_answer(connection).header("connection") is None

        connection.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode())
        assert read_answer(connection).header("connection") is None
        connection.sendall(b"x" * 100_000 + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_answer(connection).text == "index"

    for wire in (
        chunked + CHUNK,
        f"{head}Content-Length: 10000000\r\n\r\n".encode(),
        f"{head}Content-Length: 10\r\nExpect: 100-continue\r\n\r\n".encode(),
    ):
        with contextlib.closing(server.connect()) as connection:
            connection.sendall(wire)
            assert read_answer(connection).header("connection") == "close"
            assert connection.recv(1) == b""

    assert server.stop() == 0


def test_a_body_of_an_answered_request_says_why_it_cannot_be_read(live_server):
    server = live_server(UNREAD)
    server.request("PUT", "/keeps", CHUNK + b"0\r\n\r\n", [("Transfer-Encoding", "chunked")])
    assert "has been answered" in server.get("/read-later").text


# --- what operators read

ASKED = """
import os

from bustapi import Flask, Response, request

app = Flask(__name__)


@app.get("/short")
def short():
    return Response(iter([b"hello ", b"world"]), headers={"Content-Length": "50"})


@app.get("/", defaults={"path": ""})
@app.get("/<path:path>")
def index(path):
    environ = request.environ
    return {
        "path": path,
        "uri": environ["REQUEST_URI"],
        "raw": environ["RAW_URI"],
        "query": environ["QUERY_STRING"],
        "query_string": request.query_string.decode("latin-1"),
        "q": request.args.get("q"),
        "peer": environ["REMOTE_ADDR"],
        "remote_addr": request.remote_addr,
    }
"""


def test_each_refused_request_is_in_the_access_log(live_server):
    server = live_server(ASKED, "--access-log")

    for count, (name, wire) in enumerate(MALFORMED.items()):
        answer = server.exchange(wire)
        line = server.wait_for('" 400 ', count + 1)
        # The answer says why.
        assert answer.partition(b"\r\n\r\n")[2].startswith(b"Bad Request: "), name
        assert '"\\x16\\x03' in line or "GET " in line or "POST " in line or "G@T" in line, name

    assert server.get("/").status == 200
    assert server.log.count('" 400 ') == len(MALFORMED)


def test_a_streamed_answer_that_is_too_short(live_server):
    server = live_server(ASKED)

    for _ in range(5):
        answer = server.exchange(head("GET /short HTTP/1.1", "Host: a"))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nhello world")

    server.wait_for("39 of the 50 bytes of its Content-Length are missing", 5)


@pytest.mark.parametrize("path", ["a`b", "a<b>", 'a"b', "a|b^c{d}\\"])
def test_targets_that_should_have_been_encoded(live_server, path):
    server = live_server(ASKED)
    target = f"/{path}?q={path}"
    assert json.loads(server.get(target).body) == {
        "path": path,
        "uri": target,
        "raw": target,
        "query": f"q={path}",
        "query_string": f"q={path}",
        "q": path,
        "peer": "127.0.0.1",
        "remote_addr": "127.0.0.1",
    }


def test_a_unix_socket_has_a_peer_without_an_address(live_server, tmp_path):
    server = live_server(ASKED, "--unix-socket", str(tmp_path / "socket"), port=None)
    answer = json.loads(server.get("/").body)
    assert (answer["peer"], answer["remote_addr"]) == ("", "")


def test_hosts_that_cannot_be_bound_are_refused_by_all_doors(live_server, app):
    app.add_url_rule("/", view_func=lambda: "index")
    server = live_server(ASKED)

    for host in ("a..b", ".a", "a.", "x" * 64, f"{'x' * 63}.b", "a..b:80", "a:80"):
        expected = app.test_client().get("/", headers={"Host": host}).status_code
        assert server.get("/", ("Host", host)).status == expected, host


NOISY = """
import os

from bustapi import Flask, Response, request

app = Flask(__name__)


@app.get("/")
def index():
    return "index"


@app.get("/script-name/")
def mounted():
    return f"{request.script_root} {request.path}"


@app.get("/opens")
def opens():
    with open(os.devnull, "rb") as one, open(os.devnull, "rb") as other:
        return f"{len(one.read() + other.read())}"
"""


def ask(port, target="/"):
    """Send a request on a connection of its own; the answer's status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)

    with contextlib.closing(connection):
        connection.request("GET", target)
        return connection.getresponse().status


@pytest.fixture
def noisy(tmp_path):
    """Start a server whose standard error is a pipe; the process, its port, and the pipe's end."""
    (tmp_path / "served.py").write_text(NOISY)
    processes = []

    def start(*arguments, prefix=(), **options):
        reading, writing = os.pipe()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen(
            [*prefix, *bustapi_command("--access-log", *arguments, port=port)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": PACKAGE},
            stdout=subprocess.DEVNULL,
            stderr=writing,
            **options,
        )
        os.close(writing)
        processes.append(process)

        def answers():
            with contextlib.suppress(OSError):
                return ask(port)

        until(answers)
        return process, port, reading

    yield start

    for process in processes:
        process.kill()
        process.wait(DEADLINE)


def test_a_log_that_nobody_reads_harms_no_request(noisy):
    process, port, reading = noisy("--log-lines", "100")
    fields = {"Referer": "x" * 8000}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)

    with contextlib.closing(connection):
        # Far more than the pipe and the queue hold.
        for _ in range(400):
            connection.request("GET", "/", headers=fields)
            assert connection.getresponse().read() == b"index"

    # With room again, the lines that were dropped are counted.
    with os.fdopen(reading, errors="replace") as log:
        line = next(line for line in log if "could not be written" in line)
        assert int(line.split()[1]) >= 100
        process.terminate()
        assert process.wait(DEADLINE) == 0


def test_a_log_that_has_gone_harms_no_request(noisy):
    process, port, reading = noisy()
    os.close(reading)
    assert {ask(port) for _ in range(20)} == {200}
    process.terminate()
    assert process.wait(DEADLINE) == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_nobodys_sockets(noisy, closed):
    _, port, reading = noisy(prefix=["sh", "-c", f'exec "$@" {closed}', "sh"])
    os.close(reading)

    with contextlib.closing(socket.create_connection(("127.0.0.1", port), DEADLINE)) as client:
        client.sendall(head("GET / HTTP/1.1", "Host: a", "Connection: close") * 1)
        answer = b"".join(iter(lambda: client.recv(65536), b""))

    # The server's own lines are not sent to a client.
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"index")


def test_views_have_file_descriptors_when_few_are_left(noisy):
    _, port, reading = noisy(prefix=["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"])
    os.close(reading)

    with contextlib.ExitStack() as open_connections:
        for _ in range(100):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
            open_connections.callback(connection.close)
            connection.request("GET", "/opens")
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"0")


def test_script_name_is_taken_from_the_environment(live_server):
    server = live_server(NOISY, variables={"SCRIPT_NAME": "/mounted"})
    assert server.get("/mounted/script-name/").text == "/mounted /script-name/"
    redirect = server.get("/mounted/script-name")
    assert (redirect.status, redirect.header("location")) == (
        308,
        "http://live.test/mounted/script-name/",
    )
    assert server.get("/script-name/").status == 500
    server.wait_for("does not begin with SCRIPT_NAME")
