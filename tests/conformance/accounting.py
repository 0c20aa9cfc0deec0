"""What the runs mean: test outcomes from JUnit files, and a suite's score.

The baseline is measured, not believed: it is the set of tests that pass on real Flask in the
same environment. A suite's score is how many of exactly those tests pass on bustapi; a test
that bustapi's run did not even collect is lost like one that fails.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The same id twice is a test whose teardown failed, or subtests: the worst one counts.
_RANK = ("passed", "skipped", "failed", "error")
_TAGS = {"error": "error", "failure": "failed", "skipped": "skipped"}


def read_junit(path: Path) -> dict[str, str]:
    """Outcome by test id (``classname::name``) of a JUnit file written by pytest.

    A file that was never written, or not to its end, holds no outcomes: the run was ended.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (FileNotFoundError, ElementTree.ParseError):
        return {}
    outcomes: dict[str, str] = {}
    for case in root.iter("testcase"):
        test = f"{case.get('classname', '')}::{case.get('name', '')}"
        found = [_TAGS[child.tag] for child in case if child.tag in _TAGS]
        found.append(outcomes.get(test, "passed"))
        outcomes[test] = max(found, key=_RANK.index)
    return outcomes


@dataclass(frozen=True)
class Score:
    """A suite's outcome on bustapi against its outcome on real Flask."""

    #: Tests that pass on Flask.
    baseline: int
    #: Those of them that pass on bustapi.
    passed: int
    #: Those that do not, without the deviations.
    lost: tuple[str, ...]
    #: Those that do not, and are listed as deviations.
    deviating: tuple[str, ...]
    #: Deviations that name a test which passes, or which the suite does not have.
    stale: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Nothing lost, and no deviation that is none."""
        return not self.lost and not self.stale


def score(
    on_flask: Mapping[str, str], on_bustapi: Mapping[str, str], deviations: Mapping[str, str]
) -> Score:
    """Compares the outcomes on both; see the module's description."""
    baseline = {test for test, outcome in on_flask.items() if outcome == "passed"}
    passed = {test for test in baseline if on_bustapi.get(test) == "passed"}
    missed = baseline - passed
    return Score(
        baseline=len(baseline),
        passed=len(passed),
        lost=tuple(sorted(missed - deviations.keys())),
        deviating=tuple(sorted(missed & deviations.keys())),
        stale=tuple(sorted(deviations.keys() - missed)),
    )
