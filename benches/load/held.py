"""What other requests notice of a view that waits, or that keeps the interpreter.

One worker serves `apps/waiting_app.py`. An endpoint is quick for a while, as the executor has to
learn, and then waits; meanwhile another one is asked every 5 ms, on connections of its own. Printed
are the answer times of that one; the times of views that only another request, or this server, can
end; and those of a 10 KB static file while a C function keeps the interpreter. Exit status 1 when a
bound is broken, which is meant for an idle machine. Traffic is loopback only.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from measuring.environments import APPS, CACHE
from measuring.processes import HOST, Server, free_port

#: Quick calls before an endpoint waits: more than the executor's trial.
QUICK_CALLS = 60
#: Seconds between two questions.
PAUSE = 0.005
#: Bounds in milliseconds: 99 of 100 answers, and all.
WAITING_P99, WAITING_WORST, FILE_P99 = 15.0, 50.0, 10.0
#: Longest wait for an answer in seconds.
PATIENCE = 60.0
FILE_SIZE = 10_000


def ask(port: int, target: str) -> float:
    """Ask once, on a connection of its own; the seconds it took.

    Raises:
        RuntimeError: the answer is not a 200.
    """
    began = time.perf_counter()
    client = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)

    try:
        client.request("GET", target)
        response = client.getresponse()
        response.read()
    finally:
        client.close()

    if response.status != 200:
        raise RuntimeError(f"{target}: {response.status}")

    return time.perf_counter() - began


def ask_while(port: int, target: str, slow: str) -> list[float]:
    """Ask for one target every 5 ms for as long as another one takes; the times in seconds."""
    waiting = threading.Thread(target=ask, args=(port, slow))
    waiting.start()
    times = []

    while waiting.is_alive():
        times.append(ask(port, target))
        time.sleep(PAUSE)

    waiting.join()
    return times


def percentile(times: list[float], share: float) -> float:
    """The time that a share of all does not exceed, in milliseconds."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def report(name: str, times: list[float], p99: float, worst: float | None = None) -> bool:
    """Print a row; whether it is within its bounds."""
    rows = [percentile(times, share) for share in (0.5, 0.99, 1.0)]
    right = rows[1] <= p99 and (worst is None or rows[2] <= worst)
    figures = "".join(f"{row:10.1f}" for row in rows)
    print(f"{name:44}{len(times):8}{figures}{'' if right else '  too slow'}", flush=True)
    return right


def settle(port: int, target: str) -> None:
    for _ in range(QUICK_CALLS):
        ask(port, target)


def measure_waiting(port: int, rounds: int, seconds: float) -> bool:
    times: list[float] = []
    settle(port, "/")

    for _ in range(rounds):
        settle(port, "/waits")
        times += ask_while(port, "/", f"/waits?seconds={seconds}")

    return report(f"beside a view that waits {seconds:g} s", times, WAITING_P99, WAITING_WORST)


def measure_kept(port: int, rounds: int, seconds: float) -> bool:
    times: list[float] = []
    settle(port, "/static/file.bin")
    settle(port, "/keeps")

    for _ in range(rounds):
        settle(port, "/keeps")
        kept = f"/keeps?microseconds={round(seconds * 1_000_000)}"
        times += ask_while(port, "/static/file.bin", kept)

    return report(f"a file, interpreter kept for {seconds:g} s", times, FILE_P99)


def measure_dependent(port: int) -> None:
    """Views that wait for another request, or for this server: that they end is the figure."""
    settle(port, "/own")
    print(f"its own server asked: {ask(port, f'/own?port={port}') * 1000:.1f} ms")

    for name, target, release in (
        ("long poll woken", "/polls?wait=1", "/set"),
        ("lock freed", "/locks", "/frees"),
    ):
        settle(port, target.partition("?")[0])

        if target == "/locks":
            ask(port, "/takes")

        waiting = threading.Thread(target=ask, args=(port, target))
        waiting.start()
        time.sleep(0.2)
        ask(port, release)
        began = time.perf_counter()
        waiting.join(PATIENCE)
        print(f"{name} by another request: {(time.perf_counter() - began) * 1000:.1f} ms later")


def measure_end(server: Server, seconds: float) -> bool:
    """Stop while a view waits, which is let finish; and then at once."""
    settle(server.port, "/waits")
    waiting = threading.Thread(target=ask_quietly, args=(server.port, f"/waits?seconds={seconds}"))
    waiting.start()
    time.sleep(0.2)
    os.kill(server.pid, signal.SIGTERM)
    time.sleep(0.2)
    drains = Path(f"/proc/{server.pid}").exists() and waiting.is_alive()
    began = time.perf_counter()
    os.kill(server.pid, signal.SIGTERM)
    waiting.join(PATIENCE)
    took = (time.perf_counter() - began) * 1000
    print(
        f"SIGTERM {'waits for the view' if drains else 'ends at once'}; a second one: {took:.1f} ms"
    )
    return drains and took < seconds * 1000 / 2


def ask_quietly(port: int, target: str) -> None:
    """Ask where no answer is expected."""
    try:
        ask(port, target)
    except (OSError, http.client.HTTPException):
        return


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10, help="times that each view waits")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long it waits")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    port = free_port()

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "static").mkdir()
        (place / "static" / "file.bin").write_bytes(bytes(FILE_SIZE))
        (place / "waiting_app.py").write_text((APPS / "waiting_app.py").read_text())
        command = [sys.executable, "-m", "bustapi", "--app", "waiting_app", "run", "--port"]

        with Server(
            [*command, str(port)],
            port,
            core=cores[0],
            environment=dict(os.environ),
            folder=place,
            log=CACHE / "logs" / "held.log",
        ) as server:
            os.sched_setaffinity(0, {cores[-1]})
            print(f"{'milliseconds':44}{'answers':>8}{'p50':>10}{'p99':>10}{'worst':>10}")
            right = measure_waiting(port, arguments.rounds, arguments.seconds)
            right &= measure_kept(port, arguments.rounds, arguments.seconds)
            measure_dependent(port)
            right &= measure_end(server, arguments.seconds)

    return int(not right)


if __name__ == "__main__":
    sys.exit(main())
