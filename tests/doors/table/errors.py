"""Error handlers, aborts, and exceptions that nobody handles."""

from __future__ import annotations

from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    HTTPException,
    InternalServerError,
    MethodNotAllowed,
    NotFound,
)
from werkzeug.wrappers import Response

from ..case import case, get, post, request


class Problem(Exception):
    """What an app may raise."""


class SmallProblem(Problem):
    """A problem of a more special kind."""


class OutOfStock(HTTPException):
    """An HTTP error with a status of its own."""

    code = 409
    description = "out of stock"


@case(
    get("/missing"),
    post("/view"),
    request("PUT", "/view"),
    get("/abort/400"),
    get("/abort/401"),
    get("/abort/403"),
    get("/abort/404"),
    get("/abort/410"),
    get("/abort/413"),
    get("/abort/415"),
    get("/abort/418"),
    get("/abort/429"),
    get("/abort/451"),
    get("/abort/500"),
    get("/abort/501"),
    get("/abort/503"),
    get("/abort/599"),
    get("/described"),
    get("/response"),
    get("/werkzeug-response"),
    get("/raise"),
    get("/raise", ("Accept", "application/json")),
    request("HEAD", "/raise"),
    request("HEAD", "/missing"),
    get("/key"),
    get("/out-of-stock"),
    get("/unauthorized"),
    get("/range"),
    get("/retry"),
    get("/view"),
)
def no_handlers(fw):
    app = fw.app()

    @app.get("/view")
    def view():
        return "view"

    @app.get("/abort/<int:status>")
    def abort(status):
        fw.abort(status)

    @app.get("/described")
    def described():
        fw.abort(403, "<b>not</b> you & me")

    @app.get("/response")
    def response():
        fw.abort(fw.make_response(("own response", 402, {"X-Own": "1"})))

    @app.get("/werkzeug-response")
    def werkzeug_response():
        raise NotFound(response=Response("plain response", 404))

    @app.get("/raise")
    def fails():
        raise Problem("secret")

    @app.get("/key")
    def key():
        return fw.request.args["missing"]

    @app.get("/out-of-stock")
    def out_of_stock():
        raise OutOfStock

    @app.get("/unauthorized")
    def unauthorized():
        from werkzeug.datastructures import WWWAuthenticate
        from werkzeug.exceptions import Unauthorized

        raise Unauthorized(
            www_authenticate=[
                WWWAuthenticate("basic", {"realm": "doors"}),
                WWWAuthenticate("bearer"),
            ]
        )

    @app.get("/range")
    def unsatisfiable():
        from werkzeug.exceptions import RequestedRangeNotSatisfiable

        raise RequestedRangeNotSatisfiable(length=10)

    @app.get("/retry")
    def retry():
        from werkzeug.exceptions import TooManyRequests

        raise TooManyRequests(retry_after=30)

    return app


@case(
    get("/missing"),
    post("/"),
    get("/problem"),
    get("/small-problem"),
    get("/forbidden"),
    get("/teapot"),
    get("/out-of-stock"),
    get("/value"),
    get("/handler-fails"),
    get("/part/problem"),
    get("/part/small-problem"),
    get("/part/forbidden"),
    get("/part/missing"),
    get("/part/abort-404"),
    get("/part/value"),
    get("/part/nested/problem"),
    get("/part/nested/forbidden"),
    get("/part/nested/abort-404"),
    request("PATCH", "/part/problem"),
    get("/part/teapot"),
    get("/redirect"),
    get("/slash"),
)
def handlers(fw):
    app = fw.app()
    part = fw.Blueprint("part", "doors_app", url_prefix="/part")
    nested = fw.Blueprint("nested", "doors_app", url_prefix="/nested")

    def views(scaffold):
        def view(name, error):
            def fails():
                raise error

            scaffold.add_url_rule(f"/{name}", name, fails)

        view("problem", Problem("p"))
        view("small-problem", SmallProblem("s"))
        view("forbidden", Forbidden())
        view("abort-404", NotFound())
        view("out-of-stock", OutOfStock())
        view("value", ValueError("v"))
        view("handler-fails", LookupError("h"))
        scaffold.add_url_rule("/teapot", "teapot", lambda: fw.abort(418))

    @app.errorhandler(404)
    def not_found(error):
        return f"nothing at {fw.request.path}: {error.code}", 404

    @app.errorhandler(MethodNotAllowed)
    def not_allowed(error):
        return {"allowed": sorted(error.valid_methods)}, 405

    @app.errorhandler(Problem)
    def problem(error):
        return f"app problem {error}", 500

    @app.errorhandler(HTTPException)
    def other(error):
        return f"app http {error.code} {error.name}", error.code

    @app.errorhandler(LookupError)
    def fails(error):
        raise RuntimeError("in the handler")

    @app.errorhandler(InternalServerError)
    def internal(error):
        return f"internal: {error.original_exception!r}", 500

    @part.errorhandler(SmallProblem)
    def small(error):
        return f"part small problem {error}", 400

    @part.errorhandler(403)
    def forbidden(error):
        return "part forbidden", 403

    @part.app_errorhandler(OutOfStock)
    def stock(error):
        return "the blueprint's app handler", 409

    @nested.errorhandler(Problem)
    def nested_problem(error):
        return fw.Response("nested problem", 299)

    @app.get("/")
    def index():
        return "index"

    @app.get("/redirect")
    def redirect():
        from werkzeug.routing import RequestRedirect

        raise RequestRedirect("http://elsewhere.test/")

    @app.get("/slash/")
    def slash():
        return "slash"

    views(app)
    views(part)
    views(nested)
    part.register_blueprint(nested)
    app.register_blueprint(part)
    return app


