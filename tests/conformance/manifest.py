"""What to test: the suites of ``manifest.toml`` and the deviations of ``deviations.toml``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent


class ManifestError(ValueError):
    """An entry of the manifest or of the deviations is malformed."""


@dataclass(frozen=True)
class Suite:
    """One test suite of one source distribution."""

    name: str
    version: str
    #: The name of the source distribution's project on the package index.
    project: str
    #: The file name of the source distribution, and the SHA-256 it must have.
    file: str
    sha256: str
    #: How many tests passed on real Flask when the entry was written.
    baseline: int
    #: Every distribution of the environment, exact.
    requirements: tuple[str, ...] = ()
    #: Where pytest runs, below the source's top folder.
    directory: str = "."
    #: Folders of the source put on ``PYTHONPATH``.
    pythonpath: tuple[str, ...] = ()
    #: What runs the tests: pytest, or mypy for files that are to be well typed.
    runner: str = "pytest"
    #: What the runner is given: files and folders of `directory`.
    arguments: tuple[str, ...] = ("tests",)
    #: Part of the short form that ``make test`` runs.
    short: bool = False
    #: Seconds after which the suite is ended.
    timeout: int = 300


@dataclass(frozen=True)
class Deviations:
    """The tests that may fail, with reasons, by suite."""

    reasons: dict[str, dict[str, str]] = field(default_factory=dict)

    def of(self, suite: str) -> dict[str, str]:
        """The reasons of `suite`, by test id."""
        return self.reasons.get(suite, {})


def load_suites(path: Path = HERE / "manifest.toml") -> list[Suite]:
    """Reads the suites.

    :raises ManifestError: if an entry lacks a key, has an unknown one, or repeats a name.
    """
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    common = tuple(document["common"]["requirements"])
    suites = [_suite(entry, common) for entry in document["suite"]]
    names = [suite.name for suite in suites]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ManifestError(f"repeated suites: {', '.join(sorted(repeated))}")
    return suites


def _suite(entry: dict[str, Any], common: tuple[str, ...]) -> Suite:
    values: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()
    }
    # A suite's own pin of a distribution replaces the common one.
    own = values.get("requirements", ())
    replaced = {project_of(requirement) for requirement in own}
    values["requirements"] = (
        *(r for r in common if project_of(r) not in replaced),
        *own,
    )
    try:
        suite = Suite(**values)
    except TypeError as error:
        raise ManifestError(f"suite {entry.get('name', '?')}: {error}") from error
    if suite.runner not in ("pytest", "mypy"):
        raise ManifestError(f"suite {suite.name}: no runner `{suite.runner}`")
    return suite


def project_of(requirement: str) -> str:
    """The normalised project name of an exact requirement (``Name==1.0; marker``)."""
    return requirement.partition("==")[0].strip().lower().replace("_", "-")


def load_deviations(path: Path = HERE / "deviations.toml") -> Deviations:
    """Reads the deviations.

    :raises ManifestError: if an entry lacks its suite, test or reason.
    """
    reasons: dict[str, dict[str, str]] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("deviation", []):
        missing = {"suite", "test", "reason"} - {key for key, value in entry.items() if value}
        if missing:
            raise ManifestError(f"deviation {entry}: no {', '.join(sorted(missing))}")
        reasons.setdefault(entry["suite"], {})[entry["test"]] = entry["reason"]
    return Deviations(reasons)
