"""What a run says of BustAPI: beside the best other framework, and beside its targets."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from .peer_list import BUSTAPI, PEERS
from .report import LIMIT
from .rounds import RENDERING
from .targets import IDLE_MB, START_MS, TARGETS, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .report import Row

#: Rows that are no framework on Python.
NO_FRAMEWORKS = {peer.name for peer in PEERS if peer.is_limit} | {RENDERING}
HEADING = (
    f"{'':12}{'us/request':>11}{'x limit':>9}{'req/s':>10}  {'best other':22}{'':12}"
    f"{'ahead':>7}          target"
)


def best_peer(rows: Sequence[Row], *, waits: bool) -> Row | None:
    """The valid row of another framework that is cheapest, or does most if the workload waits."""
    others = [
        row
        for row in rows
        if row.peer not in NO_FRAMEWORKS and row.peer != BUSTAPI.name and not row.invalid
    ]

    if waits:
        return max(others, key=lambda row: row.requests_per_second, default=None)

    return min(others, key=lambda row: row.cpu_us, default=None)


def against_target(row: Row, target: Target, rows: Sequence[Row]) -> str:
    """What a workload was to reach, and whether it did."""
    if target.requests_per_second:
        wanted = f"{target.requests_per_second:.0f}/s, probe {target.probe_p99_ms:g} ms"
        enough = row.requests_per_second >= target.requests_per_second
        quick = row.probe_p99_ms <= target.probe_p99_ms
        return f"{wanted}: {_verdict(enough and quick)} (probe {row.probe_p99_ms:.2f} ms)"

    if target.without_rendering:
        rendering, limit = _valid(rows, RENDERING), _valid(rows, LIMIT)

        if rendering is None or limit is None:
            return "not compared: no figure of jinja2 or of the limit"

        rest = (row.cpu_us - rendering.cpu_us) / limit.cpu_us
        wanted = f"jinja2 {rendering.cpu_us:.1f} us + {target.cpu_to_limit:.2f} x limit"
        return f"{wanted}: {_verdict(rest <= target.cpu_to_limit)} (+ {rest:.2f})"

    if row.cpu_to_limit is None:
        return "not compared: no figure of the limit"

    met = row.cpu_to_limit <= target.cpu_to_limit
    return f"{target.cpu_to_limit:.2f} x limit: {_verdict(met)}"


def _valid(rows: Sequence[Row], peer: str) -> Row | None:
    return next((row for row in rows if row.peer == peer and not row.invalid), None)


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def _line(rows: Sequence[Row], own: Row, *, waits: bool) -> str:
    """One workload of the summary."""
    if own.invalid:
        return f"{own.workload:12}invalid: {own.invalid}"

    limit = "-" if own.cpu_to_limit is None or waits else f"{own.cpu_to_limit:.2f}"
    line = f"{own.workload:12}{own.cpu_us:11.2f}{limit:>9}{own.requests_per_second:10.0f}  "
    best = best_peer(rows, waits=waits)

    if best is None:
        line += f"{'nobody beside it':44}"
    else:
        ahead = (
            own.requests_per_second / best.requests_per_second
            if waits
            else best.cpu_us / own.cpu_us
        )
        figure = f"{best.requests_per_second:.0f}/s" if waits else f"{best.cpu_us:.2f} us"
        verdict = "ahead" if ahead > 1 else "BEHIND"
        line += f"{best.peer:22}{figure:>12}{ahead:6.2f}x {verdict:8}"

    target = TARGETS.get(own.workload)
    return line + (against_target(own, target, rows) if target else "")


def summary(rows: Sequence[Row], is_waiting: Callable[[str], bool]) -> str:
    """A line for each workload that BustAPI was measured under; empty without any."""
    owned = [row for row in rows if row.peer == BUSTAPI.name]

    if not owned:
        return ""

    lines = [
        "",
        "BustAPI beside the best other framework, and beside its target",
        HEADING,
    ]

    for own in owned:
        beside = [row for row in rows if row.workload == own.workload]
        lines.append(_line(beside, own, waits=is_waiting(own.workload)))

    valid = [row for row in owned if not row.invalid]

    if valid:
        memory = statistics.median(row.idle_mb for row in valid)
        start = min(row.start_ms for row in valid)
        lines.append(
            f"memory after the first answer {memory:.1f} MB, at most {IDLE_MB:.0f}:"
            f" {_verdict(memory <= IDLE_MB)};"
            f" start to first answer {start:.0f} ms at best, at most {START_MS:.0f}:"
            f" {_verdict(start <= START_MS)}"
        )

    return "\n".join(lines)
