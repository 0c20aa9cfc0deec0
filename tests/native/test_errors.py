"""Exceptions of an application under the native server: what is seen of them, and what lives on."""

from __future__ import annotations

import contextlib
import http.client
import json

import pytest

from live import read_answer

TRACEBACKS = """
import sys
import traceback

from bustapi import Flask, Request, got_request_exception, request

app = Flask(__name__)


def frames(error):
    return [frame.name for frame in traceback.extract_tb(error and error.__traceback__)]


def say(what, error):
    print("SEEN", what, type(error).__name__, ",".join(frames(error)), file=sys.stderr, flush=True)


def helper():
    try:
        return {}["first"]
    except KeyError as error:
        raise LookupError("second") from error


class Reads(Request):
    def on_json_loading_failed(self, e):
        say("json", e)
        say("handled", sys.exc_info()[1])
        raise


app.request_class = Reads


@got_request_exception.connect_via(app)
def signalled(sender, exception):
    say("signal", exception)


@app.teardown_request
def torn_down(error):
    say("teardown", error)


@app.before_request
def before():
    if request.path == "/before":
        helper()


@app.after_request
def after(response):
    if request.path == "/after" and response.status_code == 200:
        helper()
    return response


@app.get("/view")
def view():
    helper()


@app.get("/async")
async def async_view():
    helper()


@app.get("/before")
@app.get("/after")
def plain():
    return "plain"


@app.get("/stream")
def stream():
    def pieces():
        yield "first "
        helper()

    return pieces()


@app.post("/json")
def reads_json():
    return request.get_json()


@app.get("/handled")
def handled():
    raise ValueError("handled")


@app.get("/handled-async")
async def handled_async():
    raise ValueError("handled")


@app.errorhandler(ValueError)
def handle(error):
    cause = error.__cause__ or error.__context__
    return {"frames": frames(error), "cause": cause and frames(cause)}
"""


@pytest.mark.parametrize(
    ("path", "frame"),
    [
        ("/view", "view"),
        ("/async", "async_view"),
        ("/before", "before"),
        ("/after", "after"),
    ],
)
def test_all_who_are_told_of_an_exception_see_where_it_was_raised(live_server, path, frame):
    server = live_server(TRACEBACKS)

    # Where the view runs differs from call to call.
    for count in (1, 2, 3):
        assert server.get(path).status == 500
        seen = server.wait_for("SEEN teardown LookupError", count)
        assert seen.rstrip().endswith(f"{frame},helper")

    assert server.log.count("SEEN signal LookupError") == 3
    # Nothing but the application is in it.
    assert server.log.count(f"LookupError {frame},helper\n") == 6
    assert server.log.count(f", in {frame}\n") == 3
    assert server.log.count("LookupError: second") == 3
    assert server.log.count("KeyError: 'first'") == 3
    assert server.log.count("The above exception was the direct cause") == 3


def test_a_stream_that_raises_shows_where(live_server):
    server = live_server(TRACEBACKS)

    with contextlib.closing(server.connect()) as connection:
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        server.wait_for("LookupError: second")

    assert ", in pieces\n" in server.log
    assert ", in helper\n" in server.log


@pytest.mark.parametrize(("path", "frame"), [("/handled", "handled"), ("/handled-async", "async")])
def test_an_error_handler_sees_where(live_server, path, frame):
    server = live_server(TRACEBACKS)
    assert frame in json.loads(server.get(path).text)["frames"][-1]


def test_a_body_that_is_not_json_is_an_exception_under_way(live_server):
    server = live_server(TRACEBACKS)
    headers = [("Content-Type", "application/json")]
    answer = server.request("POST", "/json", b"{", headers)
    # It is a `ValueError`, which the bare `raise` raises again, for the application's handler.
    assert json.loads(answer.text)["frames"][-1] == "raw_decode"
    server.wait_for("SEEN json JSONDecodeError")
    server.wait_for("SEEN handled JSONDecodeError")


EXITS = """
import asyncio
import sys

from bustapi import Flask, Response, request

app = Flask(__name__)


class Own(BaseException):
    pass


KINDS = {
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt(),
    "generator": GeneratorExit(),
    "cancelled": asyncio.CancelledError(),
    "own": Own(),
}


def leave(kind):
    raise KINDS[kind]


def at(place):
    if request.path.startswith(f"/{place}/"):
        leave(request.view_args["kind"])


@app.before_request
def before():
    at("before")


@app.after_request
def after(response):
    at("after")
    return response


@app.teardown_request
def teardown(error):
    at("teardown")


@app.get("/")
def index():
    return "here"


@app.get("/before/<kind>")
@app.get("/after/<kind>")
@app.get("/teardown/<kind>")
@app.get("/closes/<kind>")
@app.get("/behind/<kind>")
def plain(kind):
    return "plain"


@app.get("/view/<kind>")
def view(kind):
    leave(kind)


@app.get("/async/<kind>")
async def async_view(kind):
    leave(kind)


@app.get("/later/<kind>")
async def later(kind):
    await asyncio.sleep(0)
    leave(kind)


@app.get("/task/<kind>")
async def task(kind):
    async def leaves():
        leave(kind)

    await asyncio.create_task(leaves())


@app.get("/stops/<kind>")
async def stops(kind):
    asyncio.get_running_loop().stop()
    leave(kind)


@app.get("/first/<kind>")
def first(kind):
    def pieces():
        leave(kind)
        yield "never"

    return pieces()


@app.get("/between/<kind>")
def between(kind):
    def pieces():
        yield "first"
        leave(kind)

    return pieces()


@app.get("/error/<kind>")
def error(kind):
    raise ValueError(kind)


@app.errorhandler(ValueError)
def handle(error):
    leave(str(error))


inner = app.wsgi_app


class Closing:
    def __init__(self, pieces, kind):
        self.pieces = pieces
        self.kind = kind

    def __iter__(self):
        return iter(self.pieces)

    def close(self):
        leave(self.kind)


def behind(pieces, kind):
    yield from pieces
    leave(kind)


def middleware(environ, start_response):
    place, _, kind = environ["PATH_INFO"][1:].partition("/")
    if place == "outside":
        leave(kind)
    pieces = inner(environ, start_response)
    if place == "behind":
        return behind(pieces, kind)
    return Closing(pieces, kind) if place == "closes" else pieces


if "WRAPPED" in __import__("os").environ:
    app.wsgi_app = middleware
"""
KINDS = {
    "exit": "SystemExit: 3",
    "interrupt": "KeyboardInterrupt",
    "generator": "GeneratorExit",
    "cancelled": "CancelledError",
    "own": "Own",
}


