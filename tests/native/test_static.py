"""Static files: the server sends them itself, and its answers are those of Flask's view."""

from __future__ import annotations

import contextlib
import os

import pytest

from bustapi import Flask

APP = """
from bustapi import Flask

app = Flask(__name__)
{setup}
"""

DATE = "Sat, 18 Nov 2023 12:00:00 GMT"
STAMP = 1700308800
# Fields that depend on the connection or on the time.
OF_THE_SERVER = {"date", "connection", "expires"}

REQUESTS = [
    ("GET", "/static/page.txt", {}),
    ("HEAD", "/static/page.txt", {}),
    ("GET", "/static/style.css", {}),
    ("GET", "/static/script.js", {}),
    ("GET", "/static/deep/numbers.bin", {}),
    ("GET", "/static/empty.txt", {}),
    ("GET", "/static/a%20b.html", {}),
    ("GET", "/static/%C3%A9.txt", {}),
    ("GET", "/static/missing.txt", {}),
    ("GET", "/static/deep", {}),
    ("GET", "/static/%2e%2e/secret.txt", {}),
    ("GET", "/static/deep/..%2fpage.txt", {}),
    ("GET", "/static/page.txt%00", {}),
    ("GET", "/static/page.txt", {"If-Modified-Since": DATE}),
    ("GET", "/static/page.txt", {"If-Modified-Since": "Fri, 17 Nov 2023 12:00:00 GMT"}),
    ("GET", "/static/page.txt", {"If-None-Match": "*"}),
    ("GET", "/static/page.txt", {"If-None-Match": '"other"'}),
    ("GET", "/static/page.txt", {"If-Match": '"other"'}),
    ("GET", "/static/deep/numbers.bin", {"Range": "bytes=0-9"}),
    ("GET", "/static/deep/numbers.bin", {"Range": "bytes=-5"}),
    ("GET", "/static/deep/numbers.bin", {"Range": "bytes=1000-"}),
    ("GET", "/static/deep/numbers.bin", {"Range": "bytes=2000-"}),
    ("GET", "/static/deep/numbers.bin", {"Range": "bytes=0-1,4-5"}),
    ("GET", "/static/deep/numbers.bin", {"Range": "bytes=0-9", "If-Range": DATE}),
    ("GET", "/static/style.css", {"Accept-Encoding": "gzip, deflate, br"}),
    ("HEAD", "/static/style.css", {"Accept-Encoding": "gzip, deflate, br"}),
    ("GET", "/static/style.css", {"Accept-Encoding": "gzip, br;q=0.5"}),
    ("GET", "/static/style.css", {"Accept-Encoding": "gzip;q=0.5, identity"}),
    ("GET", "/static/style.css", {"Accept-Encoding": "*;q=0.1, br;q=0"}),
    ("GET", "/static/style.css", {"Accept-Encoding": "br", "Range": "bytes=1-3"}),
    ("GET", "/static/style.css", {"Accept-Encoding": "br", "Range": "bytes=20-"}),
    ("GET", "/static/style.css", {"Accept-Encoding": "br", "If-None-Match": "*"}),
    ("GET", "/static/style.css/", {"Accept-Encoding": "br"}),
    ("GET", "/static/style.css.gz", {"Accept-Encoding": "gzip, br"}),
    ("GET", "/static/page.txt", {"Accept-Encoding": "gzip, br"}),
    ("GET", "/static/only.js", {"Accept-Encoding": "gzip, br"}),
    ("GET", "/static/only.js", {}),
]


@pytest.fixture
def site(tmp_path):
    """A folder of files whose times are known."""
    folder = tmp_path / "static"
    (folder / "deep").mkdir(parents=True)
    (folder / "page.txt").write_bytes(b"a page\nof text\n")
    (folder / "style.css").write_bytes(b"p { color: red }\n")
    (folder / "script.js").write_bytes(b"let it = be;\n")
    (folder / "style.css.gz").write_bytes(b"not really gzip")
    (folder / "style.css.br").write_bytes(b"nor brotli")
    (folder / "style.css.gz.br").write_bytes(b"both")
    (folder / "only.js.gz").write_bytes(b"without an original")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "a b.html").write_bytes(b"<p>two words")
    (folder / "\N{LATIN SMALL LETTER E WITH ACUTE}.txt").write_bytes(b"accent")
    (folder / "deep" / "numbers.bin").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "secret.txt").write_bytes(b"not static")

    for path in folder.rglob("*"):
        os.utime(path, (STAMP, STAMP))

    return tmp_path


