"""ihatemoney: shared budgets.

Special in it: WTForms with CSRF tokens, sessions, a blueprint whose URL values are pulled out of
every rule, Flask-Talisman's headers, Flask-Babel, Flask-Limiter, Flask-RESTful with basic and
token authentication, a WSGI middleware that wraps the application object itself, migrations at
start, exports with `send_file`, and a command line made of `FlaskGroup`.
"""

from __future__ import annotations

import html
import json
import re

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

SETTINGS = """\
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/money.db"
SECRET_KEY = "not the default one"
SESSION_COOKIE_SECURE = False
ACTIVATE_ADMIN_DASHBOARD = True
ADMIN_PASSWORD = "scrypt:32768:8:1$"
"""

FORM = {
    "name": "A hëoliday",
    "id": "holiday",
    "password": "secret",
    "contact_email": "somebody@example.org",
    "default_currency": "XXX",
}


def token_of(text: str) -> str:
    """The CSRF token of a page's form."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', text)
    assert found, text[:2000]
    return html.unescape(found[1])


def script(http: Client) -> None:
    http.headers["Accept-Language"] = "en"
    home = http.get("/", expect=200)
    http.post("/create", form=FORM)  # without a token: the form again
    http.post("/create", form={**FORM, "csrf_token": token_of(home.text)}, follow=True, expect=200)
    page = http.get("/holiday/", expect=200)
    assert "A hëoliday" in page.text
    http.get("/holiday", follow=True)
    http.get("/none/", follow=True)

    for name in ("Zoé", "<b>Bob</b>", "Zoé"):
        page = http.get("/holiday/members/add")
        form = {"name": name, "weight": "1.5", "csrf_token": token_of(page.text)}
        http.post("/holiday/members/add", form=form, follow=True)

    page = http.get("/holiday/add", expect=200)
    bill = {
        "date": "2024-02-29",
        "what": "Dinner & wine",
        "payer": "1",
        "amount": "10 + 4,50",
        "original_currency": "XXX",
        "payed_for": ["1", "2"],
        "bill_type": "Expense",
    }
    http.post("/holiday/add", form={**bill, "amount": "1/0", "csrf_token": token_of(page.text)})
    page = http.post(
        "/holiday/add", form={**bill, "csrf_token": token_of(page.text)}, follow=True, expect=200
    )
    assert "Dinner &amp; wine" in page.text
    page = http.get("/holiday/edit/1", expect=200)
    changed = {**bill, "amount": "20", "csrf_token": token_of(page.text)}
    http.post("/holiday/edit/1", form=changed, follow=True, expect=200)
    http.get("/holiday/edit/99")
    http.get("/holiday/edit/none")
    http.get("/holiday/settle_bills", expect=200)
    http.get("/holiday/statistics", expect=200)
    http.get("/holiday/history", expect=200)

    for file in ("bills.json", "bills.csv", "transactions.csv", "bills.xml", "none.json"):
        http.get(f"/holiday/export/{file}")
    exported = http.get("/holiday/export/bills.json", expect=200)
    http.get(
        "/holiday/export/bills.json", headers={"If-None-Match": exported.headers["ETag"] or ""}
    )
    http.get("/holiday/export/bills.csv", headers={"Range": "bytes=0-9"})
    http.head("/holiday/export/bills.csv")

    page = http.get("/holiday/edit", expect=200)
    imported = [{**entry, "what": "Ïmported"} for entry in exported.json()]
    for content, media_type in (
        (json.dumps(imported).encode(), "application/json"),
        (b"nonsense", "application/json"),
        (b"\0" * 200_000, "application/octet-stream"),
    ):
        http.post(
            "/holiday/import",
            form={"csrf_token": token_of(page.text)},
            files={"file": ("bills.json", content, media_type)},
            follow=True,
        )

    http.get("/holiday/invite", expect=200)
    feed = re.search(r"/holiday/feed/[\w.-]+\.xml", http.get("/holiday/").text)
    assert feed
    answer = http.get(feed[0], expect=200)
    http.get(feed[0], headers={"If-None-Match": answer.headers["ETag"]})
    http.get("/holiday/feed/none.xml")
    http.get("/lang/fr", headers={"Referer": http.base + "/holiday/"}, follow=True)
    http.get("/lang/xx", follow=True)
    http.get("/lang/en", follow=True)

    api = "/api/projects"
    http.get(f"{api}/holiday")
    basic = {"Authorization": "Basic aG9saWRheTpzZWNyZXQ="}
    http.get(f"{api}/holiday", headers=basic, expect=200)
    token = http.get(f"{api}/holiday/token", headers=basic, expect=200).json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    http.get(f"{api}/holiday/members", headers=bearer, expect=200)
    http.get(f"{api}/holiday/bills", headers=bearer, expect=200)
    http.post(f"{api}/holiday/bills", headers=bearer, form=bill)
    http.post(f"{api}/holiday/bills", headers=bearer, json={"what": "é"})
    http.put(f"{api}/holiday/members/2", headers=bearer, form={"name": "Robert", "weight": 2})
    http.get(f"{api}/holiday/statistics", headers=bearer)
    http.delete(f"{api}/holiday/bills/1", headers=bearer)
    http.delete(f"{api}/holiday/bills/1", headers=bearer)
    http.patch(f"{api}/holiday", headers=bearer)
    http.post(api, body=b"{broken", headers={"Content-Type": "application/json"})
    http.get("/api/currencies")
    http.options(api)

    css = http.get("/static/css/main.css", expect=200)
    for headers in (
        {"If-None-Match": css.headers["ETag"]},
        {"If-Modified-Since": css.headers["Last-Modified"]},
        {"Range": "bytes=10-19"},
        {"Range": "bytes=10-19", "If-Range": '"none"'},
        {"Range": "bytes=99999999-"},
    ):
        http.get("/static/css/main.css", headers=headers)
    http.get("/static/../run.py")
    http.get("/static/css/")
    http.get("/favicon.ico")
    http.get("/exit")
    http.get("/admin?goto=%2Fdashboard")
    page = http.get("/admin")
    with http.one_connection():  # each process counts for itself
        for _ in range(5):  # more than the limit of a minute
            form = {"admin_password": "x", "csrf_token": token_of(page.text)}
            http.post("/admin", form=form)
    http.get("/dashboard")
    http.delete("/create")
    page = http.get("/holiday/edit", expect=200)
    token = token_of(page.text)
    http.post("/holiday/delete", form={"password": "wrong", "csrf_token": token}, follow=True)
    http.post("/holiday/delete", form={"password": "secret", "csrf_token": token}, follow=True)
    http.post("/exit", form={"csrf_token": token}, follow=True)
    http.get("/holiday/", follow=True)


APPLICATION = Application(
    name="ihatemoney",
    requirements=("ihatemoney==7.2.1",),
    ways=(
        Way("ihatemoney run", FLASK, ("{program}", "{bin}/ihatemoney", "run", "-p", "{port}")),
        *served_by_bustapi("ihatemoney.wsgi:application"),
        Way("ihatemoney run", BUSTAPI, ("{program}", "{bin}/ihatemoney", "run", "-p", "{port}")),
    ),
    files={"settings.cfg": SETTINGS},
    script=script,
    variables={"IHATEMONEY_SETTINGS_FILE_PATH": "{folder}/settings.cfg"},
    normalisations=(
        Normalisation(r'(?P<keep>name="csrf_token"[^>]*value=")[^"]+', "signed with the time"),
        Normalisation(
            r"(?P<keep>/(?:feed|join)/)W[\w-]+\.[\w-]+", "signed with the salt of the code"
        ),
        Normalisation(r"(?P<keep>retry after )[^.]+", "a minute from now"),
        Normalisation(r"(?P<keep><td>)\w{3} \d\d?, \d{4}, [^<]+", "the history's times"),
        Normalisation(r'(?P<keep>class="qrcode".*?<path d=")[^"]+', "has the signed link"),
        Normalisation(r'(?P<keep>"token": ")[^"]+', "signed with the salt of the code"),
        Normalisation(r"(?P<keep>etag: )[0-9a-f]{32}$", "of the feed, which has times in it"),
        Normalisation(r"(?P<keep>last-modified: ).* UTC$", "of the feed: the last bill's time"),
        COOKIE_EXPIRES,
        Normalisation(r"(?P<keep>session=)[^;]+", "signed with the time, and with a token in it"),
    ),
)
