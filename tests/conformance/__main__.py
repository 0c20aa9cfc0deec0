"""The command line of the conformance runner; see the package's description.

Exit status: 0 when every test that passes on Flask passes on bustapi (deviations aside), 1 when
one does not, 2 when a suite could not be run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .accounting import Score, score
from .environment import PreparationError, fetch_source, install_bustapi, make_environment
from .execution import load_baseline, run_suite, save_baseline
from .manifest import load_deviations, load_suites

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .environment import Environment
    from .execution import Run
    from .manifest import Deviations, Suite

# How many lost tests of a suite are named; the log has them all.
SHOWN = 15


@dataclass(frozen=True)
class Outcome:
    """All that is known of a suite after both runs."""

    suite: Suite
    score: Score | None
    #: Why there is no score, or why it cannot be trusted.
    problem: str
    seconds: float
    log: str

    @property
    def complete(self) -> bool:
        """Every test of the baseline passes."""
        return not self.problem and self.score is not None and self.score.complete


def parse_arguments(suites: Sequence[Suite]) -> argparse.Namespace:
    """Reads the command line; ends the process with a message on a bad one."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--suite", action="append", metavar="NAME", help="only this suite")
    parser.add_argument(
        "--short", action="store_true", help="only Flask's own suites, and Werkzeug's of routing"
    )
    parser.add_argument("--list", action="store_true", help="print the suites and end")
    parser.add_argument("--wheel", type=Path, help="test this wheel instead of this tree")
    parser.add_argument("--json", type=Path, help="write the outcomes to this file")
    parser.add_argument(
        "--fresh-baseline", action="store_true", help="run real Flask even where it is recorded"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.suite or ()) - {suite.name for suite in suites}
    if unknown:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    return arguments


def prepare(suite: Suite) -> tuple[Path, Environment] | PreparationError:
    """The suite's source and environment, or why there is none."""
    try:
        return fetch_source(suite), make_environment(suite)
    except PreparationError as error:
        return error


def measure(
    suite: Suite,
    prepared: tuple[Path, Environment] | PreparationError,
    package: Path,
    deviations: Deviations,
    *,
    fresh_baseline: bool,
) -> Outcome:
    """Runs a suite on both frameworks and compares."""
    if isinstance(prepared, PreparationError):
        return Outcome(suite, None, str(prepared), 0.0, "")
    source, environment = prepared
    on_flask = None if fresh_baseline else load_baseline(suite, environment)
    if on_flask is None:
        on_flask = run_suite(suite, "flask", source, environment, environment.flask_path)
        if not on_flask.problem:
            save_baseline(suite, environment, on_flask)
    on_bustapi = run_suite(suite, "bustapi", source, environment, package)
    result = score(on_flask.outcomes, on_bustapi.outcomes, deviations.of(suite.name))
    return Outcome(
        suite, result, find_problem(suite, on_flask, on_bustapi), on_bustapi.seconds, on_bustapi.log
    )


def find_problem(suite: Suite, on_flask: Run, on_bustapi: Run) -> str:
    """Why the comparison cannot be trusted, or an empty string."""
    if on_flask.problem:
        return f"on Flask: {on_flask.problem} (see {on_flask.log})"
    if on_bustapi.problem:
        return f"on bustapi: {on_bustapi.problem} (see {on_bustapi.log})"
    outcomes = list(on_flask.outcomes.values())
    passed = outcomes.count("passed")
    # Suites skip what an older Python cannot run.
    if passed + outcomes.count("skipped") < suite.baseline:
        return f"only {passed} of {suite.baseline} tests pass on Flask (see {on_flask.log})"
    return ""


def print_outcome(outcome: Outcome, deviations: Deviations) -> None:
    """Prints a suite's line, and what it lost."""
    suite, result = outcome.suite, outcome.score
    passed = f"{result.passed}/{result.baseline}" if result else f"?/{suite.baseline}"
    mark = "ok" if outcome.complete else "FAILED"
    print(f"{suite.name:22} {suite.version:8} {passed:>9}  {outcome.seconds:6.1f} s  {mark}")
    if outcome.problem:
        print(f"    {outcome.problem}")
    if result is None:
        return
    for test in result.lost[:SHOWN]:
        print(f"    lost: {test}")
    if len(result.lost) > SHOWN:
        print(f"    and {len(result.lost) - SHOWN} more: {outcome.log}")
    for test in result.deviating:
        print(f"    deviation: {test}: {deviations.of(suite.name)[test]}")
    for test in result.stale:
        print(f"    no deviation (the test passes, or does not exist): {test}")
    sys.stdout.flush()


def print_total(outcomes: Sequence[Outcome], seconds: float) -> None:
    """Prints the last line."""
    passed = sum(outcome.score.passed for outcome in outcomes if outcome.score)
    baseline = sum(
        outcome.score.baseline if outcome.score and not outcome.problem else outcome.suite.baseline
        for outcome in outcomes
    )
    complete = sum(outcome.complete for outcome in outcomes)
    print(
        f"total: {passed} of {baseline} tests, {complete} of {len(outcomes)} suites complete, "
        f"{seconds:.0f} s",
        flush=True,
    )


def write_json(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Writes the outcomes for other programs."""
    entries = [
        {
            "suite": outcome.suite.name,
            "version": outcome.suite.version,
            "passed": outcome.score.passed if outcome.score else 0,
            "baseline": outcome.score.baseline if outcome.score else outcome.suite.baseline,
            "lost": outcome.score.lost if outcome.score else [],
            "problem": outcome.problem,
            "seconds": outcome.seconds,
        }
        for outcome in outcomes
    ]
    path.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Runs what the command line asks for; see the module for the exit status."""
    suites = load_suites()
    deviations = load_deviations()
    arguments = parse_arguments(suites)
    if arguments.suite:
        suites = [suite for suite in suites if suite.name in arguments.suite]
    if arguments.short:
        suites = [suite for suite in suites if suite.short]
    if arguments.list:
        for suite in suites:
            print(f"{suite.name:22} {suite.version:8} {suite.baseline:5} tests pass on Flask")
        return 0

    started = time.monotonic()
    try:
        package = install_bustapi(arguments.wheel)
    except PreparationError as error:
        print(f"bustapi could not be installed: {error}", file=sys.stderr)
        return 2
    # Sources are shared between suites, so they are fetched before the threads start.
    failures: dict[str, PreparationError] = {}
    for suite in suites:
        try:
            fetch_source(suite)
        except PreparationError as error:
            failures[suite.name] = error
    outcomes: list[Outcome] = []
    # Environments wait for the network: they are made ahead while suites run.
    with ThreadPoolExecutor(max_workers=2) as pool:
        preparing = [
            None if suite.name in failures else pool.submit(prepare, suite) for suite in suites
        ]
        for suite, future in zip(suites, preparing, strict=True):
            prepared = future.result() if future else failures[suite.name]
            outcome = measure(
                suite, prepared, package, deviations, fresh_baseline=arguments.fresh_baseline
            )
            outcomes.append(outcome)
            print_outcome(outcome, deviations)
    print_total(outcomes, time.monotonic() - started)
    if arguments.json:
        write_json(arguments.json, outcomes)
    if any(outcome.problem for outcome in outcomes):
        return 2
    return 0 if all(outcome.complete for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
