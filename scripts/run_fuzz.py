"""Builds the fuzz targets and runs each on random input for a while.

The coverage instrumentation that libFuzzer wants is an LLVM pass that a stable compiler takes as
well, so neither a nightly toolchain nor cargo-fuzz is needed; a C++ compiler is, for libFuzzer.
Findings lie in `fuzz/artifacts`, the inputs worth keeping in `fuzz/corpus`.

Exit status: 0 when nothing was found, 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

FUZZ = Path(__file__).resolve().parents[1] / "fuzz"

FLAGS = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "-Ccodegen-units=1",
]

# Bytes. Longer inputs find little more in parsers of lines and heads, and cost much.
MAX_LENGTH = 4096


def build() -> dict[str, Path]:
    """Builds all targets; their executables by name."""
    machine = f"{platform.machine()}-unknown-linux-gnu"
    command = ["cargo", "build", "--release", "--bins", "--message-format=json"]
    # With a target named, the flags do not reach build scripts, which could not link with them.
    command += ["--manifest-path", str(FUZZ / "Cargo.toml"), "--target", machine]
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "RUSTFLAGS": " ".join(FLAGS)},
    )
    messages: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        message["target"]["name"]: Path(message["executable"])
        for message in messages
        if message["reason"] == "compiler-artifact" and message["executable"]
    }


def run(name: str, executable: Path, seconds: int) -> bool:
    """Runs one target; whether it found nothing."""
    corpus, artifacts = FUZZ / "corpus" / name, FUZZ / "artifacts" / name
    corpus.mkdir(parents=True, exist_ok=True)
    artifacts.mkdir(parents=True, exist_ok=True)
    print(f"== {name}", flush=True)
    done = subprocess.run(
        [
            str(executable),
            str(corpus),
            f"-artifact_prefix={artifacts}/",
            f"-max_total_time={seconds}",
            f"-max_len={MAX_LENGTH}",
            "-print_final_stats=1",
            "-verbosity=0",
        ],
        check=False,
    )
    return done.returncode == 0


def main() -> int:
    """Builds, and runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("target", nargs="*", help="only these targets")
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--build-only", action="store_true")
    arguments = parser.parse_args()
    executables = build()
    unknown = set(arguments.target) - set(executables)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if arguments.build_only:
        print(f"built: {', '.join(sorted(executables))}")
        return 0
    failed = [
        name
        for name, executable in sorted(executables.items())
        if (not arguments.target or name in arguments.target)
        and not run(name, executable, arguments.seconds)
    ]
    print(f"found something: {', '.join(failed)}" if failed else "nothing found")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
