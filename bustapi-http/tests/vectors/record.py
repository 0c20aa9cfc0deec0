"""Records what Werkzeug 3.1.9 answers, for `tests/werkzeug.rs` to compare with.

Run it with an interpreter that has Werkzeug: `python record.py [seed] [cases]`. It writes
`werkzeug.json` beside itself: for each function a list of `[input, answer]`. Inputs are made of
fragments that mean something in the syntax at hand. Bytes are written as Latin-1 text.
"""

# ruff: noqa: D103 each function answers what it is registered for

from __future__ import annotations

import datetime
import email.utils
import io
import json
import random
import sys
import urllib.parse
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug import http
from werkzeug.datastructures import Accept, LanguageAccept, MIMEAccept
from werkzeug.exceptions import RequestedRangeNotSatisfiable, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.sansio import http as sansio_http
from werkzeug.sansio import multipart
from werkzeug.sansio.utils import get_content_length
from werkzeug.test import EnvironBuilder
from werkzeug.urls import _urlencode
from werkzeug.utils import get_content_type
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from collections.abc import Callable

Json = Any

#: What the functions are asked: a generator of inputs by function.
INPUTS: dict[str, Callable[[random.Random], Json]] = {}
#: What Werkzeug answers.
ANSWERS: dict[str, Callable[[Json], Json]] = {}

QUERY = ["a", "b", "=", "&", "+", "%", "%41", "%c3%a9", "%ff", "%e2%82", "é", "%2", "%zz", ";", " "]
QUERY += ["%26", "\U0001f600"]
COOKIE = ["a", "b", "=", ";", " ", '"', "\\", "\\073", "\\303\\251", "\\\\", '\\"', "é", "; ", '="']
COOKIE += ["\t", "x=y", '"; ', "\\4", "\\38", ",", "\x85", "\xa0", "\x0b", '="x;y"']
HEADER = ["a", "b", ",", ";", '"', "\\", " ", "=", "\t", "é", "*", "*0", "*1", "*0*=", "*=", "'"]
HEADER += ["UTF-8''", "%c3%a9", "%22", "iso-8859-1''", "koi8-r''", "ascii''", "name=", '="x y"']
HEADER += ["B=", "a*=", "a*0*=", "a*1=", "; ", "\x1f"]
RANGE = [
    "bytes=",
    "=",
    "-",
    "0",
    "5",
    "10",
    "99",
    ",",
    " ",
    "0-4",
    "-5",
    "5-",
    "+",
    "a",
    "BYTES = ",
]
ETAG = ['"a"', "W/", '"', "a", "*", ",", " ", "w/", ", ", '"b"', '"a,b"', '""', "\t", "é"]
DATES = [f"Sun, 06 Nov 1994 08:49:3{second} GMT" for second in (6, 7, 8)]
TAGS = ['"a"', 'W/"a"', '"b"', '"a", "b"', "*", 'W/"b", a', '""', ""]
ACCEPT = ["text/html", "text/*", "*/*", "application/json", "text/plain;format=flowed", ";q=0.5"]
ACCEPT += [";q=0", ", ", ",", ";q=2", ";q=x", "*", "en", "en-US", "fr", "de_AT", ";level=1", "gzip"]
OFFERS = {
    "media": ["text/html", "application/json", "text/plain;format=flowed", "*/*", "image/png"],
    "language": ["en", "en-US", "fr", "de", "de-AT", "en_GB"],
    "word": ["gzip", "br", "identity", "GZIP", "en"],
}
PART = "Content-Disposition: form-data; name=a"
BODY = ["\r\n", "\n", "\r", "--b", "--b--", "\r\n--b\r\n", "\r\n--b--\r\n", " ", "x", "-", PART]
BODY += [
    PART + "; filename=f\r\n\r\n",
    PART + "\r\n\r\n",
    "X: y",
    "\r\n\r\n",
    "\n\n",
    "\xe9",
    "--bb",
]
BODY += ["\r\n--b ", "\x0b", PART + "\r\nContent-Type: x; charset=iso-8859-1\r\n\r\n"]


