"""A Flask application before and after its migration: one import is all that differs.

Before, it ran as `flask --app flask_migration run`; after, as

    bustapi --app examples/flask_migration.py run

An application whose imports cannot be touched, or that uses Flask's extensions, runs unchanged:
`bustapi --app your_app run --flask-compat`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException

# before: from flask import Blueprint, Flask, abort, g, jsonify, request, session, url_for
from bustapi import Blueprint, Flask, abort, g, jsonify, request, session, url_for

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

BOOKS = {1: "The Left Hand of Darkness", 2: "Solaris", 3: "Kindred"}

shelf = Blueprint("shelf", __name__, url_prefix="/books")


@shelf.url_value_preprocessor
def load_book(endpoint: str | None, values: dict[str, int] | None) -> None:
    """Looks the book up once, for every view below that names one."""
    g.book = BOOKS.get((values or {}).get("number", 0))


@shelf.get("/")
def list_books() -> Response:
    prefix = request.args.get("prefix", "")
    found = {number: title for number, title in BOOKS.items() if title.startswith(prefix)}
    return jsonify(
        books=[
            {"title": title, "url": url_for(".show_book", number=number)}
            for number, title in found.items()
        ]
    )


@shelf.get("/<int:number>")
def show_book(number: int) -> dict[str, object]:
    if g.book is None:
        abort(404, f"No book has the number {number}.")
    session["seen"] = session.get("seen", 0) + 1
    return {"title": g.book, "seen": session["seen"]}


def create_app() -> Flask:
    """Makes the application, as Flask's and bustapi's command line both expect."""
    app = Flask(__name__)
    app.config["SECRET_KEY"] = "only for this example"
    app.register_blueprint(shelf)

    @app.errorhandler(HTTPException)
    def show_error(error: HTTPException) -> tuple[dict[str, object], int]:
        return {"error": error.name, "reason": error.description}, error.code or 500

    @app.after_request
    def add_header(response: Response) -> Response:
        response.headers["X-Shelf"] = str(len(BOOKS))
        return response

    return app
