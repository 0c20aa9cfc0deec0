"""Results on disk: what one run measured, as JSON, and several of them read as one."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from .rounds import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .report import Row


class NotMergeable(ValueError):
    """Files of results whose figures do not belong beside each other."""


def save(path: Path, rows: Sequence[Row], samples: Sequence[Sample], told: dict[str, Any]) -> None:
    """Write rows, samples, and what is told of machine, versions and settings, as JSON.

    An invalid row is written without its figures.
    """
    written = [
        {"peer": row.peer, "workload": row.workload, "invalid": row.invalid}
        if row.invalid
        else asdict(row)
        for row in rows
    ]
    document = {**told, "rows": written, "samples": [asdict(sample) for sample in samples]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def read(paths: Sequence[Path]) -> list[Sample]:
    """The samples of several files as if one run had taken them.

    The rounds of each file are counted on from those of the one before, so that ratios stay
    within the round they were measured in.

    Raises:
        NotMergeable: the files are of different machines or Pythons.
    """
    samples: list[Sample] = []
    measured: set[str] = set()

    for path in paths:
        document = json.loads(path.read_text())
        measured.add(json.dumps([document["machine"], document["python"]], sort_keys=True))
        before = max((sample.round for sample in samples), default=0)
        found = [Sample(**fields) for fields in document["samples"]]
        samples += [replace(sample, round=before + sample.round) for sample in found]

    if len(measured) > 1:
        raise NotMergeable(f"different machines or Pythons: {', '.join(sorted(measured))}")

    return samples
