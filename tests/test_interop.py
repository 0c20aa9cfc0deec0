"""With Flask: sessions that both read. With other servers: the same answers under each."""

from __future__ import annotations

import itertools
import json
import os
import sys

import pytest

from live import PACKAGE, LiveServer, bustapi_command

# --- sessions of Flask and of BustAPI

SESSIONS = """
import datetime
import importlib
import os
import uuid

import markupsafe

framework = importlib.import_module(os.environ["FRAMEWORK"])
session = framework.session

app = framework.Flask(__name__)
app.config.update(
    SECRET_KEY=os.environ["KEY"],
    SECRET_KEY_FALLBACKS=os.environ.get("FALLBACKS", "").split() or None,
)

VALUES = {
    "plain": {"user": 7, "name": "Zo\\u00eb", "nothing": None, "list": [1, 2.5, True]},
    "tagged": {
        "tuple": (1, (2,)),
        "bytes": b"\\x00\\xff",
        "markup": markupsafe.Markup("<b>"),
        "uuid": uuid.UUID(int=5),
        "date": datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc),
        "dict": {" t": 1, "t": (1,)},
    },
    "compressed": {"text": "words and words " * 100},
    "empty": {},
}


@app.get("/set/<name>")
def put(name):
    session.clear()
    session.update(VALUES[name])
    session.permanent = "permanent" in framework.request.args
    session["always"] = 1
    return "set"


@app.get("/get")
def read():
    return {key: repr(session[key]) for key in sorted(session)}


@app.get("/add")
def add():
    session["added"] = session.get("added", 0) + 1
    return read()


@app.get("/flash/<message>")
def flash(message):
    framework.flash(message, "category")
    return "flashed"


@app.get("/messages")
def messages():
    return framework.jsonify(framework.get_flashed_messages(with_categories=True))
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same app on real Flask and on BustAPI, with several keys."""
    folder = tmp_path_factory.mktemp("sessions")
    (folder / "served.py").write_text(SESSIONS)
    flask = [sys.executable, "-m", "flask", "--app", "served", "run", "--port", "0"]
    keys = {
        "first": {"KEY": "first key"},
        "second": {"KEY": "second key", "FALLBACKS": "older first_key".replace("_", " ")},
        "third": {"KEY": "third", "FALLBACKS": "key first"},
        "rotated": {"KEY": "new", "FALLBACKS": "old third"},
    }
    started = {
        (name, key): LiveServer(
            command, folder, {**variables, "FRAMEWORK": name, "PYTHONPATH": PACKAGE}
        )
        for name, command in (("flask", flask), ("bustapi", bustapi_command()))
        for key, variables in keys.items()
    }

    try:
        yield {name: server.wait_until_running() for name, server in started.items()}
    finally:
        for server in started.values():
            server.close()


def cookie_of(answer):
    return ("Cookie", answer.header("Set-Cookie").partition(";")[0])


DIRECTIONS = list(itertools.product(["flask", "bustapi"], repeat=2))


@pytest.mark.slow
@pytest.mark.parametrize(("writer", "reader"), DIRECTIONS)
def test_sessions_are_read_by_both(pair, writer, reader):
    for name, permanent in itertools.product(
        ["plain", "tagged", "compressed", "empty"], ["", "?permanent"]
    ):
        written = pair[writer, "first"].get(f"/set/{name}{permanent}")
        cookie = cookie_of(written)
        expected = pair["flask", "first"].get("/get", cookie).text
        assert len(json.loads(expected)) > 1 or name == "empty"
        read = pair[reader, "first"].get("/get", cookie)
        assert read.text == expected
        # A permanent session is sent again with each answer, with the same contents.
        again = read.header("Set-Cookie")
        assert (again is not None) == bool(permanent)

        if again:
            # Another library may compress the cookie to different bytes.
            assert pair[writer, "first"].get("/get", cookie_of(read)).text == expected


@pytest.mark.slow
@pytest.mark.parametrize(("writer", "reader"), DIRECTIONS)
def test_sessions_go_back_and_forth(pair, writer, reader):
    cookie = cookie_of(pair[writer, "first"].get("/set/tagged"))

    for number, name in enumerate([writer, reader, writer, reader], start=1):
        answer = pair[name, "first"].get("/add", cookie)
        assert json.loads(answer.text)["added"] == str(number)
        cookie = cookie_of(answer)


@pytest.mark.slow
@pytest.mark.parametrize(("writer", "reader"), DIRECTIONS)
def test_former_keys(pair, writer, reader):
    cookie = cookie_of(pair[writer, "third"].get("/set/plain"))
    rotated = pair[reader, "rotated"].get("/add", cookie)
    assert "user" in json.loads(rotated.text)
    # It was signed anew, with the new key only.
    assert json.loads(pair[writer, "third"].get("/get", cookie_of(rotated)).text) == {}
    assert "user" in json.loads(pair[writer, "rotated"].get("/get", cookie_of(rotated)).text)
    assert json.loads(pair[reader, "first"].get("/get", cookie).text) == {}
    assert json.loads(pair[reader, "second"].get("/get", cookie).text) == {}