def fields_of(headers):
    return {k.lower(): v for k, v in headers if k.lower() not in OF_THE_SERVER}


SETUPS = {
    "as it is": "",
    "an age": "app.config['SEND_FILE_MAX_AGE_DEFAULT'] = 60",
    "compressed neighbours": "app.config['STATIC_PRECOMPRESSED'] = True",
    "compressed neighbours by the view": """
app.config['STATIC_PRECOMPRESSED'] = True
app.get_send_file_max_age = lambda name: None
""",
    "an age of its own": "app.get_send_file_max_age = lambda name: len(name)",
    "a hook that sees them": """
@app.after_request
def mark(response):
    response.headers["X-Mark"] = "seen"
    return response
""",
}


@pytest.mark.parametrize("setup", SETUPS)
def test_the_server_answers_as_the_view_does(live_server, site, setup):
    app = Flask("test_static", root_path=str(site))
    exec(SETUPS[setup], {"app": app})
    client = app.test_client()
    server = live_server(APP.format(setup=SETUPS[setup]))

    for method, target, headers in REQUESTS:
        with client.open(target, method=method, headers=headers) as expected:
            body = expected.data

        answer = server.request(method, target, headers=headers.items())
        case = f"{method} {target} {headers}"
        assert answer.status == expected.status_code, case
        assert fields_of(answer.headers) == fields_of(expected.headers), case
        assert answer.body == body, case


@pytest.mark.parametrize("setup", ["compressed neighbours", "compressed neighbours by the view"])
def test_compressed_neighbours_are_sent_when_asked_for(live_server, site, setup):
    server = live_server(APP.format(setup=SETUPS[setup]))
    coded = server.get("/static/style.css", ("Accept-Encoding", "gzip, br"))
    assert coded.body == b"nor brotli"
    assert coded.header("Content-Encoding") == "br"
    assert coded.header("Content-Type") == "text/css; charset=utf-8"
    assert coded.header("Content-Disposition") == "inline; filename=style.css"
    plain = server.get("/static/style.css")
    assert plain.body == b"p { color: red }\n"
    assert plain.header("Content-Encoding") is None
    assert coded.header("Vary") == plain.header("Vary") == "Accept-Encoding"
    assert coded.header("ETag") != plain.header("ETag")


def test_compressed_neighbours_are_left_alone_by_default(live_server, site):
    server = live_server(APP.format(setup=""))
    answer = server.get("/static/style.css", ("Accept-Encoding", "gzip, br"))
    assert answer.body == b"p { color: red }\n"
    assert answer.header("Vary") is None


def test_a_changed_file_is_sent_as_it_is_now(live_server, site):
    server = live_server(APP.format(setup=""))
    assert server.get("/static/page.txt").body == b"a page\nof text\n"
    (site / "static" / "page.txt").write_bytes(b"changed")
    assert server.get("/static/page.txt").body == b"changed"
    (site / "static" / "page.txt").unlink()
    assert server.get("/static/page.txt").status == 404


def test_a_large_file_is_sent_whole_and_in_parts(live_server, site):
    content = os.urandom(5_000_000)
    (site / "static" / "large.bin").write_bytes(content)
    server = live_server(APP.format(setup=""))
    assert server.get("/static/large.bin").body == content
    part = server.get("/static/large.bin", ("Range", "bytes=1234567-4567890"))
    assert part.status == 206
    assert part.body == content[1234567:4567891]
    head = server.request("HEAD", "/static/large.bin")
    assert head.header("Content-Length") == "5000000"
    assert head.body == b""


def test_clients_that_leave_a_large_file_do_no_harm(live_server, site):
    with open(site / "static" / "large.bin", "wb") as large:
        large.truncate(100_000_000)

    server = live_server(APP.format(setup=""))

    for _ in range(10):
        with contextlib.closing(server.connect()) as connection:
            connection.sendall(b"GET /static/large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")

    assert server.get("/static/page.txt").body == b"a page\nof text\n"
    assert server.stop() == 0
    assert "Traceback" not in server.log
