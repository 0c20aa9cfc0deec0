"""The application as an ASGI application: the bridge itself, and under real servers."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import http.client
import inspect
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from bustapi import request
from bustapi.asgi import AsgiApp, ClientDisconnected

DEADLINE = 10


def make_scope(path="/", method="GET", headers=(), **changes):
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "server": ("shop.test", 80),
        "client": ("10.0.0.1", 1234),
        **changes,
    }


class Exchange:
    """Calls an ASGI application and keeps what it sends."""

    def __init__(self, application, scope, messages=None):
        self.application = application
        self.scope = scope
        self.messages = messages or [{"type": "http.request", "body": b""}]
        self.sent = []
        self.received = 0
        self.on_send = None

    async def receive(self):
        if self.received < len(self.messages):
            self.received += 1
            return self.messages[self.received - 1]

        # The client stays.
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(self, message):
        self.sent.append(message)

        if self.on_send is not None:
            await self.on_send(message)

    def run(self):
        async def main():
            await asyncio.wait_for(self.application(self.scope, self.receive, self.send), DEADLINE)

        asyncio.run(main())
        return self

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return self.sent[0]["headers"]

    @property
    def body(self):
        return b"".join(message["body"] for message in self.sent[1:])


def ask(app, path="/", method="GET", headers=(), messages=None, **changes):
    return Exchange(app, make_scope(path, method, headers, **changes), messages).run()


def test_the_application_is_an_asgi_callable(app):
    app.add_url_rule("/", "index", lambda: ("hello", 201, [("X-A", "1"), ("X-A", "2")]))
    answer = ask(app)
    assert (answer.status, answer.body) == (201, b"hello")
    assert [value for name, value in answer.headers if name == b"x-a"] == [b"1", b"2"]
    assert [message["more_body"] for message in answer.sent[1:]] == [False]


def test_servers_that_look_find_a_coroutine_function(app):
    # uvicorn and hypercorn, each in its way.
    if sys.version_info >= (3, 12):
        assert inspect.iscoroutinefunction(app.__call__)
    else:
        assert asyncio.iscoroutinefunction(app.__call__)

    assert inspect.iscoroutinefunction(app.asgi.__call__)
    assert app._asgi_single_callable


def test_wrapped_wsgi_app_is_called(app):
    wsgi_app = app.wsgi_app

    def middleware(environ, start_response):
        environ["SEEN"] = "yes"
        return wsgi_app(environ, start_response)

    app.wsgi_app = middleware
    app.add_url_rule("/", "index", lambda: request.environ["SEEN"])
    assert ask(app).body == b"yes"


# --- the request


def test_environ(app):
    environ = {}
    app.add_url_rule("/<path:p>", "index", lambda p: environ.update(request.environ) or p)
    answer = ask(
        app,
        "/grün/a b",
        headers=[
            (b"host", b"shop.test"),
            (b"x-a", b"1"),
            (b"x-a", b"2"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=2"),
            (b"x_a", b"smuggled"),
            (b"content-type", b"text/plain"),
        ],
        raw_path=b"/gr%C3%BCn/a%20b",
        query_string=b"q=%2F",
        scheme="https",
    )
    assert answer.body == "grün/a b".encode()
    expected = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/grün/a b".encode().decode("latin-1"),
        "QUERY_STRING": "q=%2F",
        "REQUEST_URI": "/gr%C3%BCn/a%20b?q=%2F",
        "SERVER_NAME": "shop.test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_PORT": "1234",
        "wsgi.url_scheme": "https",
        "HTTP_HOST": "shop.test",
        "HTTP_X_A": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "CONTENT_TYPE": "text/plain",
    }
    assert {name: environ.get(name) for name in expected} == expected
    assert environ["asgi.scope"]["type"] == "http"


def test_bytes_that_are_no_text_are_kept(app):
    app.add_url_rule("/<p>", "index", lambda p: request.environ["PATH_INFO"].encode("latin-1"))
    assert ask(app, "/�", raw_path=b"/%ff").body == b"/\xff"


@pytest.mark.parametrize(
    ("path", "raw_path"), [("/root/a", b"/root/a"), ("/a", None), ("/root/a", None)]
)
def test_root_path(app, path, raw_path):
    app.add_url_rule("/a", "a", lambda: f"{request.script_root} {request.path}")
    assert ask(app, path, raw_path=raw_path, root_path="/root").body == b"/root /a"


def test_no_server_and_no_client(app):
    app.add_url_rule("/", "index", lambda: str(request.remote_addr))
    assert ask(app, server=None, client=None).body == b"None"
    assert ask(app, server=("/run/app.sock", None)).status == 200


def test_body_in_parts(app):
    app.add_url_rule("/", "index", lambda: request.get_data(), methods=["POST"])
    parts = [b"ab", b"", b"cd", b"e"]
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request"})
    # No length: the end of the stream is the end of the body.
    assert ask(app, method="POST", messages=messages).body == b"abcde"


def test_body_is_read_no_further_than_it_must(app):
    """One part ahead of the view, however many there are."""
    taken = []

    @app.post("/")
    def index():
        taken.append(request.stream.read(2))
        return "early"

    messages = [{"type": "http.request", "body": b"ab", "more_body": True}] * 100
    exchange = Exchange(app, make_scope(method="POST"), messages).run()
    assert taken == [b"ab"]
    assert exchange.received <= 3


def test_body_longer_than_allowed(app):
    app.config["MAX_CONTENT_LENGTH"] = 3
    app.add_url_rule("/", "index", lambda: request.get_data(), methods=["POST"])
    messages = [{"type": "http.request", "body": b"abcd"}]
    headers = [(b"content-length", b"4")]
    assert ask(app, method="POST", headers=headers, messages=messages).status == 413


def test_client_leaves_while_sending(app):
    errors = []
    torn_down = []
    app.teardown_request(torn_down.append)

    @app.post("/")
    def index():
        try:
            return request.stream.read()
        except ClientDisconnected as error:
            errors.append(error)
            raise

    messages = [
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.disconnect"},
    ]
    exchange = Exchange(app, make_scope(method="POST"), messages)

    # Werkzeug's limited stream reports it as a bad request or lets it pass.
    with contextlib.suppress(ClientDisconnected):
        exchange.run()

    assert len(torn_down) == 1


# --- the response


def test_streamed_response(app):
    sent_before = []

    @app.get("/")
    def index():
        def generate():
            for part in ("a", "", "b"):
                yield part
                sent_before.append(len(exchange.sent))

        return generate()

    exchange = Exchange(app, make_scope())
    exchange.run()
    assert exchange.body == b"ab"
    # Each part was taken before the next was made; an empty one is not worth a message.
    assert sent_before == [2, 2, 3]
    assert exchange.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_response_without_body(app, method):
    app.add_url_rule("/", "index", lambda: ("", 204))
    answer = ask(app, method=method)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.sent[-1]["more_body"] is False


def test_head_keeps_the_length(app):
    app.add_url_rule("/", "index", lambda: "hello")
    answer = ask(app, method="HEAD")
    assert dict(answer.headers)[b"content-length"] == b"5"
    assert (answer.body, answer.sent[-1]["more_body"]) == (b"", False)


def test_client_leaves_while_receiving(app):
    closed = threading.Event()
    errors = []
    app.teardown_request(errors.append)

    @app.get("/")
    def index():
        def generate():
            try:
                while True:
                    yield "x"
            finally:
                closed.set()

        return generate()

    async def main():
        gone = asyncio.Event()
        sent = []
        requests = [{"type": "http.request", "body": b""}]

        async def receive():
            if requests:
                return requests.pop()

            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

            if len(sent) > 3:
                gone.set()
                # Lets the disconnect be seen.
                await asyncio.sleep(0)

        await asyncio.wait_for(app(make_scope(), receive, send), DEADLINE)
        return len(sent)

    assert asyncio.run(main()) < 50
    assert closed.is_set()
    assert errors == [None]


def test_send_to_a_closed_client(app):
    """Servers of the protocol's version 2.4 raise OSError."""
    closed = []

    @app.get("/")
    def index():
        def generate():
            try:
                yield "a"
                yield "b"
            finally:
                closed.append(True)

        return generate()

    async def refuse(message):
        raise OSError("closed")

    exchange = Exchange(app, make_scope())
    exchange.on_send = refuse
    exchange.run()
    assert closed == [True]
    assert len(exchange.sent) == 1


