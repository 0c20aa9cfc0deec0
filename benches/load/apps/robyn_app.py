"""The application for Robyn, on its own server; annotations stay objects, since it reads them."""

import asyncio
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

import inputs
from robyn import Headers, Request, Response, Robyn

app = Robyn(__file__)
app.config.disable_openapi = True
app.serve_directory("/static", inputs.STATIC)
table = inputs.table_template()


@app.get("/")
def plain() -> str:
    return inputs.MESSAGE


@app.get("/json")
def greet() -> dict[str, str]:
    return {"message": inputs.MESSAGE}


@app.get("/user/:number")
def user(number: int) -> dict[str, int]:
    return {"id": number}


@app.get("/search")
def search(request: Request) -> dict[str, Any]:
    query = request.query_params
    cookies = SimpleCookie(request.headers.get("cookie") or "")
    return {
        "q": query.get("q", None),
        "page": int(query.get("page", "1")),
        "tags": query.get_all("tags"),
        "lang": request.headers.get("accept-language"),
        "theme": cookies["theme"].value,
    }


@app.post("/echo")
def echo(request: Request) -> Any:
    return request.json()


@app.post("/form")
def form(request: Request) -> dict[str, str]:
    # `form_data` holds multipart forms only.
    body = request.body
    fields = dict(parse_qsl(body if isinstance(body, str) else body.decode()))
    return {"name": fields["name"], "email": fields["email"]}


@app.post("/upload")
def upload(request: Request) -> dict[str, int]:
    [content] = request.files.values()
    return {"size": len(content)}


@app.get("/template")
def template() -> Response:
    headers = Headers({"Content-Type": "text/html; charset=utf-8"})
    text = table.render(title=inputs.TITLE, rows=inputs.ROWS)
    return Response(status_code=200, headers=headers, description=text)


@app.get("/async")
async def greet_later() -> dict[str, str]:
    await asyncio.sleep(0)
    return {"message": inputs.MESSAGE}


@app.get("/blocking")
def block() -> dict[str, bool]:
    time.sleep(inputs.SLEEP_SECONDS)
    return {"ok": True}


@app.get("/tick")
def tick() -> dict[str, int]:
    return {"n": inputs.count_call()}


def resource(number: int) -> Callable[..., dict[str, int]]:
    # Robyn gives a parameter named `identity` who the user is.
    def items(item: int) -> dict[str, int]:
        return {"r": number, "id": item}

    return items


if inputs.VARIANT == "routes":
    for number in range(inputs.ROUTES):
        app.get(f"/api/v1/resource{number}/:item/items")(resource(number))

if inputs.VARIANT == "hooks":

    @app.before_request()
    def mark_request(request: Request) -> Request:
        request.headers.set("x-mark", "1")
        return request

    @app.after_request()
    def mark_response(response: Response) -> Response:
        response.headers.set("X-Hook", "1")
        return response


if __name__ == "__main__":
    app.start(host="127.0.0.1", port=inputs.PORT, _check_port=False)
