"""Reads the tables of imports in `docs/architecture.md`, which the checks of imports go by."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"

_TABLE = re.compile(
    r"^<!-- table: (?P<name>\S+) -->\n```text\n(?P<table>.*?)^```$", re.MULTILINE | re.DOTALL
)


def read_table(text: str) -> dict[str, int]:
    """The line of each name; a larger number is further down."""
    lines = [line.split("|") for line in text.strip().splitlines()]
    return {name.strip(): number for number, line in enumerate(lines) for name in line}


def read_tables() -> dict[str, dict[str, int]]:
    """All tables of the page, by what they are about: the path of a crate or of the package."""
    page = PAGE.read_text(encoding="utf-8")
    return {found["name"]: read_table(found["table"]) for found in _TABLE.finditer(page)}
