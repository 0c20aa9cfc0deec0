"""Times bustapi's URL maps beside Werkzeug's, and `url_for` beside Flask's, in one run.

Prints nanoseconds for each call, and how many times as many Werkzeug or Flask needs. Each figure
is the least mean of many short batches, and the batches of both sides take turns, so that other
work on the machine hits both alike. Build the extension with ``--release`` first.
"""

from __future__ import annotations

import argparse
import sys
import timeit
from collections.abc import Callable
from types import ModuleType
from typing import Any

import flask
import werkzeug.routing
from werkzeug.test import create_environ

import bustapi
import bustapi.routing

#: What is timed: a name, and the call on either side.
Case = tuple[str, Callable[[], Any], Callable[[], Any]]

#: Seconds that a batch takes at least, so that the clock's own cost does not show.
BATCH = 0.001

HOST = "example.org"
STATIC, TYPED = "/api/resource3", "/users/12/posts/hello-world"
VALUES = {"id": 12, "slug": "hello-world"}


def make_map(routing: ModuleType, rules: int) -> Any:
    """A map of so many rules, half of them static, and all used once."""
    made = [
        routing.Rule("/", endpoint="index"),
        routing.Rule("/users/<int:id>/posts/<slug>", endpoint="post", methods=["GET"]),
    ]
    for number in range(rules // 2 - 1):
        made.append(routing.Rule(f"/api/resource{number}", endpoint=f"list{number}"))
        made.append(routing.Rule(f"/api/resource{number}/<int:id>", endpoint=f"one{number}"))
    url_map = routing.Map(made)
    url_map.bind(HOST).match("/")
    return url_map


def map_calls(url_map: Any) -> dict[str, Callable[[], Any]]:
    """What is timed of a map."""
    adapter = url_map.bind(HOST)
    environ = create_environ(TYPED, f"http://{HOST}")
    return {
        "bind": lambda: url_map.bind(HOST),
        "bind, match static": lambda: url_map.bind(HOST).match(STATIC),
        "bind, match typed": lambda: url_map.bind(HOST).match(TYPED),
        "bind_to_environ, match typed": lambda: url_map.bind_to_environ(environ).match(),
        "match static": lambda: adapter.match(STATIC),
        "match typed": lambda: adapter.match(TYPED),
        "build": lambda: adapter.build("post", VALUES),
        "build with a query": lambda: adapter.build("post", {**VALUES, "tab": "log in"}),
    }


def make_calls(routing: ModuleType) -> dict[str, Callable[[], Any]]:
    """What is timed of making maps."""
    return {"add 100 rules": lambda: make_map(routing, 100)}


def application_calls(framework: ModuleType) -> dict[str, Callable[[], Any]]:
    """What is timed of an application, in a request that is never popped."""
    app = framework.Flask("routing")
    app.add_url_rule("/", "index", lambda: "")
    app.add_url_rule("/users/<int:id>/posts/<slug>", "post", lambda **values: "")
    app.test_request_context(TYPED).push()
    url_for = framework.url_for
    return {
        "url_for": lambda: url_for("index"),
        "url_for with values": lambda: url_for("post", id=12, slug="hello-world"),
        "url_for with a query": lambda: url_for("post", id=12, slug="hello-world", tab="log in"),
    }


def cases(rules: int) -> list[Case]:
    """All that is timed."""
    sides = [
        (
            map_calls(make_map(werkzeug.routing, rules)),
            map_calls(make_map(bustapi.routing, rules)),
        ),
        (application_calls(flask), application_calls(bustapi)),
        (make_calls(werkzeug.routing), make_calls(bustapi.routing)),
    ]
    return [(name, theirs[name], ours[name]) for theirs, ours in sides for name in theirs]


def measure(calls: tuple[Callable[[], Any], ...], batches: int) -> list[float]:
    """The least mean time of each call, in nanoseconds."""
    timers = [timeit.Timer(call) for call in calls]
    counts = []
    for timer in timers:
        once = max(min(timer.repeat(5, 3)) / 3, 1e-8)
        counts.append(max(1, round(BATCH / once)))
    best = [float("inf")] * len(timers)
    for _ in range(batches):
        for number, (timer, count) in enumerate(zip(timers, counts, strict=True)):
            best[number] = min(best[number], timer.timeit(count) / count)
    return [seconds * 1e9 for seconds in best]


def main() -> int:
    """Prints a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=1000, help="rules of the map (1000)")
    parser.add_argument("--batches", type=int, default=100, help="batches of each side (100)")
    arguments = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {arguments.rules} rules; ns a call")
    print(f"{'':30}{'Werkzeug, Flask':>16}{'bustapi':>10}{'ratio':>8}")
    for name, theirs, ours in cases(arguments.rules):
        slow, quick = measure((theirs, ours), arguments.batches)
        print(f"{name:30}{slow:16,.0f}{quick:10,.0f}{slow / quick:7.1f}x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
