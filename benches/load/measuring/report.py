"""Medians, spreads and ratios of samples, as tables."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .peer_list import BARE_HYPER
from .rounds import DISTURBED, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: What ratios are to: the limit, and the server people come from.
LIMIT, BASELINE = BARE_HYPER.name, "flask+gunicorn"


@dataclass(frozen=True)
class Row:
    """One peer under one workload: medians over the rounds, or why there are none."""

    peer: str
    workload: str
    #: The request that was sent: another workload's where a limit does not offer this one.
    sent: str
    rounds: int
    invalid: str
    requests_per_second: float
    cpu_us: float
    #: Greatest less least CPU time of the rounds, as a share of the median.
    spread: float
    p50_us: float
    p99_us: float
    probe_p50_ms: float
    probe_p99_ms: float
    start_ms: float
    idle_mb: float
    peak_mb: float
    #: The most that others took of a processor in any round.
    others: float
    #: CPU time as a multiple of the limit's, requests per second as one of the baseline's; of
    #: each round, then the median. None where the other was not measured in the same round.
    cpu_to_limit: float | None
    rate_to_baseline: float | None


def summarise(samples: Sequence[Sample]) -> list[Row]:
    """One row for each peer and workload, in the order they were first measured.

    A single invalid round makes the row invalid: such a figure is not to be trusted.
    """
    valid = {
        (sample.peer, sample.workload, sample.round): sample
        for sample in samples
        if not sample.invalid
    }
    groups: dict[tuple[str, str], list[Sample]] = {}

    for sample in samples:
        groups.setdefault((sample.peer, sample.workload), []).append(sample)

    return [_row(peer, workload, runs, valid) for (peer, workload), runs in groups.items()]


def _row(
    peer: str,
    workload: str,
    runs: list[Sample],
    valid: Mapping[tuple[str, str, int], Sample],
) -> Row:
    def median(figure: str) -> float:
        middle: float = statistics.median(getattr(run, figure) for run in runs)
        return middle

    def ratio(figure: str, other: str) -> float | None:
        found = []

        for run in runs:
            base = valid.get((other, workload, run.round))

            if base is not None and getattr(base, figure):
                found.append(getattr(run, figure) / getattr(base, figure))

        return statistics.median(found) if found else None

    cpu = [run.cpu_us for run in runs]
    return Row(
        peer=peer,
        workload=workload,
        sent=runs[0].sent,
        rounds=len(runs),
        invalid=next((run.invalid for run in runs if run.invalid), ""),
        requests_per_second=median("requests_per_second"),
        cpu_us=median("cpu_us"),
        spread=(max(cpu) - min(cpu)) / (median("cpu_us") or 1.0),
        p50_us=median("p50_us"),
        p99_us=median("p99_us"),
        probe_p50_ms=median("probe_p50_ms"),
        probe_p99_ms=median("probe_p99_ms"),
        start_ms=median("start_ms"),
        idle_mb=median("idle_mb"),
        peak_mb=max(run.peak_mb for run in runs),
        others=max(run.others for run in runs),
        cpu_to_limit=ratio("cpu_us", LIMIT),
        rate_to_baseline=ratio("requests_per_second", BASELINE),
    )


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def tables(rows: Sequence[Row], is_waiting: Callable[[str], bool]) -> str:
    """The rows as text, a table for each workload, the cheapest valid row first."""
    heading = (
        f"{'':20}{'us/request':>11}{'spread':>8}{'x limit':>9}{'req/s':>10}{'x flask':>9}"
        f"{'p50 us':>9}{'p99 us':>9}{'start ms':>9}{'idle MB':>9}{'peak MB':>9}"
    )
    lines = []

    for workload in dict.fromkeys(row.workload for row in rows):
        waits = is_waiting(workload)
        lines += ["", workload, heading + (f"{'probe p99 ms':>14}" if waits else "")]
        chosen = [row for row in rows if row.workload == workload]

        def place(row: Row, *, waits: bool = waits) -> tuple[bool, float]:
            return bool(row.invalid), -row.requests_per_second if waits else row.cpu_us

        for row in sorted(chosen, key=place):
            if row.invalid:
                lines.append(f"{row.peer:20}invalid: {row.invalid}")
                continue

            name = row.peer if row.sent == workload else f"{row.peer}, {row.sent}"
            line = (
                f"{name:20}{row.cpu_us:11.2f}{row.spread:8.0%}{_times(row.cpu_to_limit):>9}"
                f"{row.requests_per_second:10.0f}{_times(row.rate_to_baseline):>9}"
                f"{row.p50_us:9.0f}{row.p99_us:9.0f}{row.start_ms:9.0f}{row.idle_mb:9.1f}"
                f"{row.peak_mb:9.1f}"
            )
            line += f"{row.probe_p99_ms:14.2f}" if waits else ""
            line += f"  disturbed: others took {row.others:.0%} of a core" * (
                row.others > DISTURBED
            )
            lines.append(line)

    lines += ["", f"x limit: CPU time as a multiple of {LIMIT}'s, of its plain answer if need be"]
    lines.append(f"x flask: requests per second as a multiple of {BASELINE}'s")
    return "\n".join(lines)


def ratios(rows: Sequence[Row], is_waiting: Callable[[str], bool]) -> str:
    """One table of all: CPU time as a multiple of the limit's, a line for each peer.

    Workloads that wait have thousands of requests per second instead.
    """
    workloads = list(dict.fromkeys(row.workload for row in rows))
    found = {(row.peer, row.workload): row for row in rows}
    width = {name: max(8, len(name) + 1) for name in workloads}
    lines = ["", "CPU time per request, as a multiple of the limit's (blocking: 1,000 requests/s)"]
    lines.append(f"{'':20}" + "".join(f"{name:>{width[name]}}" for name in workloads))

    for peer in dict.fromkeys(row.peer for row in rows):
        line = f"{peer:20}"

        for workload in workloads:
            row = found.get((peer, workload))

            if row is None or row.sent != workload:
                figure = "-"
            elif row.invalid:
                figure = "invalid"
            elif is_waiting(workload):
                figure = f"{row.requests_per_second / 1000:.2f}"
            else:
                figure = _times(row.cpu_to_limit)

            line += f"{figure:>{width[workload]}}"

        lines.append(line)

    return "\n".join(lines)
