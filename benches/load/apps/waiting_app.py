"""An application whose views wait, or keep the interpreter, when they are asked to."""

from __future__ import annotations

import ctypes
import http.client
import threading
import time

from bustapi import Flask, request

app = Flask(__name__)
event = threading.Event()
lock = threading.Lock()


@app.get("/")
def index() -> str:
    """Answer at once."""
    return "up"


@app.get("/waits")
def waits() -> str:
    """Wait for as many seconds as are asked for."""
    if "seconds" in request.args:
        time.sleep(float(request.args["seconds"]))

    return "waited"


@app.get("/keeps")
def keeps() -> str:
    """Keep the interpreter for as many microseconds as are asked for."""
    if "microseconds" in request.args:
        ctypes.PyDLL(None).usleep(int(request.args["microseconds"]))

    return "kept"


@app.get("/polls")
def polls() -> str:
    """Wait until another request sets the event."""
    return str(event.wait(60) if "wait" in request.args else True)


@app.get("/set")
def set_event() -> str:
    """Wake who polls."""
    event.set()
    return "set"


@app.get("/locks")
def locks() -> str:
    """Wait for the lock."""
    with lock:
        return "locked"


@app.get("/takes")
def takes() -> str:
    """Take the lock, and keep it beyond this request."""
    lock.acquire()
    return "taken"


@app.get("/frees")
def frees() -> str:
    """Let the lock go."""
    lock.release()
    return "freed"


@app.get("/own")
def own() -> str:
    """Ask the server that this view is served by."""
    if "port" in request.args:
        client = http.client.HTTPConnection("127.0.0.1", int(request.args["port"]), timeout=30)
        client.request("GET", "/")
        return client.getresponse().read().decode()

    return "own"
