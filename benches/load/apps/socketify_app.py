"""The application for socketify, on its own server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import inputs
from socketify import App, AppListenOptions, MiddlewareRouter

if TYPE_CHECKING:
    from collections.abc import Callable

app = App()
table = inputs.table_template()


def plain(response: Any, request: Any) -> None:
    response.end(inputs.MESSAGE)


def greet(response: Any, request: Any, mark: str = "") -> None:
    response.end({"message": inputs.MESSAGE})


def user(response: Any, request: Any) -> None:
    response.end({"id": int(request.get_parameter(0))})


def search(response: Any, request: Any) -> None:
    query = request.get_queries()
    response.end(
        {
            "q": query["q"][0],
            "page": int(query["page"][0]),
            "tags": query["tags"],
            "lang": request.get_header("accept-language"),
            "theme": request.get_cookie("theme"),
        }
    )


async def echo(response: Any, request: Any) -> None:
    response.end(await response.get_json())


async def form(response: Any, request: Any) -> None:
    fields = await response.get_form_urlencoded()
    response.end({"name": fields["name"], "email": fields["email"]})


def template(response: Any, request: Any) -> None:
    response.write_header("Content-Type", "text/html; charset=utf-8")
    response.end(table.render(title=inputs.TITLE, rows=inputs.ROWS))


async def greet_later(response: Any, request: Any) -> None:
    await asyncio.sleep(0)
    response.end({"message": inputs.MESSAGE})


def block(response: Any, request: Any) -> None:
    time.sleep(inputs.SLEEP_SECONDS)
    response.end({"ok": True})


def tick(response: Any, request: Any) -> None:
    response.end({"n": inputs.count_call()})


def resource(number: int) -> Callable[[Any, Any], None]:
    def items(response: Any, request: Any) -> None:
        response.end({"r": number, "id": int(request.get_parameter(0))})

    return items


def mark_request(response: Any, request: Any, mark: str | None) -> str:
    return "1"


def mark_response(response: Any, request: Any, mark: str) -> str:
    response.write_header("X-Hook", mark)
    return mark


hooked = inputs.VARIANT == "hooks"
(MiddlewareRouter(app, mark_request, mark_response) if hooked else app).get("/json", greet)
app.get("/", plain)
app.get("/user/:number", user)
app.get("/search", search)
app.post("/echo", echo)
app.post("/form", form)
app.get("/template", template)
app.get("/async", greet_later)
app.get("/blocking", block)
app.get("/tick", tick)
app.static("/static", inputs.STATIC)

if inputs.VARIANT == "routes":
    for number in range(inputs.ROUTES):
        app.get(f"/api/v1/resource{number}/:identity/items", resource(number))

app.listen(AppListenOptions(port=inputs.PORT, host="127.0.0.1"))
app.run()
