"""Request bodies: forms, files, JSON; good ones, bad ones, too large ones."""

from __future__ import annotations

from ..case import BOUNDARY, case, get, multipart, post, request

_MULTIPART = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
_FORM = ("Content-Type", "application/x-www-form-urlencoded")
_JSON = ("Content-Type", "application/json")


@case(
    post("/form", form=[]),
    post("/form", form=[("a", "1"), ("b", ""), ("a", "2")]),
    post("/form", _FORM, body=b"a=%C3%A9&b=%ff&c=+x+&d=1=2&&=e&f"),
    post("/form", _FORM, body=b"a=1", chunked=True),
    post(
        "/form", ("Content-Type", "Application/X-WWW-Form-URLEncoded; charset=utf-8"), body=b"a=1"
    ),
    post("/form", ("Content-Type", "text/plain"), body=b"a=1"),
    post("/form", body=b"a=1"),
    request("PUT", "/form", body=b"a=1", headers=[_FORM]),
    request("DELETE", "/form", body=b"a=1", headers=[_FORM]),
    get("/form", _FORM),
    post("/key", form=[("other", "1")]),
    post("/after-data", form=[("a", "1")]),
    post("/data-after-form", form=[("a", "1")]),
    post("/stream", form=[("a", "1")]),
    post("/unread", body=b"x" * 100_000),
    get("/key-in-args"),
    post("/too-large", body=b"x" * 2000),
    post("/form", form=[("a", "1")]),
)
def forms(fw):
    app = fw.app()

    @app.route("/form", methods=["GET", "POST", "PUT", "DELETE"])
    def form():
        return [list(fw.request.form.lists()), fw.request.data.decode("latin-1")]

    @app.post("/key")
    def key():
        return fw.request.form["missing"]

    @app.get("/key-in-args")
    def key_in_args():
        return fw.request.args["missing"]

    @app.post("/after-data")
    def after_data():
        return [fw.request.get_data(as_text=True), list(fw.request.form.lists())]

    @app.post("/data-after-form")
    def data_after_form():
        return [list(fw.request.form.lists()), fw.request.get_data(as_text=True)]

    @app.post("/stream")
    def stream():
        return [fw.request.stream.read(2).decode(), fw.request.stream.read().decode()]

    @app.post("/unread")
    def unread():
        return "unread"

    @app.post("/too-large")
    def too_large():
        fw.request.max_content_length = 1000
        return str(len(fw.request.data))

    return app


@case(
    post("/files", files=[]),
    post(
        "/files",
        files=[
            ("a", None, None, b"1"),
            ("a", None, None, "é".encode()),
            ("f", "one.txt", "text/plain", b"one\r\n--two\r\n"),
            ("f", "tw\u00f6.bin", "application/octet-stream", bytes(range(256))),
            ("e", "", None, b""),
            ("n", "no-type", None, b"x"),
        ],
    ),
    post("/files", files=[("f", "large.bin", "application/x", b"\r\n--frontie" * 60_000)]),
    post("/files", files=[("f", "chunked.txt", "text/plain", b"x" * 5000)], chunked=True),
    post("/files", _MULTIPART, body=b"no parts at all"),
    post("/files", _MULTIPART, body=multipart([("a", None, None, b"1")])[:-12]),
    post("/files", ("Content-Type", "multipart/form-data"), body=multipart([])),
    post("/files", ("Content-Type", "multipart/form-data; boundary="), body=b"x"),
    post("/files", _MULTIPART, body=b"--frontier\r\nNonsense\r\n\r\nx\r\n--frontier--\r\n"),
    post(
        "/files",
        _MULTIPART,
        body=b"preamble\r\n--frontier\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n"
        b"--frontier--\r\nepilogue",
    ),
    post(
        "/files",
        _MULTIPART,
        body=b"--frontier\nContent-Disposition: form-data; name=a\n\n1\n--frontier--\n",
    ),
    post(
        "/files",
        _MULTIPART,
        body=b'--frontier\r\nContent-Disposition: form-data; name="f"; '
        b"filename*=UTF-8''n%C3%A4me.txt\r\nX-Part: own\r\n\r\nx\r\n--frontier--\r\n",
    ),
    post("/parts", files=[(f"f{i}", None, None, b"x") for i in range(20)]),
    post("/memory", files=[("a", None, None, b"x" * 5000)]),
    post("/save", files=[("f", "../../name.txt", "text/plain", b"saved")]),
    post("/missing-file", files=[("a", None, None, b"1")]),
    post("/missing-file", form=[("a", "1")]),
    post("/values?a=0", files=[("a", None, None, b"1")]),
)
def multipart_forms(fw):
    app = fw.app()

    def show():
        files = [
            [
                name,
                file.filename,
                file.content_type,
                file.mimetype,
                [[k, v] for k, v in file.headers],
                hash_of(file.read()),
            ]
            for name, file in fw.request.files.items(multi=True)
        ]
        return {"form": list(fw.request.form.lists()), "files": files}

    def hash_of(content):
        import hashlib

        return [len(content), hashlib.sha256(content).hexdigest()[:16]]

    app.add_url_rule("/files", "files", show, methods=["POST"])

    @app.post("/parts")
    def parts():
        fw.request.max_form_parts = 10
        return show()

    @app.post("/memory")
    def memory():
        fw.request.max_form_memory_size = 1000
        return show()

    @app.post("/save")
    def save():
        from werkzeug.utils import secure_filename

        file = fw.request.files["f"]
        return [file.filename, secure_filename(file.filename), file.stream.read().decode()]

    @app.post("/missing-file")
    def missing():
        return fw.request.files["f"].filename

    @app.post("/values")
    def values():
        return list(fw.request.values.lists())

    return app


