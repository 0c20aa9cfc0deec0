"""How evenly worker processes share the work: a socket each (`SO_REUSEPORT`) or one for all.

For both ways, and 2 to 4 workers, `wrk` loads a view over 64 connections that stay open, and over
connections of one request each. Each worker counts its requests in memory that all share. Printed
are the workers' shares, and how much more than an equal share the busiest one had: that is what
limits the throughput once every worker has a core. The rounds are interleaved.

Needs Linux and `wrk` (Debian package `wrk`). All traffic is loopback.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING

from measuring.environments import CACHE, ROOT
from measuring.processes import HOST, Server, free_port

if TYPE_CHECKING:
    from pathlib import Path

CONNECTIONS = "64"
WAYS = ("a socket each", "one socket")
LOADS = {"kept connections": [], "short connections": ["-H", "Connection: close"]}

APP = """
import mmap
import os
import sys

from bustapi import Flask
from bustapi._native import Listener, ServerConfig
from bustapi.serving.native import _serve_by_workers

port, workers, way = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
app = Flask(__name__)
# The next worker's number, then each worker's count; all of it shared.
memory = memoryview(mmap.mmap(-1, 8 * (workers + 1))).cast("Q")
slot = 0


def number_worker():
    global slot
    memory[0] += 1
    slot = memory[0]


os.register_at_fork(after_in_child=number_worker)


@app.get("/")
def index():
    memory[slot] += 1
    return "Hello, World!"


@app.get("/counts")
def counts():
    return list(memory[1:])


config = ServerConfig()
first = Listener("127.0.0.1", port, config)
more = [first.another() if way == "a socket each" else first.duplicate()
        for _ in range(workers - 1)]
_serve_by_workers(app, [first, *more], config)
"""


def counts(port: int) -> list[int]:
    """The requests that each worker has answered."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=10)) as connection:
        connection.request("GET", "/counts")
        answer: list[int] = json.load(connection.getresponse())
        return answer


def load(port: int, seconds: int, arguments: list[str]) -> None:
    """Load the view.

    Raises:
        SystemExit: an answer was wrong, or did not come.
    """
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", *arguments]
    command.append(f"http://{HOST}:{port}/")
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    if "Non-2xx" in report or "Socket errors" in report:
        raise SystemExit(f"wrong answers:\n{report}")


def measure(app: Path, workers: int, way: str, seconds: int) -> dict[str, list[float]]:
    """Each worker's share of the requests, the largest first, by kind of load."""
    port = free_port()
    command = [sys.executable, str(app), str(port), str(workers), way]
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    log = CACHE / "workers" / "log"
    shares = {}

    with Server(command, port, core=cores, environment=environment, folder=app.parent, log=log):
        for name, arguments in LOADS.items():
            before = counts(port)
            load(port, seconds, arguments)
            done = [now - then for now, then in zip(counts(port), before, strict=True)]
            shares[name] = sorted((count / sum(done) for count in done), reverse=True)

    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each run")
    parser.add_argument("--workers", default="2,3,4", help="numbers with commas between")
    arguments = parser.parse_args()

    if shutil.which("wrk") is None:
        raise SystemExit("this needs `wrk`; on Debian: apt-get install wrk")

    app = CACHE / "workers" / "workers_app.py"
    app.parent.mkdir(parents=True, exist_ok=True)
    app.write_text(APP)
    seen: dict[tuple[str, int, str], list[list[float]]] = defaultdict(list)

    for _ in range(arguments.rounds):
        for workers in map(int, arguments.workers.split(",")):
            for way in WAYS:
                for name, shares in measure(app, workers, way, arguments.seconds).items():
                    seen[name, workers, way].append(shares)

    print(f"{arguments.rounds} rounds of {arguments.seconds} s, {CONNECTIONS} connections")
    print(f"{'load':18} {'workers':>7}  {'way':14} {'busiest':>8} {'worst':>7}  median shares")

    for (name, workers, way), runs in sorted(seen.items()):
        excess = [(run[0] * workers - 1) * 100 for run in runs]
        medians = " ".join(f"{statistics.median(rank):.0%}" for rank in zip(*runs, strict=True))
        print(
            f"{name:18} {workers:7}  {way:14} {statistics.median(excess):+7.0f}%"
            f" {max(excess):+6.0f}%  {medians}"
        )


if __name__ == "__main__":
    main()
