"""The figures as an SVG image: a panel for each workload, a bar for each peer."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .report import Row

COLUMNS, PANEL_WIDTH, BAR_HEIGHT, HEAD_HEIGHT = 3, 420, 18, 34
#: Where bars begin, and their greatest length, in pixels.
NAME_WIDTH, BAR_WIDTH = 140, 190


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{escape(text)}</text>'


def _panel(title: str, unit: str, bars: Sequence[tuple[str, float, str]]) -> str:
    """One workload; a bar is a name, a value, and why it is invalid."""
    greatest = max((value for _, value, invalid in bars if not invalid), default=1.0) or 1.0
    parts = [_text(8, 20, f"{title} ({unit})", 'font-weight="bold"')]

    for place, (name, value, invalid) in enumerate(bars):
        y = HEAD_HEIGHT + place * BAR_HEIGHT
        parts.append(_text(NAME_WIDTH - 6, y + 12, name, 'text-anchor="end"'))

        if invalid:
            parts.append(_text(NAME_WIDTH, y + 12, "invalid", 'fill="#a00"'))
            continue

        width = max(1.0, BAR_WIDTH * value / greatest)
        colour = "#c2410c" if name == "bustapi" else "#64748b"
        parts.append(
            f'<rect x="{NAME_WIDTH}" y="{y}" width="{width:.1f}" height="{BAR_HEIGHT - 4}"'
            f' fill="{colour}"/>'
        )
        figure = f"{value:.1f}" if value < 1000 else f"{value:.0f}"
        parts.append(_text(NAME_WIDTH + width + 5, y + 12, figure))

    return "".join(parts)


def plot(rows: Sequence[Row], is_waiting: Callable[[str], bool]) -> str:
    """CPU time per request (less is better); for waiting workloads requests per second."""
    panels: list[tuple[str, int]] = []

    for workload in dict.fromkeys(row.workload for row in rows):
        waits = is_waiting(workload)
        bars = [
            (row.peer, row.requests_per_second if waits else row.cpu_us, row.invalid)
            for row in rows
            if row.workload == workload
        ]
        bars.sort(key=lambda bar: (bool(bar[2]), bar[1]))
        unit = "requests/s, more is better" if waits else "CPU us/request, less is better"
        panels.append((_panel(workload, unit, bars), len(bars)))

    parts, y = [], 0

    for begin in range(0, len(panels), COLUMNS):
        line = panels[begin : begin + COLUMNS]
        parts += [
            f'<g transform="translate({column * PANEL_WIDTH},{y})">{panel}</g>'
            for column, (panel, _) in enumerate(line)
        ]
        y += HEAD_HEIGHT + max(count for _, count in line) * BAR_HEIGHT + 16

    width = COLUMNS * PANEL_WIDTH
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}"'
        f' viewBox="0 0 {width} {y}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )
