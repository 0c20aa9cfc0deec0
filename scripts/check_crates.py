"""Checks which crates the workspace's crates depend on.

Routing and HTTP are pure, the server knows no Python, and the adapter does no work of its own:
the tables below say so in terms of dependencies, and `cargo metadata` says whether it is true.
Only normal dependencies count, since tests and benchmarks may use what they like.

Exit status: 0 when no crate depends on what it may not, 1 otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

# Neither directly nor by way of others.
NEVER = {
    "bustapi-router": {
        *("bustapi-http", "bustapi-core", "http", "tokio", "hyper", "pyo3"),
        *("serde", "log", "tracing"),
    },
    "bustapi-http": {"bustapi-router", "bustapi-core", "tokio", "hyper", "pyo3"},
    "bustapi-core": {"pyo3"},
}
# Not directly: it comes with bustapi-core, which uses it.
NOT_DIRECTLY = {
    "bustapi-py": {"hyper", "hyper-util", "httparse", "matchit", "serde_urlencoded", "httpdate"},
}


def read_graph() -> dict[str, set[str]]:
    """The names of each package's normal dependencies, as cargo resolves them."""
    done = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    metadata: dict[str, Any] = json.loads(done.stdout)
    names: dict[str, str] = {package["id"]: package["name"] for package in metadata["packages"]}
    graph: dict[str, set[str]] = {}
    for node in metadata["resolve"]["nodes"]:
        normal = {
            names[dependency["pkg"]]
            for dependency in node["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        }
        graph.setdefault(names[node["id"]], set()).update(normal)
    return graph


def reach(graph: dict[str, set[str]], start: str) -> dict[str, str]:
    """Every package that `start` depends on, with the one through which it was found."""
    found: dict[str, str] = {}
    waiting = [start]
    while waiting:
        package = waiting.pop()
        for dependency in sorted(graph[package]):
            if dependency not in found:
                found[dependency] = package
                waiting.append(dependency)
    return found


def main() -> int:
    """Checks both tables; see the module's description."""
    graph = read_graph()
    problems = []
    for crate, forbidden in NEVER.items():
        reached = reach(graph, crate)
        for dependency in sorted(forbidden & reached.keys()):
            problems.append(f"{crate} may not use {dependency} (through {reached[dependency]})")
    for crate, forbidden in NOT_DIRECTLY.items():
        for dependency in sorted(forbidden & graph[crate]):
            problems.append(f"{crate} may not depend on {dependency} itself")
    for problem in problems:
        print(problem)
    checked = len(NEVER) + len(NOT_DIRECTLY)
    print(f"dependencies of {checked} crates: {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
