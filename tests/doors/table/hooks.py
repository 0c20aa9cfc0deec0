"""Hooks of every kind, of apps and of blueprints within blueprints."""

from __future__ import annotations

from werkzeug.exceptions import NotFound

from ..case import case, get, post, request
from ..events import Events


@case(
    get("/plain"),
    get("/events/11"),
    get("/outer/"),
    get("/events/23"),
    get("/outer/inner/7?x=1"),
    get("/events/30"),
    get("/missing"),
    get("/events/16"),
    post("/plain"),
    get("/events/16"),
    get("/outer/missing"),
    get("/events/16"),
    get("/fails"),
    get("/events/16"),
    get("/outer/inner/fails"),
    get("/events/30"),
)
def hooks_in_order(fw):
    app = fw.app()
    events = Events()
    inner = fw.Blueprint("inner", "doors_app", url_prefix="/inner")
    outer = fw.Blueprint("outer", "doors_app", url_prefix="/outer")

    def watch(scaffold, name):
        @scaffold.before_request
        def before():
            events.add(f"before {name}")

        @scaffold.before_request
        def before_again():
            events.add(f"before again {name}")

        @scaffold.after_request
        def after(response):
            events.add(f"after {name} {response.status_code}")
            response.headers.add("X-After", name)
            return response

        @scaffold.after_request
        def after_again(response):
            events.add(f"after again {name}")
            return response

        @scaffold.teardown_request
        def teardown(error):
            events.add(f"teardown {name} {error!r}")

        @scaffold.teardown_request
        def teardown_again(error):
            events.add(f"teardown again {name}")

        @scaffold.url_value_preprocessor
        def values(endpoint, values):
            events.add(f"values {name} {endpoint} {values}")

    for scaffold, name in ((app, "app"), (outer, "outer"), (inner, "inner")):
        watch(scaffold, name)

    @app.teardown_appcontext
    def end(error):
        events.add(f"end {error!r}")

    @app.get("/plain")
    def plain():
        return "plain"

    @app.get("/fails")
    def fails():
        raise ValueError("on purpose")

    @outer.get("/")
    def index():
        return "outer"

    @inner.get("/<int:number>")
    def number(number):
        return {"number": number, "blueprints": fw.request.blueprints}

    @inner.get("/fails")
    def inner_fails():
        raise KeyError("on purpose")

    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    events.serve(app, fw)
    return app


@case(
    get("/view"),
    get("/view?stop=app"),
    get("/view?stop=empty"),
    get("/shop/view?stop=shop"),
    get("/shop/view?stop=app"),
    get("/shop/view?stop=tuple"),
    get("/nothing?stop=app"),
    request("DELETE", "/view?stop=app"),
    get("/shop/view?fail=before"),
    get("/shop/view?fail=abort"),
    get("/shop/view?fail=after"),
    get("/shop/view"),
)
def hooks_that_answer(fw):
    app = fw.app()
    shop = fw.Blueprint("shop", "doors_app", url_prefix="/shop")

    @app.before_request
    def stop():
        stop = fw.request.args.get("stop")

        if stop == "app":
            return "stopped by the app", 202, {"X-Stop": "app"}

        return "" if stop == "empty" else None

    @shop.before_request
    def stop_shop():
        match fw.request.args.get("stop"), fw.request.args.get("fail"):
            case "shop", _:
                return fw.jsonify(stopped=True)
            case "tuple", _:
                return {"stopped": "tuple"}, 418
            case _, "before":
                raise RuntimeError("before")
            case _, "abort":
                fw.abort(409, "conflict")

        return None

    @shop.after_request
    def fail(response):
        if fw.request.args.get("fail") == "after":
            raise RuntimeError("after")

        return response

    @app.after_request
    def replace(response):
        if response.status_code == 500:
            response.headers["X-Saw"] = "500"

        return response

    @app.get("/view")
    @shop.get("/view")
    def view():
        return "view"

    app.register_blueprint(shop)
    return app


