"""What a request costs: BustAPI beside a bare hyper server, in one run.

Each server runs pinned to one core and `wrk` loads it from another, in interleaved rounds.
Printed are the CPU time per request (user and system, of the process tree), requests per
second, and p99; medians over the rounds, and ratios to bare hyper. Then a quick view is
probed while 32 connections wait in a view that sleeps for 10 ms. A run with a wrong answer
or an error is printed as invalid.

Needs Linux, two cores, `taskset` and `wrk` (Debian package `wrk`). All traffic is loopback.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
APP = Path(__file__).with_name("server_app.py")
SERVER_CORE, LOAD_CORE = "0", "1"
CONNECTIONS = "64"
SLEEPERS = "32"
#: Longest wait for a server to accept connections, in seconds.
START_TIME = 10.0
#: What the figures are to stay below, as multiples of bare hyper's.
TARGETS = {"/": 1.6, "/json": 1.8}
QUICK_P99_MS = 5.0
MEMORY_MB = 40.0
ANSWERS = {"/": b"Hello, World!", "/json": b'{"message":"Hello, World!"}\n'}


class Sample(NamedTuple):
    """One run of the load generator."""

    cpu_us: float
    requests_per_second: float
    p99_ms: float


def processes(root: int) -> list[int]:
    """The process ids of a tree."""
    found = [root]

    for task in Path(f"/proc/{root}/task").iterdir():
        children = (task / "children").read_text().split()
        found.extend(pid for child in children for pid in processes(int(child)))

    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a process tree so far."""
    ticks = 0

    for pid in processes(root):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])

    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(root: int) -> float:
    """Resident memory of a process tree."""
    kilobytes = 0

    for pid in processes(root):
        match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        kilobytes += int(match[1]) if match else 0

    return kilobytes / 1024


@contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    """Run a server on its core; gives its process id."""
    process = subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, *command, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    try:
        deadline = time.monotonic() + START_TIME

        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit(f"{command[0]} does not start") from None

                time.sleep(0.02)

        yield process.pid
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wrk(port: int, path: str, seconds: float, connections: str = CONNECTIONS) -> str:
    """Load a path; the report."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}"]
    command += [f"-d{seconds:g}", "--latency", f"http://127.0.0.1:{port}{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def milliseconds(text: str) -> float:
    """A time as wrk writes it."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def measure(pid: int, port: int, path: str, seconds: float) -> Sample | None:
    """One run; ``None`` if an answer was wrong."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        if answer.read() != ANSWERS[path]:
            return None

    wrk(port, path, 1)
    before = cpu_seconds(pid)
    report = wrk(port, path, seconds)
    used = cpu_seconds(pid) - before

    if "Non-2xx" in report or "Socket errors" in report:
        return None

    count = int(re.search(r"(\d+) requests in", report)[1])  # type: ignore[index]
    p99 = milliseconds(re.search(r"99%\s+(\S+)", report)[1])  # type: ignore[index]
    return Sample(used / count * 1e6, count / seconds, p99)


def probe_quick_view(port: int, seconds: float) -> float:
    """p99 in milliseconds of a quick view while others sleep."""
    wrk(port, "/sleep", 1, SLEEPERS)
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{SLEEPERS}", f"-d{seconds + 1:g}"]
    load = subprocess.Popen([*command, f"http://127.0.0.1:{port}/sleep"], stdout=subprocess.DEVNULL)
    times = []

    try:
        deadline = time.monotonic() + seconds

        while time.monotonic() < deadline:
            begun = time.perf_counter()

            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                answer.read()

            times.append((time.perf_counter() - begun) * 1000)
            time.sleep(0.005)
    finally:
        load.wait()

    return statistics.quantiles(times, n=100)[98]


def bare_hyper() -> Path:
    """Build the server to compare with."""
    build = ["cargo", "build", "--release", "--locked", "--package", "bustapi-benches"]
    subprocess.run([*build, "--example", "bare_hyper"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "examples" / "bare_hyper"


def median_of(samples: list[Sample], field: str) -> float:
    return statistics.median(getattr(sample, field) for sample in samples)


def compare(rounds: int, seconds: float) -> None:
    """Measure both servers and print the table."""
    commands = {
        "bare hyper": [str(bare_hyper())],
        "bustapi": [sys.executable, str(APP)],
    }
    samples: dict[tuple[str, str], list[Sample]] = {}
    invalid: set[tuple[str, str]] = set()
    memory = []

    for _ in range(rounds):
        for name, command in commands.items():
            port = free_port()

            with running(command, port) as pid:
                if name == "bustapi":
                    memory.append(memory_mb(pid))

                for path in ANSWERS:
                    sample = measure(pid, port, path, seconds)

                    if sample is None:
                        invalid.add((name, path))
                    else:
                        samples.setdefault((name, path), []).append(sample)

    print(f"{rounds} rounds of {seconds:g} s, {CONNECTIONS} connections, one core each")
    print(f"{'server':12} {'path':6} {'us/request':>11} {'ratio':>6} {'req/s':>9} {'p99 ms':>7}")

    for (name, path), runs in samples.items():
        if (name, path) in invalid:
            print(f"{name:12} {path:6} invalid: wrong answers or errors")
            continue

        cost = median_of(runs, "cpu_us")
        limit = median_of(samples["bare hyper", path], "cpu_us")
        spread = max(run.cpu_us for run in runs) - min(run.cpu_us for run in runs)
        target = f"(target {TARGETS[path]:.1f})" if name == "bustapi" else ""
        rate, p99 = median_of(runs, "requests_per_second"), median_of(runs, "p99_ms")
        print(
            f"{name:12} {path:6} {cost:11.2f} {cost / limit:6.2f} {rate:9.0f} {p99:7.2f}"
            f"  spread {spread:.2f} {target}"
        )

    print(f"memory after start: {statistics.median(memory):.1f} MB (target {MEMORY_MB:.0f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()

    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(
                f"bench-server needs `{tool}`; on Debian: apt-get install wrk util-linux"
            )

    compare(arguments.rounds, arguments.seconds)
    port = free_port()

    with running([sys.executable, str(APP)], port):
        p99 = probe_quick_view(port, arguments.seconds)

    print(
        f"quick view with {SLEEPERS} connections sleeping 10 ms:"
        f" p99 {p99:.2f} ms (target {QUICK_P99_MS:.0f})"
    )


if __name__ == "__main__":
    main()
