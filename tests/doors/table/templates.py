"""Templates, and what they see."""

from __future__ import annotations

from ..case import case, get


@case(
    get("/page?name=%3Cb%3E"),
    get("/text"),
    get("/string"),
    get("/shop/page"),
    get("/shop/own"),
    get("/missing"),
    get("/list"),
    get("/stream"),
    get("/globals"),
    get("/macro"),
    get("/undefined"),
    get("/syntax"),
    get("/filter"),
    get("/json"),
    get("/processors"),
)
def templates(fw):
    app = fw.app()
    shop = fw.Blueprint(
        "shop", "doors_app", url_prefix="/shop", template_folder="more", root_path="site"
    )

    @app.context_processor
    def names():
        return {"who": "app", "only_app": 1}

    @shop.context_processor
    def shop_names():
        return {"who": "shop"}

    @app.template_filter()
    def reverse_text(text):
        return text[::-1]

    @app.template_test("even")
    def is_even(number):
        return number % 2 == 0

    @app.template_global("twice")
    def double(number):
        return number * 2

    def view(rule, function, *args, scaffold=app, **values):
        scaffold.add_url_rule(rule, rule.strip("/"), lambda: function(*args, **values))

    view("/page", fw.render_template, "page.html", title="A & B")
    view("/text", fw.render_template, "page.txt", title="A & B")
    view("/string", fw.render_template_string, "{{ x }} {{ '<' }}", x="<i>")
    view("/missing", fw.render_template, "missing.html")
    view("/list", fw.render_template, ["missing.html", "page.txt"], title="list")
    view("/stream", fw.stream_template, "page.html", title="streamed")
    view("/undefined", fw.render_template_string, "[{{ nothing }}] {{ nothing.at_all }}")
    view("/syntax", fw.render_template_string, "{% if %}")
    view("/json", fw.render_template_string, "{{ {'b': '<', 'a': 1}|tojson }}")
    view("/processors", fw.render_template_string, "{{ who }}", who="view")
    view(
        "/globals",
        fw.render_template_string,
        "{{ request.path }} {{ g.x }} {{ session.get('x') }} {{ config.DEBUG }}"
        " {{ url_for('page', q=1) }} {{ current_app is defined }}",
    )
    view(
        "/filter",
        fw.render_template_string,
        "{{ 'abc'|reverse_text }} {{ 2 is even }} {{ twice(4) }}",
    )
    view("/page", fw.render_template, "page.html", scaffold=shop, title="shop")
    view("/own", fw.render_template, "own.html", scaffold=shop)

    @app.get("/macro")
    def macro():
        return fw.get_template_attribute("macros.html", "greet")("you & me")

    app.register_blueprint(shop)
    return app
