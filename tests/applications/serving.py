"""A server of an application, from an empty folder to its end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import typing as t
from pathlib import Path

from tests.conformance.environment import ROOT

from .application import FLASK
from .environment import CACHE

if t.TYPE_CHECKING:
    from .application import Application, Way
    from .environment import Environment

#: Seconds that a server may take to end: more than the half minute for which bustapi waits, by
#: default, for threads that an application has left running.
_END = 45.0
#: Seconds for one command of a setup.
_SETUP = 300.0
#: Folder of the package under test.
_PACKAGE = ROOT / "python"


class ServingError(RuntimeError):
    """An application could not be set up, or did not start; the message has the log's end."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Server:
    """One application, served in one way.

    Every way runs in a folder of the same name, made anew, so that what an application says of
    its files is the same.
    """

    def __init__(
        self, application: Application, way: Way, environment: Environment, port: int
    ) -> None:
        self._application, self._way, self._environment = application, way, environment
        self.port = port
        runs = CACHE / "runs" / application.name
        self.folder = runs / "work"
        self.log_file = runs / f"{way.framework} {way.label}.log".replace(" ", "-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All that was printed until now."""
        return self.log_file.read_text(errors="replace")

    def start(self) -> None:
        """Sets up the folder, starts the server and waits until it answers.

        :raises ServingError: if it does not.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name, content in self._application.files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                content = self._filled(content).encode()
            file.write_bytes(content)

        with self.log_file.open("wb") as log:
            for command in self._application.setup:
                try:
                    done = subprocess.run(
                        self._words(command),
                        cwd=self.folder,
                        env=self._variables(),
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        timeout=_SETUP,
                        check=False,
                    )
                except subprocess.TimeoutExpired as error:
                    raise ServingError(f"`{' '.join(command)}` took over {_SETUP:.0f} s") from error
                if done.returncode != 0:
                    raise ServingError(f"`{' '.join(command)}` ended with {done.returncode}")
            self._process = subprocess.Popen(
                self._words(self._way.command),
                cwd=self.folder,
                env=self._variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait()

    def _filled(self, text: str) -> str:
        return text.replace("{port}", str(self.port)).replace("{folder}", str(self.folder))

    def _words(self, command: tuple[str, ...]) -> list[str]:
        python = str(self._environment.python)
        on_flask = self._way.framework == FLASK
        launch = str(Path(__file__).with_name("launch.py"))
        meanings = {
            "{python}": [python],
            "{flask}": [python, "-m", "flask"]
            if on_flask
            else [python, "-m", "bustapi", "--flask-compat"],
            "{program}": [python] if on_flask else [python, launch],
        }
        words: list[str] = []
        for word in command:
            words += meanings.get(word) or [
                self._filled(word).replace("{bin}", str(self._environment.folder / "bin"))
            ]
        return words

    def _variables(self) -> dict[str, str]:
        # What the caller has set for Flask or Python is not for the applications.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FLASK_", "PYTHON", "VIRTUAL_ENV"))
        }
        paths = [self._environment.flask_path if self._way.framework == FLASK else _PACKAGE]
        return {
            **kept,
            "HOME": str(self.folder),
            "PATH": f"{self._environment.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTHONUNBUFFERED": "1",
            # The order of sets must not tell one run from another.
            "PYTHONHASHSEED": "1",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            # An application that asks other hosts for something gets its answer at once: none.
            "http_proxy": "http://127.0.0.1:9",
            "https_proxy": "http://127.0.0.1:9",
            "no_proxy": "127.0.0.1,localhost",
            **{name: self._filled(value) for name, value in self._application.variables.items()},
        }

    def _wait(self) -> None:
        assert self._process is not None
        end = time.monotonic() + self._application.patience
        line = f"GET {self._application.ready} HTTP/1.1"
        request = f"{line}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise ServingError(f"it ended with {self._process.returncode}:\n{self.log[-2000:]}")
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
                    connection.sendall(request.encode())
                    if connection.recv(16).startswith(b"HTTP/1."):
                        return
            time.sleep(0.1)  # nobody tells when a foreign server listens

        raise ServingError(f"no answer in {self._application.patience:.0f} s:\n{self.log[-2000:]}")

    def stop(self) -> str:
        """Tells the server to end; what was wrong with its end, or an empty text."""
        if self._process is None:
            return ""
        wrong = ""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_END)
            except subprocess.TimeoutExpired:
                wrong = f"it had not ended {_END:.0f} s after SIGTERM"
        else:
            wrong = f"it ended before it was told to, with {self._process.returncode}"
        # Processes of an application's own, in the session that was made for it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if not wrong and self._way.status not in (None, self._process.returncode):
            wrong = f"it ended with {self._process.returncode}, not {self._way.status}"
        return wrong


def drive(application: Application, environment: Environment, port: int, log_file: Path) -> str:
    """Runs the script against the server behind `port`; what failed, or an empty text.

    In a process of the application's environment: scripts use its client libraries.
    """
    with log_file.open("wb") as log:
        try:
            done = subprocess.run(
                [environment.python, "-m", "tests.applications.drive", application.name, str(port)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(environment.flask_path), "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=600,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"the script was not done after 600 s (see {log_file})"
    if done.returncode == 0:
        return ""
    lines = log_file.read_text(errors="replace").splitlines()
    return "the script failed:\n" + "\n".join(f"        {line[:300]}" for line in lines[-12:])
