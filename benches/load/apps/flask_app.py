"""The application for Flask, and for bustapi, which runs the same source."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import inputs
from flask import Flask, Response, abort, g, jsonify, render_template, request, session

if TYPE_CHECKING:
    from collections.abc import Callable

app = Flask(__name__, static_folder=inputs.STATIC, template_folder=inputs.TEMPLATES)


@app.get("/")
def plain() -> str:
    return inputs.MESSAGE


@app.get("/json")
def greet() -> dict[str, str]:
    return {"message": inputs.MESSAGE}


@app.get("/user/<int:number>")
def user(number: int) -> dict[str, int]:
    return {"id": number}


@app.get("/search")
def search() -> dict[str, Any]:
    return {
        "q": request.args.get("q"),
        "page": request.args.get("page", 1, type=int),
        "tags": request.args.getlist("tags"),
        "lang": request.headers.get("Accept-Language"),
        "theme": request.cookies.get("theme"),
    }


@app.post("/echo")
def echo() -> Response:
    return jsonify(request.get_json())


@app.post("/form")
def form() -> dict[str, str]:
    return {"name": request.form["name"], "email": request.form["email"]}


@app.post("/upload")
def upload() -> dict[str, int]:
    return {"size": len(request.files["file"].read())}


@app.get("/template")
def template() -> str:
    return render_template("table.html", title=inputs.TITLE, rows=inputs.ROWS)


@app.get("/async")
async def greet_later() -> dict[str, str]:
    await asyncio.sleep(0)
    return {"message": inputs.MESSAGE}


@app.get("/blocking")
def block() -> dict[str, bool]:
    time.sleep(inputs.SLEEP_SECONDS)
    return {"ok": True}


@app.get("/stream")
def stream() -> Response:
    return Response(b"piece" for _ in range(5))


@app.get("/abort")
def give_up() -> str:
    abort(404)


@app.get("/raise")
def fail() -> str:
    raise ValueError("no view")


@app.get("/tick")
def tick() -> dict[str, int]:
    return {"n": inputs.count_call()}


def resource(number: int) -> Callable[..., dict[str, int]]:
    def items(identity: int) -> dict[str, int]:
        return {"r": number, "id": identity}

    return items


if inputs.VARIANT == "routes":
    for number in range(inputs.ROUTES):
        path = f"/api/v1/resource{number}/<int:identity>/items"
        app.add_url_rule(path, f"resource{number}", resource(number))

if inputs.VARIANT == "session":
    app.secret_key = inputs.SECRET

    @app.get("/session")
    def count_visits() -> dict[str, int]:
        session["n"] = session.get("n", 0) + 1
        return {"n": session["n"]}


if inputs.VARIANT == "hooks":

    @app.before_request
    def mark_request() -> None:
        g.mark = "1"

    @app.after_request
    def mark_response(response: Response) -> Response:
        response.headers["X-Hook"] = g.mark
        return response
