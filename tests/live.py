"""Servers in processes of their own, and raw connections to them."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import bustapi

#: Seconds that anything may take which a test waits for.
DEADLINE = 20.0
#: Where the package under test is imported from.
PACKAGE = str(Path(bustapi.__file__).parents[1])


def until(condition: t.Callable[[], t.Any]) -> t.Any:
    """Wait for something that nobody tells of; what `condition` returned, once it is true."""
    end = time.monotonic() + DEADLINE
    pause = threading.Event()

    while not (result := condition()):
        assert time.monotonic() < end, "it did not happen"
        pause.wait(0.01)

    return result


class Answer(t.NamedTuple):
    """An answer that was read to its end."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str | None:
        """The first header of a name."""
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)


class LiveServer:
    """A command that serves, until it is stopped; all that it prints is kept.

    :param variables: environment variables, besides those of the test's own process.
    """

    def __init__(
        self, command: list[str], folder: Path, variables: dict[str, str] | None = None
    ) -> None:
        # What other tests set for applications in their own process is not for this one.
        own = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
        environment = {**own, "PYTHONUNBUFFERED": "1", **(variables or {})}
        environment.setdefault("PYTHONPATH", PACKAGE)
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._lines: list[str] = []
        self._printed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        #: Host and port, or a path.
        self.address: tuple[str, int] | str = ("", 0)

    def _read(self) -> None:
        assert self.process.stdout is not None

        for line in self.process.stdout:
            with self._printed:
                self._lines.append(line)
                self._printed.notify_all()

        with self._printed:
            self._ended = True
            self._printed.notify_all()

    @property
    def log(self) -> str:
        """All that was printed until now."""
        with self._printed:
            return "".join(self._lines)

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait until `text` was printed in `count` lines; the last of them."""

        def found() -> list[str]:
            return [line for line in self._lines if text in line]

        with self._printed:
            self._printed.wait_for(lambda: len(found()) >= count or self._ended, DEADLINE)
            lines = found()
            assert len(lines) >= count, f"{text!r} was not printed:\n{''.join(self._lines)}"
            return lines[count - 1]

    def wait_until_running(self, count: int = 1, says: str = "Running on") -> LiveServer:
        """Wait until the server says where it listens."""
        place = self.wait_for(says, count).partition(says)[2].strip(": ").split(" (")[0]

        if place.startswith("http://"):
            host, _, port = place.strip().removeprefix("http://").rpartition(":")
            self.address = (host, int(port))
        else:
            self.address = place.strip()

        return self

    @property
    def port(self) -> int:
        assert not isinstance(self.address, str)
        return self.address[1]

    def connect(self) -> socket.socket:
        """Open a connection."""
        if isinstance(self.address, str):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(DEADLINE)

            try:
                connection.connect(self.address)
            except OSError:
                connection.close()
                raise

            return connection

        return socket.create_connection(self.address, DEADLINE)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: t.Iterable[tuple[str, str]] = (),
    ) -> Answer:
        """Send one request on a connection of its own, and read the answer."""
        names = {name.lower() for name, _ in headers}
        fields = list(headers)

        if "host" not in names:
            fields.insert(0, ("Host", "live.test"))

        if body is not None and not names & {"content-length", "transfer-encoding"}:
            fields.append(("Content-Length", str(len(body))))

        lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in fields), "", ""]

        with contextlib.closing(self.connect()) as connection:
            connection.sendall("\r\n".join(lines).encode() + (body or b""))
            return read_answer(connection, method)

    def get(self, target: str, *headers: tuple[str, str]) -> Answer:
        """Send a GET request."""
        return self.request("GET", target, headers=headers)

    def exchange(self, wire: bytes) -> bytes:
        """Send bytes, and read all that the server sends until it closes."""
        with contextlib.closing(self.connect()) as connection:
            connection.sendall(wire)
            pieces = []

            while piece := connection.recv(65536):
                pieces.append(piece)

            return b"".join(pieces)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)

        return self.wait()

    def wait(self) -> int:
        """Wait for the end; the exit status."""
        status = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return status

    def close(self) -> None:
        """End the process, whatever it takes."""
        if self.process.poll() is None:
            self.process.terminate()

            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()

        self.process.wait()
        self._reader.join(DEADLINE)
        assert self.process.stdout is not None
        self.process.stdout.close()


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    """Read one answer from a connection."""
    response = http.client.HTTPResponse(connection, method=method)

    with contextlib.closing(response):
        response.begin()
        return Answer(response.status, response.getheaders(), response.read())


def bustapi_command(*arguments: str, app: str = "served:app", port: int | None = 0) -> list[str]:
    """The command that serves an app, at a free port if `port` is 0 and none if it is `None`."""
    where = [] if port is None else ["--port", str(port)]
    return [sys.executable, "-m", "bustapi", "--app", app, "run", *where, *arguments]
