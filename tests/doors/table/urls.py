"""Building URLs, in requests and outside of them."""

from __future__ import annotations

from ..case import case, get


@case(
    get("/in"),
    get("/in", host="other.test:8080"),
    get("/errors"),
    get("/shop/in"),
    get("/shop/inner/in"),
    get("/handled"),
)
def urls_in_requests(fw):
    app = fw.app()
    shop = fw.Blueprint("shop", "doors_app", url_prefix="/shop")
    inner = fw.Blueprint("inner", "doors_app", url_prefix="/inner")

    @app.get("/in")
    def within():
        url_for = fw.url_for
        return [
            url_for("within"),
            url_for("within", q="a b&c", r=["1", "2"], n=None, u="é"),
            url_for("item", number=5),
            url_for("item", number=5, _anchor="top é"),
            url_for("item", number=5, _external=True),
            url_for("item", number=5, _scheme="https", _external=True),
            url_for("item", number=5, _scheme="", _external=True),
            url_for("item", number=5, _method="POST"),
            url_for("static", filename="a/b c.txt"),
            url_for("shop.within"),
            url_for("shop.inner.within", _external=True),
            url_for("path", path="a/b/ç?#"),
        ]

    @app.get("/items/<int:number>")
    def item(number):
        return str(number)

    app.add_url_rule("/post-items/<int:number>", "item", item, methods=["POST"])

    @app.get("/paths/<path:path>")
    def path(path):
        return path

    @app.get("/errors")
    def errors():
        texts = []

        for endpoint, values in (
            ("missing", {}),
            ("item", {}),
            ("item", {"number": "x"}),
            ("itm", {"number": 1}),
            ("item", {"number": 1, "_scheme": "https"}),
            (".within", {}),
        ):
            try:
                texts.append(fw.url_for(endpoint, **values))
            except Exception as e:  # noqa: BLE001 it is what is shown
                texts.append(f"{type(e).__name__}: {e}")

        return texts

    @app.get("/handled")
    def handled():
        app.url_build_error_handlers.append(
            lambda error, endpoint, values: f"/built/{endpoint}/{sorted(values)}"
        )
        return [fw.url_for("missing", a=1), fw.url_for("item", number=1)]

    @shop.get("/in")
    @inner.get("/in")
    def blueprint_within():
        return [fw.url_for(".blueprint_within"), fw.url_for("within"), fw.request.blueprint]

    shop.add_url_rule("/w", "within", lambda: "")
    inner.add_url_rule("/w", "within", lambda: "")
    shop.register_blueprint(inner)
    app.register_blueprint(shop)
    return app


@case(get("/outside"), get("/without-name"))
def urls_outside_of_requests(fw):
    app = fw.app()
    results = []
    app.add_url_rule("/outside", "outside", lambda: results)

    with app.app_context():
        try:
            fw.url_for("outside")
        except RuntimeError as e:
            results.append(str(e))

    app.config.update(SERVER_NAME="door.test", PREFERRED_URL_SCHEME="https")

    with app.app_context():
        results.append(fw.url_for("outside"))
        results.append(fw.url_for("outside", _external=False, x=1))

    app.config["APPLICATION_ROOT"] = "/root"

    with app.app_context():
        results.append(fw.url_for("outside"))

    with app.test_request_context("/outside?x=1", base_url="http://other.test/pre"):
        results.append(fw.url_for("outside"))
        results.append(fw.url_for("outside", _external=True))
        results.append(fw.request.url)

    app.config["SERVER_NAME"] = None

    @app.get("/without-name")
    def without_name():
        with app.app_context():
            return fw.url_for("outside")

    return app
