"""Requests to a server under measurement: single ones that are checked, and load from wrk."""

from __future__ import annotations

import http.client
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .processes import HOST
from .workloads import Workload

if TYPE_CHECKING:
    from collections.abc import Mapping

#: wrk gives up an answer after this many seconds and counts an error.
ANSWER_TIME = 8
#: Time between two probes of the quick view, in seconds: some hundred in a run, for a p99.
PROBE_INTERVAL = 0.01

LUA_REPORT = """
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("FIGURES %d %d %d %d %d\\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout + e.status,
    latency:percentile(50), latency:percentile(99)))
end
"""


class Answer(NamedTuple):
    """One answer, read to its end; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Load(NamedTuple):
    """What wrk counted; times in microseconds."""

    requests: int
    duration: int
    errors: int
    p50: int
    p99: int


def ask(port: int, workload: Workload, headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request on a connection of its own.

    Raises:
        OSError: the server cannot be reached.
        http.client.HTTPException: what it sent is no answer.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_TIME)

    try:
        connection.request(
            workload.method,
            workload.path,
            workload.body or None,
            {**workload.headers, **(headers or {})},
        )
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, received, response.read())
    finally:
        connection.close()


def failure(port: int, workload: Workload, headers: Mapping[str, str]) -> str:
    """Why a request is answered wrongly; empty if it is answered rightly."""
    try:
        return workload.wrong(*ask(port, workload, headers))
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"


def is_cached(port: int) -> bool:
    """Whether a view that counts its calls is answered without calling it."""
    counter = Workload("tick", "/tick", b"")
    return ask(port, counter).body == ask(port, counter).body


def session_cookie(port: int) -> dict[str, str]:
    """The header of a client that has a session."""
    answer = ask(port, Workload("session", "/session", b""))
    return {"Cookie": answer.headers.get("set-cookie", "").partition(";")[0]}


def _quoted(text: str) -> str:
    """A Lua string of any text without a closing long bracket."""
    return f"[==[{text}]==]"


def wrk_script(workload: Workload, headers: Mapping[str, str], body_file: Path) -> str:
    """The Lua script that makes wrk send a workload and report machine-readably."""
    lines = [f"wrk.method = {_quoted(workload.method)}"]
    lines += [
        f"wrk.headers[ {_quoted(name)} ] = {_quoted(value)}"
        for name, value in {**workload.headers, **headers}.items()
    ]

    if workload.body:
        lines.append(f"local file = io.open({_quoted(str(body_file))}, 'rb')")
        lines.append("wrk.body = file:read('*a')")
        lines.append("file:close()")

    return "\n".join(lines) + LUA_REPORT


def load(
    port: int,
    workload: Workload,
    headers: Mapping[str, str],
    *,
    seconds: float,
    connections: int,
    core: int,
) -> Load:
    """Load a server with wrk from one thread on one core.

    Raises:
        RuntimeError: wrk failed; its output is the message.
    """
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}"]
    command += [f"-d{max(1, round(seconds))}s", f"--timeout={ANSWER_TIME}s"]

    with tempfile.TemporaryDirectory() as folder:
        script, body_file = Path(folder, "wrk.lua"), Path(folder, "wrk.body")
        script.write_text(wrk_script(workload, headers, body_file))
        body_file.write_bytes(workload.body)
        command += ["-s", str(script), f"http://{HOST}:{port}{workload.path}"]
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 60, check=False
        )

    figures = re.search(r"^FIGURES (.*)$", run.stdout, re.MULTILINE)

    if figures is None:
        raise RuntimeError(f"wrk: {(run.stderr or run.stdout)[-300:]}")

    return Load(*map(int, figures[1].split()))


class Probe:
    """Asks for the plain view at a slow rate, each time on a new connection, while in use."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        #: Answer times in milliseconds.
        self.times: list[float] = []
        self.errors = 0

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        plain = Workload("plain", "/", b"Hello, World!")

        while not self._ended.wait(PROBE_INTERVAL):
            begun = time.perf_counter()

            if failure(self._port, plain, {}):
                self.errors += 1
            else:
                self.times.append((time.perf_counter() - begun) * 1000)

    def percentile(self, share: float) -> float:
        """The time that `share` of the answers did not exceed; NaN without an answer."""
        ordered = sorted(self.times)
        return ordered[int(share * (len(ordered) - 1))] if ordered else float("nan")
