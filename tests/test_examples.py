"""The examples over real sockets: each is served by `bustapi run` and used by a client."""

from __future__ import annotations

import base64
import contextlib
import http.cookiejar
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPMessage

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

# Seconds for a server to say where it listens, or to end: generous, since a loaded machine
# must not fail a test.
DEADLINE = 30


class Answer(NamedTuple):
    status: int
    headers: HTTPMessage
    text: str

    @property
    def json(self) -> object:
        return json.loads(self.text)


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows 308 too, which urllib does from Python 3.11 on."""

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        same = 307 if code == 308 else code
        return super().redirect_request(req, fp, same, msg, headers, newurl)


class Browser:
    """Keeps cookies, follows redirects, and takes the hidden token from forms."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            Redirects(),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        )

    def open(
        self,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        method: str | None = None,
    ) -> Answer:
        request = urllib.request.Request(
            self.address + path, data=body, headers=headers or {}, method=method
        )
        try:
            response = self.opener.open(request, timeout=DEADLINE)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return Answer(response.status, response.headers, response.read().decode())

    def send_form(self, path: str, **fields: str) -> Answer:
        token = re.search(r'name="token" value="([^"]+)"', self.open(path).text)
        assert token is not None
        return self.send_fields(path, token=token[1], **fields)

    def send_fields(self, path: str, **fields: str) -> Answer:
        return self.open(path, urllib.parse.urlencode(fields).encode())

    def send_json(
        self, method: str, path: str, value: object = None, user: str | None = None
    ) -> Answer:
        headers = {"Content-Type": "application/json"}
        if user is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        body = None if value is None else json.dumps(value).encode()
        return self.open(path, body, headers, method)


