"""What a request costs on BustAPI and on other frameworks, side by side on one machine.

Each peer runs in a virtual environment of its own under ``.cache/bench``, from PyPI at a pinned
version, as one process on one core; `wrk` loads it from another core. Rounds are interleaved;
figures are medians over them. Answers are checked before and after each run: a wrong answer, an
error, or an answer from a cache makes the row invalid. Tables are printed; JSON and a plot are
saved under ``.cache/bench/results``, after each round.

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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measuring.environments import CACHE, Environments, Unavailable, describe_machine
from measuring.peer_list import PEERS, Peer
from measuring.plot import plot
from measuring.report import ratios, summarise, tables
from measuring.rounds import Sample, Settings, check_all, measure_round
from measuring.saved import NotMergeable, read, save
from measuring.summary import summary
from measuring.workloads import Workload, workloads

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    parser.add_argument("--install", action="store_true", help="only make the environments")
    parser.add_argument("--list", action="store_true", help="name peers and workloads")
    parser.add_argument(
        "--merge", nargs="+", type=Path, metavar="JSON", help="print saved results as one run's"
    )
    return parser.parse_args()


def chosen(names: str, known: list[str], what: str) -> list[str]:
    """The names of a list with commas; all known ones if it is empty."""
    asked = names.split(",") if names else known
    unknown = sorted(set(asked) - set(known))

    if unknown:
        raise SystemExit(f"no {what} {', '.join(unknown)}; there are {', '.join(known)}")

    return asked


def print_list(environments: Environments) -> None:
    for peer in PEERS:
        try:
            state = "ready" if environments.is_ready(peer) else "not installed"
        except Unavailable as error:
            state = str(error)

        left_out = [load.name for load in workloads() if not peer.offers(load.name)]
        print(f"{peer.name:20} {state:14} {'without ' * bool(left_out)}{', '.join(left_out)}")

    print("workloads:", ", ".join(load.name for load in workloads()))


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


def tell(sample: Sample, settings: Settings) -> None:
    figures = "right" if settings.check_only else f"{sample.cpu_us:.1f} us/request"
    result = f"invalid: {sample.invalid}" if sample.invalid else figures
    print(
        f"{time.strftime('%H:%M:%S')}  round {sample.round}  {sample.workload:12}"
        f" {sample.peer:20} {result}",
        flush=True,
    )


def report(samples: Sequence[Sample]) -> str:
    """All that is printed of a run."""
    rows = summarise(samples)
    parts = (tables, ratios, summary)
    return "\n".join(part(rows, WAITING.__contains__) for part in parts)


def measure(
    peers: list[Peer],
    loads: list[Workload],
    environments: Environments,
    settings: Settings,
    told: dict[str, Any],
) -> list[Sample]:
    """Measure in rounds; saves what there is after each, so that a run may be ended early."""
    path = CACHE / "results" / time.strftime("peers-%Y%m%d-%H%M%S.json")
    samples: list[Sample] = []

    for number in range(1, settings.rounds + 1):
        try:
            for sample in measure_round(peers, loads, number, environments, settings):
                tell(sample, settings)
                samples.append(sample)
        finally:
            rows = summarise(samples)
            save(path, rows, samples, told)
            path.with_suffix(".svg").write_text(plot(rows, WAITING.__contains__))

    print(f"saved: {path} and .svg")
    return samples


#: Names of the workloads that are judged by what they do in a second, not by CPU time.
WAITING = {load.name for load in workloads() if load.waits}


def main() -> int:
    arguments = parse_arguments()
    environments = Environments(arguments.python)

    if arguments.list:
        print_list(environments)
        return 0

    if arguments.merge:
        try:
            print(report(read(arguments.merge)))
        except NotMergeable as error:
            raise SystemExit(str(error)) from None

        return 0

    settings = Settings(
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        connections=arguments.connections,
        server_core=arguments.server_core,
        load_core=arguments.load_core,
        check_only=arguments.check,
    )
    require_tools(settings)
    names = chosen(arguments.peers, [peer.name for peer in PEERS], "peer")
    load_names = chosen(arguments.workloads, [load.name for load in workloads()], "workload")
    loads = [load for load in workloads() if load.name in load_names]
    peers, unavailable = install([peer for peer in PEERS if peer.name in names], environments)
    samples: list[Sample] = []

    if not arguments.install:
        os.sched_setaffinity(0, {settings.load_core})

        if arguments.check:
            for sample in check_all(peers, loads, environments, settings):
                tell(sample, settings)
                samples.append(sample)
        else:
            told = {
                "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "command": ["python", "benches/load/peers.py", *sys.argv[1:]],
                "machine": describe_machine(),
                "python": environments.version,
                "settings": asdict(settings),
                "versions": {peer.name: environments.versions(peer) for peer in peers},
                "not measured": unavailable,
            }
            samples = measure(peers, loads, environments, settings, told)
            print(report(samples))

    for name, reason in unavailable.items():
        print(f"not measured: {name}: {reason}")

    wrong = any(sample.invalid for sample in samples) or bool(unavailable)
    # Figures are printed, not judged: only a check says by its status what it found.
    return int(wrong and (arguments.check or arguments.install))


if __name__ == "__main__":
    sys.exit(main())
