"""Runs one suite on one framework, and proves which framework it was.

The plugin in ``alias/`` writes what ``flask`` resolved to at the end of the run. A run whose
proof is missing, or names the other framework, counts for nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .accounting import read_junit
from .environment import CACHE
from .type_checks import read_mypy, rename_imports, write_configuration

if TYPE_CHECKING:
    from .environment import Environment
    from .manifest import Suite

Framework = Literal["flask", "bustapi"]

ALIAS = Path(__file__).resolve().parent / "alias"


@dataclass(frozen=True)
class Run:
    """What one run of a suite gave."""

    #: Outcome by test id; empty if the run proved nothing.
    outcomes: dict[str, str]
    seconds: float
    log: str
    #: Why the outcomes do not count, or an empty string.
    problem: str = ""


def run_suite(
    suite: Suite, framework: Framework, source: Path, environment: Environment, package: Path
) -> Run:
    """Runs the suite's tests on `framework`, whose package lies in the folder `package`."""
    run = _run_mypy if suite.runner == "mypy" else _run_pytest
    return run(suite, framework, source, environment, package)


def _copy_source(suite: Suite, framework: Framework, source: Path) -> tuple[Path, Path]:
    """A fresh copy of the source to run in, and where the results go."""
    work = CACHE / "work" / framework / suite.name
    shutil.rmtree(work, ignore_errors=True)
    work.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, work, symlinks=True)
    results = CACHE / "results" / framework
    results.mkdir(parents=True, exist_ok=True)
    return work, results


def _run_mypy(
    suite: Suite, framework: Framework, source: Path, environment: Environment, package: Path
) -> Run:
    work, results = _copy_source(suite, framework, source)
    directory = work / suite.directory
    files = sorted(path for name in suite.arguments for path in (directory / name).glob("*.py"))
    if framework == "bustapi":
        for path in files:
            rename_imports(path)
    log = results / f"{suite.name}.log"
    configuration = write_configuration(work)
    command = [str(environment.python), "-m", "mypy", f"--config-file={configuration}"]
    command += [str(path.relative_to(directory)) for path in files]
    variables = {**os.environ, "MYPYPATH": str(package)}
    started = time.monotonic()
    timed_out = _run(command, directory, variables, log, suite.timeout)
    seconds = round(time.monotonic() - started, 1)
    outcomes = read_mypy(log, [str(path.relative_to(directory)) for path in files])
    problem = "" if outcomes else "mypy did not come to an end"
    if timed_out:
        problem = f"ended after {suite.timeout} s"
    return Run({} if problem else outcomes, seconds, str(log), problem)


def _run_pytest(
    suite: Suite, framework: Framework, source: Path, environment: Environment, package: Path
) -> Run:
    work, results = _copy_source(suite, framework, source)
    home = CACHE / "home" / framework / suite.name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    junit = results / f"{suite.name}.xml"
    proof = results / f"{suite.name}.proof.json"
    log = results / f"{suite.name}.log"
    for path in (junit, proof):
        path.unlink(missing_ok=True)

    directory = work / suite.directory
    # A suite without a configuration of its own would find this project's, further up.
    (CACHE / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [
        str(environment.python),
        *("-m", "pytest", "-p", "conformance_alias"),
        f"--rootdir={directory}",
        *("-q", "-ra", "--tb=short", "--color=no"),
        *("-o", "junit_family=xunit1", f"--junitxml={junit}"),
        *suite.arguments,
    ]
    paths = [ALIAS, package, *(work / path for path in suite.pythonpath)]
    variables = _clean_environment(environment, home)
    variables["PYTHONPATH"] = os.pathsep.join(str(path) for path in paths)
    variables["CONFORMANCE_FRAMEWORK"] = framework
    variables["CONFORMANCE_PACKAGE"] = str(package)
    variables["CONFORMANCE_PROOF"] = str(proof)

    started = time.monotonic()
    timed_out = _run(command, directory, variables, log, suite.timeout)
    seconds = round(time.monotonic() - started, 1)

    problem = _judge_proof(proof, framework)
    if timed_out:
        problem = f"ended after {suite.timeout} s"
    outcomes = {} if problem else read_junit(junit)
    if not problem and not outcomes:
        problem = "no test ran"
    return Run(outcomes, seconds, str(log), problem)


def _clean_environment(environment: Environment, home: Path) -> dict[str, str]:
    kept = {"LANG", "LANGUAGE", "TERM", "TZ"}
    variables = {
        name: value for name, value in os.environ.items() if name in kept or name.startswith("LC_")
    }
    binaries = environment.python.parent
    variables["PATH"] = f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    variables["VIRTUAL_ENV"] = str(binaries.parent)
    variables["HOME"] = str(home)
    variables["PYTHONNOUSERSITE"] = "1"
    variables["PYTHONDONTWRITEBYTECODE"] = "1"
    return variables


def _run(
    command: list[str], directory: Path, variables: dict[str, str], log: Path, timeout: int
) -> bool:
    """Runs `command` with its output in `log`; whether it had to be ended."""
    with log.open("w", encoding="utf-8") as output:
        output.write("$ " + " ".join(command) + "\n")
        output.flush()
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own, so that what the suite started ends with it.
            start_new_session=True,
        )
        try:
            process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            return True
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return False


def _judge_proof(path: Path, framework: Framework) -> str:
    """Why the proof does not show `framework`, or an empty string."""
    try:
        proof = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return "the run left no proof of its framework"
    if proof["strays"]:
        return f"not from {framework}: {', '.join(proof['strays'][:5])}"
    root = proof["application_class"].partition(".")[0]
    return "" if root == framework else f"`flask.Flask` is `{proof['application_class']}`"


# ------------------------------------------------------------------ recorded baselines
def load_baseline(suite: Suite, environment: Environment) -> Run | None:
    """The recorded run on real Flask, if it was made in this very environment."""
    try:
        record = json.loads(_baseline_path(suite).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return Run(**record["run"]) if record["key"] == environment.key else None


def save_baseline(suite: Suite, environment: Environment, run: Run) -> None:
    """Records a run on real Flask, for the next time."""
    record = {"key": environment.key, "run": asdict(run)}
    _baseline_path(suite).write_text(json.dumps(record), encoding="utf-8")


def _baseline_path(suite: Suite) -> Path:
    return CACHE / "results" / "flask" / f"{suite.name}.baseline.json"
