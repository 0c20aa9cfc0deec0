"""Sessions in signed cookies, their settings, flashed messages, and interfaces of one's own."""

from __future__ import annotations

import datetime
import uuid

import markupsafe

from ..case import case, get, post


def _views(fw, app):
    @app.get("/set/<name>/<value>")
    def put(name, value):
        fw.session[name] = value
        return "set"

    @app.get("/get")
    def read():
        return dict(fw.session)

    @app.get("/touch")
    def touch():
        return f"{'x' in fw.session} {fw.session.accessed} {fw.session.modified}"

    @app.get("/untouched")
    def untouched():
        return "untouched"

    @app.get("/clear")
    def clear():
        fw.session.clear()
        return "cleared"

    @app.get("/pop/<name>")
    def pop(name):
        return f"{fw.session.pop(name, 'nothing')}"

    @app.get("/permanent")
    def permanent():
        fw.session.permanent = True
        return "permanent"

    @app.get("/temporary")
    def temporary():
        fw.session.permanent = False
        return "temporary"

    return app


@case(
    get("/untouched"),
    get("/touch"),
    get("/set/x/1"),
    get("/get"),
    get("/touch"),
    get("/untouched"),
    get("/set/y/é☃"),
    get("/get"),
    get("/pop/x"),
    get("/pop/x"),
    get("/permanent"),
    get("/get"),
    get("/untouched"),
    get("/touch"),
    get("/temporary"),
    get("/get"),
    get("/clear"),
    get("/get"),
    get("/clear"),
    get("/get", ("Cookie", "session=forged")),
    get("/get", ("Cookie", "session=eyJ4IjoiMSJ9.aaaaaa.bbbbbb")),
    get("/get", ("Cookie", "session=")),
    get("/get", ("Cookie", "session=.a.b.c.d")),
)
def session_in_cookie(fw):
    return _views(fw, fw.app())


@case(get("/permanent"), get("/untouched"), get("/get"), get("/set/x/1"), get("/untouched"))
def session_not_refreshed(fw):
    app = fw.app()
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    return _views(fw, app)


@case(get("/set/x/1"), get("/get"), get("/permanent"), get("/get"), get("/clear"))
def session_settings(fw):
    app = fw.app()
    app.config.update(
        SESSION_COOKIE_NAME="own",
        SESSION_COOKIE_DOMAIN="door.test",
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_HTTPONLY=False,
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PARTITIONED=True,
        PERMANENT_SESSION_LIFETIME=datetime.timedelta(hours=3),
    )
    return _views(fw, app)


@case(get("/untouched"), get("/get"), get("/set/x/1"), get("/untouched"))
def session_without_key(fw):
    app = fw.app()
    app.secret_key = None
    return _views(fw, app)


@case(
    get("/set/x/1"),
    get("/rotate"),
    get("/get"),
    get("/set/y/2"),
    get("/forget"),
    get("/get"),
    get("/unsafe"),
    get("/get"),
)
def session_keys_change(fw):
    app = _views(fw, fw.app())

    @app.get("/rotate")
    def rotate():
        app.config.update(SECRET_KEY="new key", SECRET_KEY_FALLBACKS=["older", "doors"])
        return "rotated"

    @app.get("/forget")
    def forget():
        app.config.update(SECRET_KEY="new key", SECRET_KEY_FALLBACKS=None)
        return "forgotten"

    @app.get("/unsafe")
    def unsafe():
        app.config["SECRET_KEY"] = "third"
        return "changed"

    return app


@case(get("/put"), get("/types"), get("/nested"), get("/long"), get("/length"), get("/bad"))
def session_types(fw):
    app = fw.app()

    @app.get("/put")
    def put():
        fw.session.update(
            t=(1, (2,)),
            b=b"\x00\xff",
            m=markupsafe.Markup("<b>"),
            u=uuid.UUID(int=7),
            d=datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
            l=[1, "é", None, 1.5, {"k": (3,)}],
            tag={" t": 1},
        )
        return "put"

    @app.get("/types")
    def types():
        return {k: [type(v).__name__, repr(v)] for k, v in fw.session.items()}

    @app.get("/nested")
    def nested():
        fw.session["l"].append("lost")
        return str(fw.session.modified)

    @app.get("/long")
    def long():
        fw.session["text"] = "long " * 300
        return f"{fw.session['l'][-1]}"

    @app.get("/length")
    def length():
        return str(len(fw.session["text"]))

    @app.get("/bad")
    def bad():
        fw.session["bad"] = object()
        return "unreachable"

    return app


@case(
    post("/flash", form=[("message", "one"), ("message", "two"), ("category", "error")]),
    get("/untaken"),
    get("/take"),
    get("/take"),
    post("/flash", form=[("message", "<b>&"), ("category", "info")]),
    get("/filtered?category=info"),
    post("/flash", form=[("message", "plain")]),
    get("/page"),
    get("/page"),
)
def flashed_messages(fw):
    app = fw.app()

    @app.post("/flash")
    def flash():
        for message in fw.request.form.getlist("message"):
            fw.flash(message, fw.request.form.get("category", "message"))

        return fw.redirect(fw.url_for("take"))

    @app.get("/take")
    def take():
        return [fw.get_flashed_messages(with_categories=True), fw.get_flashed_messages()]

    @app.get("/untaken")
    def untaken():
        return "later"

    @app.get("/filtered")
    def filtered():
        return fw.get_flashed_messages(category_filter=[fw.request.args["category"]])

    @app.get("/page")
    def page():
        return fw.render_template_string(
            "{% for c, m in get_flashed_messages(true) %}<p class={{ c }}>{{ m }}</p>{% endfor %}"
        )

    return app