def text(rng: random.Random, fragments: list[str], most: int) -> str:
    return "".join(rng.choice(fragments) for _ in range(rng.randint(0, most)))


def maybe(rng: random.Random, choices: list[Json], chance: float = 0.5) -> Json:
    return rng.choice(choices) if rng.random() < chance else None


def record(name: str, inputs: Callable[[random.Random], Json]) -> Callable[..., Any]:
    """Registers the function that answers `name`, together with its inputs."""

    def register(answer: Callable[[Json], Json]) -> Callable[[Json], Json]:
        INPUTS[name], ANSWERS[name] = inputs, answer
        return answer

    return register


@record("query", lambda rng: text(rng, QUERY, 12))
def query(value: str) -> Json:
    return urllib.parse.parse_qsl(value, keep_blank_values=True, errors="werkzeug.url_quote")


@record("encode_query", lambda rng: [[text(rng, QUERY, 4), text(rng, QUERY, 4)] for _ in range(2)])
def encode_query(pairs: list[tuple[str, str]]) -> Json:
    return _urlencode([(name, value) for name, value in pairs])


@record("unquote", lambda rng: text(rng, QUERY, 12))
def unquote(value: str) -> Json:
    return urllib.parse.unquote(value)


@record("quote", lambda rng: [text(rng, [*QUERY, "/", "~"], 8), text(rng, list("/:!%$ &é"), 3)])
def quote(value: list[str]) -> Json:
    return urllib.parse.quote(value[0], safe=value[1])


@record("cookie", lambda rng: text(rng, COOKIE, 14))
def cookie(value: str) -> Json:
    return sansio_http.parse_cookie(value, cls=list)  # type: ignore[arg-type]


def cookie_input(rng: random.Random) -> Json:
    return {
        "key": text(rng, ["k", "é", "-"], 3),
        "value": text(rng, ["a", " ", ",", ";", '"', "\\", "é", "\x01", "\x7f", "=", "%"], 6),
        "max_age": maybe(rng, [0, -5, 3600]),
        "expires": maybe(rng, [0, 784_111_777, 4_000_000_000]),
        "path": maybe(rng, ["/", "", "/é;x", "/a b%20?"]),
        "domain": maybe(rng, ["example.com", ".example.com:80", "localhost", "a..b", ""]),
        "secure": rng.random() < 0.5,
        "httponly": rng.random() < 0.5,
        "partitioned": rng.random() < 0.5,
        "samesite": maybe(rng, ["lax", "STRICT", "None", "other"]),
    }


@record("dump_cookie", cookie_input)
def dump_cookie(value: dict[str, Any]) -> Json:
    try:
        header = http.dump_cookie(**value, sync_expires=False, max_size=0)
    except ValueError:
        return None
    return header.encode("latin1").decode()


@record("list", lambda rng: text(rng, HEADER, 12))
def parse_list(value: str) -> Json:
    return http.parse_list_header(value)


@record("dict", lambda rng: text(rng, HEADER, 12))
def parse_dict(value: str) -> Json:
    return list(http.parse_dict_header(value).items())


@record("options", lambda rng: rng.choice(["x;", "x; ", ""]) + text(rng, HEADER, 14))
def options(value: str) -> Json:
    first, parsed = http.parse_options_header(value)
    return [first, list(parsed.items())]


