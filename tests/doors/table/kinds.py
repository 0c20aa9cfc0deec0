"""Views as coroutines and classes, and classes of one's own for requests, responses, JSON."""

from __future__ import annotations

import asyncio
import contextvars
import decimal

from ..case import case, get, post, request
from ..events import Events


@case(
    get("/view"),
    get("/sleeps"),
    get("/fails"),
    get("/handled"),
    get("/tasks"),
    get("/g"),
    get("/sync"),
    post("/json", json={"a": 1}),
    get("/method-view"),
    post("/method-view"),
    get("/missing"),
    get("/events/11"),
    get("/stream"),
    get("/timeout"),
    get("/session"),
    get("/session"),
)
def coroutines(fw):
    app = fw.app()
    events = Events()
    views = fw.module("views")
    variable = contextvars.ContextVar("variable", default="default")

    @app.before_request
    async def before():
        await asyncio.sleep(0)
        fw.g.seen = "before"

    @app.after_request
    async def after(response):
        await asyncio.sleep(0)
        response.headers["X-After"] = "async"
        return response

    @app.teardown_request
    async def teardown(error):
        events.add(f"teardown {error!r}")

    @app.errorhandler(LookupError)
    async def lookup(error):
        return f"handled {error!r}", 400

    @app.errorhandler(404)
    async def missing(error):
        return "async missing", 404

    @app.get("/view")
    async def view():
        return f"{fw.request.path} {fw.g.seen}"

    @app.get("/sleeps")
    async def sleeps():
        await asyncio.sleep(0.001)
        return {"slept": fw.request.path}

    @app.get("/fails")
    async def fails():
        raise ValueError("secret")

    @app.get("/handled")
    async def handled():
        raise KeyError("k")

    @app.get("/tasks")
    async def tasks():
        async def child(i):
            await asyncio.sleep(0)
            return f"{i} {fw.request.path}"

        return await asyncio.gather(*(asyncio.create_task(child(i)) for i in range(3)))

    @app.get("/g")
    async def globals():
        variable.set("set")
        await asyncio.sleep(0)
        return f"{fw.g.get('seen')} {variable.get()} {asyncio.current_task() is not None}"

    @app.get("/sync")
    def sync():
        return app.ensure_sync(view)()

    @app.post("/json")
    async def json():
        return fw.request.json

    class Method(views.MethodView):
        async def get(self):
            return "async get"

        def post(self):
            return "sync post"

    app.add_url_rule("/method-view", view_func=Method.as_view("method_view"))

    @app.get("/stream")
    async def stream():
        return iter(("a", "b"))

    @app.get("/timeout")
    async def timeout():
        try:
            await asyncio.wait_for(asyncio.sleep(30), 0.001)
        except asyncio.TimeoutError:
            return "timed out"

    @app.get("/session")
    async def session():
        fw.session["count"] = fw.session.get("count", 0) + 1
        return str(fw.session["count"])

    events.serve(app, fw)
    return app


@case(
    get("/view/5"),
    get("/view/5?again"),
    get("/methods"),
    post("/methods"),
    request("HEAD", "/methods"),
    request("OPTIONS", "/methods"),
    request("PUT", "/methods"),
    request("HEAD", "/own-head"),
    get("/kept"),
    get("/kept"),
    get("/decorated"),
    get("/arguments"),
    request("DELETE", "/inherited"),
    get("/inherited"),
    get("/part/methods"),
)
def class_views(fw):
    app = fw.app()
    views = fw.module("views")

    class Number(views.View):
        methods = ["GET", "POST"]

        def dispatch_request(self, number):
            return f"number {number}"

    class Methods(views.MethodView):
        def get(self):
            return "get"

        def post(self):
            return {"posted": True}, 201

    class OwnHead(views.MethodView):
        def get(self):
            return "get"

        def head(self):
            return "", {"X-Head": "own"}

    class Kept(views.View):
        init_every_request = False

        def __init__(self):
            self.count = 0

        def dispatch_request(self):
            self.count += 1
            return str(self.count)

    def shout(f):
        return lambda *args, **kwargs: f(*args, **kwargs).upper() + "!"

    class Decorated(views.View):
        decorators = [shout]
        provide_automatic_options = False

        def dispatch_request(self):
            return "decorated"

    class Arguments(views.View):
        def __init__(self, *args, **kwargs):
            self.arguments = [args, kwargs]

        def dispatch_request(self):
            return self.arguments

    class Inherited(Methods):
        def delete(self):
            return "", 204

    part = fw.Blueprint("part", "doors_app", url_prefix="/part")
    part.add_url_rule("/methods", view_func=Methods.as_view("methods"))
    app.add_url_rule("/view/<int:number>", view_func=Number.as_view("number"))
    app.add_url_rule("/methods", view_func=Methods.as_view("methods"))
    app.add_url_rule("/own-head", view_func=OwnHead.as_view("own_head"))
    app.add_url_rule("/kept", view_func=Kept.as_view("kept"))
    app.add_url_rule("/decorated", view_func=Decorated.as_view("decorated"))
    app.add_url_rule("/arguments", view_func=Arguments.as_view("arguments", 1, a="x"))
    app.add_url_rule("/inherited", view_func=Inherited.as_view("inherited"))
    app.register_blueprint(part)
    return app


