"""Connexion: an API from an OpenAPI description.

Special in it: an ASGI application around a Flask application, whose `wsgi_app` it calls through
a2wsgi; converters and a JSON provider of its own; all exceptions propagated out of Flask; validation
of requests and responses; async views; Swagger UI.
"""

from __future__ import annotations

from ..application import BUSTAPI, FLASK, Application, Client, Normalisation, Way, served_by_bustapi

SERVED = """\
import asyncio
import datetime
import io

import connexion
import flask
from connexion.exceptions import ProblemException
from connexion.problem import problem

PETS = {1: {"id": 1, "name": "Räx", "born": "2020-02-29"}}
KEPT = "kept for ever"


def list_pets(limit=10, tags=None, x_trace=None):
    return {"limit": limit, "tags": tags, "trace": x_trace, "args": flask.request.args.to_dict()}


def get_pet(pet_id):
    if pet_id not in PETS:
        return problem(404, "Not found", f"no pet {pet_id}", ext={"pet": pet_id})
    return PETS[pet_id]


def add_pet(body):
    return {"id": 2, **body}, 201, {"Location": "/api/pets/2", "X-Name": body["name"][:20]}


def change_pet(pet_id, body):
    return connexion.NoContent, 204


def delete_pet(pet_id):
    raise ProblemException(status=409, title="In use", detail="the pet is in use", type="about:x")


def size(width, height):
    return {"width": width, "height": height, "types": [type(width).__name__, type(height).__name__]}


def upload(body, photo=None, photos=None):
    files = flask.request.files
    return {
        "fields": body,
        "files": [[f.filename, f.mimetype, len(f.read())] for f in files.getlist("photo")],
    }


def send_form(body):
    return body


def text():
    return "just téxt", 200, {"Content-Type": "text/plain; charset=utf-8"}


def download():
    return flask.send_file(
        io.BytesIO(bytes(range(256)) * 300), "application/octet-stream", download_name="b.bin",
        as_attachment=True, etag="a-tag", conditional=True,
        last_modified=datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc),
    )


def streamed():
    def rows():
        for number in range(500):
            yield f"{number},{'x' * 50}\\n"

    return flask.Response(flask.stream_with_context(rows()), mimetype="text/csv")


async def later(seconds):
    await asyncio.sleep(seconds)
    return {"slept": seconds, "path": flask.request.path}


def wrong_response():
    return {"id": "no number"}


def failing():
    raise RuntimeError("on purpose")


def aborting(status):
    flask.abort(status)


def dated():
    return {"at": datetime.datetime(2024, 2, 29, 1, 2, 3), "day": datetime.date(2024, 2, 29)}


def whoami(user, token_info):
    return {"user": user, "token_info": token_info, "session": flask.session.setdefault("n", 1)}


def basic(username, password, required_scopes=None):
    return {"sub": username} if password == "secret" else None


def api_key(key, required_scopes=None):
    return {"sub": "by key"} if key == "secret" else None


def bearer(token):
    return {"sub": token, "scope": "read"} if token.startswith("good") else None


application = connexion.FlaskApp(__name__, specification_dir=".")
application.add_api("openapi.yaml", validate_responses=True, strict_validation=True)
application.app.secret_key = "a secret"
app = application.app


@app.route("/plain/<int:number>")
def plain(number):
    return flask.jsonify(number=number, endpoint=flask.request.endpoint)


@app.before_request
def before():
    flask.g.before = flask.request.path


@app.after_request
def after(response):
    response.headers["X-After"] = flask.g.before
    return response


if __name__ == "__main__":
    import sys

    application.run(host="127.0.0.1", port=int(sys.argv[1]))
"""

WSGI = """\
from a2wsgi import ASGIMiddleware
from served import app, application

app.wsgi_app = ASGIMiddleware(application)
"""

SPECIFICATION = """\
openapi: 3.0.3
info: {title: Pets, version: "1"}
servers: [{url: /api}]
paths:
  /pets:
    get:
      operationId: served.list_pets
      parameters:
        - {name: limit, in: query, schema: {type: integer, maximum: 100}}
        - {name: tags, in: query, explode: false, schema: {type: array, items: {type: string}}}
        - {name: X-Trace, in: header, schema: {type: string, maxLength: 10}}
      responses: {"200": {description: all}}
    post:
      operationId: served.add_pet
      requestBody:
        required: true
        content:
          application/json:
            schema: {$ref: "#/components/schemas/NewPet"}
      responses: {"201": {description: made}}
  /pets/{pet_id}:
    parameters: [{name: pet_id, in: path, required: true, schema: {type: integer}}]
    get: {operationId: served.get_pet, responses: {"200": {description: one}}}
    put:
      operationId: served.change_pet
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/NewPet"}}}}
      responses: {"204": {description: changed}}
    delete: {operationId: served.delete_pet, responses: {"204": {description: gone}}}
  /size/{width}/{height}:
    get:
      operationId: served.size
      parameters:
        - {name: width, in: path, required: true, schema: {type: number}}
        - {name: height, in: path, required: true, schema: {type: integer}}
      responses: {"200": {description: echo}}
  /upload:
    post:
      operationId: served.upload
      requestBody:
        content:
          multipart/form-data:
            schema:
              type: object
              required: [title]
              properties:
                title: {type: string}
                photo: {type: string, format: binary}
      responses: {"200": {description: done}}
  /form:
    post:
      operationId: served.send_form
      requestBody:
        content:
          application/x-www-form-urlencoded:
            schema:
              type: object
              required: [name]
              properties: {name: {type: string}, age: {type: integer, nullable: true}}
      responses: {"200": {description: done}}
  /text: {get: {operationId: served.text, responses: {"200": {description: x, content: {text/plain: {schema: {type: string}}}}}}}
  /download: {get: {operationId: served.download, responses: {"200": {description: x, content: {application/octet-stream: {}}}}}}
  /streamed: {get: {operationId: served.streamed, responses: {"200": {description: x, content: {text/csv: {}}}}}}
  /later/{seconds}:
    get:
      operationId: served.later
      parameters: [{name: seconds, in: path, required: true, schema: {type: number, maximum: 1}}]
      responses: {"200": {description: x}}
  /wrong:
    get:
      operationId: served.wrong_response
      responses:
        "200": {description: x, content: {application/json: {schema: {type: object, properties: {id: {type: integer}}}}}}
  /failing: {get: {operationId: served.failing, responses: {"200": {description: x}}}}
  /aborting/{status}:
    get:
      operationId: served.aborting
      parameters: [{name: status, in: path, required: true, schema: {type: integer}}]
      responses: {"200": {description: x}}
  /dated: {get: {operationId: served.dated, responses: {"200": {description: x}}}}
  /whoami:
    get:
      operationId: served.whoami
      security: [{basic: []}, {key: []}, {bearer: []}]
      responses: {"200": {description: x}}
components:
  schemas:
    NewPet:
      type: object
      required: [name]
      additionalProperties: false
      properties:
        name: {type: string, minLength: 1}
        tag: {type: string, nullable: true}
  securitySchemes:
    basic: {type: http, scheme: basic, x-basicInfoFunc: served.basic}
    key: {type: apiKey, in: header, name: X-Key, x-apikeyInfoFunc: served.api_key}
    bearer: {type: http, scheme: bearer, x-bearerInfoFunc: served.bearer}
"""


