"""The application for BlackSheep; annotations stay objects, since BlackSheep reads them."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import inputs
from blacksheep import Application, Request, Response, html, json, text

app = Application(show_error_details=False)
app.serve_files(inputs.STATIC, root_path="static", extensions={".bin"})
table = inputs.table_template()


@app.router.get("/")
async def plain() -> Response:
    return text(inputs.MESSAGE)


@app.router.get("/json")
async def greet() -> Response:
    return json({"message": inputs.MESSAGE})


@app.router.get("/user/{int:number}")
async def user(number: int) -> Response:
    return json({"id": number})


@app.router.get("/search")
async def search(request: Request, q: str, page: int, tags: list[str]) -> Response:
    language = request.get_first_header(b"accept-language")
    return json(
        {
            "q": q,
            "page": page,
            "tags": tags,
            "lang": (language or b"").decode(),
            "theme": request.get_cookie("theme"),
        }
    )


@app.router.post("/echo")
async def echo(request: Request) -> Response:
    return json(await request.json())


@app.router.post("/form")
async def form(request: Request) -> Response:
    fields = await request.form()
    return json({"name": fields["name"], "email": fields["email"]})


@app.router.post("/upload")
async def upload(request: Request) -> Response:
    [file] = await request.files("file")
    return json({"size": len(file.data)})


@app.router.get("/template")
async def template() -> Response:
    return html(table.render(title=inputs.TITLE, rows=inputs.ROWS))


@app.router.get("/async")
async def greet_later() -> Response:
    await asyncio.sleep(0)
    return json({"message": inputs.MESSAGE})


@app.router.get("/blocking")
def block() -> Response:
    time.sleep(inputs.SLEEP_SECONDS)
    return json({"ok": True})


@app.router.get("/tick")
async def tick() -> Response:
    return json({"n": inputs.count_call()})


def resource(number: int) -> Callable[..., Awaitable[Response]]:
    async def items(identity: int) -> Response:
        return json({"r": number, "id": identity})

    return items


async def mark(request: Request, handler: Callable[[Request], Awaitable[Response]]) -> Response:
    request.mark = b"1"
    response = await handler(request)
    response.add_header(b"X-Hook", request.mark)
    return response


if inputs.VARIANT == "routes":
    for number in range(inputs.ROUTES):
        path = f"/api/v1/resource{number}/{{int:identity}}/items"
        app.router.add_get(path, resource(number))

if inputs.VARIANT == "hooks":
    app.middlewares.append(mark)

if inputs.VARIANT == "session":
    app.use_sessions(inputs.SECRET)

    @app.router.get("/session")
    async def count_visits(request: Request) -> Response:
        request.session["n"] = request.session.get("n", 0) + 1
        return json({"n": request.session["n"]})
