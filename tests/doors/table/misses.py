"""Requests that no rule matches, Werkzeug's exceptions as they are, and whoever sees either."""

from __future__ import annotations

from werkzeug import exceptions
from werkzeug.datastructures import WWWAuthenticate

from ..case import case, get, post, request

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW")
CODES = sorted(exceptions.default_exceptions)
#: Exceptions that were given something, or whose class is unusual.
GIVEN = {
    "described": lambda: exceptions.NotFound("<no> such\nthing & 'more'"),
    "empty": lambda: exceptions.NotFound(""),
    "methods": lambda: exceptions.MethodNotAllowed(["PUT", "BREW"]),
    "no-methods": lambda: exceptions.MethodNotAllowed([]),
    "tuple": lambda: exceptions.MethodNotAllowed(("PUT",)),
    "authenticate": lambda: exceptions.Unauthorized(
        www_authenticate=WWWAuthenticate("basic", {"realm": "doors"})
    ),
    "range": lambda: exceptions.RequestedRangeNotSatisfiable(10, "lines"),
    "retry": lambda: exceptions.ServiceUnavailable(retry_after=30),
    "key": lambda: exceptions.BadRequestKeyError("name"),
    "base": lambda: exceptions.HTTPException("no code"),
    "gone": lambda: Moved(),
    "own-page": lambda: OwnPage(),
    "own-code": lambda: _changed(exceptions.NotFound(), code=406),
    "own-header": lambda: _changed(
        exceptions.NotFound(), get_headers=lambda environ, scope: [("Content-Type", "text/plain")]
    ),
    "not-modified": lambda: NotModified(),
}


class Moved(exceptions.Gone):
    """An application's class that changes the text alone."""

    description = "It has moved."


class OwnPage(exceptions.HTTPException):
    """An application's class that looks at the request."""

    code = 402

    def get_body(self, environ=None, scope=None):
        """Tell the path."""
        return f"pay for {environ['PATH_INFO']}"


class NotModified(exceptions.HTTPException):
    """A status that has no body."""

    code = 304


def _changed(error, **attributes):
    vars(error).update(attributes)
    return error


def add_views(app, fw):
    @app.route("/abort/<int:code>", methods=[*METHODS, "ABORT"])
    def abort(code):
        fw.abort(code)

    @app.route("/given/<name>", methods=METHODS)
    def given(name):
        raise GIVEN[name]()

    @app.route("/slash/", methods=["GET", "POST"])
    def slash():
        return "slash"

    @app.put("/put")
    def put():
        return "put"

    @app.get("/fails")
    def fails():
        raise ValueError("nobody handles it")

    return app


REQUESTS = (
    get("/missing"),
    get("/put"),
    get("/slash?a=1&b=%20"),
    get("/abort/404"),
    get("/abort/405"),
    get("/given/described"),
    get("/given/own-page"),
    get("/fails"),
    request("HEAD", "/missing"),
    request("HEAD", "/given/gone"),
)


@case(
    *(request(method, "/missing") for method in METHODS),
    *(request(method, "/put") for method in METHODS),
    *(request(method, "/slash") for method in METHODS),
    *(request(method, f"/abort/{code}") for code in CODES for method in ("GET", "HEAD", "POST")),
    *(request(method, "/abort/410") for method in METHODS),
    *(request(method, f"/given/{name}") for name in GIVEN for method in ("GET", "HEAD")),
)
def stock_exceptions(fw):
    return add_views(fw.app(), fw)


@case(
    get("/missing", host="UPPER.test"),
    get("/put", host="door.test:80"),
    get("/slash", host="door.test:80"),
    get("/slash", host="door.test:8080"),
    get("/slash", host="Door.Test"),
    get("/slash", host="127.0.0.1:7"),
    get("/slash?"),
    get("/slash?x=%C3%A4&y=a+b"),
    get("//slash"),
    get("/sl%61sh"),
    get("/given//key"),
    get("/caf%C3%A9"),
    get("/caf%E9"),
    get("/caf%C3%A9/x/"),
)
def hosts_and_targets_of_misses(fw):
    app = add_views(fw.app(), fw)
    app.add_url_rule("/café/", "café", lambda: "café")
    return app


@case(get("/slash"), get("/missing"), get("/put"), get("/slash", host="other.test"))
def misses_with_a_server_name(fw):
    app = add_views(fw.app(), fw)
    app.config["SERVER_NAME"] = "named.test:81"
    return app


@case(*REQUESTS)
def misses_with_hooks(fw):
    app = add_views(fw.app(), fw)

    @app.url_value_preprocessor
    def preprocess(endpoint, args):
        fw.g.seen = f"{endpoint} {args}"

    @app.before_request
    def before():
        error = fw.request.routing_exception
        fw.g.seen += f" {type(error).__name__} {fw.request.url_rule}"

    @app.after_request
    def after(response):
        response.headers["X-Seen"] = fw.g.seen
        response.headers["X-Response"] = (
            f"{type(response) is app.response_class} {response.is_sequence}"
            f" {response.content_length} {len(response.get_data())} {response.status}"
        )
        return response

    return app


@case(*REQUESTS)
def misses_with_hooks_that_do_not_look(fw):
    app = add_views(fw.app(), fw)
    app.before_request(lambda: None)

    @app.after_request
    def after(response):
        response.headers.add("X-After", "1")
        return response

    return app


@case(get("/missing"), get("/put"), get("/slash"), get("/abort/404"))
def answered_before_the_miss(fw):
    app = add_views(fw.app(), fw)
    app.before_request(lambda: ("before", 201, {"X-Before": "1"}))
    return app


