"""Eve: a REST interface from a dictionary of settings.

Special in it: a subclass of `Flask` that overrides `run` and much of the setup, a URL map of its own
with regular expressions, negotiation between JSON and XML, ETags with ``If-Match``, projections, bulk
inserts, embedded documents, files in GridFS's place, rate limits off, JSONP, and events.

Its MongoDB is mongomock, in the memory of each process, as no registry has a server: Eve's own code
down to the driver's methods is the real one.
"""

from __future__ import annotations

import json
from urllib.parse import quote

from ..application import BUSTAPI, FLASK, Application, Client, Normalisation, Way, served_by_bustapi

SERVED = """\
import sys

import mongomock
import eve.io.mongo.flask_pymongo as driver

driver.MongoClient = mongomock.MongoClient

from eve import Eve
from eve.auth import BasicAuth
from flask import abort, jsonify, request


class Auth(BasicAuth):
    def check_auth(self, username, password, allowed_roles, resource, method):
        return (username, password) == ("admin", "secret")


app = Eve(settings="settings.py")


@app.route("/own/<regex('[a-f0-9]{4}'):code>")
def own(code):
    return jsonify(code=code, accept=str(request.accept_mimetypes))


def on_insert(resource, documents):
    for document in documents:
        if document.get("name") == "refused":
            abort(409, description="on purpose")


app.on_insert += on_insert

if __name__ == "__main__":
    app.run(port=int(sys.argv[1]), debug=False)
"""

SETTINGS = """\
from served import Auth

MONGO_URI = "mongodb://127.0.0.1:1/eve"
RESOURCE_METHODS = ["GET", "POST", "DELETE"]
ITEM_METHODS = ["GET", "PATCH", "PUT", "DELETE"]
BULK_ENABLED = True
X_DOMAINS = "*"
X_HEADERS = ["Content-Type", "If-Match"]
JSONP_ARGUMENT = "callback"
PAGINATION_DEFAULT = 3
CACHE_CONTROL = "max-age=20"
DOMAIN = {
    "people": {
        "item_title": "person",
        "additional_lookup": {"url": 'regex("[\\\\w]+")', "field": "name"},
        "schema": {
            "name": {"type": "string", "minlength": 1, "maxlength": 30, "required": True, "unique": True},
            "age": {"type": "integer", "min": 0},
            "born": {"type": "datetime"},
            "tags": {"type": "list", "allowed": ["a", "b"]},
            "where": {"type": "dict", "schema": {"city": {"type": "string"}}},
        },
    },
    "works": {
        "schema": {
            "title": {"type": "string", "required": True},
            "owner": {"type": "objectid", "data_relation": {"resource": "people", "embeddable": True}},
        },
    },
    "locked": {"authentication": Auth, "schema": {"x": {"type": "integer"}}},
}
"""


def script(http: Client) -> None:
    for target in ("/", "/people", "/none", "/own/00ff", "/own/zzzz", "/people/none", "/people/"):
        http.get(target)
    http.get("/", headers={"Accept": "application/xml"})
    http.get("/people", headers={"Accept": "text/html"})
    http.get("/people?callback=call")
    first = http.post("/people", json={"name": "Ada", "age": 36, "tags": ["a"]}, expect=201).json()
    http.post("/people", json={"name": "Ada"})
    http.post("/people", json={"name": "", "age": -1, "tags": ["c"], "more": 1})
    http.post("/people", json=[{"name": f"N{n}", "where": {"city": "Zürich"}} for n in range(5)])
    http.post("/people", json=[{"name": "M1"}, {"age": 1}])
    http.post("/people", json={"name": "refused"})
    http.post("/people", form={"name": "Form", "age": "7"})
    http.post("/people", body=b"{", headers={"Content-Type": "application/json"})
    http.post("/people", body=b"<a/>", headers={"Content-Type": "application/xml"})
    http.post("/people", json={"name": "D", "born": "Thu, 29 Feb 2024 00:00:00 GMT"})
    http.post("/people", json={"name": "x" * 200_000})
    http.get("/people", expect=200)
    http.get("/people", headers={"Accept": "application/xml"}, expect=200)
    http.get("/people?page=2&max_results=2&sort=-name", expect=200)
    http.get("/people?where=" + quote(json.dumps({"age": {"$gt": 10}})))
    http.get('/people?where=name=="Ada"')
    http.get("/people?where={broken")
    http.get("/people?projection=" + quote(json.dumps({"name": 1})))
    http.head("/people")
    http.options("/people", headers={"Origin": "http://a.test"})
    http.get("/people", headers={"Origin": "http://a.test"})
    place = f"/people/{first['_id']}"
    answer = http.get(place, expect=200)
    http.get("/people/Ada", expect=200)
    http.get(place, headers={"If-None-Match": answer.headers["ETag"]})
    http.get(place, headers={"If-Modified-Since": answer.headers["Last-Modified"]})
    http.patch(place, json={"age": 37})
    http.patch(place, json={"age": 37}, headers={"If-Match": '"none"'})
    changed = http.patch(place, json={"age": 37}, headers={"If-Match": first["_etag"]}, expect=200)
    http.put(place, json={"name": "Ada", "age": 38}, headers={"If-Match": changed.json()["_etag"]})
    http.post(place, json={}, headers={"X-HTTP-Method-Override": "PATCH"})
    http.post(place, json={})
    work = http.post("/works", json={"title": "Nötes", "owner": first["_id"]}, expect=201).json()
    http.get(f"/works/{work['_id']}?embedded=" + quote('{"owner": 1}'), expect=200)
    http.post("/works", json={"title": "x", "owner": "0" * 24})
    http.delete(f"/works/{work['_id']}", headers={"If-Match": work["_etag"]})
    http.get(f"/works/{work['_id']}")
    http.get("/locked")
    http.get("/locked", headers={"Authorization": "Basic YWRtaW46c2VjcmV0"}, expect=200)
    http.get("/locked", headers={"Authorization": "Basic YWRtaW46bm8="})
    http.delete("/people")
    http.get("/people")
    http.request("TRACE", "/people")


APPLICATION = Application(
    name="eve",
    requirements=("eve==2.3.1", "mongomock==4.3.0"),
    ways=(
        Way("app.run", FLASK, ("{program}", "served.py", "{port}")),
        *served_by_bustapi("served:app"),
        Way("app.run", BUSTAPI, ("{program}", "served.py", "{port}")),
    ),
    files={"served.py": SERVED, "settings.py": SETTINGS},
    script=script,
    # Its data are in the memory of one process.
    per_connection=10_000,
    ready="/own/0000",
    normalisations=(
        Normalisation(r"\b[0-9a-f]{24}\b", "ids of documents"),
        Normalisation(r"\b[0-9a-f]{40}\b", "ETags have the id and the times in them"),
        Normalisation(
            r"\w{3}, \d\d \w{3} 20(?!24)\d\d \d\d:\d\d:\d\d GMT", "when documents were changed"
        ),
    ),
)
