"""What a view reads of its request."""

from __future__ import annotations

from ..case import case, get, post, request

_ATTRIBUTES = [
    "method",
    "scheme",
    "host",
    "host_url",
    "base_url",
    "url",
    "url_root",
    "root_url",
    "root_path",
    "script_root",
    "path",
    "full_path",
    "query_string",
    "endpoint",
    "blueprint",
    "blueprints",
    "url_rule",
    "view_args",
    "is_secure",
    "is_json",
    "is_multithread",
    "is_multiprocess",
    "is_run_once",
    "mimetype",
    "mimetype_params",
    "content_type",
    "content_length",
    "content_encoding",
    "content_md5",
    "charset",
    "remote_addr",
    "remote_user",
    "access_route",
    "args",
    "form",
    "values",
    "files",
    "cookies",
    "data",
    "max_content_length",
    "max_form_memory_size",
    "max_form_parts",
    "accept_mimetypes",
    "accept_charsets",
    "accept_encodings",
    "accept_languages",
    "authorization",
    "cache_control",
    "pragma",
    "date",
    "max_forwards",
    "referrer",
    "origin",
    "user_agent",
    "if_match",
    "if_none_match",
    "if_modified_since",
    "if_unmodified_since",
    "if_range",
    "range",
    "access_control_request_headers",
    "access_control_request_method",
    "routing_exception",
    "want_form_data_parsed",
    "is_json",
    "trusted_hosts",
    "user_agent_class",
    "form_data_parser_class",
]


def _show(value):
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return repr(value)
    if isinstance(value, type) or callable(value) or type(value).__name__ == "module":
        return "object"
    if hasattr(value, "to_header"):
        return f"{type(value).__name__} {value.to_header()!r}"
    if hasattr(value, "lists"):
        return f"{type(value).__name__} {list(value.lists())!r}"
    return f"{type(value).__name__} {value!s}"


_HEADERS = (
    ("Accept", "text/html,application/json;q=0.9,*/*;q=0.1"),
    ("Accept-Charset", "utf-8, latin1;q=0.5"),
    ("Accept-Encoding", "gzip, br;q=0.5, identity;q=0"),
    ("Accept-Language", "de-DE, en;q=0.7"),
    ("Authorization", "Basic dXNlcjpwYXNzOndvcmQ="),
    ("Cache-Control", "no-cache, max-age=5"),
    ("Pragma", "no-cache"),
    ("Date", "Sat, 18 Nov 2023 12:00:00 GMT"),
    ("Max-Forwards", "3"),
    ("Referer", "http://before.test/x"),
    ("Origin", "http://origin.test"),
    ("User-Agent", "Doors/1.0"),
    ("If-Match", '"a", "b"'),
    ("If-None-Match", 'W/"c"'),
    ("If-Modified-Since", "Sat, 18 Nov 2023 12:00:00 GMT"),
    ("If-Unmodified-Since", "not a date"),
    ("If-Range", '"e"'),
    ("Range", "bytes=0-4"),
    ("Access-Control-Request-Headers", "X-A, X-B"),
    ("Access-Control-Request-Method", "PUT"),
    ("X-Forwarded-For", "1.2.3.4, 5.6.7.8"),
    ("Content-MD5", "Q2hlY2s="),
)


@case(
    get("/all/1"),
    get("/all/1?a=1&a=2&b=%C3%A9&c&=d&e=%ff&f=+%2B", *_HEADERS),
    post("/all/2", form=[("a", "1"), ("a", "2"), ("é", "☃ &")]),
    post("/all/3?a=0", json={"a": [1]}),
    post(
        "/all/4",
        files=[("a", None, None, b"1"), ("f", "n.txt", "text/plain", b"content")],
    ),
    post("/all/5", ("Content-Type", "text/plain; charset=latin1; x=y"), body=b"raw"),
    get("/missing-view"),
    get("/all/%C3%A9%20x?q=%C3%A9"),
    get("/all/1?" + "&".join(f"k{i}={i}" for i in range(50))),
    get("/all/1?a=b;c=d&amp;e=f"),
    get("/all/1??x=?&/=/"),
    get("/part/all", host="door.test:8080"),
    get("/all/1", host="door.test:443"),
    get("/all/1", ("Authorization", "Bearer token==")),
    get("/all/1", ("Authorization", "Digest realm=r, nonce=n, username=u, uri=/")),
    get("/all/1", ("Authorization", "Basic not-base64")),
    get("/all/1", ("Authorization", "nonsense")),
    get("/all/1", ("If-Modified-Since", "x"), ("Range", "bytes=x"), ("If-Range", "x")),
    get("/all/1", ("Content-Type", "application/json")),
    request("PUT", "/all/6", body=b"", headers=[("Content-Type", "text/plain")]),
    request("DELETE", "/all/7", body=b"with a body"),
)
def attributes(fw):
    app = fw.app()
    part = fw.Blueprint("part", "doors_app", url_prefix="/part")

    def show():
        shown = {}

        for name in _ATTRIBUTES:
            try:
                shown[name] = _show(getattr(fw.request, name))
            except Exception as e:  # noqa: BLE001 it is what is shown
                shown[name] = f"{type(e).__name__}: {e}"

        # Each server says how it runs.
        for name in ("is_multithread", "is_multiprocess"):
            shown[name] = "True" in shown[name] or "False" in shown[name]

        authorization = fw.request.authorization

        if authorization is not None:
            shown["authorization parts"] = repr(
                (authorization.type, authorization.parameters, authorization.token)
            )

        return shown

    @app.route("/all/<value>", methods=["GET", "POST", "PUT", "DELETE"])
    def everything(value):
        return show()

    @part.get("/all")
    def part_everything():
        return show()

    @app.errorhandler(404)
    def missing(error):
        return show(), 404

    app.register_blueprint(part)
    return app