@pytest.mark.slow
@pytest.mark.parametrize(("writer", "reader"), DIRECTIONS)
def test_flashed_messages_cross_over(pair, writer, reader):
    cookie = cookie_of(pair[writer, "first"].get("/flash/one"))
    cookie = cookie_of(pair[writer, "first"].get("/flash/%C3%A9", cookie))
    taken = pair[reader, "first"].get("/messages", cookie)
    assert json.loads(taken.text) == [["category", "one"], ["category", "é"]]
    assert "Max-Age=0" in taken.header("Set-Cookie")


# --- other servers

SERVED = """
import sys

from bustapi import Flask, redirect, request, session, stream_with_context, send_file

app = Flask(__name__)
app.secret_key = "served"


@app.teardown_request
def teardown(error):
    if request.path == "/with-context":
        print("torn down", file=sys.stderr, flush=True)


@app.get("/")
def index():
    return {"path": request.path, "args": request.args, "host": request.host}


@app.post("/echo")
def echo():
    return request.get_data(), {"Content-Type": request.content_type}


@app.post("/form")
def form():
    files = {name: file.read().decode() for name, file in request.files.items()}
    return [list(request.form.lists()), files]


@app.get("/stream")
def stream():
    return (f"{i} " for i in range(100))


@app.get("/with-context")
def with_context():
    return stream_with_context(f"{request.path}{i} " for i in range(3))


@app.get("/headers")
def headers():
    sent = [value for name, value in request.headers if name.startswith("X-")]
    return sent, 299, [("X-A", "1"), ("X-A", "2"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]


@app.get("/session")
def count():
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@app.get("/redirect")
def to():
    return redirect("/session")


@app.get("/fails")
def fails():
    raise ValueError("secret")


@app.get("/async")
async def view():
    return request.path


@app.get("/file")
def file():
    return send_file(__file__, etag=False, last_modified=1_700_000_000)


@app.get("/none")
def none():
    return "", 204


@app.get("/text/<path:text>")
def text(text):
    return text
"""

MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\nfile\r\n--b--\r\n'
)
REQUESTS = [
    ("GET", "/?a=1&b=%C3%A9", [], None),
    ("HEAD", "/", [], None),
    ("OPTIONS", "/", [], None),
    ("POST", "/echo", [("Content-Type", "text/x")], bytes(range(256)) * 1200),
    ("POST", "/form", [("Content-Type", "application/x-www-form-urlencoded")], b"a=1&a=2"),
    ("POST", "/form", [("Content-Type", "multipart/form-data; boundary=b")], MULTIPART),
    ("GET", "/stream", [], None),
    ("GET", "/with-context", [], None),
    ("GET", "/headers", [("X-One", "1"), ("X-Two", "é".encode().decode("latin-1"))], None),
    ("GET", "/redirect", [], None),
    ("GET", "/fails", [], None),
    ("GET", "/async", [], None),
    ("GET", "/file", [("Range", "bytes=1-10")], None),
    ("GET", "/file", [("If-Modified-Since", "Wed, 15 Nov 2023 00:00:00 GMT")], None),
    ("GET", "/none", [], None),
    ("GET", "/missing", [], None),
    ("POST", "/", [], b""),
    ("GET", "/text/a%20b%2Fc/%C3%A9", [], None),
]

# For each: the command, and how it says where it listens.
SERVERS = {
    "gunicorn": (["-b", "127.0.0.1:0", "--threads", "4", "served:app"], "Listening at"),
    "waitress": (["--listen=127.0.0.1:0", "served:app"], "Serving on"),
    "uvicorn": (["--port", "0", "served:app"], "running on"),
    "hypercorn": (["-b", "127.0.0.1:0", "asgi:served:app.asgi"], "Running on"),
}
ASIDE = {"connection", "date", "server", "transfer-encoding", "keep-alive", "via"}


@pytest.fixture(scope="module")
def natively(tmp_path_factory):
    """The answers of the native server."""
    folder = tmp_path_factory.mktemp("native")
    (folder / "served.py").write_text(SERVED)
    server = LiveServer(bustapi_command(), folder)

    try:
        server.wait_until_running()
        yield folder, [ask(server, *each) for each in REQUESTS]
    finally:
        server.close()


def ask(server, method, target, headers, body):
    answer = server.request(method, target, body, headers)
    kept = []

    for name, value in answer.headers:
        name = name.lower()

        if name == "allow":
            value = ", ".join(sorted(value.split(", ")))

        # Some say the length where others send chunks; the length of the body is compared.
        if name not in {*ASIDE, "content-length"}:
            kept.append((name, value))

    return answer.status, sorted(kept, key=lambda pair: pair[0]), answer.body


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVERS)
def test_under_another_server(natively, name):
    folder, expected = natively
    arguments, says = SERVERS[name]
    environment = {"PYTHONPATH": os.pathsep.join([PACKAGE, str(folder)])}
    server = LiveServer([sys.executable, "-m", name, *arguments], folder, environment)

    try:
        server.wait_until_running(says=says)
        differences = []

        for request, answer in zip(REQUESTS, expected, strict=True):
            actual = ask(server, *request)

            if actual != answer:
                differences += [f"{request[:3]}", f"  native: {answer}", f"  {name}: {actual}"]

        assert not differences, "\n".join(differences)[:4000]
        server.wait_for("torn down")
        cookie = cookie_of(server.get("/session"))
        assert server.get("/session", cookie).text == "2"
        assert "ValueError: secret" in server.log
    finally:
        server.close()

    assert server.log.count("torn down") == 2
