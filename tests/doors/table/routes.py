"""Rules: converters, methods, redirects, hosts and subdomains."""

from __future__ import annotations

from werkzeug.routing import BaseConverter, Rule

from ..case import case, get, post, request


@case(
    get("/int/5"),
    get("/int/-5"),
    get("/int/005"),
    get("/int/x"),
    get("/int/5.0"),
    get("/int/99999999999999999999999"),
    get("/signed/-5"),
    get("/bounded/3"),
    get("/bounded/11"),
    get("/digits/007"),
    get("/digits/7"),
    get("/float/1.50"),
    get("/float/1"),
    get("/signed-float/-1.5"),
    get("/string/abc"),
    get("/string/a"),
    get("/string/abcdef"),
    get("/any/b"),
    get("/any/x"),
    get("/uuid/00000000-0000-0000-0000-00000000000A"),
    get("/uuid/not-one"),
    get("/path/a/b//c"),
    get("/path/a/b/edit"),
    get("/list/1,2,3"),
    get("/list/"),
    get("/two/a-5"),
    get("/unicode/%C3%A9%E2%98%83"),
    get("/unicode/a%2Fb"),
    get("/unicode/a%20b+c%3Fd%23e"),
    get("/%C3%A9/"),
    get("/unicode/%ff"),
    get("/unicode/%zz"),
    get("/default/"),
    get("/default/2"),
    get("/default/1"),
    get("/fails/1"),
)
def converters(fw):
    app = fw.app()

    class Numbers(BaseConverter):
        regex = r"\d+(,\d+)*"

        def to_python(self, value):
            return [int(number) for number in value.split(",")]

        def to_url(self, value):
            return ",".join(map(str, value))

    class Fails(BaseConverter):
        def to_python(self, value):
            raise RuntimeError("in the converter")

    app.url_map.converters.update(numbers=Numbers, fails=Fails)

    for name, rule in {
        "int": "/int/<int:value>",
        "signed": "/signed/<int(signed=True):value>",
        "bounded": "/bounded/<int(min=2, max=10):value>",
        "digits": "/digits/<int(fixed_digits=3):value>",
        "float": "/float/<float:value>",
        "signed-float": "/signed-float/<float(signed=True):value>",
        "string": "/string/<string(minlength=2, maxlength=5):value>",
        "any": "/any/<any(a, b, 'c d'):value>",
        "uuid": "/uuid/<uuid:value>",
        "path": "/path/<path:value>",
        "edit": "/path/<path:value>/edit",
        "list": "/list/<numbers:value>",
        "two": "/two/<value>-<int:second>",
        "unicode": "/unicode/<value>",
        "é": "/é/",
        "fails": "/fails/<fails:value>",
    }.items():
        app.add_url_rule(
            rule, name, lambda **values: f"{fw.request.endpoint} {values!r} {fw.request.url_rule}"
        )

    @app.get("/default/", defaults={"page": 1})
    @app.get("/default/<int:page>")
    def default(page):
        return f"page {page}"

    return app


@case(
    get("/get"),
    request("HEAD", "/get"),
    request("OPTIONS", "/get"),
    post("/get"),
    request("DELETE", "/get"),
    request("BREW", "/get"),
    get("/post"),
    request("OPTIONS", "/post"),
    request("HEAD", "/post"),
    post("/post"),
    request("PUT", "/many"),
    request("PATCH", "/many"),
    request("OPTIONS", "/many"),
    request("OPTIONS", "/own-options"),
    request("OPTIONS", "/no-options"),
    request("OPTIONS", "/missing"),
    request("HEAD", "/own-head"),
    request("BREW", "/brew"),
    request("TRACE", "/brew"),
    get("/split"),
    post("/split"),
    request("DELETE", "/split"),
    request("OPTIONS", "*"),
)
def methods(fw):
    app = fw.app()

    def view():
        return f"{fw.request.method} {fw.request.endpoint}"

    app.add_url_rule("/get", "get", view)
    app.add_url_rule("/post", "post", view, methods=["POST"])
    app.add_url_rule("/many", "many", view, methods=["put", "patch"])
    app.add_url_rule("/own-options", "own_options", view, methods=["GET", "OPTIONS"])
    app.add_url_rule("/no-options", "no_options", view, provide_automatic_options=False)
    app.add_url_rule("/own-head", "own_head", view, methods=["GET", "HEAD"])
    app.add_url_rule("/brew", "brew", view, methods=["BREW"])
    app.get("/split")(lambda: "get")
    app.add_url_rule("/split", "split_post", lambda: "post", methods=["POST"])
    return app


