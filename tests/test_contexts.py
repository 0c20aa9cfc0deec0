"""Contexts across threads, greenlets, tasks and task queues."""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import celery
import pytest
from greenlet import greenlet

import bustapi
from bustapi import copy_current_request_context, current_app, g, request, session

# --- threads


def test_a_thread_has_no_context(app, client):
    @app.get("/")
    def index():
        with ThreadPoolExecutor(1) as pool:
            return [pool.submit(bool, request).result(), pool.submit(bool, current_app).result()]

    assert client.get("/").json == [False, False]


def test_a_copied_context_outlives_its_request(app, client):
    release = threading.Event()
    seen = []

    @app.get("/")
    def index():
        session["x"] = 1
        g.mine = "view"

        @copy_current_request_context
        def later():
            release.wait(10)
            seen.append([request.path, request.args["q"], session["x"], g.get("mine")])

        threads.append(threading.Thread(target=later))
        threads[0].start()
        return "answered"

    threads = []
    assert client.get("/?q=1").text == "answered"
    release.set()
    threads[0].join(10)
    # The application context is another one, as nothing of it is to be shared.
    assert seen == [["/", "1", 1, None]]


def test_many_threads_with_their_own_requests(app):
    together = threading.Barrier(8)

    @app.get("/<int:number>")
    def index(number):
        g.number = number
        session["number"] = number
        together.wait(10)
        return [g.number, session["number"], request.view_args["number"]]

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda n: app.test_client().get(f"/{n}").json, range(8))
        assert list(answers) == [[n, n, n] for n in range(8)]


def test_an_app_context_of_a_thread(app):
    app.config["SERVER_NAME"] = "thread.test"
    app.add_url_rule("/x", "x", lambda: "")
    seen = []

    def work():
        with app.app_context():
            g.mine = 1
            seen.append([current_app.name, bustapi.url_for("x"), "theirs" in g])

    with app.app_context():
        g.theirs = 1
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert "mine" not in g

    assert seen == [["bustapi_test", "http://thread.test/x", False]]


def test_context_variables_carry_the_contexts(app):
    with app.test_request_context("/here"):
        context = contextvars.copy_context()

    seen = []
    thread = threading.Thread(target=lambda: seen.append(context.run(lambda: request.path)))
    thread.start()
    thread.join()
    assert seen == ["/here"]


# --- greenlets


def test_greenlets_have_contexts_of_their_own(app):
    seen = []

    def visit(path):
        with app.test_request_context(path):
            g.path = path
            seen.append(request.path)
            greenlet.getcurrent().parent.switch()
            seen.append((request.path, g.path))

    with app.test_request_context("/main"):
        one, two = greenlet(visit), greenlet(visit)
        one.switch("/one")
        two.switch("/two")
        assert request.path == "/main"
        one.switch()
        two.switch()
        assert request.path == "/main"

    assert seen == ["/one", "/two", ("/one", "/one"), ("/two", "/two")]


def test_requests_in_greenlets_do_not_mix(app):
    @app.get("/<name>")
    def index(name):
        g.name = name
        greenlet.getcurrent().parent.switch()
        return [g.name, request.view_args["name"]]

    answers = {}

    def visit(name):
        answers[name] = app.test_client().get(f"/{name}").json

    running = [greenlet(visit) for _ in range(3)]

    for number, each in enumerate(running):
        each.switch(str(number))

    for each in reversed(running):
        each.switch()

    assert answers == {str(n): [str(n), str(n)] for n in range(3)}


# --- contexts made for tests


def test_test_request_context(app):
    app.add_url_rule("/items/<int:number>", "item", lambda number: "", methods=["GET", "POST"])

    with app.test_request_context(
        "/items/5?q=1",
        method="POST",
        json={"a": 1},
        headers={"X-Own": "1"},
        base_url="https://other.test/root",
    ) as ctx:
        assert ctx.request is request._get_current_object()
        assert request.endpoint == "item"
        assert request.view_args == {"number": 5}
        assert request.args["q"] == "1"
        assert request.json == {"a": 1}
        assert request.headers["X-Own"] == "1"
        assert request.url == "https://other.test/root/items/5?q=1"
        assert bustapi.url_for("item", number=6) == "/root/items/6"
        assert not session

    assert not request
    assert not current_app


def test_hooks_can_be_run_by_hand(app):
    ran = []
    app.before_request(lambda: ran.append("before"))
    app.after_request(lambda response: ran.append("after") or response)
    app.teardown_request(lambda error: ran.append("teardown"))

    with app.test_request_context("/missing"):
        assert app.preprocess_request() is None
        response = app.process_response(app.make_response("x"))
        assert response.get_data(as_text=True) == "x"
        assert ran == ["before", "after"]

    assert ran == ["before", "after", "teardown"]


def test_a_request_context_in_a_request(app, client):
    @app.get("/")
    def index():
        with app.test_request_context("/other", data={"a": "1"}):
            inner = [request.path, request.form["a"], current_app.name]

        return [*inner, request.path]

    assert client.get("/").json == ["/other", "1", "bustapi_test", "/"]


# --- Celery


def make_celery(app):
    """The way that Flask's documentation joins the two."""

    class ContextTask(celery.Task):
        def __call__(self, *args, **kwargs):
            with app.app_context():
                return self.run(*args, **kwargs)

    queue = celery.Celery(app.name, task_cls=ContextTask)
    queue.config_from_object(app.config["CELERY"])
    queue.set_default()
    app.extensions["celery"] = queue
    return queue


@pytest.fixture
def queue(app):
    app.config["SERVER_NAME"] = "tasks.test"
    app.config["CELERY"] = {
        "broker_url": "memory://",
        "result_backend": "cache+memory://",
        "task_ignore_result": False,
    }
    app.add_url_rule("/items/<int:number>", "item", lambda number: "")
    return make_celery(app)


def test_a_celery_task_has_an_app_context(app, queue):
    ended = []
    app.teardown_appcontext(ended.append)

    @queue.task(shared=False)
    def describe(number):
        g.number = number
        return [current_app.name, bustapi.url_for("item", number=g.number), bool(request)]

    queue.conf.task_always_eager = True
    result = describe.delay(5)
    assert result.get(timeout=10) == ["bustapi_test", "http://tasks.test/items/5", False]
    assert ended == [None]


def test_a_failing_celery_task_tears_its_context_down(app, queue):
    ended = []
    app.teardown_appcontext(ended.append)

    @queue.task(shared=False)
    def fail():
        raise ValueError(current_app.name)

    queue.conf.task_always_eager = True

    with pytest.raises(ValueError, match="bustapi_test"):
        fail.delay().get(timeout=10)

    assert [type(error) for error in ended] == [ValueError]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_celery_worker_runs_tasks_of_views(app, client, queue):
    from celery.contrib.testing.worker import start_worker

    @queue.task(shared=False)
    def double(number):
        return [current_app.name, number * 2, threading.current_thread().name]

    @app.get("/<int:number>")
    def index(number):
        return double.delay(number).get(timeout=10)

    with start_worker(queue, perform_ping_check=False, shutdown_timeout=30):
        name, result, thread = client.get("/21", base_url="http://tasks.test").json

    assert (name, result) == ("bustapi_test", 42)
    assert thread != threading.current_thread().name