def holds_out(server, places):
    """Ask for each exception at each place, and see that the answer and the log are right."""
    expected = dict.fromkeys(KINDS.values(), 0)

    for place in places:
        for kind, name in KINDS.items():
            target = f"/{place}/{kind}"

            for _ in range(3):
                with contextlib.closing(server.connect()) as connection:
                    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

                    if place == "between":
                        with pytest.raises(http.client.IncompleteRead):
                            read_answer(connection)
                    else:
                        status = 200 if place in {"closes", "behind"} else 500
                        assert (target, read_answer(connection).status) == (target, status)

            expected[name] += 3
            server.wait_for(name, expected[name])
            assert server.get("/").text == "here"

    assert server.process.poll() is None
    assert "Fatal Python error" not in server.log


PLACES = ("before", "view", "after", "teardown", "error", "first", "between")


def test_no_exception_ends_the_server(live_server):
    holds_out(live_server(EXITS), PLACES)


def test_no_exception_ends_a_worker(live_server):
    server = live_server(EXITS, "--workers", "2")
    holds_out(server, ("view", "between"))
    assert "worker" not in server.log.partition("Running on")[2]


def test_no_exception_ends_the_event_loop(live_server):
    server = live_server(EXITS)
    holds_out(server, ("async", "later", "stops"))
    # The exception reaches the view, and whatever else the task runs.
    for kind in KINDS:
        assert server.get(f"/task/{kind}").status == 500
        assert server.get("/async/own").status == 500


def test_no_exception_of_a_middleware_ends_the_server(live_server):
    server = live_server(EXITS, variables={"WRAPPED": "1"})
    holds_out(server, ("outside", "closes", "behind", "view", "between"))


def test_the_exit_status_is_of_the_server(live_server):
    server = live_server(EXITS)
    assert server.get("/view/exit").status == 500
    assert server.stop() == 0


PATCHED = """
import werkzeug.exceptions
from werkzeug.http import HTTP_STATUS_CODES

from bustapi import Flask, abort

app = Flask(__name__)


@app.get("/abort/<int:code>")
def give_up(code):
    abort(code)


@app.get("/describe")
def describe():
    werkzeug.exceptions.NotFound.description = "not here"
    return "described"


@app.get("/page")
def page():
    werkzeug.exceptions.HTTPException.get_body = lambda self, environ, scope: f"own {self.code}"
    return "paged"


@app.get("/name")
def name():
    HTTP_STATUS_CODES[410] = "Went"
    return "named"


@app.get("/handle")
def handle():
    app.error_handler_spec[None][404][werkzeug.exceptions.NotFound] = lambda error: ("handled", 404)
    return "handles"
"""


def test_what_is_changed_while_serving_is_seen_in_the_next_answer_to_a_miss(live_server):
    server = live_server(PATCHED)

    def ask(path):
        # More often than where its calls run is learned.
        return {server.get(path).text for _ in range(12)}.pop()

    assert "The requested URL was not found" in ask("/missing")
    assert "The requested URL was not found" in ask("/abort/404")
    assert "<h1>Gone</h1>" in ask("/abort/410")
    assert ask("/name") == "named"
    assert "<h1>Went</h1>" in ask("/abort/410")
    assert ask("/describe") == "described"
    assert "<p>not here</p>" in ask("/missing")
    assert "<p>not here</p>" in ask("/abort/404")
    assert ask("/page") == "paged"
    assert ask("/missing") == "own 404"
    assert ask("/abort/410") == "own 410"
    assert ask("/handle") == "handles"
    assert ask("/missing") == "handled"
    assert ask("/abort/404") == "handled"


UNSEEN = """
from bustapi import Flask, Request, abort

made = []


class Counted(Request):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        made.append(self.path)


app = Flask(__name__)
app.request_class = Counted


@app.put("/put/")
def put():
    return "put"


@app.get("/abort")
def give_up():
    abort(404)


@app.get("/made")
def tell():
    from bustapi import request

    return [request.path, *made]
"""


def test_a_miss_that_nobody_sees_makes_no_request(live_server):
    server = live_server(UNSEEN)

    for path, status in [("/missing", 404), ("/put/", 405), ("/abort", 404)]:
        assert server.get(path).status == status

    # Its own is there by then.
    assert json.loads(server.get("/made").text) == ["/made", "/made"]