@case(
    get("/folder"),
    get("/folder?a=1&b=%C3%A9"),
    get("/folder/"),
    post("/folder", body=b"x"),
    request("HEAD", "/folder"),
    get("/leaf/"),
    get("/leaf"),
    get("/loose"),
    get("/loose/"),
    get("/a//b"),
    get("//a/b"),
    get("/a/b//"),
    get("/old/5"),
    get("/old/5?x=1"),
    get("/alias/1"),
    get("/named/1"),
    get("/redirect"),
    get("/redirect-301"),
    get("/redirect-out"),
    get("/redirect-unicode"),
    get("/folder", host="other.test:8080"),
    get("/folder", ("X-Forwarded-Proto", "https")),
    get("/%2Ffolder"),
    get("/websocket"),
)
def redirects(fw):
    app = fw.app()
    app.add_url_rule("/folder/", "folder", lambda: "folder", methods=["GET", "POST"])
    app.add_url_rule("/leaf", "leaf", lambda: "leaf")
    app.add_url_rule("/loose/", "loose", lambda: "loose", strict_slashes=False)
    app.add_url_rule("/a/b", "ab", lambda: "ab")
    app.add_url_rule("/named/<int:id>", "named", lambda id: f"named {id}")
    app.url_map.add(Rule("/alias/<int:id>", endpoint="named", alias=True))
    app.url_map.add(Rule("/old/<int:id>", redirect_to="/named/<id>"))
    app.url_map.add(Rule("/websocket", endpoint="leaf", websocket=True))
    app.add_url_rule("/redirect", "redirect", lambda: fw.redirect("/leaf"))
    app.add_url_rule("/redirect-301", "redirect_301", lambda: fw.redirect("leaf?x=<y>", 301))
    app.add_url_rule(
        "/redirect-out", "redirect_out", lambda: fw.redirect("https://elsewhere.test/é")
    )
    app.add_url_rule(
        "/redirect-unicode", "redirect_unicode", lambda: fw.redirect("/é?ü=☃#ä", Response=None)
    )
    return app


@case(
    get("/", host="door.test"),
    get("/", host="a.door.test"),
    get("/", host="user.door.test"),
    get("/links", host="user.door.test"),
    get("/", host="x.y.door.test"),
    get("/", host="elsewhere.test"),
    get("/only", host="door.test"),
    get("/only", host="a.door.test"),
    get("/", host="DOOR.test"),
    get("/", host="door.test:80"),
)
def subdomains(fw):
    app = fw.app(subdomain_matching=True)
    app.config["SERVER_NAME"] = "door.test"
    a = fw.Blueprint("a", "doors_app", subdomain="a")
    app.add_url_rule("/", "index", lambda: "index")
    app.add_url_rule("/", "user", lambda name: f"user {name}", subdomain="<name>")

    @app.get("/links", subdomain="<name>")
    def links(name):
        return [
            fw.url_for("index"),
            fw.url_for("user", name="b"),
            fw.url_for("user", name=name),
            fw.url_for("a.index", _external=True),
        ]

    a.add_url_rule("/", "index", lambda: "a index")
    a.add_url_rule("/only", "only", lambda: "only a")
    app.register_blueprint(a)
    return app