@case(get("/set/x/1"), get("/get"), get("/untouched"), get("/clear"), get("/get"))
def session_interface(fw):
    sessions = fw.module("sessions")

    class Kept(dict, sessions.SessionMixin):
        pass

    class Interface(sessions.SessionInterface):
        def __init__(self):
            self.store = {}

        def open_session(self, app, request):
            key = request.cookies.get("key", f"k{len(self.store)}")
            session = Kept(self.store.get(key, {}))
            session.key = key
            return session

        def save_session(self, app, session, response):
            self.store[session.key] = dict(session)
            response.set_cookie("key", session.key)
            response.headers["X-Endpoint"] = str(fw.request.endpoint)

    app = fw.app()
    app.session_interface = Interface()
    return _views(fw, app)


@case(get("/set/x/1"), get("/get"), get("/untouched"))
def session_interface_gives_none(fw):
    class Interface(fw.module("sessions").SecureCookieSessionInterface):
        def open_session(self, app, request):
            return None

    app = fw.app()
    app.session_interface = Interface()
    return _views(fw, app)


@case(get("/set/x/1"), get("/get"), get("/drop"), get("/get"), get("/set/x/2"))
def session_interface_replaced(fw):
    sessions = fw.module("sessions")

    class Nothing(sessions.SessionInterface):
        def open_session(self, app, request):
            return sessions.SecureCookieSession({"given": "by the interface"})

        def save_session(self, app, session, response):
            response.headers["X-Saved"] = repr(dict(session))

    app = _views(fw, fw.app())

    @app.get("/drop")
    def drop():
        app.session_interface = Nothing()
        return "dropped"

    return app


@case(get("/set/x/1"), get("/get"), get("/permanent"), get("/untouched"), get("/clear"))
def session_interface_overrides(fw):
    class Interface(fw.module("sessions").SecureCookieSessionInterface):
        salt = "own salt"

        def get_cookie_name(self, app):
            return "named"

        def get_cookie_path(self, app):
            return "/"

        def should_set_cookie(self, app, session):
            return True

    app = fw.app()
    app.session_interface = Interface()
    return _views(fw, app)


@case(get("/untouched"), get("/set/x/1"), get("/untouched"), get("/clear"))
def session_interface_replaced_on_the_instance(fw):
    app = fw.app()
    # All applications have the same one by default.
    app.session_interface = interface = type(app.session_interface)()
    save = interface.save_session

    def save_session(app, session, response):
        response.headers["X-Saved"] = repr(dict(session))
        save(app, session, response)

    interface.save_session = save_session
    return _views(fw, app)


@case(get("/set/x/1"), get("/get"), get("/permanent"), get("/untouched"), get("/clear"))
def session_cookie_set_by_a_response_class(fw):
    class Response(fw.Response):
        def set_cookie(self, key, *args, **kwargs):
            self.headers.add("X-Cookie", key)
            super().set_cookie(key, *args, **kwargs)

    app = fw.app()
    app.response_class = Response
    return _views(fw, app)


@case(get("/hook"), get("/get"), get("/after"), get("/get"), get("/teardown"), get("/get"))
def session_in_hooks(fw):
    app = _views(fw, fw.app())

    @app.before_request
    def before():
        if fw.request.path == "/hook":
            fw.session["before"] = fw.request.endpoint

    @app.after_request
    def after(response):
        if fw.request.path == "/after":
            fw.session["after"] = response.status_code

        return response

    @app.teardown_request
    def teardown(error):
        fw.session["teardown"] = "lost"

    @app.get("/hook")
    @app.get("/after", endpoint="after")
    @app.get("/teardown", endpoint="teardown")
    def view():
        return "view"

    return app


@case(get("/"), get("/"))
def session_begun_after_the_view(fw):
    app = fw.app()

    @app.after_request
    def after(response):
        fw.session["count"] = fw.session.get("count", 0) + 1
        response.headers["X-Count"] = fw.session["count"]
        return response

    @app.get("/")
    def view():
        return "view"

    return app


@case(get("/"), get("/"), get("/large"), get("/"))
def session_settings_changed_by_views(fw):
    app = fw.app()
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"

    @app.get("/")
    def view():
        app.config["SESSION_COOKIE_NAME"] = "renamed"
        app.config["SESSION_COOKIE_HTTPONLY"] = False
        app.config["SESSION_COOKIE_DOMAIN"] = "localhost"
        app.config["APPLICATION_ROOT"] = "/a b"
        return fw.jsonify(fw.session.get("name", "new"), fw.session.setdefault("name", "kept"))

    @app.get("/large")
    def large():
        fw.session["nested"] = {"list": [1, 2.5, None, True, "é"], "tuple": (1, 2)}
        return "large"

    return app
