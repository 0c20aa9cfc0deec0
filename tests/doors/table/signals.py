"""Signals, connected before and between requests."""

from __future__ import annotations

from ..case import case, get
from ..events import Events

_NAMES = [
    "appcontext_pushed",
    "appcontext_popped",
    "appcontext_tearing_down",
    "request_started",
    "request_finished",
    "request_tearing_down",
    "got_request_exception",
    "before_render_template",
    "template_rendered",
    "message_flashed",
]


def _app(fw):
    app = fw.app()
    events = Events()
    signals = fw.module("signals")
    receivers = {}

    def receiver(name):
        def receive(sender, **values):
            values.pop("_async_wrapper", None)
            shown = []

            for key, value in sorted(values.items()):
                shown.append(f"{key}={getattr(value, 'status', None) or type(value).__name__}")

            endpoint = fw.request.endpoint if fw.has_request_context() else "none"
            events.add(f"{name} {sender.name} {endpoint} {' '.join(shown)}".strip())

        return receive

    for name in _NAMES:
        receivers[name] = receiver(name)

    def connect():
        for name, receive in receivers.items():
            getattr(signals, name).connect(receive, app)

    def disconnect():
        for name, receive in receivers.items():
            getattr(signals, name).disconnect(receive, app)

    @app.get("/view")
    def view():
        return "view"

    @app.get("/fails")
    def fails():
        raise ValueError("secret")

    @app.get("/template")
    def template():
        return fw.render_template_string("{{ 1 }}")

    @app.get("/flash")
    def flash():
        fw.flash("message")
        return "flash"

    @app.get("/connect")
    def connect_view():
        connect()
        return "connected"

    @app.get("/disconnect")
    def disconnect_view():
        disconnect()
        return "disconnected"

    events.serve(app, fw)
    return app, connect


@case(
    get("/view"),
    get("/events/8"),
    get("/fails"),
    get("/events/13"),
    get("/template"),
    get("/events/14"),
    get("/flash"),
    get("/events/13"),
    get("/missing"),
    get("/events/12"),
)
def signals(fw):
    app, connect = _app(fw)
    connect()
    return app


@case(
    get("/view"),
    get("/events/0"),
    get("/connect"),
    get("/view"),
    get("/events/12"),
    get("/disconnect"),
    get("/events/6"),
    get("/view"),
    get("/events/0"),
)
def signals_connected_late(fw):
    return _app(fw)[0]


@case(get("/view"), get("/raise"), get("/view"), get("/relax"), get("/view"))
def signals_that_fail(fw):
    app = fw.app()
    signals = fw.module("signals")

    def fail(sender, **values):
        raise RuntimeError("in the receiver")

    def finish(sender, response, **values):
        response.headers["X-Finished"] = sender.name

    signals.request_finished.connect(finish, app, weak=False)
    app.add_url_rule("/view", "view", lambda: "view")

    @app.get("/raise")
    def connect():
        signals.request_started.connect(fail, app, weak=False)
        return "connected"

    @app.errorhandler(RuntimeError)
    def handle(error):
        if fw.request.endpoint == "relax":
            signals.request_started.disconnect(fail, app)

        return f"handled {error}"

    app.add_url_rule("/relax", "relax", lambda: "unreachable")
    return app
