"""Bodies that are generated while they are sent."""

from __future__ import annotations

import io

from ..case import case, get, post, request
from ..events import Events


@case(
    get("/generator"),
    get("/bytes"),
    get("/events/3"),
    request("HEAD", "/generator"),
    get("/with-context?name=x"),
    get("/decorated/5?name=y"),
    get("/without-context"),
    get("/generator"),
    get("/response"),
    get("/empty"),
    get("/empty-chunks"),
    get("/tuple"),
    get("/typed"),
    get("/many"),
    get("/large"),
    get("/iterator"),
    get("/events/1"),
    get("/closing"),
    get("/events/3"),
    get("/session"),
    get("/read-session"),
    get("/fails-first"),
    get("/fails-later"),
    get("/generator"),
    get("/call-on-close"),
    get("/events/3"),
    post("/echo", body=b"stream of body" * 1000),
    get("/file-object"),
    get("/mixed"),
    get("/wrong-type"),
    get("/with-length"),
    get("/template"),
)
def streams(fw):
    app = fw.app()
    events = Events()

    @app.teardown_request
    def teardown(error):
        if fw.request.endpoint in {"bytes", "closing", "call_on_close"}:
            events.add(f"teardown {fw.request.endpoint} {error!r}")

    @app.get("/generator")
    def generator():
        def generate():
            yield "one "
            yield "two é"

        return generate()

    @app.get("/bytes")
    def bytes():
        def generate():
            yield b"one "
            events.add("generated one")
            yield b"two"
            events.add("generated two")

        return generate(), {"Content-Type": "application/octet-stream"}

    @app.get("/with-context")
    def with_context():
        def generate():
            yield "name: "
            yield fw.request.args["name"]
            fw.g.seen = 1
            yield f" {fw.g.seen} {fw.current_app.name}"

        return fw.stream_with_context(generate())

    @app.get("/decorated/<int:count>")
    def decorated(count):
        @fw.stream_with_context
        def generate(count):
            for i in range(count):
                yield f"{fw.request.args['name']}{i} "

        return generate(count)

    @app.get("/without-context")
    def without_context():
        def generate():
            yield "before "
            yield str(bool(fw.request))
            yield str(fw.has_app_context())

        return generate()

    @app.get("/response")
    def response():
        def generate():
            yield from ("a", "b", "c")

        response = fw.Response(generate(), 201, mimetype="text/csv")
        response.headers["X-Streamed"] = str(response.is_streamed)
        return response

    @app.get("/empty")
    def empty():
        return iter(())

    @app.get("/empty-chunks")
    def empty_chunks():
        return iter(("", "a", "", "", "b", ""))

    @app.get("/tuple")
    def tuple():
        return iter(("a", "b")), 202, {"X-A": "1"}

    @app.get("/typed")
    def typed():
        return fw.Response(
            (c for c in ("data: 1\n\n", "data: 2\n\n")), mimetype="text/event-stream"
        )

    @app.get("/many")
    def many():
        return (f"{i}\n" for i in range(2000))

    @app.get("/large")
    def large():
        return (b"x" * 70_000 for _ in range(8))

    class Closing:
        def __init__(self, items):
            self.items = iter(items)

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.items)

        def close(self):
            events.add("closed")

    @app.get("/iterator")
    def iterator():
        return fw.Response(Closing(["x", "y"]))

    @app.get("/closing")
    def closing():
        return fw.stream_with_context(Closing(["x", "y"]))

    @app.get("/session")
    def session():
        def generate():
            yield "session "
            fw.session["late"] = 1
            yield str(dict(fw.session))

        fw.session["early"] = 1
        return fw.stream_with_context(generate())

    @app.get("/read-session")
    def read_session():
        return dict(fw.session)

    @app.get("/fails-first")
    def fails_first():
        def generate():
            raise ValueError("first")
            yield ""

        return generate()

    @app.get("/fails-later")
    def fails_later():
        def generate():
            yield "one"
            raise ValueError("later")

        return generate()

    @app.get("/call-on-close")
    def call_on_close():
        response = fw.make_response("closing")
        response.call_on_close(lambda: events.add("first close"))
        response.call_on_close(lambda: events.add("second close"))
        return response

    @app.post("/echo")
    def echo():
        stream = fw.request.stream
        return fw.Response(iter(lambda: stream.read(1000), b""), mimetype="text/plain")

    @app.get("/file-object")
    def file_object():
        return fw.Response(io.BytesIO(b"line 1\nline 2\n"), mimetype="text/plain")

    @app.get("/mixed")
    def mixed():
        return fw.Response(iter(("text é", b" bytes")))

    @app.get("/wrong-type")
    def wrong_type():
        return fw.Response(iter((1, 2)))

    @app.get("/with-length")
    def with_length():
        return iter(("12", "34")), {"Content-Length": "4"}

    @app.get("/template")
    def template():
        return fw.stream_template_string("{% for i in r %}{{ i }},{% endfor %}", r=range(50))

    events.serve(app, fw)
    return app


@case(get("/stream"), get("/events/9"), get("/plain"), get("/events/8"))
def teardown_of_streams(fw):
    app = fw.app()
    events = Events()

    @app.before_request
    def before():
        events.add(f"before {fw.request.path}")

    @app.after_request
    def after(response):
        events.add(f"after {fw.request.path} {response.is_streamed}")
        return response

    @app.teardown_request
    def teardown(error):
        events.add(f"teardown {fw.request.path} {error!r}")

    @app.teardown_appcontext
    def end(error):
        events.add("end")

    @app.get("/stream")
    def stream():
        @fw.stream_with_context
        def generate():
            events.add("start")
            yield "a"
            yield "b"
            events.add("done")

        return generate()

    @app.get("/plain")
    def plain():
        return "plain"

    events.serve(app, fw)
    return app