@case(
    get("/own?x=1"),
    post("/form", form=[("b", "2"), ("a", "1")]),
    post("/json", ("Content-Type", "application/json"), body=b"{"),
    get("/args?b=1&a=2"),
    get("/init"),
    get("/swap"),
    get("/own?x=1"),
)
def request_class(fw):
    from werkzeug.datastructures import ImmutableOrderedMultiDict

    class OwnRequest(fw.Request):
        parameter_storage_class = ImmutableOrderedMultiDict

        @property
        def shout(self):
            return self.path.upper()

        def on_json_loading_failure(self, error):
            return {"failed": error is not None}

    class Other(fw.Request):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.made = "by init"

        shout = "other"

    app = fw.app()
    app.request_class = OwnRequest

    @app.get("/own")
    def own():
        return [fw.request.shout, type(fw.request._get_current_object()).__name__]

    @app.post("/form")
    def form():
        return list(fw.request.form.items())

    @app.post("/json")
    def json():
        return fw.request.json

    @app.get("/args")
    def args():
        return [type(fw.request.args).__name__, list(fw.request.args.items())]

    @app.get("/init")
    def init():
        return [getattr(fw.request, "made", "not made")]

    @app.get("/swap")
    def swap():
        app.request_class = Other
        return "swapped"

    return app


@case(
    get("/text"),
    get("/dict"),
    get("/tuple"),
    get("/made"),
    get("/missing"),
    get("/redirect"),
    get("/swap"),
    get("/text"),
    get("/dict"),
    get("/mimetype"),
    get("/text"),
    get("/autocorrect"),
    get("/redirect"),
)
def response_class(fw):
    class OwnResponse(fw.Response):
        default_mimetype = "application/x-own"

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.headers["X-Made"] = "own"

    class Forced(fw.Response):
        @classmethod
        def force_type(cls, rv, environ=None):
            if isinstance(rv, int):
                rv = fw.jsonify(number=rv)

            return super().force_type(rv, environ)

    app = fw.app()
    app.response_class = OwnResponse

    @app.get("/text")
    def text():
        return "text"

    @app.get("/dict")
    def dictionary():
        return {"a": 1}

    @app.get("/tuple")
    def pair():
        return "text", 201, {"X-A": "1"}

    @app.get("/made")
    def made():
        return fw.make_response(fw.Response("made"))

    @app.get("/redirect")
    def redirect():
        return fw.redirect("/text")

    @app.get("/swap")
    def swap():
        app.response_class = Forced
        return "swapped"

    @app.get("/mimetype")
    def mimetype():
        Forced.default_mimetype = "text/x-changed"
        return "changed"

    @app.get("/autocorrect")
    def autocorrect():
        Forced.autocorrect_location_header = True
        return "changed"

    return app


@case(
    get("/dict"),
    get("/jsonify"),
    post("/read", json={"a": 1.5}),
    get("/swap"),
    get("/dict"),
    get("/patch"),
    get("/dict"),
    get("/default"),
)
def json_provider(fw):
    provider = fw.module("json.provider")

    class Own(provider.DefaultJSONProvider):
        sort_keys = False

        @staticmethod
        def default(value):
            if isinstance(value, decimal.Decimal):
                return f"decimal {value}"

            return provider.DefaultJSONProvider.default(value)

        def loads(self, s, **kwargs):
            kwargs.setdefault("parse_float", decimal.Decimal)
            return super().loads(s, **kwargs)

    class Other(provider.JSONProvider):
        def dumps(self, value, **kwargs):
            return f"other {sorted(value)}"

        def loads(self, s, **kwargs):
            return s

    class App(fw.Flask):
        json_provider_class = Own

    app = fw.app(App)

    @app.get("/dict")
    def dictionary():
        return {"b": decimal.Decimal("1.5"), "a": 1}

    @app.get("/jsonify")
    def jsonify():
        return fw.jsonify(decimal.Decimal(1))

    @app.post("/read")
    def read():
        return [type(fw.request.json["a"]).__name__]

    @app.get("/swap")
    def swap():
        app.json = Other(app)
        return "swapped"

    @app.get("/patch")
    def patch():
        app.json = provider.DefaultJSONProvider(app)
        app.json.dumps = lambda value, **kwargs: "patched"
        return "patched"

    @app.get("/default")
    def default():
        app.json = provider.DefaultJSONProvider(app)
        return {"b": 1, "a": decimal.Decimal(2)}

    return app
