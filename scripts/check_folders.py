"""Checks which files of a crate name which.

Within a crate, imports go down, as they do between crates and in the Python package:

* no file names another that names it, directly or by way of others;
* a folder names only folders on lines below its own, in the crate's table of
  `docs/architecture.md`. Folders that share a line do not know each other. A file that stands
  beside the folders is in the table by its own name.

`lib.rs` and a folder's `mod.rs` may re-export what their files define: a name that is found by
way of them counts as that of the file which defines it. Tests at the end of a file may name what
they like.

Prints each violation. Exit status: 0 when there is none, 1 otherwise.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from architecture import PAGE, ROOT, read_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Comments, and literals that could hold what looks like code. Raw strings come first, since their
# quotes may be followed by hashes; a lifetime is no literal.
_NO_CODE = re.compile(
    r"""
      //[^\n]* | /\*.*?\*/
    | \bb?r(?P<hashes>\#*)".*?"(?P=hashes)
    | b?"(?:\\.|[^"\\])*"
    | b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\\n])'
    """,
    re.VERBOSE | re.DOTALL,
)
_TESTS = re.compile(r"#\[cfg\((?:all\()?test\b[^\n]*\]\s*(?:#\[[^\n]*\]\s*)*mod\s+\w+\s*\{")
_USE = re.compile(r"\b(?P<public>pub(?:\([^)]*\))?\s+)?use\s+(?P<tree>[^;]+);")
_PATH = re.compile(r"\b(?:crate|super)(?:\s*::\s*\w+)+")
_CHILD = re.compile(r"\bmod\s+(\w+)\s*;")


def strip(source: str) -> str:
    """The code of a file, without comments, literals and tests."""
    code = _NO_CODE.sub(lambda found: " " + "\n" * found[0].count("\n"), source)
    while found := _TESTS.search(code):
        depth, end = 1, found.end()
        while depth and end < len(code):
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
        code = code[: found.start()] + code[end:]
    return code


def paths_of(tree: str) -> Iterator[tuple[list[str], str]]:
    """The paths of a `use` tree, each with the name that it is given."""
    tree = tree.strip()
    if (brace := tree.find("{")) < 0:
        path, _, alias = tree.partition(" as ")
        names = [name.strip() for name in path.split("::")]
        if names[-1] == "self":
            names.pop()
        yield names, alias.strip() or "".join(names[-1:])
        return
    base = [name.strip() for name in tree[:brace].rstrip().removesuffix("::").split("::")]
    depth, start = 0, brace + 1
    inner = tree[: tree.rindex("}")] + ","
    for index in range(brace + 1, len(inner)):
        depth += {"{": 1, "}": -1}.get(inner[index], 0)
        if inner[index] == "," and depth == 0:
            if branch := inner[start:index].strip():
                for names, alias in paths_of(branch):
                    whole = [name for name in base if name] + names
                    yield whole, alias or whole[-1]
            start = index + 1


class Module:
    """One file of a crate."""

    def __init__(self, path: Path, name: tuple[str, ...]) -> None:
        self.path = path
        #: `("rule", "part")` for `crate::rule::part`.
        self.name = name
        code = strip(path.read_text(encoding="utf-8"))
        self.children = set(_CHILD.findall(code))
        #: Paths that the file names, as they are written.
        self.named: list[list[str]] = []
        #: What each name is that the file re-exports.
        self.exported: dict[str, list[str]] = {}
        for use in _USE.finditer(code):
            for names, alias in paths_of(use["tree"]):
                if use["public"] and names[-1] != "*":
                    self.exported[alias] = names
                else:
                    self.named.append(names)
        rest = _USE.sub("", code)
        self.named += [re.split(r"\s*::\s*", found[0]) for found in _PATH.finditer(rest)]


def read_crate(source: Path) -> dict[tuple[str, ...], Module]:
    """The files below a crate's `src`, by the names of their modules."""
    modules = {}
    for path in sorted(source.rglob("*.rs")):
        names = path.relative_to(source).with_suffix("").parts
        name = () if names == ("lib",) else names[:-1] if names[-1] == "mod" else names
        modules[name] = Module(path, name)
    return modules


def resolve(
    modules: dict[tuple[str, ...], Module], start: tuple[str, ...], path: list[str]
) -> tuple[str, ...] | None:
    """The module that defines what `path`, written in `start`, names.

    None for a name of another crate or of the file itself.
    """
    at = start
    names = list(path)
    if names[0] == "crate":
        at = ()
    elif names[0] in {"self", "super"}:
        names.insert(0, "self")
    elif names[0] not in modules[start].children:
        return None
    else:
        names.insert(0, "self")
    for index, name in enumerate(names[1:], 1):
        if name == "super":
            at = at[:-1]
        elif name in modules[at].children:
            at = (*at, name)
        elif name in modules[at].exported:
            inner = [*modules[at].exported[name], *names[index + 1 :]]
            return resolve(modules, at, inner)
        elif name != "self":
            break
    return at


def edges_of(modules: dict[tuple[str, ...], Module]) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
    """Which modules each one names, itself left out."""
    return {
        name: {
            found
            for path in module.named
            if (found := resolve(modules, name, path)) is not None and found != name
        }
        for name, module in modules.items()
    }


def find_circles(
    edges: dict[tuple[str, ...], set[tuple[str, ...]]],
) -> list[list[tuple[str, ...]]]:
    """The sets of modules that reach each other."""
    reached = {}
    for start in edges:
        found: set[tuple[str, ...]] = set()
        waiting = [start]
        while waiting:
            for name in edges[waiting.pop()] - found:
                found.add(name)
                waiting.append(name)
        reached[start] = found
    circles = {
        tuple(sorted(other for other in found if start in reached[other]))
        for start, found in reached.items()
        if start in found
    }
    return [list(circle) for circle in sorted(circles)]


def check_crate(source: Path, table: dict[str, int]) -> Iterator[str]:
    """The violations of one crate."""
    modules = read_crate(source)
    edges = edges_of(modules)
    shown = {
        name: module.path.relative_to(source.parents[1]).as_posix()
        for name, module in modules.items()
    }
    for circle in find_circles(edges):
        files = ", ".join(shown[name] for name in circle)
        yield f"{len(circle)} files name each other in a circle: {files}"
    folders = {name[0] for name in modules if name}
    for folder in sorted(folders - table.keys()):
        yield f"`{folder}` is not in the table of {PAGE.name}"
    for folder in sorted(table.keys() - folders):
        yield f"`{folder}` is in the table of {PAGE.name}, but not in {source}"
    for name, found in sorted(edges.items()):
        for other in sorted(found):
            if not name or not {name[0], *other[:1]} <= table.keys():
                continue
            if not other:
                yield f"{shown[name]} names what the crate's root defines"
            elif other[0] != name[0] and table[other[0]] <= table[name[0]]:
                yield f"{shown[name]} names {shown[other]}, which is not below it"


def main() -> int:
    """Checks every crate; see the module's description."""
    problems: list[str] = []
    tables = {name: table for name, table in read_tables().items() if name.startswith("bustapi-")}
    for crate, table in tables.items():
        problems += check_crate(ROOT / crate / "src", table)
    for problem in problems:
        print(problem)
    print(f"folders of {len(tables)} crates: {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
