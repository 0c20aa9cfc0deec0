"""What a request costs on BustAPI and on other frameworks, side by side on one machine.

Each peer runs in a virtual environment of its own under ``.cache/bench``, from PyPI at a pinned
version, as one process on one core; `wrk` loads it from another core. Rounds are interleaved;
figures are medians over them. Answers are checked before and after each run: a wrong answer, an
error, or an answer from a cache makes the row invalid. Tables are printed; JSON and a plot are
saved under ``.cache/bench/results``.

Needs Linux, two cores, `taskset` and `wrk` (Debian package `wrk`); `nginx` and cargo for two of
the limits; Python 3.13 for django-bolt. Traffic is loopback only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from dataclasses import asdict

from measuring.environments import CACHE, Environments, Unavailable, describe_machine
from measuring.peer_list import PEERS, Peer
from measuring.plot import plot
from measuring.report import save, summarise, tables
from measuring.rounds import Sample, Settings, measure_all
from measuring.workloads import Workload, workloads


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = "names with commas between; all by default"
    parser.add_argument("--peers", default="", help=names)
    parser.add_argument("--workloads", default="", help=names)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument(
        "--python", default="", help="interpreter of the peers; by default the one running this"
    )
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="only check answers, without load")
    parser.add_argument("--list", action="store_true", help="name peers and workloads")
    return parser.parse_args()


def chosen(names: str, known: list[str], what: str) -> list[str]:
    """The names of a list with commas; all known ones if it is empty."""
    asked = names.split(",") if names else known
    unknown = sorted(set(asked) - set(known))

    if unknown:
        raise SystemExit(f"no {what} {', '.join(unknown)}; there are {', '.join(known)}")

    return asked


def print_list(loads: list[Workload], environments: Environments) -> None:
    for peer in PEERS:
        try:
            state = "ready" if environments.is_ready(peer) else "not installed"
        except Unavailable as error:
            state = str(error)

        left_out = [load.name for load in loads if not peer.offers(load.name)]
        print(f"{peer.name:20} {state:14} {'without ' * bool(left_out)}{', '.join(left_out)}")

    print("workloads:", ", ".join(load.name for load in loads))


def require_tools(settings: Settings) -> None:
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(
                f"bench-peers needs `{tool}`; on Debian: apt-get install wrk util-linux"
            )

    missing = {settings.server_core, settings.load_core} - os.sched_getaffinity(0)

    if missing or settings.server_core == settings.load_core:
        raise SystemExit("server and load need two different cores: --server-core, --load-core")


def install(peers: list[Peer], environments: Environments) -> tuple[list[Peer], dict[str, str]]:
    """The peers that can be measured, and why the others cannot."""
    ready, unavailable = [], {}

    for peer in peers:
        try:
            environments.prepare(peer)
            environments.command(peer, 0)
        except Unavailable as error:
            unavailable[peer.name] = str(error)
        else:
            ready.append(peer)

    return ready, unavailable


def run(
    peers: list[Peer], loads: list[Workload], environments: Environments, settings: Settings
) -> list[Sample]:
    """Measure, and say how each run went."""
    os.sched_setaffinity(0, {settings.load_core})
    samples = []

    for sample in measure_all(peers, loads, environments, settings):
        figures = "right" if settings.check_only else f"{sample.cpu_us:.1f} us/request"
        result = f"invalid: {sample.invalid}" if sample.invalid else figures
        print(f"round {sample.round}  {sample.peer:20} {sample.workload:12} {result}", flush=True)
        samples.append(sample)

    return samples


def main() -> int:
    arguments = parse_arguments()
    environments = Environments(arguments.python)
    loads = workloads()

    if arguments.list:
        print_list(loads, environments)
        return 0

    settings = Settings(
        rounds=1 if arguments.check else arguments.rounds,
        seconds=arguments.seconds,
        connections=arguments.connections,
        server_core=arguments.server_core,
        load_core=arguments.load_core,
        check_only=arguments.check,
    )
    require_tools(settings)
    names = chosen(arguments.peers, [peer.name for peer in PEERS], "peer")
    peers, unavailable = install([peer for peer in PEERS if peer.name in names], environments)
    load_names = chosen(arguments.workloads, [load.name for load in loads], "workload")
    loads = [load for load in loads if load.name in load_names]
    samples = run(peers, loads, environments, settings)

    for name, reason in unavailable.items():
        print(f"not measured: {name}: {reason}")

    if arguments.check:
        return int(any(sample.invalid for sample in samples) or bool(unavailable))

    waiting = {load.name for load in loads if load.waits}
    rows = summarise(samples)
    print(tables(rows, waiting.__contains__))
    told = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": ["python", "benches/load/peers.py", *sys.argv[1:]],
        "machine": describe_machine(),
        "settings": asdict(settings),
        "versions": {peer.name: environments.versions(peer) for peer in peers},
        "not measured": unavailable,
    }
    path = CACHE / "results" / time.strftime("peers-%Y%m%d-%H%M%S.json")
    save(path, rows, samples, told)
    path.with_suffix(".svg").write_text(plot(rows, waiting.__contains__))
    print(f"saved: {path} and .svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
