"""Contexts: what is in them, and that nothing of one request is left for the next."""

from __future__ import annotations

import threading

from ..case import case, get, post
from ..events import Events


@case(
    get("/leak"),
    get("/leak"),
    get("/attributes"),
    get("/proxies"),
    get("/nested"),
    get("/pushed"),
    get("/thread"),
    get("/copied"),
    get("/client"),
    get("/other-app"),
    get("/after"),
    get("/after"),
    get("/leak"),
    get("/fails"),
    get("/leak"),
    get("/own-request-context"),
    get("/objects"),
)
def contexts(fw):
    app = fw.app()
    globals = fw.module("globals")
    other = fw.app()
    other.add_url_rule("/", "index", lambda: f"other {fw.current_app.debug}")

    @app.get("/leak")
    def leak():
        seen = list(fw.g)
        fw.g.leaked = 1
        fw.request.leaked = 1
        return seen

    @app.get("/attributes")
    def attributes():
        fw.g.a = 1
        fw.g.setdefault("b", 2)
        return [
            "a" in fw.g,
            fw.g.get("c", "none"),
            fw.g.pop("a"),
            fw.g.pop("a", "gone"),
            sorted(fw.g),
            repr(fw.g),
            hasattr(fw.g, "missing"),
        ]

    @app.get("/proxies")
    def proxies():
        return [
            fw.current_app._get_current_object() is app,
            fw.current_app == app,
            globals.request_ctx.request is fw.request._get_current_object(),
            globals.app_ctx.g is fw.g._get_current_object(),
            repr(globals.request_ctx),
            str(fw.request),
            bool(fw.request),
            globals.app_ctx.app.name,
        ]

    @app.get("/nested")
    def nested():
        fw.g.x = "outer"

        with app.test_request_context("/leak?inner=1", method="POST"):
            inner = [fw.request.method, fw.request.args["inner"], fw.g.get("x"), fw.request.path]

        return [*inner, fw.request.path, fw.g.x]

    @app.get("/pushed")
    def pushed():
        fw.g.x = "outer"

        with app.app_context():
            inner = [fw.g.get("x"), fw.request.path]

        return [*inner, fw.g.x]

    @app.get("/thread")
    def thread():
        seen = []

        def work():
            seen.append([fw.has_request_context(), fw.has_app_context()])

        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
        return seen

    @app.get("/copied")
    def copied():
        seen = []
        fw.session["x"] = 1

        @fw.copy_current_request_context
        def work():
            seen.append([fw.request.path, fw.session["x"], fw.current_app.name])

        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
        return seen

    @app.get("/client")
    def client():
        fw.g.x = "outer"
        response = app.test_client().get("/leak")
        return [response.json, fw.g.x, fw.request.path]

    @app.get("/other-app")
    def other_app():
        text = other.test_client().get("/").text

        with other.app_context():
            inner = fw.current_app._get_current_object() is other

        return [text, inner, fw.current_app._get_current_object() is app]

    @app.get("/after")
    def after():
        @fw.after_this_request
        def note(response):
            response.headers["X-G"] = ",".join(fw.g)
            return response

        fw.g.after = 1
        return "after"

    @app.get("/fails")
    def fails():
        fw.g.failed = 1
        raise ValueError("secret")

    @app.get("/own-request-context")
    def own_request_context():
        with app.request_context(fw.request.environ):
            return [fw.request.path, list(fw.g)]

    @app.get("/objects")
    def objects():
        context = globals.request_ctx._get_current_object()
        return [
            type(context).__name__,
            context.session is fw.session._get_current_object(),
            context.url_adapter is not None,
            context.app is app,
            context.flashes,
            context.request is fw.request._get_current_object(),
        ]

    return app


@case(get("/stack"), get("/events/4"), get("/fails"), get("/events/5"), post("/stack"))
def teardown_contexts(fw):
    app = fw.app()
    events = Events()

    @app.teardown_appcontext
    def end(error):
        events.add(f"end {error!r} {fw.has_request_context()} {sorted(fw.g)}")

    @app.teardown_request
    def teardown(error):
        events.add(f"teardown {error!r} {fw.request.path} {sorted(fw.g)}")

    @app.get("/stack")
    def stack():
        fw.g.outer = 1

        with app.app_context():
            fw.g.inner = 1

        with app.test_request_context("/inner"):
            fw.g.request = 1

        return "stack"

    @app.get("/fails")
    def fails():
        try:
            with app.app_context():
                raise KeyError("inner")
        except KeyError:
            pass

        raise ValueError("outer")

    events.serve(app, fw)
    return app
