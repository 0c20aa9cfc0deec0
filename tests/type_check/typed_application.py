"""What a well typed application may write; `make types` checks it, nothing runs it.

Flask's own files of this kind are part of `make conformance`. Here are the names that they leave
out, and what the types of things are, not only that they are accepted.
"""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator, Iterator

from typing_extensions import assert_type
from werkzeug.datastructures import Headers
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as BaseResponse

import bustapi
from bustapi import (
    Blueprint,
    BustAPI,
    Flask,
    Request,
    Response,
    abort,
    current_app,
    g,
    get_flashed_messages,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    send_file,
    session,
    stream_with_context,
    url_for,
)
from bustapi.json.provider import DefaultJSONProvider
from bustapi.sessions import SessionInterface, SessionMixin
from bustapi.testing import FlaskClient, FlaskCliRunner
from bustapi.typing import ResponseReturnValue
from bustapi.views import MethodView, View

app = BustAPI(__name__, static_folder=None)
blueprint = Blueprint("shop", __name__, url_prefix="/shop")
other: Flask = app

assert_type(request.method, str)
assert_type(request.json, t.Any)
assert_type(request.args.get("page", 1, type=int), int)
assert_type(request.form["name"], str)
assert_type(request.blueprint, t.Optional[str])
assert_type(session.permanent, bool)
assert_type(current_app.name, str)
assert_type(url_for("index", page=1, _external=True), str)
assert_type(render_template("index.html", x=1), str)
assert_type(jsonify(x=1), Response)
assert_type(make_response("x", 201), Response)
assert_type(redirect("/"), BaseResponse)
assert_type(send_file("x.txt"), Response)
assert_type(app.test_client(), FlaskClient)
assert_type(app.test_cli_runner(), FlaskCliRunner)
assert_type(bustapi.flash("saved"), None)
get_flashed_messages(with_categories=True)
g.anything = 1


@app.get("/")
def index() -> str:
    return "index"


@app.route("/all", methods=["GET", "POST"])
def whole() -> ResponseReturnValue:
    return {"a": 1}, 201, {"X-A": "1"}


@app.post("/headers")
def with_headers() -> tuple[str, int, Headers]:
    return "x", 200, Headers()


@app.put("/item/<int:number>")
def item(number: int) -> tuple[dict[str, int], int]:
    if number > 10:
        abort(404)
    return {"number": number}, 200


@app.patch("/later")
async def later() -> list[int]:
    return [1]


@app.delete("/stream")
def stream() -> Iterator[str]:
    def pieces() -> Iterator[str]:
        yield request.path

    return stream_with_context(pieces())


@blueprint.get("/")
def shop() -> Response:
    return Response("x", mimetype="text/plain")


@app.before_request
def load() -> None:
    g.user = None


@app.before_request
async def load_later() -> ResponseReturnValue | None:
    return None


@blueprint.after_request
def add_header(response: Response) -> Response:
    response.headers["X"] = "1"
    return response


@app.teardown_request
def close(error: BaseException | None) -> None:
    pass


@app.errorhandler(404)
@app.errorhandler(NotFound)
def not_found(error: NotFound) -> tuple[str, int]:
    return error.name, 404


@app.template_filter("twice")
def twice(value: str) -> str:
    return value * 2


@app.context_processor
def names() -> dict[str, t.Any]:
    return {"x": 1}


@app.url_defaults
def defaults(endpoint: str, values: dict[str, t.Any]) -> None:
    values.setdefault("x", 1)


@app.cli.command("hello")
def hello() -> None:
    pass


class Items(MethodView):
    init_every_request = False

    def get(self, number: int) -> str:
        return str(number)


class Page(View):
    methods: t.ClassVar[t.Collection[str] | None] = ["GET"]

    def dispatch_request(self) -> ResponseReturnValue:
        return "x"


class Provider(DefaultJSONProvider):
    sort_keys = False


class Sessions(SessionInterface):
    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        return None

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        response.set_cookie(self.get_cookie_name(app), "x")


class Special(BustAPI):
    session_interface = Sessions()
    json_provider_class = Provider
    request_class = Request


app.add_url_rule("/items/<int:number>", view_func=Items.as_view("items"))
app.add_url_rule("/page", view_func=Page.as_view("page"))
app.register_blueprint(blueprint, url_prefix="/other")
app.config.from_mapping(SECRET_KEY="x")
app.config["DEBUG"] = True


async def unused(pieces: AsyncIterator[bytes]) -> None:
    with app.app_context(), app.test_request_context("/", method="POST") as context:
        assert_type(context.request, Request)
    with app.test_client() as client, client.session_transaction() as stored:
        stored["x"] = 1
