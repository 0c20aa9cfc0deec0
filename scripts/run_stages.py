"""Runs every stage of `make test`, whatever the ones before did, and ends with a table.

A failing linter does not hide a failing test: each stage is a `make` target of its own, its
output goes straight through, and only the exit status waits for the last one. A stage whose
preparation failed is reported as such instead of failing once more for the same reason.

Exit status: 0 when all stages passed, 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One `make` target, and the target whose success it needs."""

    target: str
    needs: str | None = None


TOOLS = "tools"
SETUP = "setup"

STAGES = (
    Stage(TOOLS),
    Stage("fmt-check", needs=TOOLS),
    Stage("lint-rust", needs=TOOLS),
    Stage("lint-fuzz", needs=TOOLS),
    Stage("test-rust", needs=TOOLS),
    Stage("lint-python", needs=TOOLS),
    Stage("types", needs=TOOLS),
    Stage("deps", needs=TOOLS),
    Stage(SETUP, needs=TOOLS),
    Stage("types-native", needs=SETUP),
    Stage("test-python", needs=SETUP),
    Stage("conformance-short", needs=SETUP),
    Stage("instructions", needs=SETUP),
    Stage("docs-rust", needs=TOOLS),
    Stage("docs-guide", needs=SETUP),
)


def run_stage(stage: Stage) -> tuple[bool, float]:
    """Runs one target to its end; whether it passed, and its seconds."""
    print(f"\n=== {stage.target} " + "=" * max(0, 70 - len(stage.target)), flush=True)
    started = time.monotonic()
    make = os.environ.get("MAKE", "make")
    done = subprocess.run([make, "--no-print-directory", stage.target], check=False)
    return done.returncode == 0, time.monotonic() - started


def main() -> int:
    """Runs the stages asked for (all by default) and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stage", nargs="*", help="only these stages")
    only = set(parser.parse_args().stage)
    unknown = only - {stage.target for stage in STAGES}
    if unknown:
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")

    failed: set[str] = set()
    rows: list[tuple[str, str, str]] = []
    for stage in STAGES:
        if only and stage.target not in only:
            continue
        if stage.needs in failed:
            failed.add(stage.target)
            rows.append((stage.target, "not run", f"{stage.needs} failed"))
            continue
        passed, seconds = run_stage(stage)
        if not passed:
            failed.add(stage.target)
        rows.append((stage.target, "passed" if passed else "FAILED", f"{seconds:6.1f} s"))

    print("\n=== summary " + "=" * 63)
    for target, outcome, detail in rows:
        print(f"{target:20} {outcome:8} {detail}")
    print(f"{len(rows) - len(failed)} of {len(rows)} stages passed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
