"""Writes the table of the server's settings into the guide, or checks that it is there.

The table of `bustapi.serving.settings`, with the native server's defaults, goes between the two
marks in `docs/deployment.md`. With `--check` nothing is written.

Exit status: 0 when the page is as the settings are, 1 otherwise.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bustapi.serving.settings import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[1] / "docs" / "deployment.md"
BEGIN = "<!-- settings: written by scripts/settings_table.py -->\n"
END = "<!-- end of settings -->\n"


def table() -> Iterator[str]:
    """The lines of the table."""
    yield "| option | variable | means | default | beyond |"
    yield "|---|---|---|---|---|"

    for section, settings in SECTIONS.items():
        yield f"| **{section}** | | | | |"

        for setting in settings:
            option = f"`{setting.option}`" + (f", `{setting.short}`" if setting.short else "")
            cells = (setting.means, setting.default_text, setting.beyond)
            yield f"| {option} | `{setting.variable}` | {' | '.join(cells)} |"


def main() -> int:
    """Writes or checks; see the module's description."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)

    if not mark:
        print(f"{PAGE.name}: there are no marks for the table of settings")
        return 1

    lines = "\n".join(table())
    wanted = f"{before}{BEGIN}\n{lines}\n\n{END}{after}"

    if page == wanted:
        return 0

    if "--check" in sys.argv:
        print(f"{PAGE.name}: the table of settings is old: run scripts/settings_table.py")
        return 1

    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
