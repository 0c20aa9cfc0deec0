"""Flask-AppBuilder: an administration site made of models.

Special in it: hundreds of views and blueprints made at start, Flask-Login, WTForms, uploads of files
and pictures, a REST interface with JWT and Rison, OpenAPI, menus by permission, Flask-Babel, and
commands of its own (``fab create-admin``) on the framework's command line.
"""

from __future__ import annotations

import html
import json
import re
from urllib.parse import quote

from ..application import (
    COOKIE_EXPIRES,
    FLASK,
    Application,
    Client,
    Normalisation,
    Way,
    served_by_bustapi,
)

SERVED = """\
import datetime

from flask import Flask
from flask_appbuilder import AppBuilder, BaseView, Model, ModelRestApi, ModelView, expose, has_access
from flask_appbuilder.models.mixins import FileColumn, ImageColumn
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.utils.legacy import get_sqla_class
from sqlalchemy import Column, Date, Float, ForeignKey, Integer, String
from sqlalchemy.orm import relationship


class Group(Model):
    __tablename__ = "contact_group"
    id = Column(Integer, primary_key=True)
    name = Column(String(50), unique=True, nullable=False)

    def __repr__(self):
        return self.name


class Contact(Model):
    __tablename__ = "contact"
    id = Column(Integer, primary_key=True)
    name = Column(String(150), unique=True, nullable=False)
    born = Column(Date, default=datetime.date(2000, 1, 1))
    score = Column(Float, default=1.5)
    file = Column(FileColumn)
    group_id = Column(Integer, ForeignKey("contact_group.id"))
    group = relationship("Group")

    def __repr__(self):
        return self.name


class ContactView(ModelView):
    datamodel = SQLAInterface(Contact)
    list_columns = ["name", "born", "score", "group"]
    add_columns = edit_columns = ["name", "born", "score", "file", "group"]
    base_order = ("name", "asc")
    page_size = 5


class GroupView(ModelView):
    datamodel = SQLAInterface(Group)
    related_views = [ContactView]
    list_columns = ["name"]


class ContactApi(ModelRestApi):
    resource_name = "contact"
    datamodel = SQLAInterface(Contact)
    list_columns = ["id", "name", "born", "score", "group.name"]
    page_size = 3


class Pages(BaseView):
    default_view = "one"

    @expose("/one/")
    @expose("/one/<string:name>")
    @has_access
    def one(self, name="nobody"):
        return f"hello {name}"


def create_app():
    app = Flask(__name__)
    app.config.from_pyfile("settings.py")
    db = get_sqla_class()(app)
    with app.app_context():
        appbuilder = AppBuilder(app, db.session)
        db.create_all()
        Model.metadata.create_all(db.engine)
        appbuilder.add_view(GroupView, "Groups", icon="fa-folder", category="Contacts")
        appbuilder.add_view(ContactView, "Contacts", category="Contacts")
        appbuilder.add_view(Pages, "Pages", category="Pages")
        appbuilder.add_api(ContactApi)
    return app
"""

SETTINGS = """\
SECRET_KEY = "a secret of some length, for JWT's sake"
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/site.db"
WTF_CSRF_ENABLED = True
FAB_API_SWAGGER_UI = True
UPLOAD_FOLDER = "{folder}/uploads/"
LANGUAGES = {"en": {"flag": "gb", "name": "English"}, "de": {"flag": "de", "name": "German"}}
RATELIMIT_ENABLED = False
"""


