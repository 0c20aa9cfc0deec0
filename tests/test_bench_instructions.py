"""The judging of instruction counts: what growth fails, and what callgrind's output says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

LOAD = str(Path(__file__).resolve().parents[1] / "benches" / "load")
sys.path.insert(0, LOAD)

import instructions  # noqa: E402 the folder is no package of the project's
from measuring.callgrind import by_group, costs_by_file, group_of  # noqa: E402
from measuring.workloads import misses, workloads  # noqa: E402

sys.path.remove(LOAD)

# Two functions of an extension; the first has code of a crate inlined and calls the second.
OUTPUT = """\
# callgrind format
positions: line
events: Ir
summary: 1111

ob=(1) /lib/_native.so
fl=(1) /home/me/bustapi-core/src/server.rs
fn=(1) bustapi_core::server::serve
10 100
+2 20
fi=(2) /home/me/.cargo/registry/src/index/hyper-1.7.0/src/lib.rs
5 3
fe=(1)
cob=(2) /lib/libc.so.6
cfi=(3) ???
cfn=(2) memcpy
calls=7 0
* 5000
-1 8

ob=(2)
fl=(3)
fn=(2)
0 980
"""


def test_costs_are_of_the_source_that_was_inlined() -> None:
    costs = costs_by_file(OUTPUT.splitlines())
    assert costs == {
        "/home/me/bustapi-core/src/server.rs": 128,
        "/home/me/.cargo/registry/src/index/hyper-1.7.0/src/lib.rs": 3,
        "/lib/libc.so.6": 980,
    }
    # The sum is all that callgrind counted, and counts called functions once.
    assert costs.total() == 1111
    assert by_group(dict(costs)) == [("C library", 980), ("bustapi-core", 128), ("hyper", 3)]


@pytest.mark.parametrize(
    ("file", "group"),
    [
        ("/rustc/0123/library/core/src/ptr/mod.rs", "Rust's standard library"),
        ("/tmp/build/Python-3.11.7/Python/ceval.c", "CPython: evaluation"),
        ("/tmp/build/Python-3.11.7/Objects/dictobject.c", "CPython: built-in types"),
        ("./malloc/malloc.c", "C library"),
        ("/usr/lib/libz.so", "other libraries"),
    ],
)
def test_groups(file: str, group: str) -> None:
    assert group_of(file) == group


def test_growth_beyond_three_percent_fails() -> None:
    recorded = {"plain": 1000.0, "json": 1000.0, "echo": 1000.0, "form": 1000.0}
    counts = {"plain": 1029.0, "json": 1031.0, "echo": 900.0, "form": 1000.0}
    table, grown = instructions.compare(counts, recorded)
    assert grown == ["json"]
    assert "+3.1%  grew too much" in table
    assert "-10.0%  record it" in table


def test_what_is_not_recorded_is_said() -> None:
    table, grown = instructions.compare({"plain": 1000.0}, {})
    assert grown == []
    assert "not recorded" in table


def test_nothing_compared_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert instructions.nothing_compared("no valgrind") == 0
    assert capsys.readouterr().out == "NOTHING COMPARED: no valgrind\n"


def test_each_workload_exists() -> None:
    assert set(instructions.WORKLOADS) <= {load.name for load in (*workloads(), *misses())}
