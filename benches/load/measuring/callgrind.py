"""Instructions that a server executes for a request, counted by valgrind's callgrind.

A count does not depend on what else the machine does: it moves by less than one percent from run
to run, where times move by tens. It leaves out what the kernel does, and says nothing of caches.
"""

from __future__ import annotations

import http.client
import re
import shutil
import statistics
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .environments import APPS, CACHE, application_environment
from .processes import HOST, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .workloads import Workload

SLOW_CLOCK = Path(__file__).resolve().parents[1] / "slow_clock.c"
#: Requests before counting: enough for the executor to have learned, and for caches to be full.
WARM_UP = 60
#: Requests of a batch, and batches, of which the middle one counts: what happens now and then,
#: such as a whole collection of garbage, is in one of them.
REQUESTS, BATCHES = 50, 3
#: Longest start under valgrind, in seconds.
START_TIME = 180.0
#: Longest wait for an answer, in seconds.
ANSWER_TIME = 60.0

#: Where code comes from, by the path of its source or its object; the first that matches.
GROUPS = [
    (r"/(bustapi-[a-z]+)/src/", None),
    (r"/registry/src/[^/]+/(pyo3|tokio|hyper|http|bytes|mio|itoa|httparse|socket2)", None),
    (r"/registry/src/[^/]+/", "other crates"),
    (r"/rustc/|/library/(core|std|alloc)/", "Rust's standard library"),
    (r"/Python/ceval", "CPython: evaluation"),
    (r"/Objects/obmalloc|/Modules/gcmodule|/Python/gc", "CPython: memory"),
    (r"/Objects/(dict|unicode|bytes|list|tuple|long|float|set)", "CPython: built-in types"),
    (r"/Objects/(type|object|call|method|desc|func|class|frame|gen)", "CPython: objects and calls"),
    (r"/Modules/", "CPython: extension modules"),
    (r"libpython|/python3?[.\d]*$|/Python-\d", "CPython: the rest"),
    (r"libc\.|libm\.|ld-linux|sysdeps|/(malloc|nptl|string|stdlib)/", "C library"),
]


class Counted(NamedTuple):
    """Instructions per request, and the share of each source or object file in them."""

    instructions: float
    files: dict[str, float]


def missing_tool() -> str:
    """What is needed to count and is not there; empty if nothing is."""
    for tool, package in (("valgrind", "valgrind"), ("vgdb", "valgrind"), ("cc", "gcc")):
        if shutil.which(tool) is None:
            return f"no {tool}; on Debian: apt-get install {package}"

    return ""


def build_slow_clock() -> Path:
    """Build what slows the server's clock down; the library."""
    library = CACHE / "instructions" / "slow_clock.so"
    library.parent.mkdir(parents=True, exist_ok=True)
    build = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SLOW_CLOCK)]
    subprocess.run(build, check=True)
    return library


def count(
    command: Sequence[str], port: int, workloads: Sequence[Workload], core: int
) -> Iterator[tuple[Workload, Counted]]:
    """Count each of some workloads of one variant, on one server.

    Args:
        command: starts the server on `port`.
        core: the processor that valgrind runs on.

    Raises:
        ServerFailed: the server did not start.
        RuntimeError: an answer was wrong, or nothing was counted.
    """
    environment = application_environment(port, workloads[0].variant)
    environment |= {"PYTHONHASHSEED": "0", "LD_PRELOAD": str(build_slow_clock())}

    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
        valgrind.append(f"--callgrind-out-file={folder}/out")

        with Server(
            [*valgrind, *command],
            port,
            core=core,
            environment=environment,
            folder=APPS,
            log=CACHE / "logs" / "instructions.log",
            start_time=START_TIME,
        ) as server:
            _command(server, "instrumentation", "on")

            for workload in workloads:
                yield workload, _count_workload(server, workload, Path(folder))


def _command(server: Server, *words: str) -> None:
    """Tell callgrind something; it has been done on return."""
    subprocess.run(
        ["vgdb", f"--pid={server.pid}", *words],
        check=True,
        capture_output=True,
        timeout=ANSWER_TIME,
    )


def _count_workload(server: Server, workload: Workload, folder: Path) -> Counted:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=ANSWER_TIME)
    headers = dict(workload.headers)
    batches = []

    try:
        if workload.variant == "session":
            _, received = _ask(connection, workload, headers, check=False)
            headers["Cookie"] = received["set-cookie"].partition(";")[0]

        for _ in range(WARM_UP):
            _ask(connection, workload, headers)

        for _ in range(BATCHES):
            _command(server, "zero")

            for _ in range(REQUESTS):
                _ask(connection, workload, headers)

            _command(server, "dump")
            files: Counter[str] = Counter()

            for path in folder.iterdir():
                files.update(costs_by_file(path.read_text().splitlines()))
                path.unlink()

            batches.append(files)
    finally:
        connection.close()

    middle = sorted(batches, key=lambda batch: batch.total())[BATCHES // 2]

    if not middle:
        raise RuntimeError("callgrind counted nothing")

    shares = {file: cost / REQUESTS for file, cost in middle.items()}
    return Counted(statistics.fsum(shares.values()), shares)


def _ask(
    connection: http.client.HTTPConnection,
    workload: Workload,
    headers: dict[str, str],
    *,
    check: bool = True,
) -> tuple[bytes, dict[str, str]]:
    connection.request(workload.method, workload.path, workload.body or None, headers)
    response = connection.getresponse()
    received = {name.lower(): value for name, value in response.getheaders()}
    body = response.read()

    if check and (wrong := workload.wrong(response.status, received, body)):
        raise RuntimeError(f"{workload.name}: {wrong}")

    return body, received


def costs_by_file(lines: Iterable[str]) -> Counter[str]:
    """Costs of a callgrind output, without those of called functions, by source file.

    Code without a known source counts for the object it is in.
    """
    names: dict[tuple[str, str], str] = {}
    costs: Counter[str] = Counter()
    source = library = ""
    skip = False

    for line in lines:
        if match := re.match(r"(ob|fl|fi|fe)=\((\d+)\)(?: (.*))?$", line):
            kind = "ob" if match[1] == "ob" else "file"
            key = kind, match[2]
            name = names.setdefault(key, match[3] or "")

            if kind == "ob":
                library = name
            else:
                source = name
        elif match := re.match(r"c(ob|fi|fl)=\((\d+)\) (.*)$", line):
            # The first mention of what is called names it for the lines that follow.
            names.setdefault(("ob" if match[1] == "ob" else "file", match[2]), match[3])
        elif line.startswith("calls="):
            skip = True
        elif re.match(r"[+\-*\d]", line):
            if not skip:
                unknown = source in {"", "???"}
                costs[library if unknown else source] += int(line.split()[-1])

            skip = False

    return costs


def group_of(file: str) -> str:
    """What a source or object file belongs to: a crate, a part of CPython, the C library."""
    for pattern, name in GROUPS:
        if match := re.search(pattern, file):
            return name or f"{match[1]}"

    return "other libraries"


def by_group(files: dict[str, float]) -> list[tuple[str, float]]:
    """Costs of each group, the greatest first."""
    groups: Counter[str] = Counter()

    for file, cost in files.items():
        groups[group_of(file)] += cost  # type: ignore[assignment]

    return groups.most_common()
