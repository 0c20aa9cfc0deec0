"""Files: static ones, sent ones, ranges and conditions."""

from __future__ import annotations

import datetime
import io

from ..case import case, get, post, request

#: When the files of the site changed: a Saturday in November 2023.
_DATE = "Sat, 18 Nov 2023 12:00:00 GMT"


@case(
    get("/static/page.txt"),
    request("HEAD", "/static/page.txt"),
    get("/static/style.css"),
    get("/static/deep/numbers.bin"),
    get("/static/empty.txt"),
    get("/static/missing.txt"),
    get("/static/"),
    get("/static/deep"),
    get("/static/../templates/page.html"),
    get("/static/%2e%2e/templates/page.html"),
    get("/static/deep/../page.txt"),
    get("/static//page.txt"),
    post("/static/page.txt"),
    request("OPTIONS", "/static/page.txt"),
    get("/static/page.txt", ("If-Modified-Since", _DATE)),
    get("/static/page.txt", ("If-Modified-Since", "Fri, 17 Nov 2023 12:00:00 GMT")),
    get("/static/page.txt", ("If-Modified-Since", "no date")),
    get("/static/page.txt", ("If-None-Match", '"other"')),
    get("/static/page.txt", ("If-None-Match", "*")),
    get("/static/page.txt", ("If-Unmodified-Since", _DATE)),
    get("/static/page.txt", ("If-Match", '"other"')),
    get("/static/deep/numbers.bin", ("Range", "bytes=0-9")),
    get("/static/deep/numbers.bin", ("Range", "bytes=-5")),
    get("/static/deep/numbers.bin", ("Range", "bytes=1000-")),
    get("/static/deep/numbers.bin", ("Range", "bytes=1020-5000")),
    get("/static/deep/numbers.bin", ("Range", "bytes=5000-")),
    get("/static/deep/numbers.bin", ("Range", "bytes=5-2")),
    get("/static/deep/numbers.bin", ("Range", "bytes=0-1,4-5")),
    get("/static/deep/numbers.bin", ("Range", "lines=0-1")),
    get("/static/deep/numbers.bin", ("Range", "bytes=0-0"), ("If-Range", _DATE)),
    get("/static/deep/numbers.bin", ("Range", "bytes=0-0"), ("If-Range", '"x"')),
    request("HEAD", "/static/deep/numbers.bin", headers=[("Range", "bytes=0-9")]),
    get("/static/empty.txt", ("Range", "bytes=0-")),
)
def static_files(fw):
    return fw.app()


@case(
    get("/assets/page.txt"),
    get("/static/page.txt"),
    get("/shop/files/page.txt"),
    get("/shop/files/missing"),
    get("/urls"),
)
def static_folders(fw):
    app = fw.app(static_folder="static", static_url_path="/assets")
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
    shop = fw.Blueprint(
        "shop",
        "doors_app",
        url_prefix="/shop",
        static_folder="static",
        static_url_path="/files",
        root_path="site",
    )

    @app.get("/urls")
    def urls():
        return [
            fw.url_for("static", filename="page.txt"),
            fw.url_for("shop.static", filename="a b.txt"),
        ]

    app.register_blueprint(shop)
    return app


@case(
    get("/path"),
    get("/attachment"),
    get("/named"),
    get("/unicode-name"),
    get("/typed"),
    get("/no-etag"),
    get("/own-etag"),
    get("/own-etag", ("If-None-Match", '"own"')),
    get("/own-etag", ("If-None-Match", 'W/"own"')),
    get("/own-etag", ("Range", "bytes=0-1"), ("If-Range", '"own"')),
    get("/not-conditional", ("Range", "bytes=0-1")),
    get("/max-age"),
    get("/age-function"),
    get("/object"),
    get("/object", ("Range", "bytes=2-4")),
    get("/object", ("Range", "bytes=200-")),
    request("HEAD", "/object"),
    get("/directory/page.txt"),
    get("/directory/deep/numbers.bin", ("Range", "bytes=3-4")),
    get("/directory/../page.txt"),
    get("/directory/missing"),
    get("/outside"),
    get("/no-file"),
    get("/text-object"),
    get("/unnamed"),
    get("/changed"),
    get("/x-sendfile"),
    get("/path"),
    get("/path", ("If-Modified-Since", _DATE)),
    get("/path", ("Range", "bytes=0-3")),
)
def sent_files(fw):
    app = fw.app()

    def view(name, **options):
        path = options.pop("path", "static/page.txt")
        app.add_url_rule(f"/{name}", name, lambda: fw.send_file(path, **options))

    view("path")
    view("attachment", as_attachment=True)
    view("named", as_attachment=True, download_name="other name.txt")
    view("unicode-name", as_attachment=True, download_name="näme ☃.txt")
    view("typed", mimetype="text/x-own")
    view("no-etag", etag=False)
    view("own-etag", etag="own")
    view("not-conditional", conditional=False)
    view("max-age", max_age=7200)
    view("age-function", max_age=lambda path: 3600 if path.endswith(".txt") else None)
    view("no-file", path="static/missing.txt")

    @app.get("/object")
    def file_object():
        return fw.send_file(io.BytesIO(b"0123456789"), download_name="digits.txt")

    @app.get("/text-object")
    def text_object():
        return fw.send_file(io.StringIO("text"), download_name="x.txt")

    @app.get("/unnamed")
    def unnamed():
        return fw.send_file(io.BytesIO(b"x"), as_attachment=True)

    @app.get("/directory/<path:name>")
    def directory(name):
        return fw.send_from_directory("static", name)

    @app.get("/outside")
    def outside():
        return fw.send_from_directory("static", "../templates/page.html")

    @app.get("/changed")
    def changed():
        response = fw.send_file(
            io.BytesIO(b"changed"),
            mimetype="text/plain",
            last_modified=datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
        )
        response.headers["X-Changed"] = "1"
        return response

    @app.get("/x-sendfile")
    def x_sendfile():
        app.use_x_sendfile = app.config["USE_X_SENDFILE"] = True

        try:
            return fw.send_file("static/page.txt")
        finally:
            app.config["USE_X_SENDFILE"] = False

    return app


@case(
    get("/tagged"),
    get("/tagged", ("If-None-Match", '"a"')),
    get("/tagged", ("If-None-Match", '"b", W/"a"')),
    get("/tagged", ("If-None-Match", '"b"')),
    get("/tagged", ("If-Modified-Since", "Wed, 01 Jan 2020 00:00:00 GMT")),
    get("/tagged", ("Range", "bytes=0-1")),
    request("HEAD", "/tagged", headers=[("If-None-Match", '"a"')]),
    get("/computed"),
    get("/computed", ("If-None-Match", '"9a0364b9e99bb480dd25e1f0284c8555"')),
)
def conditional_views(fw):
    app = fw.app()

    @app.get("/tagged")
    def tagged():
        response = fw.make_response("tagged")
        response.set_etag("a")
        response.last_modified = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        return response.make_conditional(fw.request, accept_ranges=True, complete_length=6)

    @app.get("/computed")
    def computed():
        response = fw.make_response("computed")
        response.add_etag()
        return response.make_conditional(fw.request)

    return app