def date_input(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return email.utils.formatdate(rng.randint(-2 * 10**9, 4 * 10**9), usegmt=True)
    return (
        rng.choice(["Sun, ", "", "Sun ", "sunday, ", "Foo, ", "Sun,"])
        + rng.choice(["06", "6", "31", "29", "0", "06-Nov-94", "Nov"])
        + rng.choice([" Nov ", " Feb ", " november ", "-Nov-", " ", " 6 "])
        + rng.choice(["1994", "94", "2000", "1900", "68", "69", "0", "10000", "199x", "1_9"])
        + rng.choice([" ", ", "])
        + rng.choice(["08:49:37", "08:49", "24:00:00", "08.49.37", "08:49:60", "08:49:37-0500"])
        + rng.choice([" GMT", "", " +0100", " EST", " -0000", " nope", " x y", " +2400", " 5"])
    )


@record("date", date_input)
def date(value: str) -> Json:
    parsed = http.parse_date(value)
    if parsed is None:
        return None
    since = parsed - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return since.days * 86400 + since.seconds


@record(
    "file", lambda rng: [rng.randint(0, 4 * 10**9), rng.choice([0, 999_999_999, 500, 5 * 10**8])]
)
def file(value: list[int]) -> Json:
    mtime = value[0] + 1e-9 * value[1]
    check = zlib.adler32("/srv/é.css".encode()) & 0xFFFFFFFF
    return [http.http_date(mtime), http.quote_etag(f"{mtime}-1234-{check}")]


@record(
    "range", lambda rng: [rng.choice(["bytes=", ""]) + text(rng, RANGE, 6), rng.choice([0, 5, 100])]
)
def parse_range(value: list[Any]) -> Json:
    parsed = http.parse_range_header(value[0])
    if parsed is None:
        return None
    return [parsed.to_header(), parsed.range_for_length(value[1])]


@record("content_range", lambda rng: rng.choice(["bytes ", ""]) + text(rng, [*RANGE, "/", "*"], 5))
def content_range(value: str) -> Json:
    parsed = http.parse_content_range_header(value)
    if parsed is None:
        return None
    span = None if parsed.start is None else [parsed.start, parsed.stop]
    return [parsed.units, span, parsed.length]


@record("etags", lambda rng: [text(rng, ETAG, 8), rng.choice(["a", "b", "a,b", '"a', "é", "*"])])
def etags(value: list[str]) -> Json:
    parsed, tag = http.parse_etags(value[0]), value[1]
    return [bool(parsed), parsed.star_tag, parsed.contains(tag), parsed.contains_weak(tag)]


def conditional_input(rng: random.Random) -> Json:
    ranges = ["bytes=0-1", "bytes=5-", "bytes=-3", "bytes=100-", "x", "bytes=0-1,3-4", ""]
    return {
        "if_match": maybe(rng, TAGS, 0.3),
        "if_none_match": maybe(rng, TAGS, 0.4),
        "if_modified_since": maybe(rng, [*DATES, "never", ""], 0.4),
        "if_range": maybe(rng, [*DATES, *TAGS], 0.4),
        "range": maybe(rng, ranges),
        "etag": maybe(rng, ['"a"', 'W/"a"', '"c"']),
        "last_modified": maybe(rng, DATES),
        "length": maybe(rng, [0, 10, 100], 0.9),
    }


@record("conditional", conditional_input)
def conditional(value: dict[str, Any]) -> Json:
    environ = EnvironBuilder(method="GET").get_environ()
    for name in ("if_match", "if_none_match", "if_modified_since", "if_range", "range"):
        if value[name] is not None:
            environ["HTTP_" + name.upper()] = value[name]
    response = Response(b"x" * (value["length"] or 0))
    for header in ("etag", "last_modified"):
        if value[header] is not None:
            response.headers[header.replace("_", "-")] = value[header]
    try:
        response.make_conditional(environ, accept_ranges=True, complete_length=value["length"])
    except RequestedRangeNotSatisfiable:
        return [416, None]
    return [response.status_code, response.headers.get("Content-Range")]


@record(
    "charset",
    lambda rng: (
        rng.choice(["text/a", "a/b+xml", "application/", "image/"])
        + rng.choice(["xml", "sql", "json", "javascript"])
    ),
)
def charset(value: str) -> Json:
    return get_content_type(value, "utf-8")


def accept_input(rng: random.Random) -> Json:
    kind = rng.choice(list(OFFERS))
    return [kind, text(rng, ACCEPT, 8), rng.sample(OFFERS[kind], rng.randint(0, 4))]


@record("accept", accept_input)
def accept(value: list[Any]) -> Json:
    classes = {"media": MIMEAccept, "language": LanguageAccept, "word": Accept}
    parsed = http.parse_accept_header(value[1], classes[value[0]])
    return [list(parsed), parsed.best_match(value[2])]


@record(
    "content_length",
    lambda rng: [
        rng.choice([None, "5", "-5", "+5", " 7 ", "x", "", "1_0"]),
        rng.choice([None, "chunked", "gzip", "gzip, Chunked", '"chunked"', "x chunked"]),
    ],
)
def content_length(value: list[str | None]) -> Json:
    return get_content_length(*value)


def body_input(rng: random.Random) -> str:
    body = text(rng, BODY, 14)
    if rng.random() < 0.7:
        body = f"--b\r\n{PART}\r\n\r\n{body}"
    if rng.random() < 0.7:
        body += "\r\n--b--" + rng.choice(["", "\r\n", " \nx"])
    return body


def describe(event: multipart.Event) -> Json:
    if isinstance(event, multipart.Preamble):
        return ["preamble", event.data.decode("latin1")]
    if isinstance(event, multipart.Field):
        return ["field", event.name, list(event.headers)]
    if isinstance(event, multipart.File):
        return ["file", event.name, event.filename, list(event.headers)]
    if isinstance(event, multipart.Data):
        return ["data", event.data.decode("latin1"), event.more_data]
    if isinstance(event, multipart.Epilogue):
        return ["epilogue", event.data.decode("latin1")]
    raise TypeError(event)


@record("multipart", lambda rng: [body_input(rng), maybe(rng, [1, 2], 0.2)])
def multipart_events(value: list[Any]) -> Json:
    """All events of the body given at once, pieces of content joined; ends with the status of
    the error where there is one."""
    decoder = multipart.MultipartDecoder(b"b", max_parts=value[1])
    events: list[Json] = []
    try:
        for piece in (value[0].encode("latin1"), None):
            decoder.receive_data(piece)
            while not isinstance(event := decoder.next_event(), multipart.NeedData):
                new = describe(event)
                if new[0] == "data" and events[-1][0] == "data" and events[-1][2]:
                    new[1] = events.pop()[1] + new[1]
                events.append(new)
                if new[0] == "epilogue":
                    return events
    except RequestEntityTooLarge:
        status = 413
    except ValueError:
        status = 400
    # How much of an unfinished content is handed out before the error is of no importance.
    if events and events[-1][0] == "data" and events[-1][2]:
        events.pop()
    return [*events, ["error", status]]


def form_input(rng: random.Random) -> Json:
    limits = [maybe(rng, [5, 20, 200]), maybe(rng, [1, 2], 0.2)]
    if rng.random() < 0.3:
        body = text(rng, QUERY, 10).encode().decode("latin1") + rng.choice(["", "", "\xff"])
        return ["application/x-www-form-urlencoded", body, *limits]
    return ["multipart/form-data; boundary=b", body_input(rng), *limits]


@record("form", form_input)
def form(value: list[Any]) -> Json:
    media_type, parsed = http.parse_options_header(value[0])
    body = value[1].encode("latin1")
    parser = FormDataParser(
        max_form_memory_size=value[2],
        max_form_parts=value[3],
        cls=list,  # type: ignore[arg-type]
    )
    try:
        files: Any
        _, fields, files = parser.parse(io.BytesIO(body), media_type, len(body), parsed)
    except RequestEntityTooLarge:
        return 413
    read = [(name, file.filename, file.read().decode("latin1")) for name, file in files]
    return [list(fields), read]


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    cases = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    rng = random.Random(seed)
    lines = []
    for name, inputs in INPUTS.items():
        vectors = {}
        for _ in range(cases):
            value = inputs(rng)
            vectors[json.dumps(value, sort_keys=True)] = [value, ANSWERS[name](value)]
        rows = ",\n".join(json.dumps(vector, ensure_ascii=True) for vector in vectors.values())
        lines.append(f"{json.dumps(name)}: [\n{rows}\n]")
    target = Path(__file__).with_name("werkzeug.json")
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="ascii")


if __name__ == "__main__":
    main()
