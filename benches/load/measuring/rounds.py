"""Interleaved rounds: each peer is started anew in each round and given each workload."""

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
from .requests import Probe, failure, is_cached, load, session_cookie

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .peer_list import Peer
    from .workloads import Workload

#: Seconds of load before each measurement.
WARM_UP = 1


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

    def run(seconds: int) -> tuple[int, int, int, int, int]:
        return load(
            server.port,
            workload,
            headers,
            seconds=seconds,
            connections=min(settings.connections, workload.connections),
            core=settings.load_core,
            folder=CACHE / "wrk",
        )

    run(WARM_UP)
    probe = Probe(server.port)

    with ExitStack() as probing:
        if workload.waits:
            probing.enter_context(probe)

        begun, busy, own = time.perf_counter(), machine_seconds(), sum(os.times()[:4])
        used = cpu_seconds(server.pid)
        requests, duration, errors, p50, p99 = run(settings.seconds)
        used = cpu_seconds(server.pid) - used
        busy = machine_seconds() - busy - used - (sum(os.times()[:4]) - own)
        others = max(0.0, busy / (time.perf_counter() - begun))

    invalid = failure(server.port, workload, headers)
    errors += probe.errors

    if errors:
        invalid = invalid or f"{errors} errors in {requests} requests"
    elif not requests:
        invalid = invalid or "no answer within the run"

    return replace(
        sample,
        invalid=invalid,
        requests=requests,
        errors=errors,
        requests_per_second=requests / (duration / 1e6),
        cpu_us=used * 1e6 / max(1, requests),
        p50_us=p50,
        p99_us=p99,
        probe_p50_ms=probe.percentile(0.5),
        probe_p99_ms=probe.percentile(0.99),
        others=others,
        peak_mb=memory_mb(server.pid, "VmHWM"),
    )


def visit(
    peer: Peer,
    workloads: Sequence[Workload],
    round_number: int,
    environments: Environments,
    settings: Settings,
) -> Iterator[Sample]:
    """Measure one peer once under each workload it offers, on a server for each variant."""
    offered = [workload for workload in workloads if peer.offers(workload.name)]

    for variant, group in groupby(offered, key=lambda workload: workload.variant):
        waiting = list(group)

        while waiting:
            empty = Sample(peer.name, waiting[0].name, round_number)
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
                # It died of this workload; the others get a new server.
                yield replace(empty, workload=waiting.pop(0).name, invalid=str(error))


def _visit_server(
    peer: Peer, server: Server, waiting: list[Workload], empty: Sample, settings: Settings
) -> Iterator[Sample]:
    """Take workloads off a list and measure each on a started server."""
    started = replace(empty, start_ms=server.start_seconds * 1000, idle_mb=memory_mb(server.pid))

    try:
        cached = not peer.is_limit and is_cached(server.port)
    except (OSError, http.client.HTTPException) as error:
        raise ServerFailed(f"{type(error).__name__}: {error}") from error

    while waiting:
        sample = replace(started, workload=waiting[0].name)

        try:
            sample = measure(server, waiting[0], sample, settings)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            server.assert_running()
            sample = replace(sample, invalid=str(error))

        server.assert_running()

        if cached:
            sample = replace(sample, invalid="answers come from a cache")

        waiting.pop(0)
        yield sample


def measure_all(
    peers: Sequence[Peer],
    workloads: Sequence[Workload],
    environments: Environments,
    settings: Settings,
) -> Iterator[Sample]:
    """All samples, in interleaved rounds: each peer once, then each peer again."""
    for round_number in range(1, settings.rounds + 1):
        for peer in peers:
            yield from visit(peer, workloads, round_number, environments, settings)
