"""The application for Falcon, on WSGI."""

from __future__ import annotations

import time
from typing import Any

import falcon
import inputs

table = inputs.table_template()


class Plain:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = falcon.MEDIA_TEXT
        response.text = inputs.MESSAGE


class Greeting:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.media = {"message": inputs.MESSAGE}


class User:
    def on_get(self, request: falcon.Request, response: falcon.Response, number: int) -> None:
        response.media = {"id": number}


class Search:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.media = {
            "q": request.get_param("q"),
            "page": request.get_param_as_int("page", default=1),
            "tags": request.get_param_as_list("tags"),
            "lang": request.get_header("Accept-Language"),
            "theme": (request.get_cookie_values("theme") or [None])[0],
        }


class Echo:
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        response.media = request.get_media()


class Form:
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        fields = request.get_media()
        response.media = {"name": fields["name"], "email": fields["email"]}


class Upload:
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        sizes = {part.name: len(part.stream.read()) for part in request.get_media()}
        response.media = {"size": sizes["file"]}


class Template:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = falcon.MEDIA_HTML
        response.text = table.render(title=inputs.TITLE, rows=inputs.ROWS)


class Blocking:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        time.sleep(inputs.SLEEP_SECONDS)
        response.media = {"ok": True}


class Tick:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.media = {"n": inputs.count_call()}


class Resource:
    def __init__(self, number: int) -> None:
        self.number = number

    def on_get(self, request: falcon.Request, response: falcon.Response, identity: int) -> None:
        response.media = {"r": self.number, "id": identity}


class Hooks:
    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        request.context.mark = "1"

    def process_response(
        self, request: falcon.Request, response: falcon.Response, resource: Any, success: bool
    ) -> None:
        response.set_header("X-Hook", request.context.mark)


app = falcon.App(middleware=[Hooks()] if inputs.VARIANT == "hooks" else [])
app.add_route("/", Plain())
app.add_route("/json", Greeting())
app.add_route("/user/{number:int}", User())
app.add_route("/search", Search())
app.add_route("/echo", Echo())
app.add_route("/form", Form())
app.add_route("/upload", Upload())
app.add_route("/template", Template())
app.add_route("/blocking", Blocking())
app.add_route("/tick", Tick())
app.add_static_route("/static", inputs.STATIC)

if inputs.VARIANT == "routes":
    for number in range(inputs.ROUTES):
        app.add_route(f"/api/v1/resource{number}/{{identity:int}}/items", Resource(number))
