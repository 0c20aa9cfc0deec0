"""Checks who imports whom in `python/bustapi`.

Its table in `docs/architecture.md` counts: a module imports only from lines below its own.
Modules that share a line do not know each other. Imports under `TYPE_CHECKING` may point up,
since they do not happen. Beyond the table:

* every module is in it, and nobody imports names from the package's `__init__`;
* only the modules named in `NATIVE` import the extension, only `globals` creates context
  variables, and only `flask_compat` changes `sys.modules`;
* an import inside a function is one of an optional dependency, with a comment that says
  `optional`.

Prints each violation as `file:line: what`. Exit status: 0 when there is none, 1 otherwise.
"""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

from architecture import PAGE, ROOT, read_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = ROOT / "python" / "bustapi"

NATIVE = {"request", "response", "routing", "sessions", "json.operations", "json.provider"}
NATIVE |= {
    "app",
    "error_pages",
    "event_loop",
    "plan",
    "resources",
    "serving.server",
    "serving.settings",
}
NATIVE |= {"serving.native", "serving.reloading", "serving.supervisor"}
# Contexts and their proxies are pushed and read for every request.
NATIVE |= {"ctx", "globals"}

# What changes a mapping.
_CHANGES = {"clear", "pop", "popitem", "setdefault", "update"}


def module_name(path: Path) -> str:
    """`json.tag` for `python/bustapi/json/tag.py`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


class Imports(ast.NodeVisitor):
    """Collects what a module imports, and where."""

    def __init__(self, module: str, modules: set[str]) -> None:
        self.module = module
        self.modules = modules
        #: Modules of the package imported when this one is, with their lines.
        self.own: list[tuple[str, int]] = []
        #: Lines of imports inside functions; whether they are of the package itself.
        self.inner: list[tuple[int, bool]] = []
        self._depth = 0

    def visit_If(self, node: ast.If) -> None:
        """Leaves out what only type checkers read."""
        if "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                self.visit(other)
        else:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Notes that what follows runs when called."""
        self._enter(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """As :meth:`visit_FunctionDef`."""
        self._enter(node)

    def _enter(self, node: ast.AST) -> None:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    def visit_Import(self, node: ast.Import) -> None:
        """``import bustapi.x``."""
        self._add(node, [name.name for name in node.names])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """``from .x import y``, where `y` may itself be a module."""
        base = node.module or ""
        if node.level:
            package = ["bustapi", *self.module.split(".")[:-1]]
            kept = package[: len(package) - node.level + 1]
            base = ".".join([*kept, base]).rstrip(".")
        names = []
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            names.append(inner if self._resolve(inner) else base)
        self._add(node, names)

    def _resolve(self, name: str) -> str | None:
        if name == "bustapi":
            return "__init__"
        if not name.startswith("bustapi."):
            return None
        inner = name.removeprefix("bustapi.")
        if f"{inner}.__init__" in self.modules:
            return f"{inner}.__init__"
        return inner if inner in self.modules or inner == "_native" else None

    def _add(self, node: ast.stmt, names: list[str]) -> None:
        own = sorted({found for name in names if (found := self._resolve(name))})
        if self._depth:
            self.inner.append((node.lineno, bool(own)))
        self.own.extend((name, node.lineno) for name in own)


def find_changes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Lines that create context variables or change `sys.modules`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.split(".")[-1].split("[")[0] == "ContextVar":
                yield node.lineno, "globals"
            if called.startswith("sys.modules.") and called.split(".")[-1] in _CHANGES:
                yield node.lineno, "flask_compat"
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "sys.modules":
            if not isinstance(node.ctx, ast.Load):
                yield node.lineno, "flask_compat"


def check_module(path: Path, table: dict[str, int]) -> Iterator[tuple[int, str]]:
    """The violations of one file, with their lines."""
    module = module_name(path)
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source, str(path))
    line = table.get(module)
    if line is None:
        yield 1, f"`{module}` is not in the table of {PAGE.name}"
        return
    imports = Imports(module, set(table))
    imports.visit(tree)
    for imported, where in imports.own:
        if imported == "_native":
            if module not in NATIVE:
                yield where, f"`{module}` may not import the extension"
        elif imported != module and table[imported] <= line:
            yield where, f"`{module}` may not import `{imported}`, which is not below it"
    lines = source.splitlines()
    for where, own in imports.inner:
        said = "\n".join(lines[max(0, where - 2) : where])
        if own or "optional" not in said.lower():
            yield where, "an import inside a function, not said to be of an optional dependency"
    for where, owner in find_changes(tree):
        if module != owner:
            yield where, f"only `{owner}` may do this"


def main() -> int:
    """Checks every module; see the module's description."""
    table = read_tables()["python/bustapi"]
    paths = sorted(PACKAGE.rglob("*.py"))
    problems = [
        f"{path.relative_to(PACKAGE.parents[1])}:{line}: {text}"
        for path in paths
        for line, text in check_module(path, table)
    ]
    for module in sorted(set(table) - {module_name(path) for path in paths} - {"_native"}):
        problems.append(f"`{module}` is in the table, but there is no such module")
    for problem in problems:
        print(problem)
    print(f"imports of {len(paths)} modules: {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
