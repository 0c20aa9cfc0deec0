"""What is parsed on the way from a socket to a view, and for files that the server sends itself,
is as Flask's on the installed Werkzeug.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

import flask
import pytest
import werkzeug
from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st
from werkzeug.http import parse_date

from live import Answer, LiveServer, bustapi_command, read_answer

from . import inputs
from .requests import environ_of

_SEED = int(os.environ.get("DIFFERENTIAL_SEED", "20261122"))
_CASES = int(os.environ.get("DIFFERENTIAL_CASES", "5000"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    # Werkzeug leaves files of forms that turn out to be malformed to the garbage collector.
    pytest.mark.filterwarnings(
        "ignore:Unclosed file:ResourceWarning",
        "ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning",
        "ignore:unclosed file:ResourceWarning",
    ),
]

#: Runs here with Werkzeug's request, and in the server with bustapi's.
READ = """
def attempt(read):
    try:
        return read()
    except Exception as error:
        return type(error).__name__, str(error)

def read(request):
    return repr([attempt(lambda: part(request)) for part in PARTS])

PARTS = [
    lambda r: list(r.cookies.items(multi=True)),
    lambda r: (r.mimetype, r.mimetype_params, r.content_length),
    lambda r: (list(r.accept_mimetypes), list(r.accept_languages)),
    lambda r: (list(r.args.items(multi=True)), r.query_string),
    lambda r: r.range and (r.range.to_header(), r.range.range_for_length(100)),
    lambda r: r.if_modified_since,
    lambda r: (r.if_range.etag, r.if_range.date),
    lambda r: (r.if_none_match.star_tag,
               sorted(map(repr, r.if_none_match.as_set(include_weak=True)))),
    lambda r: list(r.form.items(multi=True)),
    lambda r: [(name, file.filename, list(file.headers), file.read())
               for name, file in r.files.items(multi=True)],
]
"""

APP = f"""
from bustapi import Flask, request

app = Flask(__name__, static_folder="files")
app.config["SECRET_KEY"] = "key"
{READ}

@app.route("/read", methods=["GET", "POST"])
def index():
    return read(request)
"""

CONTENT = b"0123456789" * 10


class Live(t.NamedTuple):
    server: LiveServer
    plain: t.Any


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parsers")
    (folder / "files").mkdir()
    (folder / "files" / "a.txt").write_bytes(CONTENT)
    os.utime(folder / "files" / "a.txt", (784_111_777, 784_111_777))
    (folder / "served.py").write_text(APP)
    plain = flask.Flask("served", root_path=str(folder), static_folder="files")
    server = LiveServer(bustapi_command(), folder)

    try:
        yield Live(server.wait_until_running(), plain.test_client())
    finally:
        server.close()


Headers = t.Sequence[tuple[str, str]]


def send(connection: t.Any, target: str, headers: Headers, body: bytes, method: str) -> Answer:
    """One request on an open connection."""
    fields = [("Host", "h.test"), *headers]

    if body:
        fields.append(("Content-Length", str(len(body))))

    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
    return read_answer(connection, method)


def check_read(live: Live, connection: t.Any, target: str, headers: Headers, body: bytes) -> None:
    """Whether the server's view reads what Werkzeug does."""
    method = "POST" if body else "GET"
    # White space around a field is not part of it.
    fields = [(name, value.strip(" \t")) for name, value in headers]
    namespace: dict[str, t.Any] = {}
    exec(READ, namespace)

    if body:
        fields.append(("Content-Length", str(len(body))))

    expected = namespace["read"](werkzeug.Request(environ_of(target, fields, body, method)))
    answer = send(connection, target, headers, body, method)
    assert (answer.status, answer.text) == (200, expected), (target, headers, body)


