"""Where a program has replaced a part of Werkzeug's server, that server is used, as by Flask."""

from __future__ import annotations

import http.client
import http.server
import socketserver
import threading

import pytest
import werkzeug.serving

from bustapi.serving import run, werkzeug_parts
from bustapi.serving.werkzeug_parts import replaced_parts


class OwnServer(werkzeug.serving.ThreadedWSGIServer):
    pass


class OwnHandler(werkzeug.serving.WSGIRequestHandler):
    pass


def own(*arguments, **options):
    pass


#: Who has it, its name, and what is put there.
REPLACEMENTS = [
    (werkzeug.serving, "make_server", own),
    (werkzeug.serving, "select_address_family", own),
    (werkzeug.serving, "BaseWSGIServer", OwnServer),
    (werkzeug.serving, "ThreadedWSGIServer", OwnServer),
    (werkzeug.serving, "WSGIRequestHandler", OwnHandler),
    (werkzeug.serving.BaseWSGIServer, "__init__", own),
    (werkzeug.serving.BaseWSGIServer, "serve_forever", own),
    (werkzeug.serving.BaseWSGIServer, "log_startup", own),
    (werkzeug.serving.BaseWSGIServer, "request_queue_size", 5),
    (werkzeug.serving.BaseWSGIServer, "server_activate", own),
    (werkzeug.serving.WSGIRequestHandler, "log_request", own),
    (werkzeug.serving.WSGIRequestHandler, "timeout", 5),
    (werkzeug.serving.WSGIRequestHandler, "protocol_version", "HTTP/1.0"),
    (http.server.HTTPServer, "server_bind", own),
    (http.server.BaseHTTPRequestHandler, "send_response", own),
    (http.server, "HTTPServer", OwnServer),
    (socketserver.BaseServer, "serve_forever", own),
    (socketserver.TCPServer, "server_bind", own),
    (socketserver.ThreadingMixIn, "process_request", own),
    (socketserver.StreamRequestHandler, "finish", own),
]


@pytest.fixture
def servers(monkeypatch):
    """Which server serves."""
    served = []
    monkeypatch.setattr(run, "_serve_natively", lambda *a, **options: served.append("native"))
    monkeypatch.setattr(
        run, "_werkzeug_run_simple", lambda *a, **options: served.append("Werkzeug's")
    )
    return served


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    REPLACEMENTS,
    ids=[f"{owner.__name__}.{name}" for owner, name, _ in REPLACEMENTS],
)
def test_a_replaced_part(app, servers, monkeypatch, owner, name, value):
    monkeypatch.setattr(owner, name, value, raising=False)
    monkeypatch.setenv("BUSTAPI_WORKERS", "2")

    with pytest.warns(RuntimeWarning, match=f"Werkzeug's development server is used.*{name}"):
        app.run(load_dotenv=False)

    assert servers == ["Werkzeug's"]

    with pytest.raises(SystemExit):
        app.run(load_dotenv=False, max_headers=5)

    monkeypatch.undo()
    assert replaced_parts() == []


def test_a_wrapped_function_of_before_is_noticed(monkeypatch):
    """Also one that was there first, and has the names of what it wraps."""
    original = werkzeug.serving.make_server

    def make_server(*arguments, **options):
        return original(*arguments, **options)

    make_server.__module__ = original.__module__
    make_server.__qualname__ = original.__qualname__
    monkeypatch.setattr(werkzeug.serving, "make_server", make_server)
    monkeypatch.setitem(werkzeug_parts._ORIGINAL_FUNCTIONS, "make_server", make_server)
    assert replaced_parts() == ["werkzeug.serving.make_server"]


def test_what_werkzeug_writes_is_not_replaced(app, servers):
    werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True).server_close()
    assert replaced_parts() == []
    app.run(load_dotenv=False)
    assert servers == ["native"]


def test_a_tool_learns_the_port_from_the_server(app, monkeypatch):
    """What test tools do: take the server that is made, ask it, and end it."""
    made = []
    is_made = threading.Event()
    original = werkzeug.serving.make_server

    def make_server(*arguments, **options):
        made.append(original(*arguments, **options))
        is_made.set()
        return made[0]

    monkeypatch.setattr(werkzeug.serving, "make_server", make_server)
    app.add_url_rule("/", "index", lambda: "index")

    def serve():
        with pytest.warns(RuntimeWarning, match="make_server has been replaced"):
            app.run(port=0, load_dotenv=False)

    thread = threading.Thread(target=serve)
    thread.start()
    assert is_made.wait(20)

    try:
        connection = http.client.HTTPConnection("127.0.0.1", made[0].port, timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"index"
        connection.close()
    finally:
        made[0].shutdown()
        thread.join(20)

    assert not thread.is_alive()
