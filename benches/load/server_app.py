"""The application that `bench-server` measures: ordinary Flask code. `server_app.py PORT`."""

from __future__ import annotations

import sys
import time

from bustapi import Flask

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    return "Hello, World!"


@app.get("/json")
def json() -> dict[str, str]:
    return {"message": "Hello, World!"}


@app.get("/sleep")
def sleep() -> str:
    time.sleep(0.01)
    return "slept"


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]))
