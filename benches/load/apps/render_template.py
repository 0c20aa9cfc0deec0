"""Renders the template in a loop: ``render_template.py SECONDS`` prints count and CPU seconds."""

from __future__ import annotations

import sys
import time

import inputs

#: Renderings between two looks at the clock.
BATCH = 100


def render_for(seconds: float) -> tuple[int, float]:
    """Render for a time; how often, and the CPU time it took in seconds."""
    template = inputs.table_template()
    count = 0
    deadline = time.perf_counter() + seconds
    used = time.process_time()

    while time.perf_counter() < deadline:
        for _ in range(BATCH):
            template.render(title=inputs.TITLE, rows=inputs.ROWS)

        count += BATCH

    return count, time.process_time() - used


if __name__ == "__main__":
    render_for(1.0)  # warm, as a server is when it is measured
    print(*render_for(float(sys.argv[1])))
