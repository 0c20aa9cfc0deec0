"""The application for Sanic, on its own server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import inputs
from sanic import HTTPResponse, Request, Sanic, html, json, text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

app: Any = Sanic("benchmark", configure_logging=False)
app.config.ACCESS_LOG = False
app.config.MOTD = False
app.static("/static", inputs.STATIC)
table = inputs.table_template()


@app.get("/")
async def plain(request: Request) -> HTTPResponse:
    return text(inputs.MESSAGE)


@app.get("/json")
async def greet(request: Request) -> HTTPResponse:
    return json({"message": inputs.MESSAGE})


@app.get("/user/<number:int>")
async def user(request: Request, number: int) -> HTTPResponse:
    return json({"id": number})


@app.get("/search")
async def search(request: Request) -> HTTPResponse:
    return json(
        {
            "q": request.args.get("q"),
            "page": int(request.args.get("page", 1)),
            "tags": request.args.getlist("tags"),
            "lang": request.headers.get("accept-language"),
            "theme": request.cookies.get("theme"),
        }
    )


@app.post("/echo")
async def echo(request: Request) -> HTTPResponse:
    return json(request.json)


@app.post("/form")
async def form(request: Request) -> HTTPResponse:
    return json({"name": request.form.get("name"), "email": request.form.get("email")})


@app.post("/upload")
async def upload(request: Request) -> HTTPResponse:
    return json({"size": len(request.files.get("file").body)})


@app.get("/template")
async def template(request: Request) -> HTTPResponse:
    return html(table.render(title=inputs.TITLE, rows=inputs.ROWS))


@app.get("/async")
async def greet_later(request: Request) -> HTTPResponse:
    await asyncio.sleep(0)
    return json({"message": inputs.MESSAGE})


@app.get("/blocking")
def block(request: Request) -> HTTPResponse:
    time.sleep(inputs.SLEEP_SECONDS)
    return json({"ok": True})


@app.get("/tick")
async def tick(request: Request) -> HTTPResponse:
    return json({"n": inputs.count_call()})


def resource(number: int) -> Callable[..., Awaitable[HTTPResponse]]:
    async def items(request: Request, identity: int) -> HTTPResponse:
        return json({"r": number, "id": identity})

    return items


if inputs.VARIANT == "routes":
    for number in range(inputs.ROUTES):
        path = f"/api/v1/resource{number}/<identity:int>/items"
        app.add_route(resource(number), path, name=f"resource{number}")

if inputs.VARIANT == "hooks":

    @app.on_request
    async def mark_request(request: Request) -> None:
        request.ctx.mark = "1"

    @app.on_response
    async def mark_response(request: Request, response: HTTPResponse) -> None:
        response.headers["X-Hook"] = request.ctx.mark


if __name__ == "__main__":
    app.run("127.0.0.1", inputs.PORT, single_process=True, access_log=False, debug=False)
