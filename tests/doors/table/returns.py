"""Everything that a view may return, and what it may not."""

from __future__ import annotations

import datetime
import decimal
import fractions
import uuid
from dataclasses import dataclass
from http import HTTPStatus

import markupsafe
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.wrappers import Response as WerkzeugResponse

from ..case import case, get, request


@dataclass
class Point:
    """For JSON."""

    x: int
    y: int


class Words(str):
    """A kind of `str`."""


def _wsgi(environ, start_response):
    start_response("201 Made By Hand", [("X-Wsgi", environ["REQUEST_METHOD"]), ("X-Wsgi", "two")])
    return [b"wsgi ", b"app"]


def _values(fw):
    response = fw.make_response("from a response")
    response.headers["X-Own"] = "1"
    replaced = fw.make_response(("headers replaced", 202))
    replaced.headers = {"X-Plain": "dict"}
    emptied = fw.make_response("headers emptied")
    emptied.headers.clear()
    patched = fw.make_response("patched")
    patched.get_wsgi_headers = lambda environ: Headers([("X-Patched", environ["PATH_INFO"])])
    numbered = fw.make_response("numbered")
    numbered.status_code = 299
    sub = type("Sub", (fw.Response,), {"default_mimetype": "text/x-sub"})
    return {
        "text": "text é",
        "empty": "",
        "words": Words("words"),
        "markup": markupsafe.Markup("<b>bold</b>"),
        "bytes": b"\x00\xff",
        "bytearray": bytearray(b"array"),
        "dict": {"b": 1, "a": [1, 2.5, None, True, "é"]},
        "empty-dict": {},
        "list": [1, "two", {"three": 3}],
        "empty-list": [],
        "status": ("created", 201),
        "status-text": ("words", "299 Own Words"),
        "status-number-text": ("words", "404"),
        "status-enum": ("enum", HTTPStatus.ACCEPTED),
        "headers-dict": ("headers", {"X-A": "1", "Content-Type": "text/csv"}),
        "headers-list": ("headers", [("X-A", "1"), ("X-B", "2"), ("X-A", "3")]),
        "headers-object": ("headers", Headers([("X-A", "1"), ("X-A", "2")])),
        "headers-of-lists": ("headers", {"X-A": ["1", "2"]}),
        "headers-multi": ("headers", MultiDict([("X-A", "1"), ("X-A", "2")])),
        "three": (b"three", 202, {"X-A": "1"}),
        "three-dict": ({"three": 3}, 202, [("X-A", "1")]),
        "three-none": ("none", None, None),
        "status-none": ("none", None),
        "response": response,
        "headers-replaced": replaced,
        "headers-emptied": emptied,
        "headers-patched": patched,
        "status-numbered": numbered,
        "response-tuple": (fw.make_response("r"), 203, {"X-A": "1"}),
        "response-type": (fw.jsonify(a=1), {"Content-Type": "application/x-own"}),
        "werkzeug": WerkzeugResponse("werkzeug", 206, {"X-W": "1"}),
        "werkzeug-tuple": (WerkzeugResponse("werkzeug"), 207),
        "sub": sub("sub"),
        "wsgi": _wsgi,
        "wsgi-tuple": (_wsgi, 299),
        "response-of-list": fw.Response(["a", b"b", "é"]),
        "response-of-none": fw.Response(None, 204),
        "direct": fw.Response("direct", direct_passthrough=True),
        "charset": fw.Response("x", mimetype="text/html", content_type="text/html; charset=x"),
        "no-type": fw.Response("x", content_type=""),
        "no-content": ("", 204),
        "no-content-body": ("body", 204),
        "not-modified": ("body", 304, {"ETag": '"x"', "Content-Type": "text/plain"}),
        "reset": ("", 205),
        "teapot": ("short", 418),
        "unknown-status": ("?", 799),
        "latin-header": ("x", {"X-Latin": "é"}),
        "int-header": ("x", {"X-Int": 5}),
        "length-header": ("four", {"Content-Length": "4"}),
        "location": ("", 302, {"Location": "/else where/é?q=ü"}),
        "location-absolute": ("", 302, {"Location": "https://door.test/x"}),
        "redirect": fw.redirect("/there?x=1&y=<>"),
        "redirect-308": fw.redirect("there", 308),
        "long": "x" * 200_000,
        "long-bytes": b"y" * 100_000,
        "none": None,
        "number": 5,
        "true": True,
        "set": {1, 2},
        "tuple-0": (),
        "tuple-1": ("one",),
        "tuple-4": ("a", 1, {}, 4),
        "tuple-none": (None, 200),
        "tuple-bad-headers": ("a", 200, 5),
        "tuple-bad-status": ("a", "words only"),
        "object": object(),
        "line-break": ("x", {"X-Break": "a\r\nX-Evil: 1"}),
    }