@case(get("/missing"), get("/put"), get("/missing?raise"), get("/slash"))
def routed_anew(fw):
    app = add_views(fw.app(), fw)

    @app.before_request
    def before():
        if "raise" in fw.request.args:
            fw.request.routing_exception = exceptions.Conflict()
        elif fw.request.routing_exception is not None:
            fw.request.routing_exception = None
            fw.request.url_rule, fw.request.view_args = next(
                (rule, {"code": 451})
                for rule in app.url_map.iter_rules()
                if rule.endpoint == "abort"
            )

    return app


@case(*REQUESTS)
def misses_handled_by_code(fw):
    app = add_views(fw.app(), fw)

    @app.errorhandler(404)
    def not_found(error):
        frames = []
        traceback = error.__traceback__

        while traceback is not None:
            frames.append(traceback.tb_frame.f_code.co_name)
            traceback = traceback.tb_next

        same = fw.request.routing_exception in (error, None)
        return f"{bool(frames)} {same} {fw.request.path} {error.description}", 404

    @app.errorhandler(405)
    def not_allowed(error):
        return {"allowed": sorted(error.valid_methods or [])}, 405

    return app


@case(*REQUESTS)
def misses_handled_as_http_exceptions(fw):
    app = add_views(fw.app(), fw)

    @app.errorhandler(exceptions.HTTPException)
    def http(error):
        response = error.get_response()
        response.data = f"{error.code} {error.name}"
        response.content_type = "text/plain"
        return response

    return app


@case(*REQUESTS)
def misses_handled_as_exceptions(fw):
    app = add_views(fw.app(), fw)
    app.register_error_handler(Exception, lambda error: (f"any {error}", 418))
    return app


@case(*REQUESTS, get("/part/missing"), get("/part/fails"), get("/part/gone"))
def handlers_that_a_miss_never_sees(fw):
    app = add_views(fw.app(), fw)
    part = fw.Blueprint("part", "doors_app", url_prefix="/part")
    part.register_error_handler(404, lambda error: ("part", 404))
    part.register_error_handler(ValueError, lambda error: ("part value", 200))

    @part.get("/fails")
    def fails():
        raise ValueError

    @part.get("/gone")
    def gone():
        fw.abort(410)

    app.register_blueprint(part)
    app.register_error_handler(ValueError, lambda error: "value")
    app.register_error_handler(ZeroDivisionError, lambda error: "zero")
    app.register_error_handler(409, lambda error: "conflict")
    return app


@case(*REQUESTS)
def miss_returned_by_a_handler(fw):
    app = add_views(fw.app(), fw)
    app.register_error_handler(404, lambda error: exceptions.Gone())
    app.register_error_handler(ValueError, lambda error: exceptions.Conflict("of values"))
    return app


@case(get("/set"), *REQUESTS)
def misses_with_a_permanent_session(fw):
    app = add_views(fw.app(), fw)

    @app.get("/set")
    def begin():
        fw.session.permanent = True
        fw.session["a"] = 1
        return "set"

    return app


@case(get("/missing"), get("/abort/403"), get("/abort/404"))
def session_changed_on_the_way_to_a_miss(fw):
    app = add_views(fw.app(), fw)

    @app.before_request
    def before():
        fw.session["n"] = fw.session.get("n", 0) + 1

    return app


@case(*REQUESTS)
def replaced_error_methods(fw):
    class App(fw.Flask):
        def handle_http_exception(self, e):
            return f"http {e.code}", 400

        def raise_routing_exception(self, request):
            request.routing_exception.description = "raised here"
            super().raise_routing_exception(request)

    return add_views(fw.app(App), fw)


@case(*REQUESTS)
def replaced_handle_user_exception(fw):
    app = add_views(fw.app(), fw)
    app.handle_user_exception = lambda error: f"user {type(error).__name__}"
    return app


@case(*REQUESTS)
def replaced_trap(fw):
    app = add_views(fw.app(), fw)
    app.trap_http_exception = lambda error: error.code == 404
    return app


@case(*REQUESTS)
def replaced_make_response_for_misses(fw):
    class App(fw.Flask):
        def make_response(self, rv):
            response = super().make_response(rv)
            response.headers["X-Made-Of"] = type(rv).__name__
            return response

    return add_views(fw.app(App), fw)


@case(*REQUESTS)
def response_class_of_misses(fw):
    class Response(fw.Response):
        default_mimetype = "text/plain"

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.headers["X-Init"] = "1"

        @classmethod
        def force_type(cls, response, environ=None):
            made = super().force_type(response, environ)
            made.headers["X-Forced"] = type(response).__name__
            return made

    class App(fw.Flask):
        response_class = Response

    return add_views(fw.app(App), fw)


@case(*REQUESTS)
def request_class_of_misses(fw):
    class Request(fw.Request):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.environ["doors.made"] = "yes"

    class App(fw.Flask):
        request_class = Request

    app = add_views(fw.app(App), fw)

    @app.after_request
    def after(response):
        response.headers["X-Made"] = fw.request.environ["doors.made"]
        return response

    return app


@case(get("/missing"), get("/slash"), post("/slash"), get("/abort/404"), get("/put"))
def misses_in_debug_mode(fw):
    app = add_views(fw.app(), fw)
    app.debug = True
    return app


@case(get("/own"), get("/foreign"), get("/again"))
def aborted_with_a_response(fw):
    app = fw.app()

    @app.get("/own")
    def own():
        fw.abort(fw.Response("own", 409, {"X-Own": "1"}))

    @app.get("/foreign")
    def foreign():
        from werkzeug.wrappers import Response

        raise exceptions.NotFound(response=Response("foreign", 410))

    @app.get("/again")
    def again():
        return fw.make_response(exceptions.Locked())

    return app
