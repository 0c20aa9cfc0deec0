"""A soak of BustAPI: mixed requests for a while, from clients good and bad, on one server.

Ordinary clients check each answer; others leave in the middle, come in crowds, or send and read
slowly. At the end no answer may have been wrong, the server must be alive and have written no
traceback, its memory, threads and open files must not have grown beyond bounds, and SIGTERM must
end it with status 0.
Prints figures; exits with 1 if a bound is broken. Needs Linux; traffic is loopback only.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from measuring.clients import (
    STREAM,
    CrowdClient,
    LeavingClient,
    OrdinaryClient,
    SlowClient,
    Tally,
)
from measuring.environments import APPS, CACHE, application_environment
from measuring.peer_list import BUSTAPI
from measuring.processes import Server, cpu_seconds, free_port, memory_mb, open_files, threads
from measuring.requests import failure
from measuring.workloads import Workload, workloads

#: Clients of each kind.
CLIENTS = {OrdinaryClient: 6, LeavingClient: 3, CrowdClient: 1, SlowClient: 3}
#: Share of the time after which memory is compared with: caches and pools are filled by then.
WARM_SHARE = 1 / 3
#: Most growth after that, in MiB, and in open files; files are counted when clients are gone.
GROWTH_MB, GROWTH_FILES = 16.0, 4
#: Most threads: one for each client that waits in a view, and a few for quick work.
THREADS = 48
#: Time for the server to notice that the last clients left, in seconds.
SETTLE_TIME = 2.0
#: What a server that met an error of its own would have written.
ALARMS = ("Traceback", "panicked", "Fatal Python error", "RuntimeWarning")


def loads_of_soak() -> list[Workload]:
    """What one application answers, always alike: a session would change with each answer."""
    return [STREAM, *(load for load in workloads() if load.variant == "base")]


def warm_up(server: Server) -> None:
    """Make the server open what it keeps open, such as its event loop's files.

    Raises:
        SystemExit: an answer is wrong before anything happened.
    """
    for load in loads_of_soak():
        if wrong := failure(server.port, load, {}):
            raise SystemExit(f"{load.name}: {wrong}")

    time.sleep(SETTLE_TIME)


def soak(server: Server, seconds: float) -> tuple[Tally, list[float], int]:
    """Send requests for a time.

    Returns:
        What was sent, memory at each second (in MiB), and the most threads seen.
    """
    loads = loads_of_soak()
    tally = Tally()
    deadline = time.monotonic() + seconds
    clients = [
        kind(server.port, loads, tally, deadline, seed)
        for kind, count in CLIENTS.items()
        for seed in range(count)
    ]
    memory = []
    most_threads = 0

    for client in clients:
        client.start()

    while time.monotonic() < deadline:
        time.sleep(min(1.0, max(0.0, deadline - time.monotonic())))
        memory.append(memory_mb(server.pid))
        most_threads = max(most_threads, threads(server.pid))

    for client in clients:
        client.join()

    return tally, memory, most_threads


def broken_bounds(
    tally: Tally, growth_mb: float, growth_files: int, most_threads: int, output: str
) -> list[str]:
    """What must not be."""
    broken = [f"{count} times {what}" for what, count in tally.failures.items()]
    broken += [
        f"no {kind.kind} client did anything" for kind in CLIENTS if not tally.done[kind.kind]
    ]
    broken += [f"the server wrote {alarm!r}" for alarm in ALARMS if alarm in output]

    if growth_mb > GROWTH_MB:
        broken.append(f"memory grew by {growth_mb:.1f} MB, more than {GROWTH_MB:.0f}")

    if growth_files > GROWTH_FILES:
        broken.append(f"open files grew by {growth_files}, more than {GROWTH_FILES}")

    if most_threads > THREADS:
        broken.append(f"{most_threads} threads, more than {THREADS}")

    return broken


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    port = free_port()
    command = [part.format(python=sys.executable, port=port) for part in BUSTAPI.command.split()]
    log = CACHE / "logs" / "soak.log"
    environment = application_environment(port, "base")

    with Server(
        command, port, core=arguments.core, environment=environment, folder=APPS, log=log
    ) as server:
        plain = workloads()[0]
        warm_up(server)
        files = open_files(server.pid)
        tally, memory, most_threads = soak(server, arguments.seconds)
        used = cpu_seconds(server.pid)
        time.sleep(SETTLE_TIME)
        server.assert_running()
        after = failure(server.port, plain, {})
        growth_files = open_files(server.pid) - files
        peak = memory_mb(server.pid, "VmHWM")
        status = server.stop()

    warm = max(memory[: max(1, int(len(memory) * WARM_SHARE))])
    growth = max(0.0, memory[-1] - warm)
    broken = broken_bounds(tally, growth, growth_files, most_threads, server.output())
    broken += [f"afterwards {after}"] * bool(after)
    broken += [f"SIGTERM ended it with {status}"] * bool(status)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.done.items()))
    print(f"{arguments.seconds:g} s on one core: {counts}; {used:.1f} s of CPU time")
    print(f"memory: {warm:.1f} MB when warm, {memory[-1]:.1f} at the end, {peak:.1f} at most")
    print(
        f"open files: {files} before, {files + growth_files} after; {most_threads} threads at most"
    )

    for bound in broken:
        print(f"broken: {bound}")

    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
