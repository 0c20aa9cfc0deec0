"""Checks what the workspace's crates depend on, and what the extension asks Python for.

Routing and HTTP are pure, the server knows no Python, and the adapter does no work of its own:
the tables below say so in terms of dependencies, and `cargo metadata` says whether it is true.
Only normal dependencies count, since tests and benchmarks may use what they like. Beyond that:

* each crate uses every dependency that it states;
* what is in the extension is there in one version, and under a licence that allows to
  hand it on in a program of any kind;
* the extension looks up no module of the Python package: what it needs of one is handed over
  when that module is imported, so it knows Python's own modules and Werkzeug's alone.

A small script does for this; cargo-deny and cargo-machete know more, and take longer to build
than all of the workspace.

Exit status: 0 when nothing is found, 1 otherwise.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Crates that a crate may use neither directly nor through others.
NEVER = {
    "bustapi-router": {
        *("bustapi-http", "bustapi-core", "http", "tokio", "hyper", "pyo3"),
        *("serde", "log", "tracing"),
    },
    "bustapi-http": {"bustapi-router", "bustapi-core", "tokio", "hyper", "pyo3"},
    "bustapi-core": {"pyo3"},
}
# Crates that a crate may use through others only: these come with `bustapi-core`, which uses them.
NOT_DIRECTLY = {
    "bustapi-py": {"hyper", "hyper-util", "httparse", "matchit", "serde_urlencoded", "httpdate"},
}


# Licences that ask for nothing but their notice.
LICENCES = {
    *("MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause"),
    *("Unicode-3.0", "Zlib", "0BSD", "Unlicense"),
}

# Crates that may be there in two versions. jiter's hashing uses a much older `getrandom` than
# tempfile, which needs it: it makes names unpredictable where files need one. (`r-efi` comes
# with each, for UEFI.)
TWICE = {"getrandom", "r-efi"}

# Modules whose names the extension may know.
MODULES = {"werkzeug", *sys.stdlib_module_names}
_IMPORT = re.compile(r'\bimport\((?:intern!\()?(?:py, )*(?P<name>"[^"]+"|\w+)')


def read_metadata() -> dict[str, Any]:
    """What cargo knows of the workspace and of all that it depends on, here and elsewhere."""
    done = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    metadata: dict[str, Any] = json.loads(done.stdout)
    return metadata


def read_graph(metadata: dict[str, Any], field: str = "name") -> dict[str, set[str]]:
    """The normal dependencies of each package, as cargo resolves them, called by a field."""
    names: dict[str, str] = {package["id"]: package[field] for package in metadata["packages"]}
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


def find_unused(package: dict[str, Any]) -> Iterator[str]:
    """The dependencies of a crate that none of its files names."""
    folder = Path(package["manifest_path"]).parent
    files = sorted(folder.rglob("*.rs"))
    text = {path: path.read_text(encoding="utf-8") for path in files}
    examples = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.md"))
    for dependency in package["dependencies"]:
        name = (dependency["rename"] or dependency["name"]).replace("-", "_")
        named = re.compile(rf"\b{name}(?:::|;| as )|extern crate {name}\b")
        is_normal = dependency["kind"] is None
        places = [path for path in files if not is_normal or "src" in path.parts]
        if package["name"] == "bustapi-benches":
            places = files
        if not any(named.search(text[path]) for path in places) and (
            is_normal or not named.search(examples)
        ):
            yield dependency["name"]


def find_shipped(metadata: dict[str, Any]) -> set[str]:
    """The ids of the packages whose code is in the extension: those of macros are not."""
    graph = read_graph(metadata, "id")
    extension = ""
    macros = set()
    for package in metadata["packages"]:
        if package["name"] == "bustapi-py":
            extension = package["id"]
        if any("proc-macro" in target["kind"] for target in package["targets"]):
            macros.add(package["id"])
    for package_id in graph:
        graph[package_id] = set() if package_id in macros else graph[package_id] - macros
    return {extension, *reach(graph, extension)}


def is_allowed(licence: str) -> bool:
    """Whether an expression of licences (SPDX) is met by those that are allowed."""
    while "(" in licence:
        licence = re.sub(
            r"\(([^()]*)\)", lambda inner: "MIT" if is_allowed(inner[1]) else "none", licence
        )
    choices = licence.replace("/", " OR ").split(" OR ")
    return any(all(part.strip() in LICENCES for part in one.split(" AND ")) for one in choices)


def find_modules(source: Path) -> Iterator[tuple[str, str]]:
    """Modules that the extension's files look up and may not, and where."""
    for path in sorted(source.rglob("*.rs")):
        for found in _IMPORT.finditer(path.read_text(encoding="utf-8")):
            name = found["name"]
            # A name in a variable could be that of any module.
            if not name.startswith('"') or name.strip('"').split(".")[0] not in MODULES:
                yield name, path.relative_to(source.parents[1]).as_posix()


def main() -> int:
    """Checks all of it; see the module's description."""
    metadata = read_metadata()
    graph = read_graph(metadata)
    problems = []
    for crate, forbidden in NEVER.items():
        reached = reach(graph, crate)
        for dependency in sorted(forbidden & reached.keys()):
            problems.append(f"{crate} may not use {dependency} (through {reached[dependency]})")
    for crate, forbidden in NOT_DIRECTLY.items():
        for dependency in sorted(forbidden & graph[crate]):
            problems.append(f"{crate} may not depend on {dependency} itself")
    members = set(metadata["workspace_members"])
    shipped = find_shipped(metadata)
    versions: dict[str, set[str]] = {}
    for package in metadata["packages"]:
        name = package["name"]
        if package["id"] in members:
            problems.extend(f"{name} does not use {unused}" for unused in find_unused(package))
        if package["id"] in shipped:
            versions.setdefault(name, set()).add(package["version"])
            licence = package["license"] or "none"
            if not is_allowed(licence):
                problems.append(f"{name} is under a licence that is not allowed: {licence}")
    for name, found in sorted(versions.items()):
        if len(found) > 1 and name not in TWICE:
            problems.append(f"{name} is built in {len(found)} versions: {sorted(found)}")
    source = Path(metadata["workspace_root"]) / "bustapi-py" / "src"
    for module, where in find_modules(source):
        problems.append(f"{where} looks up the module {module}")
    for problem in problems:
        print(problem)
    checked = len(members)
    print(f"dependencies of {checked} crates: {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
