"""The application for FastAPI; annotations stay objects, since FastAPI reads them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import inputs
from fastapi import Cookie, FastAPI, File, Form, Header, Query, Request, Response, UploadFile
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
app.mount("/static", StaticFiles(directory=inputs.STATIC))
templates = Jinja2Templates(directory=inputs.TEMPLATES)


@app.get("/", response_class=PlainTextResponse)
async def plain() -> str:
    return inputs.MESSAGE


@app.get("/json")
async def greet() -> dict[str, str]:
    return {"message": inputs.MESSAGE}


@app.get("/user/{number}")
async def user(number: int) -> dict[str, int]:
    return {"id": number}


@app.get("/search")
async def search(
    q: str,
    page: int,
    tags: Annotated[list[str], Query()],
    accept_language: Annotated[str, Header()],
    theme: Annotated[str, Cookie()],
) -> dict[str, Any]:
    return {"q": q, "page": page, "tags": tags, "lang": accept_language, "theme": theme}


@app.post("/echo")
async def echo(body: dict[str, Any]) -> dict[str, Any]:
    return body


@app.post("/form")
async def form(name: Annotated[str, Form()], email: Annotated[str, Form()]) -> dict[str, str]:
    return {"name": name, "email": email}


@app.post("/upload")
async def upload(file: Annotated[UploadFile, File()]) -> dict[str, int]:
    return {"size": len(await file.read())}


@app.get("/template", response_class=HTMLResponse)
async def template(request: Request) -> Response:
    context = {"title": inputs.TITLE, "rows": inputs.ROWS}
    return templates.TemplateResponse(request, "table.html", context)


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


def resource(number: int) -> Callable[..., Awaitable[dict[str, int]]]:
    async def items(identity: int) -> dict[str, int]:
        return {"r": number, "id": identity}

    return items


class Hooks:
    """Middleware on the ASGI level, the cheapest that Starlette offers."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        state = scope.setdefault("state", {})
        state["mark"] = b"1"

        async def send_marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-hook", state["mark"]))

            await send(message)

        await self.app(scope, receive, send_marked)


if inputs.VARIANT == "routes":
    for number in range(inputs.ROUTES):
        app.add_api_route(f"/api/v1/resource{number}/{{identity}}/items", resource(number))

if inputs.VARIANT == "hooks":
    app.add_middleware(Hooks)

if inputs.VARIANT == "session":
    from starlette.middleware.sessions import SessionMiddleware

    app.add_middleware(SessionMiddleware, secret_key=inputs.SECRET)

    @app.get("/session")
    async def count_visits(request: Request) -> dict[str, int]:
        request.session["n"] = request.session.get("n", 0) + 1
        return {"n": request.session["n"]}
