from __future__ import annotations

import blinker
import pytest

import bustapi
from bustapi import signals

ALL = [
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "got_request_exception",
    "message_flashed",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "template_rendered",
]


@pytest.fixture
def sent(app):
    """What was sent by the app, in order, as (signal name, keyword arguments)."""
    log = []
    connected = []

    for name in ALL:
        signal = getattr(signals, name)

        def receive(sender, _name=name, **kwargs):
            assert sender is app
            log.append((_name, kwargs))

        signal.connect(receive, app)
        connected.append((signal, receive))

    yield log

    for signal, receive in connected:
        signal.disconnect(receive, app)


@pytest.mark.parametrize("name", ALL)
def test_the_package_exports_the_signals(name):
    signal = getattr(signals, name)
    assert isinstance(signal, blinker.Signal)
    assert signal.name == name.replace("_", "-")
    assert getattr(bustapi, name) is signal


def test_the_order_of_a_request(app, client, sent):
    app.secret_key = "k"

    @app.get("/")
    def index():
        bustapi.flash("hi", "info")
        return bustapi.render_template_string("{{ a }}", a=1)

    assert client.get("/").text == "1"
    assert [name for name, _ in sent] == [
        "appcontext_pushed",
        "request_started",
        "message_flashed",
        "before_render_template",
        "template_rendered",
        "request_finished",
        "request_tearing_down",
        "appcontext_tearing_down",
        "appcontext_popped",
    ]
    arguments = dict(sent)
    assert arguments["message_flashed"] == {"message": "hi", "category": "info"}
    assert arguments["template_rendered"]["context"]["a"] == 1
    assert arguments["request_finished"]["response"].status_code == 200
    assert arguments["request_tearing_down"] == {"exc": None}
    assert arguments["appcontext_popped"] == {}


def test_the_order_of_a_failing_request(app, client, sent):
    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False
    error = ZeroDivisionError("boom")

    @app.get("/")
    def index():
        raise error

    assert client.get("/").status_code == 500
    names = [name for name, _ in sent]
    assert names.index("got_request_exception") < names.index("request_finished")
    assert dict(sent)["got_request_exception"] == {"exception": error}


def test_another_apps_signals_are_not_received(app, sent):
    with bustapi.Flask("other").app_context():
        pass

    assert sent == []


def test_receivers_may_be_coroutine_functions(app, client):
    seen = []

    async def receive(sender, **kwargs):
        seen.append(kwargs["message"])

    app.secret_key = "k"

    @app.get("/")
    def index():
        bustapi.flash("hi")
        return ""

    with signals.message_flashed.connected_to(receive, app):
        client.get("/")

    assert seen == ["hi"]
