"""A small notes application: accounts, pages, forms and a JSON API over SQLite.

    bustapi --app examples/notes.py run

It needs nothing but bustapi. The database and the secret key are made in `instance` beside this
file when it first starts. Everything below is Flask's API: with `flask` in place of `bustapi` in
the import it runs on Flask.
"""

from __future__ import annotations

import contextlib
import functools
import hmac
import os
import secrets
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from werkzeug.exceptions import HTTPException
from werkzeug.security import check_password_hash, generate_password_hash

from bustapi import (
    Blueprint,
    Flask,
    abort,
    current_app,
    flash,
    g,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    url_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from werkzeug.wrappers import Response

SCHEMA = """
create table if not exists user (
    id integer primary key,
    name text not null unique,
    password text not null
);
create table if not exists note (
    id integer primary key,
    user_id integer not null references user (id) on delete cascade,
    title text not null,
    body text not null default '',
    changed text not null default (datetime('now'))
);
create index if not exists note_by_user on note (user_id, changed);
"""

# Long enough for a page of prose; a form cannot fill the disk.
MAX_BODY = 20_000
MAX_TITLE = 200
# SQLite's largest integer; sqlite3 raises for a larger one.
MAX_ID = 2**63 - 1


# ---------------------------------------------------------------- database
def database() -> sqlite3.Connection:
    """This request's connection, opened when first asked for."""
    if "database" not in g:
        g.database = sqlite3.connect(current_app.config["DATABASE"])
        g.database.row_factory = sqlite3.Row
        g.database.execute("pragma foreign_keys = on")
    return cast("sqlite3.Connection", g.database)


def close_database(error: BaseException | None) -> None:
    """Closes the connection at the end of the request, whatever became of it."""
    if connection := g.pop("database", None):
        connection.close()


def find_notes(search: str = "") -> list[sqlite3.Row]:
    """The user's notes that contain `search`, the latest first."""
    return (
        database()
        .execute(
            "select * from note where user_id = ? and instr(lower(title || ' ' || body), ?)"
            " order by changed desc, id desc",
            (g.user["id"], search.lower()),
        )
        .fetchall()
    )


def get_note(note_id: int) -> sqlite3.Row:
    """The user's note, or a 404: other people's notes do not exist."""
    note = None
    if note_id <= MAX_ID:
        note = (
            database()
            .execute("select * from note where id = ? and user_id = ?", (note_id, g.user["id"]))
            .fetchone()
        )
    if note is None:
        abort(404, "There is no such note.")
    return cast("sqlite3.Row", note)


def save_note(title: str, body: str, note_id: int | None = None) -> int:
    """Writes a new note, or over an old one; its number.

    :raises ValueError: if a text is missing or too long; the message is for the user.
    """
    title = title.strip()
    if not title:
        raise ValueError("A note needs a title.")
    if len(title) > MAX_TITLE or len(body) > MAX_BODY:
        raise ValueError(f"A title has up to {MAX_TITLE} letters, a note up to {MAX_BODY}.")
    with database() as connection:
        if note_id is None:
            cursor = connection.execute(
                "insert into note (user_id, title, body) values (?, ?, ?)",
                (g.user["id"], title, body),
            )
            return cast("int", cursor.lastrowid)
        connection.execute(
            "update note set title = ?, body = ?, changed = datetime('now') where id = ?",
            (title, body, note_id),
        )
    return note_id


def remove_note(note_id: int) -> None:
    """Deletes a note."""
    with database() as connection:
        connection.execute("delete from note where id = ?", (note_id,))


# ---------------------------------------------------------------- accounts
auth = Blueprint("auth", __name__, url_prefix="/account")


@auth.before_app_request
def load_user() -> None:
    """Finds who is asking: a session, or for programs HTTP's basic authentication."""
    g.user = None
    if user_id := session.get("user_id"):
        g.user = database().execute("select * from user where id = ?", (user_id,)).fetchone()
    elif request.authorization and request.authorization.type == "basic":
        given = request.authorization
        g.user = find_user(given.username or "", given.password or "")


@auth.before_app_request
def check_form_token() -> None:
    """Refuses forms that were not made for this session."""
    if request.method != "POST" or request.blueprint == "api":
        return
    token, given = session.get("token", ""), request.form.get("token", "")
    # As bytes: of strings, it compares ASCII only.
    if not token or not hmac.compare_digest(token.encode(), given.encode()):
        abort(400, "This form has expired. Go back, reload the page and try again.")


@auth.app_context_processor
def add_form_token() -> dict[str, Callable[[], str]]:
    """`form_token()` in templates. Made for a form, so that only pages with one set a cookie."""
    return {"form_token": lambda: session.setdefault("token", secrets.token_urlsafe(24))}


def find_user(name: str, password: str) -> sqlite3.Row | None:
    """The account of that name if the password is right."""
    user = database().execute("select * from user where name = ?", (name,)).fetchone()
    if user is None or not check_password_hash(user["password"], password):
        return None
    return cast("sqlite3.Row", user)


def login_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Sends strangers to the login page, or tells programs to authenticate."""

    @functools.wraps(view)
    def wrapped(**view_args: Any) -> Any:
        if g.user is not None:
            return view(**view_args)
        if request.blueprint == "api":
            abort(401, "Log in, or send a name and a password.")
        return redirect(url_for("auth.log_in", next=request.path))

    return wrapped


@auth.route("/register", methods=["GET", "POST"])
def register() -> str | Response:
    if request.method == "POST":
        name, password = request.form["name"].strip(), request.form["password"]
        try:
            if not name or len(password) < 8:
                raise ValueError("Choose a name, and a password of at least 8 letters.")
            with database() as connection:
                cursor = connection.execute(
                    "insert into user (name, password) values (?, ?)",
                    (name, generate_password_hash(password)),
                )
        except ValueError as error:
            flash(str(error), "error")
        except sqlite3.IntegrityError:
            flash(f"{name} is taken.", "error")
        else:
            session["user_id"] = cursor.lastrowid
            flash(f"Welcome, {name}.")
            return redirect(url_for("notes.index"))
    return render_template("notes/account.html", action="Register")


@auth.route("/login", methods=["GET", "POST"])
def log_in() -> str | Response:
    if request.method == "POST":
        user = find_user(request.form["name"].strip(), request.form["password"])
        if user is not None:
            session.clear()
            session["user_id"] = user["id"]
            target = request.args.get("next", "")
            # Only a path of this site: "//host" and "\\host" lead elsewhere.
            safe = target.startswith("/") and not target.startswith(("//", "/\\"))
            return redirect(target if safe else url_for("notes.index"))
        flash("No such name, or another password.", "error")
    return render_template("notes/account.html", action="Log in")


@auth.post("/logout")
def log_out() -> Response:
    session.clear()
    return redirect(url_for("auth.log_in"))


# ---------------------------------------------------------------- pages
pages = Blueprint("notes", __name__)


@pages.get("/")
@login_required
def index() -> str:
    search = request.args.get("search", "")
    return render_template("notes/index.html", notes=find_notes(search), search=search)


@pages.route("/new", methods=["GET", "POST"], defaults={"note_id": None})
@pages.route("/notes/<int:note_id>", methods=["GET", "POST"])
@login_required
def edit(note_id: int | None) -> str | Response:
    note: Mapping[str, Any] = {"title": "", "body": ""}
    if note_id is not None:
        row = get_note(note_id)
        note = dict(zip(row.keys(), row, strict=True))
    if request.method == "POST":
        note = {**note, "title": request.form["title"], "body": request.form["body"]}
        try:
            save_note(note["title"], note["body"], note_id)
        except ValueError as error:
            flash(str(error), "error")
        else:
            flash("Saved.")
            return redirect(url_for(".index"))
    return render_template("notes/edit.html", note=note)


@pages.post("/notes/<int:note_id>/delete")
@login_required
def delete(note_id: int) -> Response:
    remove_note(get_note(note_id)["id"])
    flash("Deleted.")
    return redirect(url_for(".index"))


# ---------------------------------------------------------------- JSON
api = Blueprint("api", __name__, url_prefix="/api")


def describe(note: sqlite3.Row) -> dict[str, Any]:
    """A note as the API shows it."""
    url = url_for("api.show", note_id=note["id"])
    return {"id": note["id"], "title": note["title"], "body": note["body"], "url": url}


def read_note_fields() -> dict[str, str]:
    """The texts of a JSON note; 400 for anything else."""
    given = request.get_json()
    if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
        abort(400, "A note is an object with the strings `title` and `body`.")
    return {key: given[key] for key in ("title", "body") if key in given}


@api.get("/notes")
@login_required
def list_notes() -> list[dict[str, Any]]:
    return [describe(note) for note in find_notes(request.args.get("search", ""))]


@api.post("/notes")
@login_required
def create() -> tuple[Response, int, dict[str, str]]:
    fields = read_note_fields()
    note = get_note(save_note(fields.get("title", ""), fields.get("body", "")))
    return jsonify(describe(note)), 201, {"Location": url_for(".show", note_id=note["id"])}


@api.get("/notes/<int:note_id>")
@login_required
def show(note_id: int) -> dict[str, Any]:
    return describe(get_note(note_id))


@api.put("/notes/<int:note_id>")
@login_required
def replace(note_id: int) -> dict[str, Any]:
    note = describe(get_note(note_id))
    fields = read_note_fields()
    save_note(fields.get("title", note["title"]), fields.get("body", note["body"]), note_id)
    return describe(get_note(note_id))


@api.delete("/notes/<int:note_id>")
@login_required
def destroy(note_id: int) -> tuple[str, int]:
    remove_note(get_note(note_id)["id"])
    return "", 204


@api.errorhandler(ValueError)
def show_invalid(error: ValueError) -> tuple[dict[str, str], int]:
    """What :func:`save_note` refuses."""
    return {"error": str(error)}, 422


# ---------------------------------------------------------------- application
def show_error(error: HTTPException) -> tuple[Any, int, dict[str, str]]:
    """Errors as a page, or for the API as JSON; 401 asks for a name and a password."""
    code = error.code or 500
    headers = {"WWW-Authenticate": 'Basic realm="notes"'} if code == 401 else {}
    if request.path.startswith("/api/"):
        return {"error": error.description or error.name}, code, headers
    return render_template("notes/error.html", error=error), code, headers


def read_secret_key(path: Path) -> str:
    """The key that signs sessions: made once, readable by its owner only."""
    if not path.exists():
        made = path.with_suffix(f".{os.getpid()}")
        made.touch(mode=0o600)
        made.write_text(secrets.token_hex(32))
        # A link is never seen half written, and the first of several workers wins.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(made)
        made.unlink()
    return path.read_text()


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Makes the application; `config` goes over the defaults."""
    app = Flask(__name__, instance_relative_config=True)
    app.config.from_mapping(
        DATABASE=str(Path(app.instance_path) / "notes.sqlite"),
        MAX_CONTENT_LENGTH=1_000_000,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    app.config.from_mapping(config)
    folder = Path(app.config["DATABASE"]).parent
    folder.mkdir(parents=True, exist_ok=True)
    if app.config["SECRET_KEY"] is None:
        app.config["SECRET_KEY"] = read_secret_key(folder / "notes.key")
    connection = sqlite3.connect(app.config["DATABASE"])
    connection.executescript(SCHEMA)
    connection.close()

    app.register_blueprint(auth)
    app.register_blueprint(pages)
    app.register_blueprint(api)
    app.register_error_handler(HTTPException, show_error)
    app.teardown_appcontext(close_database)

    @app.cli.command("list-users")
    def list_users() -> None:
        """Prints every account and how many notes it has."""
        for name, count in database().execute(
            "select name, count(note.id) from user left join note on user_id = user.id"
            " group by user.id order by name"
        ):
            click.echo(f"{name}: {count}")

    return app
