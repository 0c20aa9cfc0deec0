"""Locust: its web interface, which it serves itself, in a process patched by gevent.

Special in it: a Flask application on gevent's own WSGI server, so that bustapi is called as WSGI from
greenlets; error handlers for `Exception` on a blueprint, flask-cors, downloads made by generators,
and views that start and stop greenlets. There is no other way to serve it: ``bustapi run`` has
threads, which gevent's patches take the place of.
"""

from __future__ import annotations

import time

from ..application import BUSTAPI, FLASK, Application, Client, Normalisation, Way

LOCUSTFILE = """\
from flask import Blueprint, jsonify, request
from locust import User, constant, events, task


class Somebody(User):
    wait_time = constant(0.05)
    done = 0

    @task
    def work(self):
        Somebody.done += 1
        if Somebody.done > 20:
            return
        self.environment.events.request.fire(
            request_type="TEST", name="a täsk", response_time=10, response_length=100,
            exception=ValueError("on purpose") if Somebody.done % 4 == 0 else None, context={},
        )


@events.init.add_listener
def on_init(environment, **_):
    more = Blueprint("more", __name__)

    @more.route("/more/<int:number>", methods=["GET", "POST"])
    def page(number):
        return jsonify(number=number, form=request.form.to_dict(), done=Somebody.done)

    @more.route("/fails")
    def fails():
        raise RuntimeError("on purpose")

    environment.web_ui.app.register_blueprint(more)
"""

_LOCUST = (
    *("{program}", "{bin}/locust", "-f", "locustfile.py", "--web-host", "127.0.0.1"),
    *("--web-port", "{port}", "--skip-log-setup"),
)


def script(http: Client) -> None:
    http.get("/", expect=200)
    http.head("/")
    http.get("/none")
    http.get("/more/1", headers={"Origin": "http://elsewhere.test"}, expect=200)
    http.get("/more/x")
    http.post("/more/2", form={"a": "é&"})
    http.post("/more/2", form={"a": "x" * 200_000})
    http.delete("/more/2")
    http.options("/swarm", headers={"Origin": "http://elsewhere.test"})
    http.get("/swarm")
    http.get("/stats/requests", expect=200)
    http.get("/stats/requests/csv", expect=200)
    http.get("/stats/requests_full_history/csv")
    http.get("/stats/failures/csv")
    http.get("/exceptions")
    http.get("/exceptions/csv")
    http.get("/tasks", expect=200)
    http.get("/worker-count")
    http.get("/assets/none.js")
    http.get("/assets/../index.html")
    http.get("/login")
    http.post("/user", json={"user_class_name": "Somebody", "fixed_count": 1})
    http.post("/user", body=b"{", headers={"Content-Type": "application/json"})
    http.post("/swarm", form={"user_count": "x"})
    http.post(
        "/swarm", form={"user_count": 2, "spawn_rate": 2, "host": "http://none.test"}, expect=200
    )
    time.sleep(3)  # its users are done after one; until then the numbers change
    http.get("/stop")
    http.post("/stop", expect=200)
    http.get("/stats/requests/csv", expect=200)
    http.get("/stats/failures/csv", expect=200)
    http.get("/stats/report", expect=200)
    http.get("/stats/report?download=1&theme=dark", expect=200)
    http.get("/stats/reset")
    http.post("/stats/reset")
    http.get("/fails")
    http.get("/stats/requests")


APPLICATION = Application(
    name="locust",
    requirements=("locust==2.47.0",),
    ways=(Way("locust", FLASK, _LOCUST), Way("locust", BUSTAPI, _LOCUST)),
    files={"locustfile.py": LOCUSTFILE},
    script=script,
    ready="/worker-count",
    normalisations=(
        Normalisation(r"\d{4}-\d\d-\d\d-\d\dh\d\d", "names of downloads have the time"),
        Normalisation(r'(?P<keep>"history": )\[.*\](?=, "host")', "made every five seconds"),
        Normalisation(r'(?P<keep>"response_time_percentile_0.\d+": )(null|0)', "likewise"),
        Normalisation(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?", "times of the run"),
        Normalisation(r"\d{4}-\d\d-\d\d[-_ ]\d\d[:h.]?\d\d[:.]?\d\d", "times of the run"),
        Normalisation(r"\b\d+\.\d{4,}\b", "rates and times, as measured"),
        Normalisation(r'(?P<keep>"duration": ")[^"]+', "as measured"),
        Normalisation(
            r'(?P<keep>"(?:time|current_rps|total_avg_response_time)": ?")[^"]+', "times"
        ),
    ),
)
