"""pgAdmin: a tool for PostgreSQL, here without a server of it.

Special in it: a subclass of `Flask` that sets attributes before `__init__`, a session interface of its
own with files and a cache, Flask-Security, CSRF by header, a proxy-aware middleware, Flask-SocketIO
that starts the server, compressed answers, some eight hundred routes of plug-ins, and a file manager.
What it knows of connections is in the memory of one process, so its documentation wants one worker;
with two it is asked on one connection.
"""

from __future__ import annotations

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

SERVED = """\
import importlib.util
import sys

sys.path.insert(0, importlib.util.find_spec("pgadmin4").submodule_search_locations[0])

import pgAdmin4

app = pgAdmin4.app

if __name__ == "__main__":
    pgAdmin4.main()
"""

LOCAL = """\
DATA_DIR = "{folder}/data"
SQLITE_PATH = "{folder}/data/pgadmin4.db"
SESSION_DB_PATH = "{folder}/data/sessions"
STORAGE_DIR = "{folder}/data/storage"
AZURE_CREDENTIAL_CACHE_DIR = "{folder}/data/azure"
KERBEROS_CCACHE_DIR = "{folder}/data/kerberos"
LOG_FILE = "{folder}/data/pgadmin4.log"
DEFAULT_SERVER_PORT = {port}
UPGRADE_CHECK_ENABLED = False
MASTER_PASSWORD_REQUIRED = False
CHECK_SUPPORTED_BROWSER = False
"""


def script(http: Client) -> None:
    http.get("/")
    http.get("/browser/")
    http.get("/misc/ping", expect=200)
    page = http.get("/login", follow=True, expect=200)
    found = re.search(r'csrfToken[^:]*:[^"&]*(?:"|&quot;|&#34;)([\w.-]+)', page.text)
    assert found, page.text[:3000]
    token = found[1]
    login = {"email": "a@example.org", "password": "no", "language": "en", "csrf_token": token}
    http.post("/authenticate/login", form={**login, "csrf_token": ""}, follow=True)
    http.post("/authenticate/login", form=login, follow=True)
    answer = http.post("/authenticate/login", form={**login, "password": "secret-secret"})
    assert answer.status in {200, 302}, answer.text
    page = http.get("/browser/", expect=200)
    script_ = http.get("/browser/js/utils.js", expect=200)
    token = re.findall(r"['\"]([\w.-]{60,})['\"]", script_.text + page.text)[0]
    http.headers["X-pgA-CSRFToken"] = token

    for target in (
        "/browser/js/endpoints.js",
        "/browser/js/messages.js",
        "/browser/nodes/",
        "/browser/server_group/nodes/",
        "/browser/server_group/obj/",
        "/browser/server_group/obj/1",
        "/browser/server_group/obj/99",
        "/browser/server/obj/1/",
        "/preferences/",
        "/preferences/get_all",
        "/settings/get_tree_state/",
        "/misc/themes",
        "/misc/bgprocess/",
        "/user_management/role/",
        "/user_management/user/",
        "/tools/schema_diff/servers",
        "/about/",
        "/help/",
        "/none",
        "/browser/master_password",
        "/sqleditor/initialize/sqleditor/1/1/1/1",
    ):
        http.get(target)

    made = http.post("/browser/server_group/obj/", json={"name": "Ä group"}, expect=200)
    number = made.json()["node"]["_id"]
    http.post("/browser/server_group/obj/", json={"name": "Ä group"})
    http.put(f"/browser/server_group/obj/{number}", json={"name": "Renamed"})
    server = {
        "name": "A sërver",
        "host": "127.0.0.1",
        "port": 1,
        "username": "somebody",
        "db": "postgres",
        "connection_params": [{"name": "sslmode", "keyword": "sslmode", "value": "prefer"}],
        "connect_now": False,
        "shared": False,
        "tags": [],
    }
    http.post(f"/browser/server/obj/{number}/", json=server)
    http.post(f"/browser/server/obj/{number}/", json={"name": "too little"})
    http.get(f"/browser/server/obj/{number}/1")
    http.get(f"/browser/server/nodes/{number}/")
    http.get(f"/browser/server/connect/{number}/1")
    http.post(f"/browser/server/connect/{number}/1", form={"password": "x"})
    http.delete(f"/browser/server/obj/{number}/1")
    http.delete(f"/browser/server_group/obj/{number}")
    http.delete(f"/browser/server_group/obj/{number}")
    http.post("/browser/server_group/obj/", body=b"{", headers={"Content-Type": "application/json"})
    http.post("/settings/save_tree_state/", json={"a": 1})
    http.put("/preferences/", json=[])

    manager = http.post(
        "/file_manager/init", json={"dialog_type": "storage_dialog", "supported_types": ["*"]}
    )
    if manager.status == 200:
        trans = manager.json()["data"]["transId"]
        place = f"/file_manager/filemanager/{trans}/"
        http.post(
            place,
            form={"mode": "add", "currentpath": "/", "storage_folder": "my_storage"},
            files={"newfile": ("ä file.sql", b"SELECT 1;\n" * 30_000, "text/plain")},
        )
        for mode in ("getfolder", "getinfo", "addfolder", "download", "none"):
            http.post(place, json={"mode": mode, "path": "/", "name": "x", "file_type": "*"})
        download = f"{place}?mode=download&path=/%C3%A4%20file.sql&storage_folder=my_storage"
        http.get(download)
        http.get(download, headers={"Range": "bytes=0-9"})
        http.delete(f"/file_manager/delete_trans_id/{trans}")

    for headers in ({}, {"Accept-Encoding": "gzip"}, {"Range": "bytes=5-9"}):
        css = http.get("/static/js/generated/style.css?ver=91800", headers=headers)
    http.get("/static/js/generated/style.css", headers={"If-None-Match": css.headers["ETag"] or ""})
    http.get("/static/none.js")
    http.get("/favicon.ico")
    http.get("/socket.io/?EIO=4&transport=none")
    http.delete("/login")
    http.get("/", headers={"X-Script-Name": "/pg", "X-Scheme": "https"})
    del http.headers["X-pgA-CSRFToken"]
    http.post("/browser/server_group/obj/", json={"name": "without a token"})
    http.get("/logout", follow=True)
    http.get("/browser/", follow=True)


