"""Apps that override each of the steps, in a class of their own or on the instance."""

from __future__ import annotations

import types

from ..case import case, get, post, request

_REQUESTS = (
    get("/view"),
    get("/dict"),
    get("/fails"),
    get("/missing"),
    request("OPTIONS", "/view"),
    request("HEAD", "/view"),
    post("/view"),
    get("/coroutine"),
    get("/session"),
    get("/view"),
)


def _views(fw, app):
    @app.get("/view")
    def view():
        return "view"

    @app.get("/dict")
    def dictionary():
        return {"a": 1}

    @app.get("/fails")
    def fails():
        raise ValueError("secret")

    @app.get("/coroutine")
    async def coroutine():
        return "coroutine"

    @app.get("/session")
    def session():
        fw.session["x"] = 1
        return "session"

    return app


def _steps(fw):
    """How to override each of the steps: it does what it did, and something that shows."""

    def answer(original):
        # A response that says which step saw it.
        def step(self, *args, **kwargs):
            response = original(self, *args, **kwargs)
            response.headers.add("X-Step", original.__name__)
            return response

        return step

    def dispatch_request(self):
        if fw.request.path == "/view":
            return "dispatched", 203

        return fw.Flask.dispatch_request(self)

    def preprocess_request(self):
        fw.g.preprocessed = True
        value = fw.Flask.preprocess_request(self)
        return "preprocessed" if fw.request.path == "/dict" else value

    def handle_user_exception(self, error):
        if isinstance(error, ValueError):
            return f"user exception {type(error).__name__}", 400

        return fw.Flask.handle_user_exception(self, error)

    def handle_http_exception(self, error):
        return f"http exception {error.code}", 418

    def handle_exception(self, error):
        return fw.Response(f"exception {type(error).__name__}", 500)

    def make_response(self, value):
        response = fw.Flask.make_response(self, value)
        response.headers["X-Made-Of"] = type(value).__name__
        return response

    def ensure_sync(self, function):
        wrapped = fw.Flask.ensure_sync(self, function)
        name = getattr(function, "__name__", "")

        if name in {"view", "coroutine"}:
            return lambda *args, **kwargs: f"ensured {wrapped(*args, **kwargs)}"

        return wrapped

    def create_url_adapter(self, request):
        adapter = fw.Flask.create_url_adapter(self, request)

        if request is not None and request.path == "/missing":
            adapter.path_info = "/view"

        return adapter

    def raise_routing_exception(self, request):
        raise LookupError("routing")

    def do_teardown_request(self, *args):
        fw.Flask.do_teardown_request(self, *args)

    def should_ignore_error(self, error):
        return True

    def log_exception(self, exc_info):
        fw.g.logged = exc_info[0].__name__

    def full_dispatch_request(self):
        response = fw.Flask.full_dispatch_request(self)
        response.headers["X-Full"] = str(fw.request.endpoint)
        return response

    def make_default_options_response(self):
        return fw.Response("options", headers={"Allow": "OWN"})

    def wsgi_app(self, environ, start_response):
        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, ("X-Wsgi", "own")], exc_info)

        return fw.Flask.wsgi_app(self, environ, start)

    def request_context(self, environ):
        environ["doors.seen"] = True
        return fw.Flask.request_context(self, environ)

    return {
        **{
            name: answer(getattr(fw.Flask, name))
            for name in ("process_response", "finalize_request")
        },
        **{
            function.__name__: function
            for function in (
                dispatch_request,
                preprocess_request,
                handle_user_exception,
                handle_http_exception,
                handle_exception,
                make_response,
                ensure_sync,
                create_url_adapter,
                raise_routing_exception,
                do_teardown_request,
                should_ignore_error,
                log_exception,
                full_dispatch_request,
                make_default_options_response,
                wsgi_app,
                request_context,
            )
        },
    }


_NAMES = [
    "process_response",
    "finalize_request",
    "dispatch_request",
    "preprocess_request",
    "handle_user_exception",
    "handle_http_exception",
    "handle_exception",
    "make_response",
    "ensure_sync",
    "create_url_adapter",
    "raise_routing_exception",
    "do_teardown_request",
    "should_ignore_error",
    "log_exception",
    "full_dispatch_request",
    "make_default_options_response",
    "wsgi_app",
    "request_context",
]


def _add(name):
    def in_class(fw):
        app_class = type("App", (fw.Flask,), {name: _steps(fw)[name]})
        return _views(fw, fw.app(app_class))

    def on_instance(fw):
        app = _views(fw, fw.app())

        @app.get("/replace")
        def replace():
            setattr(app, name, types.MethodType(_steps(fw)[name], app))
            return "replaced"

        @app.get("/restore")
        def restore():
            delattr(app, name)
            return "restored"

        return app

    in_class.__name__ = f"class_with_own_{name}"
    on_instance.__name__ = f"instance_with_own_{name}"
    case(*_REQUESTS)(in_class)
    case(
        get("/view"),
        get("/replace"),
        *_REQUESTS[:6],
        get("/coroutine"),
        get("/restore"),
        get("/view"),
        get("/fails"),
    )(on_instance)


for _name in _NAMES:
    _add(_name)
