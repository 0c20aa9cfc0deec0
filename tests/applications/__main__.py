"""The command line of the applications' comparison; see the package's description.

Exit status: 0 when everything that ran is equal and all that was named ran, 1 otherwise; an
application that cannot be had is NOT RUN, with the reason, and fails only a run that named it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import typing as t
from dataclasses import dataclass, field

from tests.conformance.environment import PreparationError

from .application import FLASK, load_applications
from .comparison import differences
from .environment import CACHE, make_environment
from .relay import Relay
from .serving import Server, ServingError, drive, free_port

if t.TYPE_CHECKING:
    from .application import Application, Way
    from .environment import Environment
    from .relay import Exchange

# How many differences of one way are shown; `.cache/applications/runs` has all records.
_SHOWN = 8
_TRACEBACK = "Traceback (most recent call last)"


@dataclass
class Record:
    """What one way of serving gave."""

    exchanges: list[Exchange] = field(default_factory=list)
    tracebacks: int = 0
    #: Why it is worth nothing, if so.
    problem: str = ""
    seconds: float = 0.0


@dataclass
class Outcome:
    """What is known of one application in the end."""

    application: Application
    #: Why it was not run, if so.
    reason: str = ""
    requests: int = 0
    #: By the way's label: what differs.
    faults: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        if self.reason:
            return "NOT RUN"
        return "DIFFERS" if any(self.faults.values()) else "equal"


def record(
    application: Application, way: Way, environment: Environment, ports: tuple[int, int]
) -> Record:
    """Serves the application in one way, and drives it."""
    began = time.monotonic()
    front, back = ports
    made = Record()
    server = Server(application, way, environment, back)

    try:
        server.start()
        relay = Relay(front, back)
        try:
            made.problem = drive(
                application, environment, front, server.log_file.with_suffix(".script.log")
            )
        finally:
            made.exchanges = relay.close()
    except ServingError as error:
        made.problem = str(error)
    finally:
        wrong = server.stop()

    made.problem = made.problem or wrong
    made.tracebacks = server.log.count(_TRACEBACK)
    made.seconds = time.monotonic() - began
    entries = [entry._replace(body=entry.body.decode("latin-1")) for entry in made.exchanges]  # type: ignore[arg-type]
    server.log_file.with_suffix(".json").write_text(json.dumps(entries, indent=1))
    return made


def judge(application: Application, expected: Record, found: Record) -> list[str]:
    """All that is wrong with one way, compared with the first."""
    faults = [found.problem] if found.problem else []
    faults += differences(
        expected.exchanges,
        found.exchanges,
        application.normalisations,
        unordered=application.unordered,
    )

    if expected.tracebacks != found.tracebacks and not application.log_is_different:
        faults.append(f"{found.tracebacks} tracebacks in the log, {expected.tracebacks} on Flask")
    return faults


def compare(application: Application, *, control: bool) -> Outcome:
    """Makes the environment, and compares all ways with the first."""
    began = time.monotonic()
    outcome = Outcome(application)

    try:
        environment = make_environment(application)
    except PreparationError as error:
        outcome.reason = str(error)
        return outcome

    # The same ports for all ways: an application may tell its address, or sign it.
    ports = (free_port(), free_port())
    first, *others = application.ways
    expected = record(application, first, environment, ports)
    outcome.requests = len(expected.exchanges)

    if expected.problem:
        outcome.faults[first.label] = [f"on Flask: {expected.problem}"]
    else:
        if control:
            others = [first]
        for way in others:
            found = record(application, way, environment, ports)
            label = "again" if way.framework == FLASK and control else way.label
            outcome.faults[label] = judge(application, expected, found)
            print(f"    {application.name}, {label}: {found.seconds:.1f} s", flush=True)

    outcome.seconds = time.monotonic() - began
    return outcome


def parse_arguments(applications: list[Application]) -> argparse.Namespace:
    """Reads the command line; ends the process with a message on a bad one."""
    parser = argparse.ArgumentParser(prog="python -m tests.applications", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="by default all")
    parser.add_argument(
        "--control",
        action="store_true",
        help="compare Flask with Flask: what differs then is random, and to be normalised",
    )
    parser.add_argument("--prepare", action="store_true", help="only make the environments")
    arguments = parser.parse_args()
    arguments.names = [part for name in arguments.names for part in name.split(",") if part]
    unknown = set(arguments.names) - {application.name for application in applications}
    if unknown:
        parser.error(f"no such application: {', '.join(sorted(unknown))}")
    return arguments


def print_outcome(outcome: Outcome) -> None:
    """Prints what differs."""
    for label, faults in outcome.faults.items():
        for fault in faults[:_SHOWN]:
            print(f"{outcome.application.name}, {label}: {fault}", flush=True)
        if len(faults) > _SHOWN:
            print(f"{outcome.application.name}, {label}: and {len(faults) - _SHOWN} more")


def print_table(outcomes: list[Outcome]) -> None:
    """Prints a line for each application."""
    print()
    for outcome in outcomes:
        ways = ", ".join(
            f"{label}: {len(faults) or 'equal'}" for label, faults in outcome.faults.items()
        )
        detail = outcome.reason.strip().splitlines()[-1] if outcome.reason else ways
        print(
            f"{outcome.application.requirements[0]:28} {outcome.requests:4} requests"
            f" {outcome.seconds:6.1f} s  {outcome.verdict:7}  {detail}"
        )


def main() -> int:
    """Runs what the command line asks for; see the module for the exit status."""
    applications = load_applications()
    arguments = parse_arguments(applications)
    chosen = [
        application
        for application in applications
        if not arguments.names or application.name in arguments.names
    ]

    if arguments.prepare:
        for application in chosen:
            try:
                print(make_environment(application).folder, flush=True)
            except PreparationError as error:
                print(f"{application.name}: {error}", flush=True)
        return 0

    CACHE.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for application in chosen:
        outcome = compare(application, control=arguments.control)
        print_outcome(outcome)
        outcomes.append(outcome)

    print_table(outcomes)
    bad = {"DIFFERS", "NOT RUN"} if arguments.names else {"DIFFERS"}
    return int(any(outcome.verdict in bad for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
