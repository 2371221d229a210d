from typing import Any

import pytest

from app.jobs.recipe import GateRecipe
from worker.gate import choose, gate_error, misses, vocab_size


def measured(tokens: int, retention: float | None, size: int) -> dict[str, Any]:
    quality = [] if retention is None else [{"metric": "first", "retention": retention}]
    quality += [{"metric": "second", "retention": 0.0}] if quality else []
    return {"compressed": {"vocab_size": tokens, "bytes": size}, "quality": quality}


SIZES = [measured(200, 0.9, 20), measured(300, 0.95, 30), measured(100, 0.8, 10)]


@pytest.mark.parametrize(
    ("gate", "chosen", "fails"),
    [
        (GateRecipe(), 200, False),
        (GateRecipe(min_quality=0.7), 100, False),
        (GateRecipe(min_quality=0.9), 200, False),
        (GateRecipe(min_quality=0.92), 300, False),
        (GateRecipe(min_quality=0.92, max_bytes=29), 200, True),
        (GateRecipe(max_bytes=20), 100, False),
        (GateRecipe(max_bytes=9), 200, True),
    ],
)
def test_the_smallest_that_passes_is_chosen(gate: GateRecipe, chosen: int, fails: bool) -> None:
    assert vocab_size(choose(gate, SIZES)) == chosen
    error = gate_error(gate, SIZES)
    assert (error is not None) == fails
    if error:
        assert (error.type, error.code, error.retryable) == ("user", "gate_not_met", False)


def test_what_is_missed_is_said_with_its_figures() -> None:
    found = misses(GateRecipe(min_quality=0.95, max_bytes=19), SIZES[0])
    assert found == [
        "first keeps 0.9000 of the base's, 0.95 was asked",
        "the weights have 20 bytes, 19 were asked",
    ]


def test_without_a_metric_no_quality_is_reached() -> None:
    assert misses(GateRecipe(min_quality=0.1), measured(100, None, 1)) == [
        "no quality could be measured"
    ]
    assert not misses(GateRecipe(max_bytes=1), measured(100, None, 1))
