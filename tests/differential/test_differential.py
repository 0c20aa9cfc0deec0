"""The native router and Werkzeug's give the same answers.

``DIFFERENTIAL_CASES`` is the number of generated calls to compare (5,000 by default), and
``DIFFERENTIAL_SEED`` chooses them; the seed is part of the test, so that a failure is found
again. Differences that were found are kept in ``vectors.json``.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from .case import CONVERTERS, compare
from .generate import CALLS, Generator, reduce

_SEED = int(os.environ.get("DIFFERENTIAL_SEED", "20261122"))
_CASES = int(os.environ.get("DIFFERENTIAL_CASES", "5000"))
_VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("vectors.json").read_text(encoding="utf-8")
)


def _differs(case: dict[str, Any]) -> bool:
    theirs, ours, _ = compare(case)
    return ours != theirs


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_generated_maps_answer_as_werkzeugs():
    kinds: Counter[str] = Counter()

    @seed(_SEED)
    @settings(
        max_examples=max(1, _CASES // CALLS),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=True))
    def check(random: Random) -> None:
        case = Generator(random).case()
        theirs, ours, subject = compare(case)

        if ours != theirs:
            small = reduce(case, _differs)
            theirs, ours, _ = compare(small)
            pytest.fail(f"{json.dumps(small)}\nWerkzeug: {theirs}\nhere: {ours}")

        kinds["foreign" if subject.map._is_foreign else "native"] += 1
        kinds.update(answer[0] for answer in theirs[1:])

    check()
    # A foreign map is Werkzeug's own and proves nothing.
    assert kinds["foreign"] <= kinds["native"] * 0.02, kinds
    # Nor do maps that seldom have an answer.
    assert kinds["match"] >= _CASES * 0.05, kinds
    assert kinds["redirect"] >= _CASES * 0.02, kinds
    assert kinds["url"] >= _CASES * 0.05, kinds


@pytest.mark.parametrize("vector", _VECTORS, ids=lambda vector: vector["about"])
def test_differences_found_once(vector):
    theirs, ours, subject = compare(vector)
    assert theirs[1:] == vector["answers"]
    assert ours == theirs
    assert subject.map._is_foreign == vector.get("foreign", False)


def test_every_converter_of_the_cases_is_generated():
    from .generate import _CONVERTERS

    used = {text.partition("(")[0].rstrip(":") for text in _CONVERTERS}
    assert used >= CONVERTERS.keys()