def _json_requests():
    yield post("/json", json={"a": [1, "é", None]})
    yield post("/json", _JSON, body=b' [1,\n2.5e3, "\\u00e9\\ud83d\\ude00"] ')
    yield post("/json", _JSON, body=b'"text"')
    yield post("/json", _JSON, body=b"null")
    yield post("/json", _JSON, body='{"é": "ü"}'.encode())
    yield post("/json", _JSON, body='{"a": 1}'.encode("utf-16"))
    yield post("/json", _JSON, body=b"\xef\xbb\xbf[1]")
    yield post("/json", _JSON, body=b'{"a": 1, "a": 2, "n": NaN, "i": -Infinity}')
    yield post("/json", _JSON, body=b"[123456789012345678901234567890, 1.0, -0]")
    yield post("/json", ("Content-Type", "application/vnd.api+json; charset=utf-8"), body=b"{}")
    yield post("/json", ("Content-Type", "text/json"), body=b"{}")
    yield post("/json", body=b"{}")
    yield post("/json", _JSON)
    yield post("/json", json=[1], chunked=True)
    for body in (b"{", b"{'a': 1}", b"[1,]", b'{"a":}', b"nul", b"\xff\xfe\xfd", b"[1] x", b'"\n"'):
        yield post("/json", _JSON, body=body)
        yield post("/silent", _JSON, body=body)
    yield post("/silent", body=b"{}")
    yield post("/force", body=b'{"forced": true}')
    yield post("/force", body=b"{")
    yield post("/twice", json={"a": 1})
    yield post("/on-failure", _JSON, body=b"{")
    yield post("/on-failure", body=b"{}")
    yield get("/json")
    yield get("/json", _JSON)


def _json_app(fw, **config):
    app = fw.app()
    app.config.update(config)

    @app.route("/json", methods=["GET", "POST"])
    def read():
        return {"read": repr(fw.request.json)}

    @app.post("/silent")
    def silent():
        return {"read": repr(fw.request.get_json(silent=True))}

    @app.post("/force")
    def force():
        return {"read": repr(fw.request.get_json(force=True))}

    @app.post("/twice")
    def twice():
        return {"same": fw.request.json is fw.request.get_json(), "data": fw.request.data.decode()}

    @app.post("/on-failure")
    def on_failure():
        fw.request.on_json_loading_failure = lambda error: {"failed": type(error).__name__}
        return {"read": repr(fw.request.json)}

    return app


@case(*_json_requests())
def json_bodies(fw):
    return _json_app(fw)


# Debug mode shows the parser's message; that on the trailing comma is another since Python 3.13.
@case(*[r for r in _json_requests() if r.target == "/json" and r.body != b"[1,]"][:23])
def json_bodies_in_debug(fw):
    return _json_app(fw, DEBUG=True)


@case(
    post("/data", body=b"x" * 100),
    post("/data", body=b"x" * 101),
    post("/data", body=b"x" * 101, chunked=True),
    post("/form", form=[("a", "x" * 200)]),
    post("/files", files=[("f", "f.txt", None, b"x" * 200)]),
    post("/unread", body=b"x" * 1000),
    post("/json", json=["x" * 200]),
    post("/handled", body=b"x" * 200),
    get("/unread"),
)
def limited_bodies(fw):
    app = fw.app()
    app.config["MAX_CONTENT_LENGTH"] = 100

    @app.post("/data")
    def data():
        return str(len(fw.request.data))

    @app.post("/form")
    def form():
        return dict(fw.request.form)

    @app.post("/files")
    def files():
        return list(fw.request.files)

    @app.route("/unread", methods=["GET", "POST"])
    def unread():
        return "unread"

    @app.post("/json")
    def json():
        return fw.request.json

    @app.post("/handled")
    def handled():
        from werkzeug.exceptions import RequestEntityTooLarge

        try:
            return str(len(fw.request.get_data()))
        except RequestEntityTooLarge as e:
            return f"caught {e.code}", 400

    return app


@case(
    post("/data", body=b"x" * 700),
    post("/parts", files=[(f"f{i}", None, None, b"x") for i in range(5)]),
    post("/form", form=[("a", "x" * 700)]),
    post("/parts", files=[("a", None, None, b"x" * 700)]),
    post("/parts", files=[("a", "a.txt", None, b"x" * 400)]),
)
def limited_forms(fw):
    app = fw.app()
    app.config.update(MAX_FORM_MEMORY_SIZE=500, MAX_FORM_PARTS=3)
    app.add_url_rule("/data", "data", lambda: str(len(fw.request.data)), methods=["POST"])
    app.add_url_rule("/parts", "parts", lambda: str(len(fw.request.form)), methods=["POST"])
    app.add_url_rule("/form", "form", lambda: str(len(fw.request.form)), methods=["POST"])
    return app