def token_of(text: str) -> str:
    """The CSRF token of a page's form."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', text)
    assert found, text[:2000]
    return html.unescape(found[1])


def rison(value: object) -> str:
    """A value as the interface wants it in ``q``; it takes JSON as well."""
    return "?q=" + quote(json.dumps(value))


def site(http: Client) -> None:
    """What a person does with a browser."""
    http.get("/")
    http.get("/contactview/list/")
    page = http.get("/login/", expect=200)
    token = token_of(page.text)
    http.post("/login/", form={"username": "admin", "password": "secret"})
    http.post(
        "/login/", form={"username": "admin", "password": "no", "csrf_token": token}, follow=True
    )
    answer = http.post(
        "/login/?next=%2Fcontactview%2Flist%2F",
        form={"username": "admin", "password": "secret", "csrf_token": token},
    )
    assert answer.status == 302, answer.text
    page = http.get("/", expect=200)
    assert "Logout" in page.text, page.text

    for name in ("Friends", "Ünique & <b>", "Friends"):
        page = http.get("/groupview/add", expect=200)
        form = {"name": name, "csrf_token": token_of(page.text)}
        http.post("/groupview/add", form=form, follow=True)

    for number in range(7):
        page = http.get("/contactview/add", expect=200)
        http.post(
            "/contactview/add",
            form={
                "name": f"Contact {number}",
                "born": "2001-02-03",
                "score": "x" if number == 6 else "2.5",
                "group": "1",
                "csrf_token": token_of(page.text),
            },
            files={"file": (f"nöte {number}.txt", b"content\n" * 20_000, "text/plain")},
            follow=True,
        )

    http.get("/contactview/list/?_oc_ContactView=name&_od_ContactView=desc")
    http.get("/contactview/list/?page_ContactView=1&psize_ContactView=5")
    http.get("/contactview/list/?_flt_0_name=3")
    page = http.get("/contactview/show/1", expect=200)
    link = re.search(r"/contactview/download/[^\"]+", page.text)
    if link:
        http.get(link[0], headers={"Range": "bytes=0-9"})
        http.get(link[0])
    page = http.get("/contactview/edit/1", expect=200)
    form = {
        "name": "Changed",
        "born": "1999-12-31",
        "score": "3",
        "csrf_token": token_of(page.text),
    }
    http.post("/contactview/edit/1", form=form, follow=True)
    http.get("/contactview/edit/99", follow=True)
    http.get("/contactview/show/none")
    http.get("/contactview/delete/2")
    http.post("/contactview/delete/2", form={"csrf_token": token_of(page.text)}, follow=True)
    http.get("/contactview/list/?_l_=de")
    http.get("/lang/de", headers={"Referer": http.base + "/contactview/list/"}, follow=True)
    http.get("/lang/en", follow=True)
    http.get("/pages/one/", expect=200)
    http.get("/pages/one/%C3%A9%20x")
    http.get("/pages/one")
    http.get("/users/list/")
    http.get("/roles/list/")
    http.get("/users/userinfo/")
    http.get("/swagger/v1")
    http.get("/none")
    http.delete("/login/")


def interface(http: Client) -> None:
    """What a program does with the REST interface."""
    api = "/api/v1"
    http.get(f"{api}/contact/")
    http.post(
        f"{api}/security/login", json={"username": "admin", "password": "no", "provider": "db"}
    )
    http.post(f"{api}/security/login", body=b"{", headers={"Content-Type": "application/json"})
    http.post(f"{api}/security/login", json={"username": 1})
    login = {"username": "admin", "password": "secret", "provider": "db", "refresh": True}
    tokens = http.post(f"{api}/security/login", json=login, expect=200).json()
    http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    http.get(f"{api}/contact/", expect=200)
    http.get(f"{api}/contact/_info", expect=200)
    http.get(f"{api}/contact/" + rison({"page": 1, "page_size": 2, "order_column": "name"}))
    http.get(f"{api}/contact/?q=(filters:!((col:name,opr:ct,value:'3')),columns:!(name))")
    http.get(f"{api}/contact/?q=(broken")
    made = http.post(
        f"{api}/contact/", json={"name": "By prögram", "born": "2024-02-29", "group": 1}
    ).json()
    http.post(f"{api}/contact/", json={"name": "By prögram"})
    http.post(f"{api}/contact/", json={"name": "x" * 100_000})
    http.post(f"{api}/contact/", form={"name": "no JSON"})
    http.get(f"{api}/contact/{made.get('id', 1)}")
    http.put(f"{api}/contact/1", json={"name": "Put"})
    http.patch(f"{api}/contact/1", json={"name": "Patched"})
    http.get(f"{api}/contact/99")
    http.get(f"{api}/contact/x")
    http.delete(f"{api}/contact/3")
    http.delete(f"{api}/contact/3")
    http.options(f"{api}/contact/")
    http.get(f"{api}/_openapi")
    http.get(f"{api}/menu/")
    http.get(f"{api}/security/roles/")
    http.headers["Authorization"] = f"Bearer {tokens['refresh_token']}"
    http.post(f"{api}/security/refresh")
    http.headers["Authorization"] = "Bearer broken"
    http.get(f"{api}/contact/")
    del http.headers["Authorization"]


def script(http: Client) -> None:
    site(http)
    interface(http)
    css = http.get("/static/appbuilder/css/bootstrap.min.css", expect=200)
    for headers in (
        {"If-None-Match": css.headers["ETag"]},
        {"Range": "bytes=100-199"},
        {"Range": "bytes=9999999-"},
        {"Accept-Encoding": "gzip, br"},
    ):
        http.get("/static/appbuilder/css/bootstrap.min.css", headers=headers)
    http.get("/static/appbuilder/css/none.css")
    http.get("/logout/", follow=True)
    http.get("/contactview/list/", follow=True)


APPLICATION = Application(
    name="flask_appbuilder",
    requirements=("flask-appbuilder==5.3.0", "sqlalchemy<2.1", "marshmallow-sqlalchemy==1.4.1"),
    ways=(
        Way("flask run", FLASK, ("{flask}", "--app", "served", "run", "--port", "{port}")),
        *served_by_bustapi("served"),
    ),
    files={"served.py": SERVED, "settings.py": SETTINGS, "uploads/none": ""},
    setup=(
        (
            *("{flask}", "--app", "served", "fab", "create-admin", "--username", "admin"),
            *("--firstname", "Ada", "--lastname", "Admin", "--email", "a@example.org"),
            *("--password", "secret"),
        ),
        ("{flask}", "--app", "served", "fab", "list-views"),
    ),
    script=script,
    normalisations=(
        Normalisation(r'(?P<keep>csrf_token"[^>]*value=")[^"]+', "signed with the time"),
        Normalisation(r"(?P<keep>(?:session|remember_token)=)[^;]+", "signed with the time"),
        Normalisation(r'(?P<keep>_token":\s*")[^"]+', "a JWT has the time and a random id in it"),
        Normalisation(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?", "when users were made"),
        COOKIE_EXPIRES,
        Normalisation(
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?=_sep_)",
            "the name of an upload",
        ),
    ),
)
