"""Calibre-Web: a library of books.

Special in it: a session interface of its own and a WSGI middleware for prefixes, Flask-Principal, a
copy of Flask-Login, Flask-Limiter, Flask-Babel, CSRF on all forms, uploads of books that are parsed,
downloads with names in Unicode, covers, feeds in XML with basic authentication, views in SQLite with
functions in Python, and threads that are started when it is imported. By itself it is served by
Tornado.
"""

from __future__ import annotations

import html
import io
import re
import zipfile

from ..application import (
    BUSTAPI,
    COOKIE_EXPIRES,
    FLASK,
    Application,
    Client,
    Normalisation,
    Way,
    served_by_bustapi,
)

SERVED = """\
import os
import sys

import calibreweb

sys.path.insert(0, os.path.dirname(calibreweb.__file__))
sys.argv = ["cps", "-p", "{folder}/app.db", "-g", "{folder}/gdrive.db", "-o", "/dev/stdout"]

import cps
import cps.main

if __name__ == "__main__":
    cps.main.main()
else:
    # All that its own start does, but for the server.
    cps.web_server.start = lambda: True
    try:
        cps.main.main()
    except SystemExit as end:
        assert end.code == 0
    app = cps.app
"""

#: An empty library of Calibre's, of the tables that Calibre-Web knows, and the setting for it.
PREPARE = """\
import os
import sqlite3
import sys

import served
from cps import db
from sqlalchemy import Float, create_engine


def prepare():
    os.mkdir("{folder}/library")
    engine = create_engine(
        "sqlite:///{folder}/library/metadata.db",
        execution_options={"schema_translate_map": {"calibre": None}},
    )
    db.Books.__table__.c.series_index.type = Float()  # as Calibre has it, and the pages want it
    with engine.begin() as connection:
        db.Base.metadata.create_all(connection)
        connection.exec_driver_sql("INSERT INTO library_id (id, uuid) VALUES (1, 'an-id')")
    settings = sqlite3.connect("{folder}/app.db")
    settings.execute(
        "UPDATE settings SET config_calibre_dir = '{folder}/library', config_uploading = 1,"
        " config_random_books = 0, config_anonbrowse = 0, config_ratelimiter = 1, config_port = {port}"
    )
    settings.execute("UPDATE user SET role = 255 WHERE name = 'admin'")
    settings.commit()


try:
    prepare()
except BaseException:
    sys.excepthook(*sys.exc_info())
    os._exit(1)  # there are threads that would be waited for
os._exit(0)
"""

_OPF = """<?xml version="1.0"?>
<package xmlns="http://www.idpf.org/2007/opf" version="2.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf">
<dc:title>A Böok of {number}</dc:title><dc:creator opf:role="aut">Zoé Writer</dc:creator>
<dc:language>en</dc:language><dc:identifier id="id">book-{number}</dc:identifier>
<dc:subject>Tests</dc:subject><dc:description>What it is about</dc:description>
</metadata><manifest><item id="a" href="a.html" media-type="text/html"/></manifest>
<spine><itemref idref="a"/></spine></package>"""
_CONTAINER = """<?xml version="1.0"?>
<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>
<rootfile full-path="content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""


def epub(number: int) -> bytes:
    """A small book, of the same bytes each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        for name, text in (
            ("mimetype", "application/epub+zip"),
            ("META-INF/container.xml", _CONTAINER),
            ("content.opf", _OPF.replace("{number}", str(number))),
            ("a.html", "<html><body>" + "text " * 40_000 + "</body></html>"),
        ):
            book.writestr(zipfile.ZipInfo(name), text)
    return out.getvalue()


