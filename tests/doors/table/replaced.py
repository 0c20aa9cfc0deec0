"""What is replaced between two requests: views, classes, the WSGI application."""

from __future__ import annotations

from ..case import case, get, post, request


@case(
    get("/view"),
    get("/swap"),
    get("/view"),
    get("/swap-async"),
    get("/view"),
    get("/swap-lambda"),
    get("/view"),
    get("/remove"),
    get("/view"),
    get("/swap"),
    get("/view"),
    request("OPTIONS", "/view"),
)
def view_functions(fw):
    app = fw.app()

    @app.get("/view")
    def view():
        return "first"

    def second():
        return "second", 201

    async def third():
        return "third"

    @app.get("/swap")
    def swap():
        app.view_functions["view"] = second
        return "swapped"

    @app.get("/swap-async")
    def swap_async():
        app.view_functions["view"] = third
        return "swapped"

    @app.get("/swap-lambda")
    def swap_lambda():
        # Another dict altogether.
        app.view_functions = {**app.view_functions, "view": lambda: {"fourth": 4}}
        return "swapped"

    @app.get("/remove")
    def remove():
        del app.view_functions["view"]
        return "removed"

    return app


@case(
    get("/view"),
    get("/wrap"),
    get("/view"),
    get("/fails"),
    get("/missing"),
    post("/view", body=b"x"),
    get("/wrap"),
    get("/view"),
    get("/replace"),
    get("/view"),
)
def wsgi_app_wrapped(fw):
    app = fw.app()

    class Middleware:
        def __init__(self, inner):
            self.inner = inner

        def __call__(self, environ, start_response):
            environ["doors.count"] = environ.get("doors.count", 0) + 1

            def start(status, headers, exc_info=None):
                headers.append(("X-Middleware", str(environ["doors.count"])))
                return start_response(status, headers, exc_info)

            return self.inner(environ, start)

    @app.get("/view")
    def view():
        return f"{fw.request.environ.get('doors.count')}"

    @app.get("/fails")
    def fails():
        raise ValueError("secret")

    @app.get("/wrap")
    def wrap():
        app.wsgi_app = Middleware(app.wsgi_app)
        return "wrapped"

    @app.get("/replace")
    def replace():
        def answer(environ, start_response):
            write = start_response("200 OK", [("Content-Type", "text/plain"), ("X-Own", "1")])
            write(b"written ")
            return [b"and ", b"returned"]

        app.wsgi_app = answer
        return "replaced"

    return app


@case(
    get("/view"),
    get("/patch"),
    get("/view"),
    get("/fails"),
    get("/unpatch"),
    get("/view"),
    get("/fails"),
    get("/change-class"),
    get("/view"),
)
def class_patched(fw):
    class App(fw.Flask):
        pass

    class Other(App):
        def finalize_request(self, value, from_error_handler=False):
            response = super().finalize_request(value, from_error_handler)
            response.headers["X-Class"] = "other"
            return response

    app = fw.app(App)

    @app.get("/view")
    def view():
        return "view"

    @app.get("/fails")
    def fails():
        raise ValueError("secret")

    @app.get("/patch")
    def patch():
        def dispatch_request(self):
            return f"patched {super(App, self).dispatch_request()}"

        App.dispatch_request = dispatch_request
        App.handle_exception = lambda self, error: fw.Response("patched error", 500)
        return "patched"

    @app.get("/unpatch")
    def unpatch():
        del App.dispatch_request, App.handle_exception
        return "unpatched"

    @app.get("/change-class")
    def change_class():
        app.__class__ = Other
        return "changed"

    return app


@case(
    get("/view"),
    get("/debug"),
    get("/view"),
    get("/missing-key"),
    get("/testing"),
    get("/missing-key"),
    get("/config"),
    get("/view"),
)
def config_changed(fw):
    app = fw.app()

    @app.get("/view")
    def view():
        return {"debug": app.debug, "testing": app.testing}

    @app.get("/debug")
    def debug():
        app.debug = True
        return "debug"

    @app.get("/testing")
    def testing():
        app.debug = False
        app.testing = True
        return "testing"

    @app.get("/missing-key")
    def missing_key():
        return fw.request.args["missing"]

    @app.get("/config")
    def config():
        app.config = fw.Config(".", {**app.config, "TESTING": False})
        return "config"

    return app


@case(get("/view"), get("/later"), get("/view"), get("/blueprint"), get("/error"), get("/hook"))
def setup_after_first_request(fw):
    app = fw.app()

    @app.get("/view")
    def view():
        return f"{app._got_first_request}"

    def attempt(function):
        try:
            function()
        except AssertionError as e:
            return str(e).splitlines()[0]

        return "allowed"

    app.add_url_rule(
        "/later", "later", lambda: attempt(lambda: app.add_url_rule("/x", "x", lambda: ""))
    )
    app.add_url_rule(
        "/blueprint",
        "blueprint",
        lambda: attempt(lambda: app.register_blueprint(fw.Blueprint("b", "doors_app"))),
    )
    app.add_url_rule(
        "/error", "error", lambda: attempt(lambda: app.register_error_handler(404, str))
    )
    app.add_url_rule("/hook", "hook", lambda: attempt(lambda: app.before_request(str)))
    return app


@case(get("/view"), get("/first"), get("/view"), get("/view"))
def once_before_first(fw):
    app = fw.app()
    done = []

    @app.before_request
    def first():
        # How an app does something once: it removes its own hook.
        app.before_request_funcs[None].remove(first)
        done.append(fw.request.path)

    @app.get("/view")
    @app.get("/first")
    def view():
        return done

    return app