@case(
    get("/", host="one.test"),
    get("/", host="two.test"),
    get("/", host="two.test:8000"),
    get("/", host="x.wild.test"),
    get("/static/page.txt", host="one.test"),
    get("/static/page.txt", host="two.test"),
    get("/folder", host="two.test"),
    get("/", host="three.test"),
)
def hosts(fw):
    app = fw.app(host_matching=True, static_host="one.test")
    app.add_url_rule("/", "one", lambda: fw.url_for("two"), host="one.test")
    app.add_url_rule("/", "two", lambda: fw.url_for("one", _external=True), host="two.test")
    app.add_url_rule("/", "wild", lambda name: name, host="<name>.wild.test")
    app.add_url_rule("/folder/", "folder", lambda: "folder", host="two.test")
    return app


@case(
    get("/", host="door.test"),
    get("/", host="sub.door.test"),
    get("/", host="evil.test"),
    get("/", host="evil.test:80"),
    get("/", host="door.test:5000"),
    get("/", host="bad host"),
    get("/missing", host="evil.test"),
)
def trusted_hosts(fw):
    app = fw.app()
    app.config["TRUSTED_HOSTS"] = ["door.test", ".sub.test", "sub.door.test"]
    app.add_url_rule("/", "index", lambda: fw.request.host)
    return app


@case(get("/app/"), get("/app"), get("/app/page"), get("/other"), get("/page"), get("/app/cookie"))
def mounted(fw):
    app = fw.app()
    app.config["APPLICATION_ROOT"] = "/app"
    app.add_url_rule("/app/", "index", lambda: fw.url_for("page"))
    app.add_url_rule("/app/page", "page", lambda: fw.request.script_root + "|" + fw.request.path)

    @app.get("/app/cookie")
    def cookie():
        fw.session["x"] = 1
        return "cookie"

    return app


@case(get("/late"), get("/add"), get("/late"), get("/x/late"), get("/"))
def rules_added_late(fw):
    app = fw.app()

    @app.get("/")
    def index():
        return sorted(rule.rule for rule in app.url_map.iter_rules())

    @app.get("/add")
    def add():
        # The setup methods refuse; the map itself does not.
        app.url_map.add(Rule("/late", endpoint="late", methods=["GET"]))
        app.url_map.add(Rule("/<name>/late", endpoint="late", methods=["GET"]))
        app.view_functions["late"] = lambda **values: f"late {values}"
        return "added"

    return app


@case(
    get("/int/" + "9" * 640),
    get("/int/" + "9" * 4300),
    get("/int/" + "9" * 4301),
    get("/signed/-" + "9" * 5000),
    get("/most/" + "9" * 4301),
    get("/float/" + "9" * 400 + ".5"),
    get("/float/1." + "9" * 5000),
    get("/query?n=" + "9" * 4301),
    get("/query?n=" + "9" * 4300),
    get("/url?digits=4301"),
    get("/url?digits=4300"),
    get("/url?text=4301"),
)
def huge_numbers(fw):
    app = fw.app()
    app.add_url_rule("/int/<int:n>", "int", lambda n: str(len(str(n))))
    app.add_url_rule("/signed/<int(signed=True):n>", "signed", lambda n: str(len(str(n))))
    app.add_url_rule("/most/<int(max=5):n>", "most", lambda n: str(n))
    app.add_url_rule("/float/<float:n>", "float", lambda n: str(n))

    @app.route("/query", methods=["GET", "POST"])
    def query():
        return str(len(str(fw.request.args.get("n", type=int, default=0))))

    @app.get("/url")
    def url():
        digits = fw.request.args.get("digits", type=int)
        text = fw.request.args.get("text", type=int)
        return fw.url_for("int", n="9" * text if text else 10 ** (digits - 1))

    @app.errorhandler(404)
    def missing(error):
        return "no such number", 404

    @app.errorhandler(500)
    def failed(error):
        return f"failed: {type(error.original_exception).__name__}", 500

    @app.after_request
    def mark(response):
        response.headers["X-After"] = "1"
        return response

    return app