def token_of(text: str) -> str:
    """The CSRF token of a page's form."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', text)
    assert found, text[:2000]
    return html.unescape(found[1])


def script(http: Client) -> None:
    http.headers["Accept-Language"] = "en"
    http.get("/")
    http.get("/book/1", follow=True)
    page = http.get("/login", expect=200)
    login = {"username": "admin", "password": "admin123", "submit": "", "next": "/"}
    http.post("/login", form=login)
    bad = {**login, "password": "no", "csrf_token": token_of(page.text)}
    http.post("/login", form=bad)
    answer = http.post("/login", form={**login, "csrf_token": token_of(page.text)})
    assert answer.status == 302, answer.text
    page = http.get("/", expect=200)
    token = token_of(page.text)
    plain = {"X-CSRFToken": token}

    for number in (1, 2, 3):
        http.post(
            "/upload",
            form={"csrf_token": token},
            files={"btn-upload": (f"bök {number}.epub", epub(number), "application/epub+zip")},
            expect=200,
        )
    http.post(
        "/upload",
        form={"csrf_token": token},
        files={"btn-upload": ("not a book.exe", b"MZ" * 1000, "application/octet-stream")},
    )
    http.post("/upload", form={"csrf_token": token})
    http.get("/", expect=200)
    http.get("/book/1", expect=200)
    http.get("/book/99", follow=True)
    http.get("/book/x")
    page = http.get("/admin/book/1", expect=200)
    edited = {
        "csrf_token": token_of(page.text),
        "title": "Another <title>",
        "authors": "Zoé Writer & Bob",
        "comments": "<p>cömments</p>",
        "tags": "one, two",
        "series": "A series",
        "series_index": "2",
        "rating": "4",
        "languages": "English",
        "publishers": "",
        "detail_view": "on",
    }
    http.post("/admin/book/1", form=edited)
    http.get("/book/1", expect=200)
    down = http.get("/download/2/epub/2.epub", expect=200)
    assert down.body
    http.get("/download/2/epub", headers={"Range": "bytes=0-9"})
    http.head("/download/2/epub")
    http.get("/download/2/mobi")
    http.get("/show/2/epub/x.epub")
    http.get("/read/2/epub")
    http.get("/cover/1")
    http.get("/cover/1/sm")
    http.get("/cover/99")
    http.get("/robots.txt")
    for page_name in (
        "author",
        "series",
        "category",
        "publisher",
        "ratings",
        "formats",
        "language",
    ):
        http.get(f"/{page_name}")
    http.get("/page/2")
    http.get("/search?query=another", follow=True)
    http.get("/advsearch")
    http.get("/ajax/listbooks?limit=2&offset=0&sort=title&order=asc")
    http.get("/get_authors_json?q=zo")
    http.post("/ajax/toggleread/2", headers=plain)
    http.post("/ajax/toggleread/2")
    http.post("/ajax/editbooks/title", headers=plain, form={"pk": "2", "value": "Ïnline"})

    page = http.get("/shelf/create", expect=200)
    shelf = {"csrf_token": token_of(page.text), "title": "A shëlf", "is_public": "on"}
    http.post("/shelf/create", form=shelf, follow=True)
    http.post("/shelf/add/1/1", headers={**plain, "X-Requested-With": "XMLHttpRequest"})
    http.get("/shelf/1", follow=True)
    http.get("/shelf/99", follow=True)

    http.get("/admin/view")
    http.get("/admin/viewconfig")
    http.get("/ajax/listusers?limit=10")
    http.get("/me")

    basic = {"Authorization": "Basic YWRtaW46YWRtaW4xMjM="}
    kept, http.cookies = http.cookies, {}
    with http.one_connection():  # the limit is counted by each process
        http.get("/opds")
        for target in ("/opds", "/opds/new", "/opds/books/letter/00", "/opds/search?query=b"):
            http.get(target, headers=basic)
    http.cookies = kept

    for headers in ({}, {"Range": "bytes=5-9"}, {"Range": "bytes=9999999-"}):
        css = http.get("/static/css/style.css", headers=headers)
    css = http.get("/static/css/style.css", expect=200)
    http.get("/static/css/style.css", headers={"If-None-Match": css.headers["ETag"]})
    http.get("/static/none.css")
    http.get("/none")
    http.delete("/login")
    http.get("/", headers={"X-Script-Name": "/books", "X-Scheme": "https"})
    http.post("/delete/3", headers=plain, follow=True)
    http.get("/book/3", follow=True)
    http.get("/logout", follow=True)


APPLICATION = Application(
    name="calibre_web",
    requirements=("calibreweb==0.6.27", "setuptools<81"),
    ways=(
        Way("Tornado", FLASK, ("{program}", "served.py")),
        *served_by_bustapi("served"),
        Way("Tornado", BUSTAPI, ("{program}", "served.py")),
    ),
    files={"served.py": SERVED, "prepare.py": PREPARE},
    setup=(("{program}", "prepare.py"),),
    script=script,
    variables={"CALIBRE_DBPATH": "{folder}", "CALIBRE_PORT": "{port}", "SECRET_KEY": "a secret"},
    ready="/robots.txt",
    normalisations=(
        Normalisation(r'(?P<keep>csrf_token"[^>]*value=")[^"]+', "signed with the time"),
        Normalisation(r"(?P<keep>(?:session|remember_token)=)[^;]+", "signed, with random ids"),
        Normalisation(r"(?P<keep>retry-after: )\d+", "a time"),
        Normalisation(r'(?P<keep>"starttime":")[^"]+', "times"),
        Normalisation(r'(?P<keep>"runtime":")[^"]+', "as measured"),
        Normalisation(r"(?P<keep>x-ratelimit-reset: )\d+", "a time"),
        Normalisation(r"(?P<keep>/cover/\d+/\w+\?c=)\d+", "when the book was changed"),
        Normalisation(r'(?P<keep>etag: )"\d+\.\d+-', "of a file that was made just now"),
        Normalisation(r"(?P<keep>last-modified: ).*", "of a file that was made just now"),
        Normalisation(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?", "times"),
        Normalisation(r"\w{3} \d\d?, \d{4}, \d\d?:\d\d:\d\d\s?[AP]M", "times"),
        Normalisation(
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ids of books"
        ),
        COOKIE_EXPIRES,
    ),
)