_NAMES = [
    "text",
    "empty",
    "words",
    "markup",
    "bytes",
    "bytearray",
    "dict",
    "empty-dict",
    "list",
    "empty-list",
    "status",
    "status-text",
    "status-number-text",
    "status-enum",
    "headers-dict",
    "headers-list",
    "headers-object",
    "headers-of-lists",
    "headers-multi",
    "three",
    "three-dict",
    "three-none",
    "status-none",
    "response",
    "headers-replaced",
    "headers-emptied",
    "headers-patched",
    "status-numbered",
    "response-tuple",
    "response-type",
    "werkzeug",
    "werkzeug-tuple",
    "sub",
    "wsgi",
    "wsgi-tuple",
    "response-of-list",
    "response-of-none",
    "direct",
    "charset",
    "no-type",
    "no-content",
    "no-content-body",
    "not-modified",
    "reset",
    "teapot",
    "unknown-status",
    "latin-header",
    "int-header",
    "length-header",
    "location",
    "location-absolute",
    "redirect",
    "redirect-308",
    "long",
    "long-bytes",
    "none",
    "number",
    "true",
    "set",
    "tuple-0",
    "tuple-1",
    "tuple-4",
    "tuple-none",
    "tuple-bad-headers",
    "tuple-bad-status",
    "object",
    "line-break",
]


def _app(fw):
    app = fw.app()

    @app.get("/<name>")
    def view(name):
        return _values(fw)[name]

    return app


@case(*[get(f"/{name}") for name in _NAMES], get("/text"))
def returned(fw):
    return _app(fw)


@case(*[request("HEAD", f"/{name}") for name in _NAMES[:54]], get("/text"))
def returned_to_head(fw):
    return _app(fw)


@case(*[get(f"/{name}") for name in _NAMES], get("/text"))
def returned_and_seen(fw):
    app = _app(fw)

    @app.after_request
    def see(response):
        response.headers["X-Type"] = type(response).__name__
        return response

    return app


_JSON = {
    "text": "é ☃ \u2028 <&>' \" \\ \x00",
    "numbers": [0, -1, 2**70, 1.5, -0.0, 1e300, 1e-7, float("inf")],
    "nested": {"a": {"b": {"c": [[], {}, [{}]]}}},
    "order": {"b": 1, "a": 2, "C": 3},
    "int-keys": {2: "two", 1: "one", 10: "ten"},
    "other-keys": {None: 0},
    "bool-keys": {True: 1, False: 0},
    "float-keys": {1.5: 1},
    "mixed-keys": {"a": 1, 1: 2},
    "date": [datetime.date(2020, 2, 3), datetime.datetime(2020, 2, 3, 4, 5, 6)],
    "aware": datetime.datetime(2020, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
    "decimal": decimal.Decimal("1.10"),
    "uuid": uuid.UUID(int=5),
    "dataclass": Point(1, 2),
    "html": [markupsafe.Markup("<i>")],
    "tuple": (1, (2, 3)),
    "words": Words("w"),
    "set": {1},
    "object": fractions.Fraction(1, 2),
    "bytes": b"b",
    "surrogate": "\ud800",
    "nan": float("nan"),
}


@case(
    *[get(f"/return/{name}") for name in _JSON],
    *[get(f"/jsonify/{name}") for name in _JSON],
    get("/jsonify-kwargs"),
    get("/jsonify-args"),
    get("/jsonify-none"),
    get("/jsonify-both"),
    get("/dumps"),
    get("/unsorted/order"),
    get("/return/order"),
    get("/return/mixed-keys"),
    get("/indented/order"),
    get("/return/nested"),
    get("/mimetype"),
    get("/return/text"),
)
def json_values(fw):
    app = fw.app()

    @app.get("/return/<name>")
    def returned(name):
        value = _JSON[name]
        return value if isinstance(value, dict) else [value]

    @app.get("/jsonify/<name>")
    def jsonified(name):
        return fw.jsonify(_JSON[name])

    @app.get("/jsonify-kwargs")
    def kwargs():
        return fw.jsonify(b=1, a="é")

    @app.get("/jsonify-args")
    def args():
        return fw.jsonify(1, "two", None)

    @app.get("/jsonify-none")
    def none():
        return fw.jsonify()

    @app.get("/jsonify-both")
    def both():
        return fw.jsonify(1, a=2)

    @app.get("/dumps")
    def dumps():
        return fw.json.dumps({"b": 1, "a": Point(1, 2)}), {"Content-Type": "application/json"}

    @app.get("/unsorted/<name>")
    def unsorted(name):
        app.json.sort_keys = False
        app.json.ensure_ascii = False
        return _JSON[name]

    @app.get("/indented/<name>")
    def indented(name):
        app.json.sort_keys = True
        app.json.compact = False
        return _JSON[name]

    @app.get("/mimetype")
    def mimetype():
        app.json.mimetype = "application/vnd.doors+json"
        return {}

    return app


@case(get("/text"), get("/dict"), get("/list"), get("/pretty"))
def json_in_debug(fw):
    app = fw.app()
    app.debug = True
    app.add_url_rule("/text", "text", lambda: "text")
    app.add_url_rule("/dict", "dict", lambda: {"b": [1, {"c": 2}], "a": "é"})
    app.add_url_rule("/list", "list", lambda: [1, 2])
    app.add_url_rule("/pretty", "pretty", lambda: fw.jsonify({"x": []}))
    return app