@contextlib.contextmanager
def serve(app: str, **variables: str) -> Iterator[str]:
    """The address of `app`, served by the command line until the block ends.

    Ending by SIGTERM must be graceful: exit status 0.
    """
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **variables}
    process = subprocess.Popen(
        [sys.executable, "-m", "bustapi", "--app", app, "run", "--port", "0"],
        cwd=EXAMPLES,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    address: list[str] = []
    known = threading.Event()

    def read_output() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if not address and (found := re.search(r"http://127\.0\.0\.1:\d+", line)):
                address.append(found[0])
                known.set()
        known.set()

    reader = threading.Thread(target=read_output)
    reader.start()
    try:
        known.wait(DEADLINE)
        assert address, f"no address printed:\n{''.join(lines)}"
        yield address[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0, "".join(lines)
        assert "Traceback" not in "".join(lines), "".join(lines)
    finally:
        process.kill()
        process.wait()
        reader.join()
        if process.stdout is not None:
            process.stdout.close()


def test_hello_world() -> None:
    with serve("hello_world.py") as address:
        browser = Browser(address)
        assert browser.open("/").text == "Hello, World!"
        assert browser.open("/hello/Ada").json == {"message": "Hello, Ada!"}
        assert browser.open("/goodbye").status == 404
        assert browser.open("/", b"x").status == 405


MIGRATION_PATHS = [
    "/books",
    "/books/",
    "/books/?prefix=K",
    "/books/1",
    "/books/1",
    "/books/9",
    "/books/x",
    "/",
]

ON_FLASK = """
import json, pathlib, sys, types
source = pathlib.Path("flask_migration.py").read_text()
assert source.count("\\nfrom bustapi import") == 1
module = types.ModuleType("flask_migration")
module.__file__ = "flask_migration.py"
exec(source.replace("\\nfrom bustapi import", "\\nfrom flask import"), module.__dict__)
client = module.create_app().test_client()
answers = [client.get(path, follow_redirects=True) for path in json.loads(sys.argv[1])]
assert "bustapi" not in sys.modules
print(json.dumps([[a.status_code, a.headers["Content-Type"], a.headers["X-Shelf"], a.text]
                  for a in answers]))
"""


def test_flask_migration_answers_as_under_flask() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_FLASK, json.dumps(MIGRATION_PATHS)],
        cwd=EXAMPLES,
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    expected = json.loads(done.stdout)
    assert [answer[0] for answer in expected] == [200, 200, 200, 200, 200, 404, 404, 404]
    with serve("flask_migration.py") as address:
        browser = Browser(address)
        answers = [browser.open(path) for path in MIGRATION_PATHS]
    found = [[a.status, a.headers["Content-Type"], a.headers["X-Shelf"], a.text] for a in answers]
    assert found == expected


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[str]:
    """The notes application over a database of its own."""
    starter = tmp_path / "start_notes.py"
    starter.write_text(
        f"import sys\nsys.path.insert(0, {str(EXAMPLES)!r})\nimport notes\n"
        f"def create_app(): return notes.create_app({{'DATABASE': {str(tmp_path / 'notes')!r}}})\n"
    )
    with serve(str(starter)) as address:
        yield address


def test_notes_pages(notes: str) -> None:
    ada = Browser(notes)
    assert "<h1>Log in</h1>" in ada.open("/").text, "strangers are sent to log in"
    assert "at least 8" in ada.send_form("/account/register", name="ada", password="x").text
    welcome = ada.send_form("/account/register", name="ada", password="correct horse")
    assert "Welcome, ada." in welcome.text
    assert "Welcome" not in ada.open("/").text, "a message is flashed once"

    assert "Saved." in ada.send_form("/new", title="Tea <&>", body="Buy Assam").text
    assert "Tea &lt;&amp;&gt;" in ada.open("/").text
    assert "needs a title" in ada.send_form("/new", title=" ", body="kept").text
    assert "Tea" in ada.open("/?search=ASSAM").text
    assert "Nothing found." in ada.open("/?search=coffee").text
    ada.send_form("/notes/1", title="Coffee", body="")
    assert "Coffee" in ada.open("/notes/1").text

    bob = Browser(notes)
    assert "taken" in bob.send_form("/account/register", name="ada", password="12345678").text
    bob.send_form("/account/register", name="bob", password="12345678")
    assert bob.open("/notes/1").status == 404, "other people's notes do not exist"

    expired = ada.send_fields("/notes/1/delete", token="guessed")
    assert (expired.status, "expired" in expired.text) == (400, True)
    assert ada.send_fields("/notes/1/delete", token="gué").status == 400
    assert ada.open(f"/notes/{2**63}").status == 404, "larger than SQLite's numbers"
    token = re.search(r'name="token" value="([^"]+)"', ada.open("/").text)
    assert token is not None
    assert "No notes yet." in ada.send_fields("/notes/1/delete", token=token[1]).text

    style = ada.open("/static/notes.css")
    assert (style.status, style.headers.get_content_type()) == (200, "text/css")
    stranger = Browser(notes)
    assert stranger.send_fields("/account/login", token="", name="ada").status == 400
    assert stranger.open("/static/notes.css").headers["Set-Cookie"] is None


def test_notes_login(notes: str) -> None:
    Browser(notes).send_form("/account/register", name="ada", password="correct horse")
    ada = Browser(notes)
    wrong = ada.send_form("/account/login", name="ada", password="wrong")
    assert "another password" in wrong.text
    into = ada.send_form("/account/login?next=/new", name="ada", password="correct horse")
    assert "<title>New note</title>" in into.text
    elsewhere = Browser(notes).send_form(
        "/account/login?next=//example.org", name="ada", password="correct horse"
    )
    assert elsewhere.status == 200, "leads to this site only"
    token = re.search(r'name="token" value="([^"]+)"', ada.open("/").text)
    assert token is not None
    assert "<h1>Log in</h1>" in ada.send_fields("/account/logout", token=token[1]).text
    assert "<h1>Log in</h1>" in ada.open("/").text


def test_notes_api(notes: str) -> None:
    browser = Browser(notes)
    browser.send_form("/account/register", name="ada", password="correct horse")
    program = Browser(notes)
    refused = program.send_json("GET", "/api/notes")
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"] == 'Basic realm="notes"'

    user = "ada:correct horse"
    note = {"title": "Päper", "body": "A4"}
    made = program.send_json("POST", "/api/notes", note, user)
    assert (made.status, made.headers["Location"]) == (201, "/api/notes/1")
    described = {"id": 1, "url": "/api/notes/1", **note}
    assert made.json == described
    assert program.send_json("GET", "/api/notes", user=user).json == [described]
    changed = program.send_json("PUT", "/api/notes/1", {"body": "A5"}, user)
    assert changed.json == {**described, "body": "A5"}
    assert program.send_json("POST", "/api/notes", {"body": "x"}, user).status == 422
    assert program.send_json("POST", "/api/notes", ["x"], user).status == 400
    broken = program.open("/api/notes", b"{", {"Content-Type": "application/json"}, method="POST")
    assert broken.status == 401, "no name and password"
    assert broken.headers["Set-Cookie"] is None, "programs need no session"
    removed = program.send_json("DELETE", "/api/notes/1", user=user)
    assert (removed.status, removed.text) == (204, "")
    missing = program.send_json("GET", "/api/notes/1", user=user)
    assert (missing.status, missing.json) == (404, {"error": "There is no such note."})
    assert program.open("/api/nowhere").json == {
        "error": "The requested URL was not found on the server. If you entered the URL"
        " manually please check your spelling and try again."
    }


def test_notes_command(tmp_path: Path) -> None:
    """The application's own command, and the files it makes when it first starts."""
    for name in ("notes.py", "templates", "static"):
        (tmp_path / name).symlink_to(EXAMPLES / name)
    done = subprocess.run(
        [sys.executable, "-m", "bustapi", "--app", "notes", "list-users"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    key = tmp_path / "instance" / "notes.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_text()) == 64
    assert (tmp_path / "instance" / "notes.sqlite").exists()
