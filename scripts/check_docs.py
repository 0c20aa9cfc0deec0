"""Checks the guide: every link leads somewhere, and every Python block runs.

The blocks of one page run in order, in one namespace and an empty folder, with warnings as
errors; a block of `>>>` lines must print what it shows. Links to other sites are not followed.

Exit status: 0 when all is well, 1 otherwise.
"""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]

_FENCE = re.compile(r"^( *)(```+|~~~+)(.*)$")
_LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)[^)]*\)")
_HEADING = re.compile(r"^#{1,6} +(.*?) *#*$")

# Seconds that the blocks of one page may take.
TIMEOUT = 60


class Block(NamedTuple):
    """A fenced piece of a page."""

    language: str
    #: The line of the page that its first line is.
    line: int
    text: str


def split_page(text: str) -> tuple[list[Block], list[tuple[int, str]]]:
    """The fenced blocks of a page, and its other lines with their numbers."""
    blocks: list[Block] = []
    prose: list[tuple[int, str]] = []
    fence = ""
    language, start, inside = "", 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        found = _FENCE.match(line)
        if fence:
            if found and found[2].startswith(fence) and not found[3].strip():
                blocks.append(Block(language, start, "\n".join(inside) + "\n"))
                fence = ""
            else:
                inside.append(line)
        elif found:
            fence, language, start, inside = found[2], found[3].strip(), number + 1, []
        else:
            prose.append((number, line))
    return blocks, prose


def anchor(heading: str) -> str:
    """The fragment by which a heading is linked, as GitHub makes it."""
    words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return words.replace(" ", "-")


def anchors_of(page: Path) -> set[str]:
    """Every fragment of a page."""
    _, prose = split_page(page.read_text(encoding="utf-8"))
    return {anchor(found[1]) for _, line in prose if (found := _HEADING.match(line))}


def check_links(page: Path, prose: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The links of a page that lead nowhere, with their lines."""
    for number, line in prose:
        for link in _LINK.findall(line):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, fragment = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists():
                yield number, f"no file `{path}`"
            elif fragment and target.suffix == ".md" and fragment not in anchors_of(target):
                yield number, f"no heading `#{fragment}` in `{target.name}`"


def run_blocks(page: str, blocks: list[Block]) -> None:
    """Runs a page's Python blocks in this process; ends it at the first that fails."""
    namespace: dict[str, object] = {"__name__": "guide"}
    for block in blocks:
        if ">>>" in block.text:
            test = doctest.DocTestParser().get_doctest(
                block.text, namespace, page, page, block.line - 1
            )
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            if runner.run(test, clear_globs=False).failed:
                sys.exit(1)
            namespace.update(test.globs)
        else:
            # Blank lines before it let a traceback name the page's own line.
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, page, "exec"), namespace)


def check_blocks(page: Path, blocks: list[Block]) -> Iterator[tuple[int, str]]:
    """Runs the page's Python blocks in a process of their own."""
    python = [block for block in blocks if block.language in ("python", "pycon")]
    if not python:
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-W", "error", __file__, "--run", str(page.relative_to(ROOT))],
                input=json.dumps(python),
                cwd=folder,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            yield python[0].line, f"the blocks take more than {TIMEOUT} s"
            return
    if done.returncode != 0:
        yield python[0].line, f"a block fails:\n{done.stdout}"


def main() -> int:
    """Checks all pages; with ``--run`` it is the process that runs one page's blocks."""
    if sys.argv[1:2] == ["--run"]:
        run_blocks(sys.argv[2], [Block(*fields) for fields in json.load(sys.stdin)])
        return 0
    pages = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    pages += sorted(ROOT.glob("bustapi-*/README.md"))
    failures = 0
    ran = 0
    for page in pages:
        blocks, prose = split_page(page.read_text(encoding="utf-8"))
        ran += sum(block.language in ("python", "pycon") for block in blocks)
        for line, problem in [*check_links(page, prose), *check_blocks(page, blocks)]:
            print(f"{page.relative_to(ROOT)}:{line}: {problem}")
            failures += 1
    print(f"{len(pages)} pages, {ran} blocks run: {failures} problems")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
