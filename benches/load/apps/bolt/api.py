"""The application for django-bolt; annotations stay objects, since it reads them."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import inputs
from django_bolt import BoltAPI
from django_bolt.param_functions import Cookie, Form, Header, Query
from django_bolt.responses import HTML, PlainText


class Hooks:
    """Middleware, which is how django-bolt runs code around views."""

    def __init__(self, get_response: Callable[[Any], Awaitable[Any]]) -> None:
        self.get_response = get_response

    async def __call__(self, request: Any) -> Any:
        mark = "1"
        response = await self.get_response(request)
        response.headers["X-Hook"] = mark
        return response


api = BoltAPI(middleware=[Hooks]) if inputs.VARIANT == "hooks" else BoltAPI()
table = inputs.table_template()


@api.get("/")
async def plain():  # type: ignore[no-untyped-def]
    return PlainText(inputs.MESSAGE)


@api.get("/json")
async def greet():  # type: ignore[no-untyped-def]  # an annotation would add validation
    return {"message": inputs.MESSAGE}


@api.get("/user/{number}")
async def user(number: int):  # type: ignore[no-untyped-def]
    return {"id": number}


@api.get("/search")
async def search(  # type: ignore[no-untyped-def]
    q: str,
    page: int,
    tags: Annotated[list[str], Query()],
    lang: Annotated[str, Header(alias="accept-language")],
    theme: Annotated[str, Cookie(alias="theme")],
):
    return {"q": q, "page": page, "tags": tags, "lang": lang, "theme": theme}


@api.post("/echo")
async def echo(request):  # type: ignore[no-untyped-def]
    return json.loads(request.body)


@api.post("/form")
async def form(  # type: ignore[no-untyped-def]
    name: Annotated[str, Form()], email: Annotated[str, Form()]
):
    return {"name": name, "email": email}


@api.get("/template")
async def template():  # type: ignore[no-untyped-def]
    return HTML(table.render(title=inputs.TITLE, rows=inputs.ROWS))


@api.get("/async")
async def greet_later():  # type: ignore[no-untyped-def]
    await asyncio.sleep(0)
    return {"message": inputs.MESSAGE}


@api.get("/blocking")
def block():  # type: ignore[no-untyped-def]
    time.sleep(inputs.SLEEP_SECONDS)
    return {"ok": True}


@api.get("/tick")
async def tick():  # type: ignore[no-untyped-def]
    return {"n": inputs.count_call()}


def resource(number: int) -> Callable[..., Any]:
    async def items(identity: int):  # type: ignore[no-untyped-def]
        return {"r": number, "id": identity}

    items.__name__ = f"resource{number}"
    return items


if inputs.VARIANT == "routes":
    for number in range(inputs.ROUTES):
        api.get(f"/api/v1/resource{number}/{{identity}}/items")(resource(number))