APPLICATION = Application(
    name="pgadmin",
    requirements=("pgadmin4==9.18",),
    ways=(
        Way("socketio.run", FLASK, ("{program}", "served.py")),
        *served_by_bustapi("served"),
        Way("socketio.run", BUSTAPI, ("{program}", "served.py")),
    ),
    files={"served.py": SERVED, "config_local.py": LOCAL, "prepare.py": "import served\n"},
    setup=(("{program}", "prepare.py"),),
    script=script,
    variables={
        "PGADMIN_SERVER_MODE": "ON",
        "PGADMIN_SETUP_EMAIL": "a@example.org",
        "PGADMIN_SETUP_PASSWORD": "secret-secret",
    },
    per_connection=10_000,
    ready="/misc/ping",
    patience=180,
    normalisations=(
        Normalisation(
            r"(?P<keep>(?:pga4_session|PGADMIN_LANGUAGE|remember_token)=)[^;]+", "random"
        ),
        Normalisation(
            r"(?P<keep>csrf_?[Tt]oken[^:=]*[:=][^\w]*)[\w.-]{40,}", "signed with the time"
        ),
        Normalisation(r"(?P<keep>['\"])[\w.-]{80,}(?=['\"])", "a token, signed with the time"),
        Normalisation(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?", "times"),
        Normalisation(r"\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}", "times of an uploaded file"),
        Normalisation(r"(?P<keep>expires: ).*", "counted from now"),
        Normalisation(r'(?P<keep>"transId": ?"?)\d+', "random"),
        Normalisation(r"(?P<keep>/(?:filemanager|delete_trans_id)/)\d+", "random"),
        Normalisation(r"(?P<keep>nonce[-=]\"?)[\w-]{22}", "random"),
        COOKIE_EXPIRES,
    ),
)
