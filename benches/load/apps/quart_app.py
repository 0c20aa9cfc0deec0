"""The application for Quart."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import inputs
from quart import Quart, g, jsonify, render_template, request, session

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from quart import Response

app = Quart(__name__, static_folder=inputs.STATIC, template_folder=inputs.TEMPLATES)


@app.get("/")
async def plain() -> str:
    return inputs.MESSAGE


@app.get("/json")
async def greet() -> dict[str, str]:
    return {"message": inputs.MESSAGE}


@app.get("/user/<int:number>")
async def user(number: int) -> dict[str, int]:
    return {"id": number}


@app.get("/search")
async def search() -> dict[str, Any]:
    return {
        "q": request.args.get("q"),
        "page": request.args.get("page", 1, type=int),
        "tags": request.args.getlist("tags"),
        "lang": request.headers.get("Accept-Language"),
        "theme": request.cookies.get("theme"),
    }


@app.post("/echo")
async def echo() -> Response:
    return jsonify(await request.get_json())


@app.post("/form")
async def form() -> dict[str, str]:
    fields = await request.form
    return {"name": fields["name"], "email": fields["email"]}


@app.post("/upload")
async def upload() -> dict[str, int]:
    files = await request.files
    return {"size": len(files["file"].read())}


@app.get("/template")
async def template() -> str:
    return await render_template("table.html", title=inputs.TITLE, rows=inputs.ROWS)


@app.get("/async")
async def greet_later() -> dict[str, str]:
    await asyncio.sleep(0)
    return {"message": inputs.MESSAGE}


@app.get("/blocking")
def block() -> dict[str, bool]:
    time.sleep(inputs.SLEEP_SECONDS)
    return {"ok": True}


@app.get("/tick")
async def tick() -> dict[str, int]:
    return {"n": inputs.count_call()}


def resource(number: int) -> Callable[..., Coroutine[Any, Any, dict[str, int]]]:
    async def items(identity: int) -> dict[str, int]:
        return {"r": number, "id": identity}

    return items


if inputs.VARIANT == "routes":
    for number in range(inputs.ROUTES):
        path = f"/api/v1/resource{number}/<int:identity>/items"
        app.add_url_rule(path, f"resource{number}", resource(number))

if inputs.VARIANT == "session":
    app.secret_key = inputs.SECRET

    @app.get("/session")
    async def count_visits() -> dict[str, int]:
        session["n"] = session.get("n", 0) + 1
        return {"n": session["n"]}


if inputs.VARIANT == "hooks":

    @app.before_request
    async def mark_request() -> None:
        g.mark = "1"

    @app.after_request
    async def mark_response(response: Response) -> Response:
        response.headers["X-Hook"] = g.mark
        return response