@case(
    get("/replaces"),
    get("/once"),
    get("/plain"),
    get("/once?fail=1"),
    get("/events/8"),
    get("/from-hook"),
    get("/plain"),
)
def after_this_request(fw):
    app = fw.app()
    events = Events()

    @app.before_request
    def before():
        if fw.request.path == "/from-hook":

            @fw.after_this_request
            def add(response):
                response.headers["X-From"] = "hook"
                return response

    @app.after_request
    def after(response):
        events.add(f"after {response.headers.get('X-Once')}")
        return response

    @app.get("/replaces")
    def replaces():
        @fw.after_this_request
        def replace(response):
            return fw.Response("replaced", 203)

        return "original"

    @app.get("/once")
    def once():
        @fw.after_this_request
        def first(response):
            events.add("first")
            response.headers["X-Once"] = "1"
            response.set_cookie("once", "1")
            return response

        @fw.after_this_request
        def second(response):
            events.add("second")
            response.headers["X-Once"] += "2"
            return response

        if "fail" in fw.request.args:
            raise ValueError("on purpose")

        return "once"

    @app.get("/plain")
    @app.get("/from-hook", endpoint="from_hook")
    def plain():
        return "plain"

    events.serve(app, fw)
    return app


@case(
    get("/plain"),
    get("/fails"),
    get("/events/4"),
    get("/plain?raise=teardown"),
    get("/plain"),
)
def teardown_that_fails(fw):
    app = fw.app()
    events = Events()

    @app.teardown_request
    def teardown(error):
        events.add(f"teardown {error}")

        if fw.request.args.get("raise") == "teardown":
            raise RuntimeError("teardown")

    @app.teardown_appcontext
    def end(error):
        events.add(f"end {error}")

    @app.get("/plain")
    def plain():
        return "plain"

    @app.get("/fails")
    def fails():
        raise ValueError("secret")

    events.serve(app, fw)
    return app


@case(
    get("/en/about"),
    get("/de/about"),
    get("/about"),
    get("/xx/about"),
    get("/de/links"),
    get("/links"),
)
def url_values(fw):
    app = fw.app()
    pages = fw.Blueprint("pages", "doors_app", url_prefix="/<language>")

    @pages.url_value_preprocessor
    def take(endpoint, values):
        fw.g.language = values.pop("language")

        if fw.g.language == "xx":
            fw.abort(404, "no such language")

    @pages.url_defaults
    def give(endpoint, values):
        values.setdefault("language", fw.g.get("language", "en"))

    @app.url_defaults
    def number(endpoint, values):
        if app.url_map.is_endpoint_expecting(endpoint, "number"):
            values.setdefault("number", 5)

    @pages.get("/about")
    def about():
        return f"about in {fw.g.language}"

    @pages.get("/links")
    def links():
        return {"about": fw.url_for(".about"), "item": fw.url_for("item")}

    @app.get("/items/<int:number>")
    def item(number):
        return str(number)

    @app.get("/links")
    def app_links():
        return {"about": fw.url_for("pages.about"), "item": fw.url_for("item", number=1)}

    app.register_blueprint(pages)
    return app


@case(
    get("/view"),
    get("/add-before"),
    get("/view"),
    get("/add-after"),
    get("/view"),
    get("/blueprint/view"),
    get("/clear"),
    get("/view"),
    get("/blueprint/view"),
    get("/teardown"),
    get("/view"),
    get("/events/4"),
    get("/handlers"),
    get("/missing"),
    get("/values"),
    get("/view"),
)
def lists_changed_by_hand(fw):
    app = fw.app()
    events = Events()
    blueprint = fw.Blueprint("blueprint", "doors_app", url_prefix="/blueprint")

    @app.get("/view")
    @blueprint.get("/view")
    def view():
        return f"view {fw.g.get('seen')} {fw.g.get('values')}"

    @app.get("/add-before")
    def add_before():
        app.before_request_funcs.setdefault(None, []).append(lambda: setattr(fw.g, "seen", 1))
        return "added"

    @app.get("/add-after")
    def add_after():
        def after(response):
            response.headers["X-Added"] = "by hand"
            return response

        app.after_request_funcs.setdefault("blueprint", []).append(after)
        return "added"

    @app.get("/clear")
    def clear():
        app.before_request_funcs[None].clear()
        app.after_request_funcs["blueprint"].clear()
        return "cleared"

    @app.get("/teardown")
    def teardown():
        app.teardown_request_funcs.setdefault(None, []).append(lambda e: events.add("request"))
        app.teardown_appcontext_funcs.append(lambda e: events.add("app"))
        return "added"

    @app.get("/handlers")
    def handlers():
        app.error_handler_spec[None][404][NotFound] = lambda error: ("found by hand", 404)
        return "added"

    @app.get("/values")
    def values():
        functions = app.url_value_preprocessors.setdefault(None, [])
        functions.append(lambda endpoint, values: setattr(fw.g, "values", endpoint))
        return "added"

    app.register_blueprint(blueprint)
    events.serve(app, fw)
    return app