def test_server_cancels_the_request(app):
    """The thread is told, and the request ends before the task does."""
    torn_down = []
    started = threading.Event()
    app.teardown_request(torn_down.append)

    @app.post("/")
    def index():
        started.set()
        return request.stream.read()

    async def main():
        exchange = Exchange(
            app,
            make_scope(method="POST"),
            [{"type": "http.request", "body": b"a", "more_body": True}],
        )
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        task = loop.create_task(app(exchange.scope, exchange.receive, exchange.send))
        await loop.run_in_executor(None, started.wait, DEADLINE)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task

        return len(torn_down)

    assert asyncio.run(main()) == 1


def test_context_variables_of_the_task_are_seen(app):
    variable = contextvars.ContextVar("variable")

    async def middleware(scope, receive, send):
        variable.set("from middleware")
        await app(scope, receive, send)

    @app.get("/")
    def index():
        seen = variable.get()
        variable.set("changed")
        return seen

    assert ask(middleware).body == b"from middleware"


def test_async_views_run(app):
    @app.get("/")
    async def index():
        await asyncio.sleep(0)
        return request.path

    assert ask(app).body == b"/"


def test_requests_run_at_the_same_time(app):
    barrier = threading.Barrier(4, timeout=DEADLINE)

    @app.get("/<name>")
    def index(name):
        barrier.wait()
        return f"{name} {request.path}"

    async def main():
        exchanges = [Exchange(app, make_scope(f"/{name}")) for name in "abcd"]
        await asyncio.gather(*(app(e.scope, e.receive, e.send) for e in exchanges))
        return [exchange.body for exchange in exchanges]

    assert asyncio.run(main()) == [b"a /a", b"b /b", b"c /c", b"d /d"]


