"""Interleaved rounds: in each, for each workload, each peer is started anew and measured.

What is compared is so measured within a minute or two: all peers of a workload, and the limit,
which has a turn at every workload. A machine that slows down for a while does it to all of them.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from .environments import APPS, CACHE, Environments, Unavailable, application_environment
from .processes import (
    Server,
    ServerFailed,
    cpu_seconds,
    free_port,
    machine_seconds,
    memory_mb,
)
from .requests import Load, Probe, failure, is_cached, load, session_cookie
from .workloads import workloads as all_workloads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .peer_list import Peer
    from .workloads import Workload

#: The row of the template engine alone, and the workload it belongs to.
RENDERING, RENDERED = "jinja2", "template"
#: Seconds of load before each measurement.
WARM_UP = 1
#: A run during which others took more than this share of a processor is disturbed: it is repeated,
#: and marked if the best of `ATTEMPTS` was still disturbed.
DISTURBED, ATTEMPTS = 0.15, 3


@dataclass(frozen=True)
class Settings:
    """How to measure; cores are processor numbers, seconds are of each run."""

    rounds: int = 3
    seconds: int = 3
    connections: int = 64
    server_core: int = 0
    load_core: int = 1
    check_only: bool = False


@dataclass(frozen=True)
class Sample:
    """One run of one workload; `invalid` says why its figures do not count."""

    peer: str
    workload: str
    round: int
    #: The request that was sent: another workload's where a limit does not offer this one.
    sent: str = ""
    invalid: str = ""
    requests: int = 0
    errors: int = 0
    requests_per_second: float = 0.0
    #: CPU time of the server's process tree for each request, in microseconds.
    cpu_us: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    #: Answer times of the plain view meanwhile, in milliseconds; waiting workloads only.
    probe_p50_ms: float = 0.0
    probe_p99_ms: float = 0.0
    #: Processors (1.0 is one) that neither the server nor the load kept busy meanwhile.
    others: float = 0.0
    #: Start to first answer in milliseconds; memory in MiB after it, and at its highest so far.
    start_ms: float = 0.0
    idle_mb: float = 0.0
    peak_mb: float = 0.0


def run_once(
    server: Server,
    workload: Workload,
    headers: Mapping[str, str],
    sample: Sample,
    settings: Settings,
) -> Sample:
    """Load a server that is warm, and take the figures."""
    probe = Probe(server.port)

    with ExitStack() as probing:
        if workload.waits:
            probing.enter_context(probe)

        begun, busy, own = time.perf_counter(), machine_seconds(), sum(os.times()[:4])
        used = cpu_seconds(server.pid)
        found = run_load(server, workload, headers, settings)
        used = cpu_seconds(server.pid) - used
        busy = machine_seconds() - busy - used - (sum(os.times()[:4]) - own)
        others = max(0.0, busy / (time.perf_counter() - begun))

    invalid = ""

    if errors := found.errors + probe.errors:
        invalid = f"{errors} errors in {found.requests} requests"
    elif not found.requests:
        invalid = "no answer within the run"

    return replace(
        sample,
        invalid=invalid,
        requests=found.requests,
        errors=errors,
        requests_per_second=found.requests / (found.duration / 1e6),
        cpu_us=used * 1e6 / max(1, found.requests),
        p50_us=found.p50,
        p99_us=found.p99,
        probe_p50_ms=probe.percentile(0.5) if workload.waits else 0.0,
        probe_p99_ms=probe.percentile(0.99) if workload.waits else 0.0,
        others=others,
        peak_mb=memory_mb(server.pid, "VmHWM"),
    )


def run_load(
    server: Server,
    workload: Workload,
    headers: Mapping[str, str],
    settings: Settings,
    seconds: int = 0,
) -> Load:
    """Load a server for the time of the settings, or for `seconds`."""
    return load(
        server.port,
        workload,
        headers,
        seconds=seconds or max(settings.seconds, workload.least_seconds),
        connections=min(settings.connections, workload.connections),
        core=settings.load_core,
    )


def measure(server: Server, workload: Workload, sample: Sample, settings: Settings) -> Sample:
    """Check one workload's answer, load the server with it, and check it again."""
    headers: Mapping[str, str] = {}

    try:
        if workload.variant == "session":
            headers = session_cookie(server.port)

        wrong = failure(server.port, workload, headers)
    except (OSError, http.client.HTTPException) as error:
        wrong = f"{type(error).__name__}: {error}"

    if wrong or settings.check_only:
        return replace(sample, invalid=wrong)

    run_load(server, workload, headers, settings, WARM_UP)
    runs: list[Sample] = []

    for _ in range(ATTEMPTS):
        runs.append(run_once(server, workload, headers, sample, settings))

        if runs[-1].invalid or runs[-1].others <= DISTURBED:
            break

    # An error in any attempt is an error of this server, however quiet another attempt was.
    best = min(runs, key=lambda run: (not run.invalid, run.others))
    return replace(best, invalid=best.invalid or failure(server.port, workload, headers))


