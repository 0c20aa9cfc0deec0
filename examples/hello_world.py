"""The smallest application.

    bustapi --app examples/hello_world.py run

and then `curl http://127.0.0.1:5000/hello/Ada`.
"""

from __future__ import annotations

from bustapi import BustAPI

app = BustAPI(__name__)


@app.get("/")
def index() -> str:
    return "Hello, World!"


@app.get("/hello/<name>")
def hello(name: str) -> dict[str, str]:
    return {"message": f"Hello, {name}!"}