def test_error_before_the_response_is_the_servers(app):
    app.add_url_rule("/", "index", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        ask(app)

    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert ask(app).status == 500


# --- WSGI's rules, with applications that are not Flask's


def test_write_callable():
    def application(environ, start_response):
        write = start_response("200 OK", [])
        write(b"a")
        return [b"b"]

    assert ask(AsgiApp(application)).body == b"ab"


def test_error_after_the_start_can_replace_it():
    def application(environ, start_response):
        start_response("200 OK", [("X-A", "1")])

        try:
            raise KeyError
        except KeyError:
            start_response("500 Oops", [], sys.exc_info())

        return [b"error"]

    answer = ask(AsgiApp(application))
    assert (answer.status, answer.headers, answer.body) == (500, [], b"error")


def test_error_after_the_first_part_is_raised():
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"a"

        try:
            raise KeyError("late")
        except KeyError:
            start_response("500 Oops", [], sys.exc_info())

    with pytest.raises(KeyError, match="late"):
        ask(AsgiApp(application))


@pytest.mark.parametrize(
    ("application", "message"),
    [
        (lambda environ, start: [b"a"], "without calling start_response"),
        (lambda environ, start: (start("200 OK", []), start("200 OK", [])), "called twice"),
    ],
)
def test_broken_applications(application, message):
    with pytest.raises(RuntimeError, match=message):
        ask(AsgiApp(application))


# --- other protocols


def test_lifespan(app):
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    exchange = Exchange(app, {"type": "lifespan"}, messages).run()
    assert exchange.sent == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]


def test_websocket_is_refused(app):
    messages = [{"type": "websocket.connect"}]
    exchange = Exchange(app, {"type": "websocket", "path": "/"}, messages).run()
    assert exchange.sent == [{"type": "websocket.close", "code": 1000}]


def test_unknown_protocol(app):
    with pytest.raises(ValueError, match="unsupported ASGI scope type 'mqtt'"):
        Exchange(app, {"type": "mqtt"}).run()


# --- servers

SERVED = """
from bustapi import Flask, request

app = Flask(__name__)

@app.post("/echo")
def echo():
    return request.get_data()

@app.get("/stream")
def stream():
    return (f"{i} " for i in range(5))

@app.get("/async")
async def view():
    return request.path
"""

# hypercorn's own WSGI bridge is used where it does not see the mark (before Python 3.12).
SERVERS = [
    ("uvicorn", ["{target}", "--port", "{port}", "--interface", "asgi3"], "served:app"),
    ("uvicorn", ["{target}", "--port", "{port}"], "served:app"),
    ("uvicorn", ["{target}", "--port", "{port}"], "served:app.asgi"),
    ("hypercorn", ["{target}", "-b", "127.0.0.1:{port}"], "served:app"),
    ("hypercorn", ["asgi:{target}", "-b", "127.0.0.1:{port}"], "served:app.asgi"),
]


def ask_over_socket(port, method, path, **options):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)

    with contextlib.closing(connection):
        connection.request(method, path, **options)
        return connection.getresponse().read()


def wait_until_listening(port, process):
    end = time.monotonic() + DEADLINE

    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < end, "the server does not listen"
            time.sleep(0.02)
        else:
            return


@pytest.mark.slow
@pytest.mark.parametrize(("server", "arguments", "target"), SERVERS)
def test_under_servers(importable, server, arguments, target):
    pytest.importorskip(server)
    folder = importable(served=SERVED)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    command = [argument.format(target=target, port=port) for argument in arguments]
    process = subprocess.Popen(
        [sys.executable, "-m", server, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    try:
        wait_until_listening(port, process)
        body = os.urandom(300_000)
        headers = {"Content-Length": str(len(body))}
        assert ask_over_socket(port, "POST", "/echo", body=body, headers=headers) == body
        assert ask_over_socket(port, "GET", "/stream") == b"0 1 2 3 4 "
        assert ask_over_socket(port, "GET", "/async") == b"/async"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE)