def visit(
    peer: Peer,
    workloads: Sequence[Workload],
    round_number: int,
    environments: Environments,
    settings: Settings,
) -> Iterator[Sample]:
    """Measure one peer under workloads of one variant of its application."""
    waiting = list(workloads)
    name = environments.label(peer)

    while waiting:
        empty = Sample(name, waiting[0].name, round_number, waiting[0].name)
        variant = waiting[0].variant
        port = free_port()

        try:
            with Server(
                environments.command(peer, port),
                port,
                core=settings.server_core,
                environment=application_environment(port, variant),
                folder=APPS,
                log=CACHE / "logs" / f"{peer.name}-{variant}.log",
            ) as server:
                yield from _visit_server(peer, server, waiting, empty, settings)
        except (ServerFailed, Unavailable) as error:
            # The server died under this workload; the other workloads get a new one.
            failed = waiting.pop(0).name
            yield replace(empty, workload=failed, sent=failed, invalid=str(error))


def _visit_server(
    peer: Peer, server: Server, waiting: list[Workload], empty: Sample, settings: Settings
) -> Iterator[Sample]:
    """Take workloads off a list and measure each on a started server."""
    started = replace(empty, start_ms=server.start_seconds * 1000, idle_mb=memory_mb(server.pid))

    while waiting:
        name = waiting[0].name
        sample = replace(started, workload=name, sent=name)

        try:
            sample = measure(server, waiting[0], sample, settings)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            server.assert_running()
            sample = replace(sample, invalid=str(error))

        server.assert_running()

        # This is checked after the round, as a cache may fill only after many requests, or when the
        # server is busy.
        try:
            cached = not peer.is_limit and is_cached(server.port)
        except (OSError, http.client.HTTPException) as error:
            raise ServerFailed(f"{type(error).__name__}: {error}") from error

        if cached:
            sample = replace(sample, invalid="answers come from a cache")

        waiting.pop(0)
        yield sample


def measure_round(
    peers: Sequence[Peer],
    workloads: Sequence[Workload],
    round_number: int,
    environments: Environments,
    settings: Settings,
) -> Iterator[Sample]:
    """All samples of one round."""
    known = {workload.name: workload for workload in all_workloads()}

    for workload in workloads:
        if workload.name == RENDERED:
            yield measure_rendering(workload.name, round_number, environments, settings)

        for peer in peers:
            # Nothing is divided by the limit's time where time is spent waiting.
            instead = "" if workload.waits else peer.instead
            name = workload.name if peer.offers(workload.name) else instead

            if name:
                for sample in visit(peer, [known[name]], round_number, environments, settings):
                    yield replace(sample, workload=workload.name)


def check_all(
    peers: Sequence[Peer],
    workloads: Sequence[Workload],
    environments: Environments,
    settings: Settings,
) -> Iterator[Sample]:
    """Check each answer of each peer once, on one server for each variant of its application."""
    for peer in peers:
        offered = [workload for workload in workloads if peer.offers(workload.name)]

        for _, group in groupby(offered, key=lambda workload: workload.variant):
            yield from visit(peer, list(group), 1, environments, settings)


def measure_rendering(
    workload: str, round_number: int, environments: Environments, settings: Settings
) -> Sample:
    """What Jinja2 alone takes for the template, in a process on the server's core.

    No server is part of it: it is what no server can save.
    """
    empty = Sample(RENDERING, workload, round_number, workload)

    try:
        rendered = environments.render_template(settings.server_core, settings.seconds)
    except Unavailable as error:
        return replace(empty, invalid=str(error))

    count, used = rendered
    return replace(
        empty, requests=count, requests_per_second=count / used, cpu_us=used * 1e6 / count
    )
