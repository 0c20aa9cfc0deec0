"""Requests of the native server, compared with the same request made from its environ."""

from __future__ import annotations

import copy
import gc
import hashlib
import inspect
import io
import json
import random
import struct
import warnings
import weakref

import pytest
from werkzeug.datastructures import EnvironHeaders, FileStorage, ImmutableMultiDict, MultiDict
from werkzeug.exceptions import BadRequest, BadRequestKeyError, HTTPException, UnsupportedMediaType
from werkzeug.test import EnvironBuilder, encode_multipart

import bustapi
from bustapi import Request, request
from bustapi._native import RawRequest, make_request
from bustapi.exceptions import DebugFilesKeyError
from bustapi.json.provider import DefaultJSONProvider
from live import LiveServer, bustapi_command

# Werkzeug leaves files of forms that turn out to be malformed to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed file:ResourceWarning",
    "ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning",
    "ignore:unclosed file:ResourceWarning",
)


@pytest.fixture(scope="module", autouse=True)
def collect_files():
    yield

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


BROWSER = [
    ("Host", "shop.test:8080"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"),
    ("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "de-DE,de;q=0.8,en;q=0.5"),
    ("Accept-Encoding", "gzip, br"),
    ("Referer", "http://shop.test/"),
    ("Cookie", "theme=dark; id=7; id=8"),
    ("X-Forwarded-For", "192.0.2.1"),
    ("X-Forwarded-For", "192.0.2.2, 192.0.2.3"),
]


def raw_request(method="GET", target="/", headers=(), body=b"", **kwargs):
    pairs = [
        (name, value.encode("latin1") if isinstance(value, str) else value)
        for name, value in headers
    ]

    if body and not any(name.lower() == "content-length" for name, _ in pairs):
        pairs.append(("Content-Length", str(len(body)).encode()))

    return RawRequest(method, target, pairs, body, **kwargs)


def native(*args, request_class=Request, **kwargs):
    """A native request, which must not have made its environ."""
    made = make_request(request_class, raw_request(*args, **kwargs))
    assert made._raw is not None
    return made


def plain(*args, request_class=Request, **kwargs):
    """The same request by way of its environ: Werkzeug's code throughout."""
    return request_class(raw_request(*args, **kwargs).environ())


def outcome(read):
    """What reading gives, in a form that can be compared; types count."""
    try:
        value = read()
    except HTTPException as e:
        return type(e), e.code, e.description
    except Exception as e:  # noqa: BLE001 any error counts
        return type(e), str(e)

    if isinstance(value, MultiDict):
        return type(value), [
            (key, [describe(item) for item in items]) for key, items in value.lists()
        ]

    return type(value), describe(value)


def describe(value):
    if isinstance(value, FileStorage):
        stream = type(value.stream)
        return value.name, value.filename, list(value.headers), stream, value.read()

    if isinstance(value, float):
        return struct.pack("d", value)

    if hasattr(value, "string") and not isinstance(value, str):
        return value.string

    return value


ATTRIBUTES = [
    "method",
    "scheme",
    "server",
    "root_path",
    "path",
    "query_string",
    "remote_addr",
    "shallow",
    "args",
    "cookies",
    "host",
    "url",
    "base_url",
    "root_url",
    "host_url",
    "full_path",
    "is_secure",
    "access_route",
    "content_type",
    "content_length",
    "mimetype",
    "mimetype_params",
    "content_encoding",
    "is_json",
    "user_agent",
    "accept_mimetypes",
    "accept_languages",
    "accept_encodings",
    "referrer",
    "authorization",
    "range",
    "cache_control",
    "form",
    "files",
    "values",
    "data",
    "json",
]

REQUESTS = {
    "nothing": {},
    "a browser": {"target": "/search?q=a+b&tags=x&tags=y&page=2", "headers": BROWSER},
    "escapes": {"target": "/a%20b/%C3%A9/%ff?a=%ff&b=%C3%A9&c=%zz&=x&d&&e=1=2;f"},
    "many slashes": {"target": "//a//b/"},
    "a whole URL": {"target": "http://other.test:81/x?y", "headers": [("Host", "shop.test")]},
    "an asterisk": {"method": "OPTIONS", "target": "*"},
    "an unusual method": {"method": "propFind"},
    "a secure one": {"scheme": "https", "headers": [("Host", "shop.test:443")]},
    "a unix socket": {"remote": None, "server": None, "headers": [("Host", "shop.test:81")]},
    "a unix socket, no host": {"remote": None, "server": None},
    "an IPv6 server": {"server": ("::1", 8000), "remote": ("::1", 1)},
    "an invalid host": {"headers": [("Host", "a b")]},
    "Latin-1": {"headers": [("Referer", b"caf\xe9"), ("User-Agent", b"\xff")]},
    "cookies in UTF-8": {"headers": [("Cookie", 'a=é; b="x\\073"; '.encode())]},
    "cookies not in UTF-8": {"headers": [("Cookie", b"a=\xff")]},
    "cookies in two fields": {"headers": [("Cookie", "a=1; b=2"), ("Cookie", "a=3")]},
    "underscores": {"headers": [("X_Real", "1"), ("X-Real", "2"), ("Content_Type", "a/b")]},
    "JSON": {
        "method": "POST",
        "headers": [("Content-Type", "application/json")],
        "body": b'{"a": [1, 2.5, "x", null, true]}',
    },
    "JSON of a vendor": {
        "method": "POST",
        "headers": [("Content-Type", 'Application/Vnd.X+JSON; v="1;2"; charset=utf-8')],
        "body": b"[]",
    },
    "no JSON": {
        "method": "POST",
        "headers": [("Content-Type", "application/json")],
        "body": b"{",
    },
    "plain text": {
        "method": "PUT",
        "headers": [("Content-Type", "text/plain")],
        "body": b"a=b",
    },
    "a body of no type": {"method": "POST", "body": b"a=b"},
    "an empty type": {"method": "POST", "headers": [("Content-Type", "")], "body": b"a=b"},
    "a form": {
        "method": "POST",
        "target": "/?a=0&z=1",
        "headers": [("Content-Type", "application/x-www-form-urlencoded")],
        "body": b"a=1&a=2&b=%C3%A9+%ff&&c&=d",
    },
    "a form in upper case": {
        "method": "PATCH",
        "headers": [("Content-Type", "Application/X-WWW-Form-URLencoded; charset=latin1")],
        "body": b"a=%e9",
    },
    "a form not in UTF-8": {
        "method": "POST",
        "headers": [("Content-Type", "application/x-www-form-urlencoded")],
        "body": b"a=\xff",
    },
    "an empty form": {
        "method": "POST",
        "headers": [("Content-Type", "application/x-www-form-urlencoded")],
    },
    "odd lengths": {
        "headers": [("Content-Length", "-5"), ("Transfer-Encoding", "gzip")],
    },
    "no length": {"headers": [("Content-Length", "x")]},
    "chunked": {
        "method": "POST",
        "headers": [
            ("Transfer-Encoding", "chunked"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Content-Length", "3"),
        ],
        "body": b"a=b&c=d",
    },
}


def multipart_request(values, boundary="xyz", **kwargs):
    body = encode_multipart(values, boundary)[1] if isinstance(values, (list, dict)) else values
    content_type = kwargs.pop("content_type", f"multipart/form-data; boundary={boundary}")
    return {
        "method": "POST",
        "headers": [("Content-Type", content_type)],
        "body": body,
        **kwargs,
    }


def upload(content, filename="f.bin"):
    return FileStorage(io.BytesIO(content), filename)


PART = b'--xyz\r\nContent-Disposition: form-data; name="a"'
REQUESTS |= {
    "multipart": multipart_request(
        MultiDict([("a", "1"), ("a", "é"), ("f", upload(b"x" * 300)), ("f", upload(b"", "e"))])
    ),
    "a large upload": multipart_request(MultiDict([("f", upload(b"ab\r\n--xy" * 100_000))])),
    "multipart, quoted boundary": multipart_request(
        {"a": "1"}, content_type='multipart/form-data; boundary="xyz"'
    ),
    "multipart without boundary": multipart_request({"a": "1"}, content_type="multipart/form-data"),
    "multipart of another kind": multipart_request(
        {"a": "1"}, content_type="multipart/mixed; boundary=xyz"
    ),
    "multipart without end": multipart_request(PART + b"\r\n\r\nvalue"),
    "multipart without a name": multipart_request(
        b"--xyz\r\nContent-Disposition: form-data\r\n\r\nvalue\r\n--xyz--"
    ),
    "multipart with charsets": multipart_request(
        PART
        + b"\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n\xe9\r\n"
        + PART
        + b"; filename=x\r\nContent-Type: a/b\r\nContent-Length: 3\r\nX-Y: z\r\n\r\nabc\r\n--xyz--"
    ),
    "multipart with junk": multipart_request(b"junk\r\n" + PART + b"\r\n\r\nv\r\n--xyz--\r\njunk"),
    "nothing multipart": multipart_request(b""),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
@pytest.mark.parametrize("kind", REQUESTS)
def test_attributes_are_those_of_an_environ(app, kind, name):
    with app.app_context():
        expected = outcome(lambda: getattr(plain(**REQUESTS[kind]), name))
        assert outcome(lambda: getattr(native(**REQUESTS[kind]), name)) == expected


@pytest.mark.parametrize("kind", REQUESTS)
def test_attributes_do_not_depend_on_the_order_of_reading(app, kind):
    names = list(ATTRIBUTES)
    order = random.Random(kind)

    with app.app_context():
        for _ in range(20):
            order.shuffle(names)
            first, second = native(**REQUESTS[kind]), plain(**REQUESTS[kind])

            for name in names:
                if order.random() < 0.1:
                    _ = first.environ

                expected = outcome(lambda: getattr(second, name))  # noqa: B023 called at once
                assert outcome(lambda: getattr(first, name)) == expected  # noqa: B023

            first.close()
            second.close()


# --- what is made, and when


def no_environ(made):
    """Whether no environ was made; headers answer for themselves until then."""
    return "environ" not in vars(made) and "environ" not in vars(made.headers)


def test_what_views_usually_read_makes_no_environ(app, monkeypatch):
    made = native(**REQUESTS["a browser"])
    assert made.args["q"] == "a b"
    assert made.headers.get("Accept-Language").startswith("de-DE")
    assert made.headers["referer"] == "http://shop.test/"
    assert "X-Real" not in made.headers
    assert made.headers.getlist("x-forwarded-for") == ["192.0.2.1,192.0.2.2, 192.0.2.3"]
    assert made.cookies["theme"] == "dark"
    assert (made.method, made.path, made.content_type) == ("GET", "/search", None)
    assert made.host == "shop.test:8080"
    assert no_environ(made)
    made.headers.environ["HTTP_X_NEW"] = "1"
    assert made.headers["X-New"] == "1"


def test_values_are_computed_once():
    made = native(**REQUESTS["a browser"])

    for name in ("args", "headers", "cookies", "environ", "path", "query_string"):
        assert getattr(made, name) is getattr(made, name)


def test_the_environ_names_its_request():
    made = native()
    assert made.environ["werkzeug.request"] is made
    assert made.environ is made.headers.environ


def test_the_environ_is_a_wsgi_environ():
    from wsgiref.validate import check_environ

    made = native(**REQUESTS["a browser"])
    check_environ(made.environ | {"wsgi.input": made.environ["wsgi.input"]})
    assert made.environ["QUERY_STRING"] == "q=a+b&tags=x&tags=y&page=2"
    assert made.environ["REQUEST_URI"] == "/search?q=a+b&tags=x&tags=y&page=2"
    assert (made.environ["SERVER_NAME"], made.environ["SERVER_PORT"]) == ("127.0.0.1", "80")
    assert (made.environ["REMOTE_ADDR"], made.environ["REMOTE_PORT"]) == ("127.0.0.1", "50000")
    assert made.environ["HTTP_COOKIE"] == "theme=dark; id=7; id=8"
    # A change in one environ does not show in another.
    made.environ["wsgi.run_once"] = "changed"
    assert native().environ["wsgi.run_once"] is False


def test_assigned_attributes_win():
    made = native(**REQUESTS["a browser"])
    made.query_string = b"q=other"
    made.path = "/other"
    assert made.args.to_dict() == {"q": "other"}
    assert made.full_path == "/other?q=other"
    made.args = "mine"
    assert made.args == "mine"


def test_a_request_without_raw_and_environ_has_no_path():
    class Own(Request):
        def __init__(self, environ, *args, **kwargs):
            with pytest.raises(AttributeError, match="^'Own' object has no attribute 'path'$"):
                _ = self.path

            super().__init__(environ, *args, **kwargs)

    assert Own(EnvironBuilder(path="/x").get_environ()).path == "/x"


def test_a_request_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()

    try:
        made = native(**REQUESTS["a form"])
        assert made.form
        assert made.args["z"] == "1"
        assert made.headers["content-type"]
        gone = weakref.ref(made)
        del made
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("make", [native, plain])
def test_a_shallow_copy(make):
    class Mine(Request):
        pass

    made = make(**REQUESTS["JSON"], request_class=Mine)
    made.noted = ["a"]
    twin = copy.copy(made)
    assert type(twin) is Mine
    assert twin.noted is made.noted
    twin.noted = []
    assert made.noted == ["a"]
    # What one request object reads of the body is gone for the other, unless it was kept before.
    kept = twin.get_data()
    assert copy.copy(twin).get_json() == json.loads(kept)
    assert made.get_data() == b""
    assert twin.path == made.path
    assert twin.environ is made.environ


def test_a_cycle_through_the_environ_is_collected():
    made = native()
    made.environ["mine"] = made
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None


# --- headers


KEYS = ["Accept", "ACCEPT", "accept", "X-Forwarded-For", "user-agent", "user_agent", "User_Agent"]
KEYS += ["Content-Type", "content_type", "content-length", "cookie", "missing", "", "a b", "é"]
KEYS += ["accept-\u0131", "X-Real", "X_Real", 1, None, slice(1)]


@pytest.mark.parametrize("key", KEYS, ids=repr)
@pytest.mark.parametrize("kind", ["a browser", "a form", "underscores", "an empty type"])
@pytest.mark.parametrize("with_environ", [False, True])
def test_lookups_of_headers(kind, key, with_environ):
    made = native(**REQUESTS[kind])
    expected = plain(**REQUESTS[kind]).headers

    if with_environ:
        _ = made.environ

    headers = made.headers

    for read in [
        lambda h: h[key],
        lambda h: h.get(key),
        lambda h: h.get(key, "default"),
        lambda h: h.get(key, default=5, type=int),
        lambda h: h.get(key, type=len),
        lambda h: h.get(key, type=lambda value: None),
        lambda h: key in h,
        lambda h: h.getlist(key),
        lambda h: h.getlist(key, int),
        lambda h: h.getlist(key, type=len),
        lambda h: h.get_all(key),
    ]:
        assert outcome(lambda: read(headers)) == outcome(lambda: read(expected))  # noqa: B023

    assert no_environ(made) is not with_environ or not isinstance(key, str) or not key.isascii()


def test_a_converter_may_raise_other_errors():
    headers = native(**REQUESTS["a browser"]).headers

    def convert(value):
        raise KeyError(value)

    for read in (headers.get, headers.getlist):
        with pytest.raises(KeyError, match="dark"):
            read("cookie", type=convert)


def test_headers_are_werkzeugs():
    made, expected = native(**REQUESTS["a browser"]), plain(**REQUESTS["a browser"])
    headers = made.headers
    assert isinstance(headers, EnvironHeaders)
    assert type(headers).__name__ == "EnvironHeaders"
    assert sorted(headers) == sorted(expected.headers)
    assert len(headers) == len(expected.headers)
    assert dict(headers.items(lower=True)) == dict(expected.headers.items(lower=True))
    assert repr(headers).startswith("EnvironHeaders([(")
    assert headers == made.headers
    assert headers != expected.headers
    assert str(native().headers) == str(plain().headers)

    with pytest.raises(TypeError, match="cannot create 'EnvironHeaders' copies"):
        headers.copy()

    with pytest.raises(TypeError):
        headers["X"] = "1"

    with pytest.raises(TypeError):
        hash(headers)

    assert type(headers)({"HTTP_A": "1"})["a"] == "1"


# --- classes of the application's own


class Ordered(Request):
    class parameter_storage_class(MultiDict):
        pass

    dict_storage_class = MultiDict


@pytest.mark.parametrize("name", ["args", "form", "files", "cookies", "values"])
@pytest.mark.parametrize("kind", ["a browser", "a form", "multipart", "plain text"])
def test_storage_classes(kind, name):
    made = native(request_class=Ordered, **REQUESTS[kind])
    expected = outcome(lambda: getattr(plain(request_class=Ordered, **REQUESTS[kind]), name))
    assert outcome(lambda: getattr(made, name)) == expected


def test_a_class_with_a_constructor_is_called():
    class Own(Request):
        def __init__(self, environ, *args, **kwargs):
            super().__init__(environ, *args, **kwargs)
            self.note = "made"

    made = make_request(Own, raw_request(target="/x"))
    assert (made.note, made.path, made._raw) == ("made", "/x", None)
    assert make_request(dict, raw_request(target="/x"))["PATH_INFO"] == "/x"


def test_replaced_properties_are_asked():
    class Own(Request):
        @property
        def mimetype(self):
            return "application/json"

        @property
        def args(self):
            return {**super().args, "calls": len(super().args)}

        def get_data(self, *args, **kwargs):
            return b"[1]"

        def on_json_loading_failed(self, e):
            return "failed"

    made = native("POST", "/?a=1", body=b"x", request_class=Own)
    assert made.args == {"a": "1", "calls": 1}
    assert made.get_json() == [1]
    assert native("POST", body=b"{", request_class=Own).data == b"[1]"

    class Failing(Request):
        def on_json_loading_failed(self, e):
            return repr(e)

    made = native(**REQUESTS["no JSON"], request_class=Failing)
    assert "JSONDecodeError" in made.get_json()
    assert made.get_json(silent=True) is None


def test_a_class_that_is_changed_later_is_noticed(monkeypatch):
    assert native(**REQUESTS["a form"]).form["b"]
    monkeypatch.setattr(Request, "get_data", lambda self, **kwargs: b'"patched"', raising=False)
    assert native(**REQUESTS["JSON"]).get_json() == "patched"
    monkeypatch.undo()
    assert native(**REQUESTS["JSON"]).get_json()["a"]


@pytest.mark.parametrize(
    "name", ["want_form_data_parsed", "form_data_parser_class", "make_form_data_parser"]
)
def test_own_form_parsers_are_used(name):
    from werkzeug.formparser import FormDataParser

    class Parser(FormDataParser):
        def parse(self, *args, **kwargs):
            stream, _, files = super().parse(*args, **kwargs)
            return stream, self.cls([("seen", "1")]), files

    members = {
        "want_form_data_parsed": property(lambda self: False),
        "form_data_parser_class": Parser,
        "make_form_data_parser": lambda self: Parser(cls=MultiDict),
    }
    own = type("Own", (Request,), {name: members[name]})

    for kind in ("a form", "multipart"):
        expected = outcome(lambda: plain(request_class=own, **REQUESTS[kind]).form)  # noqa: B023
        assert outcome(lambda: native(request_class=own, **REQUESTS[kind]).form) == expected  # noqa: B023
        assert not expected[1] or expected[1] == [("seen", ["1"])]


def test_load_form_data_may_be_extended():
    class Own(Request):
        def _load_form_data(self):
            super()._load_form_data()
            self.__dict__["form"] = self.form.to_dict() | {"added": "1"}

    for kind in ("a form", "multipart"):
        made = native(request_class=Own, **REQUESTS[kind])
        assert made.form["added"] == "1"
        assert made.form["a"] == "1"


def test_own_file_streams_are_used():
    asked = []

    class Own(Request):
        def _get_file_stream(self, total_content_length, content_type, filename, content_length):
            asked.append((total_content_length, content_type, filename, content_length))
            return io.BytesIO()

    body = REQUESTS["multipart with charsets"]
    made = native(request_class=Own, **body)
    assert type(made.files["a"].stream) is io.BytesIO
    assert made.files["a"].read() == b"abc"
    assert asked == [(len(body["body"]), "a/b", "x", 3)]


def test_a_file_stream_may_fail():
    class Own(Request):
        error: type[Exception] = OSError

        def _get_file_stream(self, *args, **kwargs):
            raise self.error("full")

    with pytest.raises(OSError, match="full"):
        _ = native(request_class=Own, **REQUESTS["multipart"]).files

    # Werkzeug passes over this kind of error.
    Own.error = ValueError
    assert native(request_class=Own, **REQUESTS["multipart"]).files == ImmutableMultiDict()


# --- bodies


def test_uploads_are_closed():
    made = native(**REQUESTS["multipart"])
    stream = made.files["f"].stream
    made.close()
    assert stream.closed

    with native(**REQUESTS["multipart"]) as made:
        _ = made.form
        stream = made.files["f"].stream

    assert stream.closed


def test_large_uploads_leave_memory():
    made = native(**REQUESTS["a large upload"])
    assert made.files["f"].stream._rolled is True
    assert native(**REQUESTS["multipart"]).files["f"].stream._rolled is False


@pytest.mark.parametrize("with_environ", [False, True])
def test_the_body_is_read_once(with_environ):
    def make():
        made = native(**REQUESTS["a form"])

        if with_environ:
            _ = made.environ

        return made

    body = REQUESTS["a form"]["body"]
    made = make()
    assert made.get_data(cache=False) == body
    assert made.get_data() == b""
    made = make()
    assert made.get_data() == body
    assert made.form["c"] == ""
    assert made.stream.read() == b""
    assert made.get_data(as_text=True) == body.decode()
    made = make()
    assert made.stream.read(3) == body[:3]
    assert made.get_data() == body[3:]
    made = make()
    assert made.data == b""
    assert made.form["c"] == ""
    made = make()
    assert made.form["c"] == ""
    assert made.data == made.get_data() == made.stream.read() == b""
    made = make()
    assert made.input_stream.read(2) == body[:2]
    assert made.get_data() == body[2:]


def test_text_of_a_body():
    assert native("POST", body=b"a\xff").get_data(as_text=True) == "a\ufffd"


def other_environ(body):
    return native(**REQUESTS["a form"]).environ | {"wsgi.input": io.BytesIO(body)}


def test_another_stream_is_read():
    for assign in (
        lambda made: setattr(made, "stream", io.BytesIO(b"a=other")),
        lambda made: made.environ.update({"wsgi.input": io.BytesIO(b"a=other&b=no")}),
        # The application makes an environ of its own, before or after the server's was made.
        lambda made: setattr(made, "environ", other_environ(b"a=other&b=no")),
        lambda made: setattr(
            made, "environ", made.environ | {"wsgi.input": io.BytesIO(b"a=other&b=no")}
        ),
    ):
        made = native(**REQUESTS["a form"])
        assign(made)
        assert made.get_data()[:7] == b"a=other"
        made = native(**REQUESTS["a form"])
        assign(made)
        assert made.form["a"] == "other"


def test_shallow_requests_do_not_read():
    made = native(**REQUESTS["a form"])
    made.shallow = True

    with pytest.raises(RuntimeError, match="shallow"):
        made.get_data()

    with pytest.raises(RuntimeError, match="shallow"):
        _ = made.form


@pytest.mark.parametrize("limit", [None, 0, 5, 25, 26, 27, 1000])
@pytest.mark.parametrize(
    "kind", ["a form", "plain text", "JSON", "chunked", "multipart", "nothing"]
)
@pytest.mark.parametrize("name", ["form", "data", "json", "files", "get_data"])
def test_limits_on_bodies(app, kind, limit, name):
    app.config["MAX_CONTENT_LENGTH"] = limit
    exact = len(REQUESTS[kind].get("body", b""))

    def read(made):
        value = getattr(made, name)
        return value() if callable(value) else value

    with app.app_context():
        for app.config["MAX_CONTENT_LENGTH"] in (limit, exact, exact + 1, max(exact - 1, 0)):
            expected = outcome(lambda: read(plain(**REQUESTS[kind])))
            assert outcome(lambda: read(native(**REQUESTS[kind]))) == expected

        made = native(**REQUESTS[kind])
        made.max_content_length = 1
        expected = plain(**REQUESTS[kind])
        expected.max_content_length = 1
        assert outcome(lambda: read(made)) == outcome(lambda: read(expected))


@pytest.mark.parametrize("memory", [None, 0, 3, 25, 26, 700, 2000, -1])
@pytest.mark.parametrize("parts", [None, 0, 3, 4])
@pytest.mark.parametrize("kind", ["a form", "chunked", "multipart", "a large upload"])
def test_limits_on_forms(app, kind, memory, parts):
    app.config["MAX_FORM_MEMORY_SIZE"] = memory
    app.config["MAX_FORM_PARTS"] = parts

    with app.app_context():
        for name in ("form", "files"):
            expected = outcome(lambda: getattr(plain(**REQUESTS[kind]), name))  # noqa: B023
            assert outcome(lambda: getattr(native(**REQUESTS[kind]), name)) == expected  # noqa: B023


def test_generated_multipart_bodies(app):
    order = random.Random(0)
    pieces = [b"--xyz", b"--", b"\r\n", b"\n", b"\r", b" ", b"a", b"\xff", b"--xyz--", b"x" * 50]
    pieces += [b"Content-Disposition: form-data; name=a", b"; filename=f", b"\r\n\r\n", b"X: y"]
    pieces += [PART + b"\r\n\r\n", PART + b"; filename=f\r\n\r\n", b"\r\n--xyz\r\n", b"\t"]

    with app.app_context():
        for _ in range(3000):
            body = b"".join(order.choices(pieces, k=order.randrange(12)))
            kwargs = multipart_request(body)

            for name in ("form", "files"):
                expected = outcome(lambda: getattr(plain(**kwargs), name))  # noqa: B023
                actual = outcome(lambda: getattr(native(**kwargs), name))  # noqa: B023
                assert actual == expected, body


# --- JSON


def test_the_json_module_of_the_app_is_used(app):
    class Provider(DefaultJSONProvider):
        def loads(self, s, **kwargs):
            return "mine", super().loads(s, **kwargs)

    app.json = Provider(app)

    with app.request_context(raw_request(**REQUESTS["JSON"]).environ()):
        assert request.get_json()[0] == "mine"


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("kind", ["JSON", "no JSON", "plain text", "nothing"])
def test_get_json(app, kind, force, silent, cache):
    def read(made):
        results = []

        for flag in (silent, not silent, silent):
            value = outcome(lambda: made.get_json(force, flag, cache))  # noqa: B023
            results.append(value)

        return results, made.get_data()

    with app.app_context():
        assert read(native(**REQUESTS[kind])) == read(plain(**REQUESTS[kind]))
        made = native(**REQUESTS[kind])

        if cache and kind == "JSON":
            assert made.get_json() is made.get_json() is made.json


def test_json_that_cannot_be_read(app):
    for app.debug in (False, True):
        with app.app_context():
            with pytest.raises(BadRequest) as caught:
                native(**REQUESTS["no JSON"]).get_json()

            assert ("Failed to decode JSON object" in str(caught.value)) is app.debug

            with pytest.raises(UnsupportedMediaType):
                native(**REQUESTS["plain text"]).get_json()


# --- in an application


def test_a_file_sent_as_a_field_is_explained_in_debug_mode(app):
    app.debug = True

    with app.app_context():
        for first in ("form", "files"):
            made = native(**REQUESTS["a form"])
            _ = getattr(made, first)

            with pytest.raises(DebugFilesKeyError, match="You tried to access the file 'a'"):
                made.files["a"]

            assert type(made.files).__name__ == "ImmutableMultiDict"

        with pytest.raises(BadRequestKeyError) as caught:
            native(**REQUESTS["multipart"]).files["a"]

        assert type(caught.value) is BadRequestKeyError


def test_a_native_request_in_a_context(app):
    @app.post("/<name>")
    def index(name):
        return f"{name} {request.args['q']} {request.form['a']} {request.endpoint}"

    made = native("POST", "/x?q=1", [("Content-Type", "application/x-www-form-urlencoded")], b"a=2")
    context = bustapi.ctx.RequestContext(app, {}, request=made)

    with context:
        assert app.full_dispatch_request().get_data(as_text=True) == "x 1 2 index"

    assert made.environ["werkzeug.request"] is None


def test_what_no_client_could_send_is_refused():
    for arguments in (
        {"method": "A B"},
        {"target": "a b"},
        {"headers": [("a b", "c")]},
        {"headers": [("a", "b\nc")]},
        {"remote": ("localhost", 1)},
    ):
        with pytest.raises(ValueError, match=r"invalid|failed"):
            raw_request(**arguments)


def test_signatures_are_werkzeugs():
    from werkzeug.wrappers import Request as WerkzeugRequest

    for name in ("get_json", "get_data"):
        expected = inspect.signature(getattr(WerkzeugRequest, name)).parameters.values()
        actual = inspect.signature(getattr(Request, name)).parameters.values()
        assert [(p.name, p.default) for p in actual] == [(p.name, p.default) for p in expected]


# --- over a socket

SERVED = """
import hashlib
from bustapi import Flask, request

app = Flask(__name__)

@app.post("/json")
def json():
    return type(request.get_json()).__name__

@app.post("/upload")
def upload():
    file = request.files["f"]
    rolled = file.stream._rolled
    return {
        "name": file.filename,
        "type": file.content_type,
        "digest": hashlib.sha256(file.read()).hexdigest(),
        "rolled": rolled,
        "fields": request.form.to_dict(flat=False),
    }

@app.post("/stream")
def stream():
    if "data" in request.args:
        return request.get_data()

    first = request.stream.read(3)
    return first + b"|" + request.get_data()

@app.post("/limited")
def limited():
    request.max_content_length = 10
    return {"form": request.form.to_dict(), "data": request.get_data(as_text=True)}
"""


def chunked(body, size):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "served.py").write_text(SERVED)
    server = LiveServer(bustapi_command(), folder).wait_until_running()
    yield server
    server.close()


@pytest.mark.parametrize("size", [None, 1000, 70_000, 10**7])
@pytest.mark.parametrize("length", [10, 3_000_000])
def test_uploads_over_a_socket(served, size, length):
    content = random.Random(length).randbytes(length)
    values = MultiDict([("a", "1"), ("f", upload(content, "ü.bin")), ("a", "é")])
    body = encode_multipart(values, "xyz")[1]
    headers = [("Content-Type", "multipart/form-data; boundary=xyz")]

    if size is not None:
        headers.append(("Transfer-Encoding", "chunked"))
        body = chunked(body, size)

    answer = served.request("POST", "/upload", body, headers)
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "name": "ü.bin",
        "type": "application/octet-stream",
        "digest": hashlib.sha256(content).hexdigest(),
        "rolled": length > 500 * 1024,
        "fields": {"a": ["1", "é"]},
    }


@pytest.mark.parametrize("target", ["/stream", "/stream?data"])
@pytest.mark.parametrize("length", [0, 5, 300_000])
@pytest.mark.parametrize("size", [None, 7, 100_000])
def test_bodies_over_a_socket(served, target, length, size):
    content = bytes(range(256)) * (length // 256) + bytes(length % 256)
    headers = [("Transfer-Encoding", "chunked")] if size else []
    body = chunked(content, size) if size else content
    answer = served.request("POST", target, body, headers)
    expected = content if "data" in target else content[:3] + b"|" + content[3:]
    assert answer.body == expected


def test_limits_over_a_socket(served):
    form = ("Content-Type", "application/x-www-form-urlencoded")
    assert served.request("POST", "/limited", b"a=1", [form]).status == 200
    assert served.request("POST", "/limited", b"a=1&b=234", [form]).status == 200
    assert served.request("POST", "/limited", b"a=1&b=23456", [form]).status == 413


def test_json_that_is_nested_too_deeply(served):
    kind = ("Content-Type", "application/json")

    # More than once: the first calls of a view are made on other threads than the later ones.
    for _ in range(10):
        for depth, status in ((300, 200), (100_000, 400)):
            for body in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
                assert served.request("POST", "/json", body, [kind]).status == status

    assert served.request("POST", "/json", b"[" * 100_000, [kind]).status == 400
    assert served.request("POST", "/json", b"[", [kind]).status == 400
    assert served.request("POST", "/json", b"\xff", [kind]).status == 400
    assert served.request("POST", "/json", b"{}", [kind]).body == b"dict"
