"""Instructions per request, compared with recorded ones: a speed test that noise does not fail.

A release build of the server runs under valgrind (Debian package `valgrind`) and answers a number
of requests, one after another on one connection, for each of some workloads; only the steady state
counts. More than 3 % above the record fails. The counts depend on Python's build, the compiler and
the C library: the record names them, and where it has none for this machine's, nothing is
compared, which is said. Traffic is loopback only.

`--update` records this machine's counts; `--groups` prints where they come from.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from measuring.callgrind import Counted, by_group, count, missing_tool
from measuring.environments import ROOT
from measuring.peer_list import BUSTAPI
from measuring.processes import free_port
from measuring.workloads import misses, workloads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RECORD = Path(__file__).with_name("instructions.json")
WORKLOADS = [
    "plain", "json", "param", "query", "form", "echo", "session", "hooks", "template", "async",
    "static", "404", "405", "abort", "exception",
]  # fmt: skip
#: The most a count may grow unexplained, as a share.
GROWTH = 0.03
#: Groups that are printed for a workload; the rest is summed up.
SHOWN_GROUPS = 14


def kind_of_machine() -> str:
    """What counts depend on, besides the code that is counted."""
    rust = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True)
    return ", ".join(
        (
            f"{platform.python_implementation()} {platform.python_version()}",
            platform.python_compiler(),
            platform.machine(),
            " ".join(platform.libc_ver()),
            " ".join(rust.stdout.split()[:2]),
        )
    )


def unsuitable_build() -> str:
    """Why the extension that is installed is not the one to count; empty if it is."""
    stamp = ROOT / ".venv" / ".extension"
    built = list((ROOT / "python" / "bustapi").glob("_native*.so"))

    if not stamp.exists() or not built:
        return "the extension was not built by `make setup`"

    if max(path.stat().st_mtime for path in built) > stamp.stat().st_mtime:
        return (
            "the extension was built otherwise after `make setup`: rm .venv/.extension, make setup"
        )

    return ""


def count_all(names: list[str], core: int) -> Iterator[tuple[str, Counted]]:
    """Count workloads, on one server for each variant of the application."""
    chosen = [load for load in (*workloads(), *misses()) if load.name in names]

    for _, group in groupby(chosen, key=lambda load: load.variant):
        port = free_port()
        command = [
            part.format(python=sys.executable, port=port) for part in BUSTAPI.command.split()
        ]

        for load, counted in count(command, port, list(group), core):
            yield load.name, counted


def compare(counts: Mapping[str, float], recorded: Mapping[str, float]) -> tuple[str, list[str]]:
    """A table of counts beside the recorded ones, and the workloads that grew too much."""
    lines = [f"{'workload':12}{'recorded':>12}{'now':>12}{'change':>9}"]
    grown = []

    for name, now in counts.items():
        before = recorded.get(name)

        if before is None:
            lines.append(f"{name:12}{'not recorded':>12}{now:12,.0f}")
            continue

        change = now / before - 1
        line = f"{name:12}{before:12,.0f}{now:12,.0f}{change:+9.1%}"

        if change > GROWTH:
            grown.append(name)
            line += "  grew too much"
        elif change < -GROWTH:
            line += "  record it: --update"

        lines.append(line)

    return "\n".join(lines), grown


def print_groups(name: str, counted: Counted) -> None:
    print(f"\n{name}: {counted.instructions:,.0f} instructions per request")
    groups = by_group(counted.files)
    rest = sum(cost for _, cost in groups[SHOWN_GROUPS:])

    for group, cost in [*groups[:SHOWN_GROUPS], ("the rest", rest)]:
        print(f"  {group:28}{cost:10,.0f}{cost / counted.instructions:7.1%}")


def nothing_compared(reason: str) -> int:
    """End without a verdict, and say so: a check that did not run has not passed."""
    print(f"NOTHING COMPARED: {reason}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--workloads", default=",".join(WORKLOADS), help="names with commas between"
    )
    parser.add_argument("--update", action="store_true", help="record the counts")
    parser.add_argument("--groups", action="store_true", help="print where the counts come from")
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    names = arguments.workloads.split(",")

    if unknown := set(names) - set(WORKLOADS):
        raise SystemExit(f"no workload {', '.join(sorted(unknown))}")

    if reason := missing_tool() or unsuitable_build():
        return nothing_compared(reason)

    kind = kind_of_machine()
    record: dict[str, dict[str, int]] = json.loads(RECORD.read_text()) if RECORD.exists() else {}

    if kind not in record and not arguments.update and not arguments.groups:
        known = "; ".join(record) or "nothing"
        return nothing_compared(f"no record of {kind}; there is one of {known}")

    counts: dict[str, float] = {}

    for name, counted in count_all(names, arguments.core):
        counts[name] = counted.instructions

        if arguments.groups:
            print_groups(name, counted)

    table, grown = compare(counts, record.get(kind, {}))
    print(f"\ninstructions per request, {kind}\n{table}")

    if arguments.update:
        kept = record.get(kind, {})
        record[kind] = {**kept, **{name: round(number) for name, number in counts.items()}}
        RECORD.write_text(json.dumps(record, indent=2) + "\n")
        print(f"recorded in {RECORD.relative_to(ROOT)}")
        return 0

    if grown:
        print(f"more than {GROWTH:.0%} above the record: {', '.join(grown)}")
        print("Find out why; if it is worth it: benches/load/instructions.py --update")

    return int(bool(grown))


if __name__ == "__main__":
    sys.exit(main())