def script(http: Client) -> None:
    for target in (
        "/api/pets",
        "/api/pets?limit=5&tags=a,b%20c,%C3%A9",
        "/api/pets?limit=none",
        "/api/pets?limit=101",
        "/api/pets?unknown=1",
        "/api/pets/",
        "/api/pets/1",
        "/api/pets/-1",
        "/api/pets/x",
        "/api/size/1.5/2",
        "/api/size/-1e3/+2",
        "/api/size/1/2.5",
        "/api/text",
        "/api/streamed",
        "/api/later/0.01",
        "/api/later/5",
        "/api/wrong",
        "/api/failing",
        "/api/aborting/404",
        "/api/aborting/418",
        "/api/aborting/503",
        "/api/dated",
        "/api/none",
        "/none",
        "/plain/7",
        "/plain/x",
        "/api/openapi.json",
        "/api/openapi.yaml",
        "/api/ui",
        "/api/ui/",
        "/api/ui/swagger-ui.css",
        "/api/ui/none.js",
    ):
        http.get(target)

    http.get("/api/pets", headers={"X-Trace": "abc"}, expect=200)
    http.get("/api/pets", headers={"X-Trace": "far too long a trace"})
    http.post("/api/pets", json={"name": "Mïn", "tag": None}, expect=201)
    http.post("/api/pets", json={"tag": "x"})
    http.post("/api/pets", json={"name": "x", "more": 1})
    http.post("/api/pets", json=None)
    http.post("/api/pets", body=b"{broken", headers={"Content-Type": "application/json"})
    http.post("/api/pets", body=b'{"name": "x"}', headers={"Content-Type": "text/plain"})
    http.post("/api/pets", json={"name": "x" * 200_000}, expect=201)
    chunks = iter([b'{"name":', b' "in pieces"}'])
    http.post("/api/pets", body=chunks, headers={"Content-Type": "application/json"})
    http.put("/api/pets/1", json={"name": "x"}, expect=204)
    http.delete("/api/pets/1")
    http.patch("/api/pets/1", json={})
    http.options("/api/pets/1")
    http.head("/api/pets/1")

    photo = {"photo": ("ä.png", b"\x89PNG" + bytes(100_000), "image/png")}
    http.post("/api/upload", form={"title": "tïtle"}, files=photo, expect=200)
    http.post("/api/upload", form={}, files=photo)
    http.post("/api/upload", form={"title": "no multipart"})
    http.post("/api/form", form={"name": "é&=+", "age": 3}, expect=200)
    http.post("/api/form", form={"age": "x"})

    for headers in (
        {},
        {"Range": "bytes=10-19"},
        {"Range": "bytes=-5"},
        {"Range": "bytes=999999-"},
        {"If-None-Match": '"a-tag"'},
        {"If-Modified-Since": "Tue, 02 Jan 2024 00:00:00 GMT"},
        {"Range": "bytes=0-4", "If-Range": '"a-tag"'},
    ):
        http.get("/api/download", headers=headers)

    for headers in (
        {},
        {"Authorization": "Basic dXNlcjpzZWNyZXQ="},
        {"Authorization": "Basic dXNlcjp3cm9uZw=="},
        {"Authorization": "Basic broken"},
        {"Authorization": "Bearer good one"},
        {"Authorization": "Bearer bad"},
        {"X-Key": "secret"},
        {"X-Key": "wrong"},
    ):
        http.get("/api/whoami", headers=headers)


APPLICATION = Application(
    name="connexion",
    requirements=("connexion[flask,swagger-ui,uvicorn]==3.3.0",),
    ways=(
        Way("app.run, uvicorn", FLASK, ("{program}", "served.py", "{port}")),
        *served_by_bustapi("wsgi:app"),
        Way("app.run, uvicorn", BUSTAPI, ("{program}", "served.py", "{port}")),
    ),
    files={"served.py": SERVED, "wsgi.py": WSGI, "openapi.yaml": SPECIFICATION},
    script=script,
    ready="/plain/1",
    normalisations=(Normalisation(r"(?P<keep>session=)[^;]+", "signed with the time"),),
)
