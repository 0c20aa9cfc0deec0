"""The application for Litestar; annotations stay objects, since Litestar reads them."""

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated, Any

import inputs
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.contrib.jinja import JinjaTemplateEngine
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.params import Body, Parameter
from litestar.response import Template
from litestar.static_files import create_static_files_router
from litestar.template.config import TemplateConfig

FormBody = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


@dataclass
class Upload:
    title: str
    file: UploadFile


UploadBody = Annotated[Upload, Body(media_type=RequestEncodingType.MULTI_PART)]


@get("/", media_type=MediaType.TEXT)
async def plain() -> str:
    return inputs.MESSAGE


@get("/json")
async def greet() -> dict[str, str]:
    return {"message": inputs.MESSAGE}


@get("/user/{number:int}")
async def user(number: int) -> dict[str, int]:
    return {"id": number}


@get("/search")
async def search(
    q: str,
    page: int,
    tags: list[str],
    lang: Annotated[str, Parameter(header="Accept-Language")],
    theme: Annotated[str, Parameter(cookie="theme")],
) -> dict[str, Any]:
    return {"q": q, "page": page, "tags": tags, "lang": lang, "theme": theme}


@post("/echo", status_code=200)
async def echo(data: dict[str, Any]) -> dict[str, Any]:
    return data


@post("/form", status_code=200)
async def form(data: FormBody) -> dict[str, str]:
    return {"name": data["name"], "email": data["email"]}


@post("/upload", status_code=200)
async def upload(data: UploadBody) -> dict[str, int]:
    return {"size": len(await data.file.read())}


@get("/template", sync_to_thread=False)
def template() -> Template:
    return Template("table.html", context={"title": inputs.TITLE, "rows": inputs.ROWS})


@get("/async")
async def greet_later() -> dict[str, str]:
    await asyncio.sleep(0)
    return {"message": inputs.MESSAGE}


@get("/blocking", sync_to_thread=True)
def block() -> dict[str, bool]:
    time.sleep(inputs.SLEEP_SECONDS)
    return {"ok": True}


@get("/tick")
async def tick() -> dict[str, int]:
    return {"n": inputs.count_call()}


def resource(number: int) -> Any:
    @get(f"/api/v1/resource{number}/{{identity:int}}/items", name=f"resource{number}")
    async def items(identity: int) -> dict[str, int]:
        return {"r": number, "id": identity}

    return items


@get("/session")
async def count_visits(request: Request[Any, Any, Any]) -> dict[str, int]:
    count = request.session.get("n", 0) + 1
    request.session["n"] = count
    return {"n": count}


async def mark_request(request: Request[Any, Any, Any]) -> None:
    request.state.mark = "1"


async def mark_response(response: Response[Any]) -> Response[Any]:
    response.headers["X-Hook"] = "1"
    return response


handlers = [plain, greet, user, search, echo, form, upload, template, greet_later, block, tick]
handlers.append(create_static_files_router(path="/static", directories=[inputs.STATIC]))
hooks: dict[str, Any] = {}

if inputs.VARIANT == "routes":
    handlers += [resource(number) for number in range(inputs.ROUTES)]

if inputs.VARIANT == "session":
    # A secret of 32 bytes: the cookie is encrypted, not only signed, as Litestar has no other.
    cookies = CookieBackendConfig(secret=inputs.SECRET[:32].encode())
    hooks = {"middleware": [cookies.middleware]}
    handlers.append(count_visits)

if inputs.VARIANT == "hooks":
    hooks = {"before_request": mark_request, "after_request": mark_response}

app = Litestar(
    handlers,
    openapi_config=None,
    logging_config=None,
    template_config=TemplateConfig(directory=inputs.TEMPLATES, engine=JinjaTemplateEngine),
    **hooks,
)
