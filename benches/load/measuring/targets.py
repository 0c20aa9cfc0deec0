"""The figures that BustAPI is to reach, in one place; a run's summary compares with them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """What one workload is to cost at most, or do at least; 0 where nothing is asked."""

    #: CPU time per request, as a multiple of bare hyper's plain or same answer in the same run.
    cpu_to_limit: float = 0.0
    #: That multiple is asked of what is left when the template engine's own time is taken off.
    without_rendering: bool = False
    requests_per_second: float = 0.0
    #: Answer time of the plain view meanwhile, in milliseconds.
    probe_p99_ms: float = 0.0


TARGETS = {
    "plain": Target(1.35),
    "json": Target(1.45),
    "param": Target(1.6),
    "query": Target(3.2),
    "echo": Target(4.5),
    "form": Target(2.6),
    "template": Target(2.2, without_rendering=True),
    "async": Target(2.2),
    "static": Target(1.8),
    "routes": Target(1.6),
    "session": Target(4.5),
    "hooks": Target(2.7),
    "blocking": Target(requests_per_second=6000.0, probe_p99_ms=3.0),
}
#: Resident memory after the first answer, in MiB, and the time to it, in milliseconds.
IDLE_MB, START_MS = 40.0, 200.0