_OPTIONS = [text for text in inputs.OPTIONS_SEEDS if "x" * 300 not in text]


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("Cookie", inputs.COOKIE_SEEDS),
        ("Content-Type", _OPTIONS),
        ("Accept", inputs.ACCEPT_SEEDS),
        ("Accept-Language", inputs.ACCEPT_SEEDS),
        ("Range", inputs.RANGE_SEEDS),
        ("If-Modified-Since", inputs.DATE_SEEDS),
        ("If-None-Match", inputs.ETAG_SEEDS),
        ("If-Range", [*inputs.DATE_SEEDS, *inputs.ETAG_SEEDS]),
    ],
)
def test_seeds_of_fields(live, name, texts):
    with contextlib.closing(live.server.connect()) as connection:
        for text in texts:
            check_read(live, connection, "/read", [(name, text)], b"")


def test_seeds_of_targets_and_forms(live):
    kind = "application/x-www-form-urlencoded"

    with contextlib.closing(live.server.connect()) as connection:
        for text in inputs.QUERY_SEEDS:
            check_read(live, connection, f"/read?{text}", [], b"")

        for text in inputs.URLENCODED_SEEDS:
            headers = [("Content-Type", kind)]
            check_read(live, connection, "/read", headers, text.encode("latin-1"))

        for text in inputs.MULTIPART_SEEDS:
            # What is beyond a limit is a 413 that both raise.
            if len(text) < 500_000 and text.count("--b") < 1000:
                headers = [("Content-Type", "multipart/form-data; boundary=b")]
                check_read(live, connection, "/read", headers, text.encode("latin-1"))


def test_generated_requests(live):
    @seed(_SEED)
    @settings(
        max_examples=max(1, _CASES // 25),
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs.COOKIES, inputs.OPTIONS, inputs.ACCEPT, inputs.QUERY, inputs.ETAGS, st.binary())
    def check(cookie, options, accept, query, etags, body):
        headers = [("Cookie", cookie), ("Content-Type", options), ("Accept", accept)]
        headers += [("If-None-Match", etags), ("If-Range", etags)]
        check_read(live, connection, f"/read?{query}", headers, body)

    with contextlib.closing(live.server.connect()) as connection:
        check()


def _is_expected(date: str) -> bool:
    """Whether Werkzeug has an answer; a day of eleven digits is a 500 of Flask's."""
    try:
        parse_date(date)
    except OverflowError:
        return False

    return True


def test_conditions_and_ranges_of_files(live):
    own = live.plain.get("/files/a.txt").headers["ETag"]
    tags = st.sampled_from([own, f"W/{own}", own.strip('"'), f'{own}, "b"', f'"b" ,{own}', "*"])
    dates = (inputs.DATES | st.sampled_from(inputs.DATE_SEEDS)).filter(_is_expected)
    compared = ["ETag", "Content-Range", "Content-Length", "Last-Modified", "Content-Type"]
    compared += ["Accept-Ranges", "Cache-Control"]

    @seed(_SEED)
    @settings(
        max_examples=max(1, _CASES // 25),
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.none() | inputs.RANGES | st.sampled_from(inputs.RANGE_SEEDS),
        st.none() | dates | inputs.ETAGS | tags,
        st.none() | dates,
        st.none() | inputs.ETAGS | st.sampled_from(inputs.ETAG_SEEDS) | tags,
        st.none() | inputs.ETAGS | tags,
        st.sampled_from(["GET", "HEAD"]),
    )
    @example("bytes=-0", None, None, None, None, "GET")
    @example("bytes=0-4", f"W/{own}", None, None, None, "GET")
    @example("bytes=0-4", f" {own} ", None, None, None, "GET")
    @example(None, None, None, "*, a", None, "GET")
    def check(range_, if_range, since, none_match, match, method):
        names = ["Range", "If-Range", "If-Modified-Since", "If-None-Match", "If-Match"]
        values = [range_, if_range, since, none_match, match]
        headers = [
            (name, value.strip(" \t"))
            for name, value in zip(names, values, strict=True)
            if value is not None
        ]
        expected = live.plain.open("/files/a.txt", method=method, headers=headers)
        answer = send(connection, "/files/a.txt", headers, b"", method)
        assert answer.status == expected.status_code, headers

        if answer.status != 416:
            theirs = [expected.headers.get(name) for name in compared]
            assert [answer.header(name) for name in compared] == theirs, headers
            assert answer.body == expected.data, headers

    with contextlib.closing(live.server.connect()) as connection:
        check()
