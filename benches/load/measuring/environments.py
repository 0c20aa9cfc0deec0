"""Where the peers run: virtual environments from PyPI, the limits, and configuration files.

Everything lies under ``.cache/bench`` and is made once.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

from .peer_list import BUSTAPI, Peer
from .workloads import write_static_files

ROOT = Path(__file__).resolve().parents[3]
APPS = ROOT / "benches" / "load" / "apps"
# Resolved, since virtual environments hold the path they were made at.
CACHE = (ROOT / ".cache" / "bench").resolve()
STATIC = CACHE / "static"
PYENV_VERSIONS = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
DESCRIBE = "import sys; print(sys.executable); print('%d.%d' % sys.version_info[:2])"
LIST_PACKAGES = (
    "import importlib.metadata as m, json, platform;"
    "print(json.dumps({'python': platform.python_version(),"
    " **{d.metadata['Name'].lower(): d.version for d in m.distributions()}}))"
)


class Unavailable(RuntimeError):
    """A peer cannot be measured on this machine; the message says why."""


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a command; its output.

    Raises:
        Unavailable: the command is missing or failed.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment
        )
    except FileNotFoundError:
        raise Unavailable(f"no {command[0]}") from None
    except subprocess.CalledProcessError as error:
        told = " ".join((error.stderr or error.stdout).split())[-200:]
        raise Unavailable(f"{' '.join(command[:4])} fails: {told}") from None

    return done.stdout


class Environments:
    """The virtual environments for one Python interpreter.

    Args:
        python: the interpreter's name or path; empty for the one that runs this.
    """

    def __init__(self, python: str = "") -> None:
        self._python = python
        self._interpreters: dict[str, tuple[str, str]] = {}

    def _describe(self, *names: str) -> tuple[str, str]:
        """Path and version ("3.11") of the first of some interpreters that runs."""
        for name in names:
            if name not in self._interpreters:
                try:
                    path, version = _run([name, "-c", DESCRIBE]).split("\n")[:2]
                except Unavailable:
                    continue

                self._interpreters[name] = path, version

            return self._interpreters[name]

        raise Unavailable(f"{names[0]} does not run")

    def _interpreter(self, peer: Peer) -> tuple[str, str]:
        """Path and version of a peer's interpreter: a newer one if it needs that."""
        path, version = self._describe(self._python or sys.executable)
        needed = peer.least_python

        if tuple(map(int, version.split("."))) < needed:
            name = f"python{needed[0]}.{needed[1]}"
            # pyenv's command of that name fails where another version is its chosen one.
            installed = sorted(PYENV_VERSIONS.glob(f"{needed[0]}.{needed[1]}.*/bin/python"))
            return self._describe(name, *map(str, installed))

        return path, version

    @property
    def version(self) -> str:
        """The Python that peers run on if they do not need a newer one, such as ``3.11``."""
        return self._describe(self._python or sys.executable)[1]

    def label(self, peer: Peer) -> str:
        """The name of a peer, with the Python it needs if the others run on an older one."""
        version = self._interpreter(peer)[1]
        return peer.name if version == self.version else f"{peer.name} ({version})"

    def _python_of(self, peer: Peer) -> str:
        """The interpreter a peer runs on."""
        own = self._uses_own_environment(peer)
        return sys.executable if own else str(self.folder(peer) / "bin" / "python")

    def folder(self, peer: Peer) -> Path:
        """The virtual environment of a peer, whether it exists or not."""
        return CACHE / "environments" / f"{peer.name}-{self._interpreter(peer)[1]}"

    def _uses_own_environment(self, peer: Peer) -> bool:
        """Whether the peer is this tree's package in the environment that runs this script."""
        return peer is BUSTAPI and not self._python

    def is_ready(self, peer: Peer) -> bool:
        """Whether nothing has to be installed for a peer."""
        if "{config}" in peer.command:
            return shutil.which("nginx") is not None

        if not peer.has_environment or self._uses_own_environment(peer):
            return True

        complete = self.folder(peer) / ".complete"
        return complete.exists() and complete.read_text() == self._contents(peer)

    @staticmethod
    def _contents(peer: Peer) -> str:
        """What an environment must hold; another one is made when this changes."""
        contents = "\n".join(peer.requirements)
        return f"{contents}\n{digest_of_sources()}" if peer is BUSTAPI else contents

    def prepare(self, peer: Peer) -> None:
        """Install a peer if it is not.

        Raises:
            Unavailable: it cannot be.
        """
        if not peer.has_environment or self.is_ready(peer):
            return

        interpreter, _ = self._interpreter(peer)
        folder = self.folder(peer)
        print(f"installing {peer.name} into {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _run([interpreter, "-m", "venv", str(folder)])
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        _run([*install, *peer.requirements])

        if peer is BUSTAPI:
            wheel = self._build_wheel(interpreter)
            _run([*install, "--no-deps", "--force-reinstall", str(wheel)])

        (folder / ".complete").write_text(self._contents(peer))

    def _build_wheel(self, interpreter: str) -> Path:
        """Build this tree's package for an interpreter."""
        folder = CACHE / "wheels" / self._interpreter(BUSTAPI)[1]
        shutil.rmtree(folder, ignore_errors=True)
        maturin = Path(sys.executable).with_name("maturin")
        build = [str(maturin), "build", "--release", "--interpreter", interpreter]
        _run(
            [*build, "--out", str(folder)],
            # A target of its own: another interpreter would build the tree's own anew.
            {
                **os.environ,
                "PYO3_PYTHON": interpreter,
                "CARGO_TARGET_DIR": str(CACHE / "target"),
            },
        )
        return next(folder.glob("*.whl"))

    def command(self, peer: Peer, port: int) -> list[str]:
        """The command that starts a peer.

        Raises:
            Unavailable: a program it needs is missing.
        """
        python = self._python_of(peer) if peer.has_environment else ""
        filled = {"port": str(port), "bin": str(Path(python).parent), "python": python}

        if "{config}" in peer.command:
            if shutil.which("nginx") is None:
                raise Unavailable("no nginx; on Debian: apt-get install nginx-light")

            filled["config"] = str(write_nginx_configuration(port))

        if peer.library is not None and find_library(peer.library[0]) is None:
            raise Unavailable(
                f"no lib{peer.library[0]}; on Debian: apt-get install {peer.library[1]}"
            )

        if "{bare_hyper}" in peer.command:
            filled["bare_hyper"] = str(build_bare_hyper())

        return [part.format(**filled) for part in peer.command.split()]

    def versions(self, peer: Peer) -> dict[str, str]:
        """The version of Python and of each package a peer runs with."""
        if not peer.has_environment:
            return {}

        found: dict[str, str] = json.loads(_run([self._python_of(peer), "-c", LIST_PACKAGES]))
        return found

    def render_template(self, core: int, seconds: int) -> tuple[int, float]:
        """Render the template for a time, with BustAPI's Jinja2 on one core.

        Returns:
            How often, and the CPU time it took, in seconds.

        Raises:
            Unavailable: it failed.
        """
        command = ["taskset", "-c", str(core), self._python_of(BUSTAPI)]
        command += [str(APPS / "render_template.py"), str(seconds)]
        count, used = _run(command, application_environment(0, "base")).split()
        return int(count), float(used)


@functools.cache
def digest_of_sources() -> str:
    """What this tree's package is built from: its environment is as old as these are."""
    digest = hashlib.sha256()

    for folder in (*ROOT.glob("bustapi-*"), ROOT / "python"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".rs", ".py", ".toml"}:
                digest.update(path.read_bytes())

    for name in ("Cargo.toml", "Cargo.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())

    return digest.hexdigest()


def application_environment(port: int, variant: str) -> dict[str, str]:
    """The environment variables of an application; see ``apps/inputs.py``."""
    write_static_files(STATIC)
    left_out = {"PYTHONDONTWRITEBYTECODE", "PYTHONOPTIMIZE", "PYTHONUNBUFFERED", "PYTHONPATH"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {
        **kept,
        "BENCH_PORT": str(port),
        "BENCH_VARIANT": variant,
        "BENCH_STATIC": str(STATIC),
        "PYTHONPATH": str(APPS),
    }


@functools.cache
def build_bare_hyper() -> Path:
    """Build the server that is the limit for this tree's HTTP library.

    Raises:
        Unavailable: cargo is missing or fails.
    """
    build = ["cargo", "build", "--release", "--locked", "--package", "bustapi-benches"]
    _run([*build, "--example", "bare_hyper"])
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "examples" / "bare_hyper"


def write_nginx_configuration(port: int) -> Path:
    """Configure nginx for one worker in the foreground; the file."""
    folder = CACHE / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    temporary = "".join(
        f"  {name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Started by root, workers would be of a user who may not read the files.
    user = "user root; " if os.geteuid() == 0 else ""
    path = folder / f"{port}.conf"
    path.write_text(
        f"{user}daemon off; worker_processes 1; pid {folder}/{port}.pid; error_log stderr error;\n"
        "events { worker_connections 1024; }\n"
        f"http {{\n  access_log off; sendfile on; keepalive_requests 100000000;\n{temporary}"
        f"  server {{\n    listen 127.0.0.1:{port};\n"
        "    default_type application/octet-stream;\n"
        '    location = / { default_type text/html; return 200 "Hello, World!"; }\n'
        f"    location /static/ {{ alias {STATIC}/; }}\n  }}\n}}\n"
    )
    return path


def describe_machine() -> dict[str, str | int | None]:
    """The machine the figures are of."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.machine(),
        "processors": os.cpu_count(),
        "kernel": platform.release(),
    }