@case(
    get("/environ/a%20b?x=%20y", ("X-One", "1"), ("X-One", "2"), ("x-two", "é")),
    post("/environ/x", ("Content-Type", "text/x"), ("Cookie", "a=1"), body=b"body"),
    post("/environ/x", body=b"chunked body", chunked=True),
    get("/environ/%C3%A9"),
    get("/changes"),
    get("/same"),
    get("/read"),
    get("/kinds"),
)
def environ(fw):
    app = fw.app()
    # Those that every server must give alike; SERVER_NAME and others are the server's own.
    names = [
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "CONTENT_TYPE",
        "CONTENT_LENGTH",
        "HTTP_HOST",
        "HTTP_X_ONE",
        "HTTP_X_TWO",
        "HTTP_COOKIE",
        "HTTP_CONTENT_TYPE",
        "HTTP_CONTENT_LENGTH",
        "HTTP_TRANSFER_ENCODING",
        "REMOTE_ADDR",
        "wsgi.version",
        "wsgi.url_scheme",
        "wsgi.run_once",
    ]

    @app.route("/environ/<path:x>", methods=["GET", "POST"])
    def show(x):
        environ = fw.request.environ
        return {
            **{name: repr(environ.get(name, "absent")) for name in names},
            "input": repr(environ["wsgi.input"].read()),
        }

    @app.get("/changes")
    def changes():
        fw.request.environ["doors.own"] = 1
        fw.request.environ["HTTP_X_LATE"] = "late"
        return {
            "own": fw.request.environ["doors.own"],
            "late": fw.request.headers.get("X-Late"),
            "request": fw.request.environ["werkzeug.request"] is not None,
        }

    @app.get("/same")
    def same():
        return {
            "environ": fw.request.environ is fw.request.environ,
            "headers": fw.request.headers is fw.request.headers,
            "args": fw.request.args is fw.request.args,
            "object": fw.request._get_current_object() is fw.request._get_current_object(),
        }

    @app.get("/read")
    def read():
        return [fw.request.data.decode(), fw.request.stream.read().decode()]

    @app.get("/kinds")
    def kinds():
        request = fw.request
        return {
            name: type(getattr(request, name)).__name__
            for name in (
                "args",
                "form",
                "files",
                "values",
                "cookies",
                "headers",
                "accept_mimetypes",
            )
        }

    return app


@case(
    get("/agent", ("User-Agent", "Mozilla/5.0 (X11) é")),
    get("/own", ("User-Agent", "x")),
    get("/set"),
    get("/shallow"),
    get("/repr?x=1"),
    get("/best", ("Accept", "application/json, text/html;q=0.5")),
    get("/best", ("Accept", "image/png")),
    get("/best"),
    get("/language", ("Accept-Language", "fr, de;q=0.8, en;q=0.9")),
)
def derived(fw):
    app = fw.app()

    @app.get("/agent")
    def agent():
        return [fw.request.user_agent.string, str(fw.request.user_agent)]

    @app.get("/own")
    def own():
        fw.request.own = "own"
        return [fw.request.own, hasattr(fw.request, "missing")]

    @app.get("/set")
    def change():
        fw.request.max_content_length = 10
        return [fw.request.max_content_length]

    @app.get("/shallow")
    def shallow():
        fw.request.shallow = True

        try:
            return [len(fw.request.data)]
        except RuntimeError as e:
            return [type(e).__name__]

    @app.get("/repr")
    def representation():
        return [repr(fw.request), repr(fw.request.view_args)]

    @app.get("/best")
    def best():
        return [fw.request.accept_mimetypes.best_match(["text/html", "application/json"])]

    @app.get("/language")
    def language():
        return [fw.request.accept_languages.best_match(["en", "de"])]

    return app