@case(get("/fails"), get("/missing"), get("/abort"), get("/handled"), get("/fine"))
def handler_of_exception(fw):
    app = fw.app()

    @app.errorhandler(Exception)
    def everything(error):
        return f"{type(error).__name__}: {error}", 200

    @app.errorhandler(ZeroDivisionError)
    def zero(error):
        return "", 204

    @app.get("/fails")
    def fails():
        raise ValueError("v")

    @app.get("/abort")
    def abort():
        fw.abort(400, "bad")

    @app.get("/handled")
    def handled():
        return 1 / 0

    @app.get("/fine")
    def fine():
        return "fine"

    return app


@case(get("/fails"), get("/abort"), get("/key"), get("/fine"), get("/finalize"))
def propagated(fw):
    app = fw.app()
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @app.get("/fails")
    def fails():
        raise ValueError("secret")

    @app.get("/abort")
    def abort():
        fw.abort(500)

    @app.get("/key")
    def key():
        return fw.request.form["missing"]

    @app.get("/finalize")
    def finalize():
        return 1

    @app.get("/fine")
    def fine():
        return "fine"

    return app


@case(get("/key"), get("/abort"), get("/fails"), get("/handled"), post("/to"), get("/slash"))
def debug(fw):
    app = fw.app()
    app.debug = True

    @app.errorhandler(LookupError)
    def lookup(error):
        return f"handled {error!r}"

    @app.get("/key")
    def key():
        return fw.request.args["missing"]

    @app.get("/abort")
    def abort():
        fw.abort(400)

    @app.get("/fails")
    def fails():
        raise ValueError("secret")

    @app.get("/handled")
    def handled():
        return {}["missing"]

    @app.get("/slash/")
    def slash():
        return "slash"

    return app


@case(get("/key"), get("/abort"), get("/bad"), get("/missing"))
def trapped(fw):
    app = fw.app()
    app.config.update(TRAP_BAD_REQUEST_ERRORS=True, TRAP_HTTP_EXCEPTIONS=False)

    @app.errorhandler(BadRequest)
    def bad_request(error):
        return "handled bad request", 400

    @app.errorhandler(KeyError)
    def key_error(error):
        return "handled key error", 400

    @app.get("/key")
    def key():
        return fw.request.args["missing"]

    @app.get("/abort")
    def abort():
        fw.abort(400)

    @app.get("/bad")
    def bad():
        raise BadRequest("bad")

    return app


@case(get("/abort"), get("/missing"), get("/fine"))
def trapped_http(fw):
    app = fw.app()
    app.config["TRAP_HTTP_EXCEPTIONS"] = True
    app.add_url_rule("/abort", "abort", lambda: fw.abort(404))
    app.add_url_rule("/fine", "fine", lambda: "fine")
    return app


@case(get("/exit"), get("/interrupt"), get("/fine"), get("/generator"), get("/group"))
def unusual_exceptions(fw):
    app = fw.app()

    class Silent(Exception):
        def __str__(self):
            raise RuntimeError("no text")

        __repr__ = __str__

    @app.get("/exit")
    def generator_exit():
        raise GeneratorExit

    @app.get("/interrupt")
    def interrupt():
        raise Silent

    @app.get("/generator")
    def stop():
        return next(iter(()))

    @app.get("/group")
    def chained():
        try:
            raise ValueError("first")
        except ValueError as e:
            raise NotFound("second") from e

    @app.get("/fine")
    def fine():
        return "fine"

    return app


@case(get("/outer/missing"), get("/aborts/401"), get("/aborts/444"))
def own_aborter(fw):
    from werkzeug.exceptions import Aborter

    class Gone(HTTPException):
        code = 444
        description = "gone for good"

    class OwnAborter(Aborter):
        def __init__(self):
            super().__init__(extra={444: Gone})

    class App(fw.Flask):
        aborter_class = OwnAborter

    app = fw.app(App)

    @app.get("/aborts/<int:status>")
    def aborts(status):
        fw.abort(status)

    return app
