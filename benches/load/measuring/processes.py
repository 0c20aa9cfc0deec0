"""Servers under measurement: started on one core, watched through /proc, ended by process id."""

from __future__ import annotations

import http.client
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

HOST = "127.0.0.1"
#: Longest wait for the first answer, and for the end after SIGTERM, in seconds.
START_TIME = 30.0
STOP_TIME = 5.0
SERVER_PORTS = range(20_000, 30_000)
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ServerFailed(RuntimeError):
    """A server did not start, or ended by itself; its last output is the message."""


def processes(root: int) -> list[int]:
    """The process ids of a tree, the root first; processes that just ended are left out."""
    found = [root]

    try:
        tasks = list(Path(f"/proc/{root}/task").iterdir())
        children = [pid for task in tasks for pid in (task / "children").read_text().split()]
    except OSError:
        return found

    for child in children:
        found.extend(processes(int(child)))

    return found


def cpu_seconds(root: int) -> float:
    """User and system time that a process tree took so far, ended children included."""
    ticks = 0

    for pid in processes(root):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue  # ended between the two looks

        ticks += sum(int(field) for field in stat.rpartition(")")[2].split()[11:15])

    return ticks / TICKS_PER_SECOND


def memory_mb(root: int, field: str = "VmRSS") -> float:
    """Resident memory of a process tree in MiB: `VmRSS` now, `VmHWM` at its highest.

    Pages that processes share count once for each of them.
    """
    kilobytes = 0

    for pid in processes(root):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue

        match = re.search(rf"^{field}:\s+(\d+)", status, re.MULTILINE)
        kilobytes += int(match[1]) if match else 0

    return kilobytes / 1024


def open_files(root: int) -> int:
    """Open file descriptors of a process tree."""
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in processes(root))


def threads(root: int) -> int:
    """Threads of a process tree."""
    return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in processes(root))


def machine_seconds() -> float:
    """Busy time of all processors so far, this machine's and what its host took from it."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    idle, waiting = int(fields[3]), int(fields[4])
    return (sum(map(int, fields)) - idle - waiting) / TICKS_PER_SECOND


def free_port() -> int:
    """A port that nothing listens on.

    Below the ports that the kernel gives to clients, so that no connection takes it before the
    server does; `SO_REUSEADDR` stays off, so that a listener with `SO_REUSEPORT` is seen.

    Raises:
        ServerFailed: there is none.
    """
    for port in random.sample(SERVER_PORTS, len(SERVER_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue

            return port

    raise ServerFailed("no free port")


class Server:
    """A running server, pinned to one core (or several, as `taskset` lists them); a context manager
    that ends it.

    Raises:
        ServerFailed: no answer to ``GET /`` within `start_time` seconds.
    """

    def __init__(
        self,
        command: list[str],
        port: int,
        *,
        core: int | str,
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        start_time: float = START_TIME,
    ) -> None:
        self.port = port
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        begun = time.perf_counter()

        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["taskset", "-c", str(core), *command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        try:
            self._await_answer(begun + start_time)
        except BaseException:
            self.stop()
            raise

        #: Seconds from the start of the process to its first answer.
        self.start_seconds = time.perf_counter() - begun

    @property
    def pid(self) -> int:
        """The root of the server's process tree."""
        return self._process.pid

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _await_answer(self, deadline: float) -> None:
        while True:
            self.assert_running()

            if time.perf_counter() > deadline:
                raise ServerFailed(f"no answer: {self.last_output()}")

            connection = http.client.HTTPConnection(HOST, self.port, timeout=5)

            try:
                connection.request("GET", "/")
                connection.getresponse().read()
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.005)
            finally:
                connection.close()

    def assert_running(self) -> None:
        """Raise `ServerFailed` if the server ended."""
        if self._process.poll() is not None:
            raise ServerFailed(f"ended with {self._process.returncode}: {self.last_output()}")

    def output(self) -> str:
        """All that the server wrote."""
        return self._log.read_text(errors="replace")

    def last_output(self) -> str:
        """The end of what the server wrote, on one line."""
        return " ".join(self.output().split())[-300:]

    def stop(self) -> int:
        """End the server and its children; the exit status, negative for a signal."""
        children = processes(self.pid)[1:]
        self._process.terminate()

        try:
            self._process.wait(STOP_TIME)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

        for child in children:
            kill_leftover(child, self._process.pid)

        return self._process.returncode


def kill_leftover(pid: int, session: int) -> None:
    """Kill a child that outlived its server, if it still is of the server's session."""
    try:
        if os.getsid(pid) == session:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
