import math
from typing import Any

import pytest

from app.contract.budgets import limit_steps
from worker.compression.recovery.budget import (
    count_useful_texts,
    default_learning_rate,
    is_long,
    resolve_budget,
)
from worker.compression.recovery.data import CHARACTERS_PER_TOKEN, TextSampler
from worker.compression.recovery.objectives import OBJECTIVES
from worker.compression.recovery.options import RecoveryOptions


def test_what_the_user_says_replaces_the_presets_limits() -> None:
    default = resolve_budget(RecoveryOptions(), on_gpu=False, documents=1000)
    assert default.flops
    assert default.seconds
    assert not default.seconds_asked
    steps = resolve_budget(RecoveryOptions(max_steps=7), on_gpu=False, documents=1000)
    assert (steps.steps, steps.seconds, steps.flops) == (7, None, None)
    epochs = resolve_budget(RecoveryOptions(epochs=2.5, batch_size=32), on_gpu=True, documents=100)
    assert (epochs.steps, epochs.seconds) == (math.ceil(250 / 32), None)
    both = resolve_budget(
        RecoveryOptions(epochs=2, max_steps=3, batch_size=10), on_gpu=True, documents=100
    )
    assert both.steps == 3
    timed = resolve_budget(RecoveryOptions(max_minutes=0.5), on_gpu=False, documents=1000)
    assert (timed.seconds, timed.flops, timed.seconds_asked) == (30.0, None, True)
    assert timed.steps == default.steps


def test_a_limit_of_the_machine_holds_whatever_is_asked() -> None:
    def seconds(**asked: Any) -> float | None:
        return resolve_budget(RecoveryOptions(**asked), on_gpu=False, documents=1000).seconds

    assert seconds(most_minutes=0.5) == seconds(most_minutes=0.5, max_steps=7) == 30
    assert seconds(most_minutes=0.5, max_minutes=2) == 30
    assert seconds(most_minutes=0.5, max_minutes=0.1) == 6
    assert seconds(most_minutes=1000) == seconds()
    assert resolve_budget(RecoveryOptions(most_minutes=1), on_gpu=False, documents=1000).flops


@pytest.mark.parametrize(
    ("documents", "preset", "on_gpu", "expected"),
    [
        (2_000, "balanced", True, True),
        (2_000, "balanced", False, False),
        (2_000, "fast", True, False),
        # Of so few documents 500 passes are good, which are not many texts.
        (700, "balanced", True, False),
    ],
)
def test_a_training_is_long_where_a_gpu_reads_many_texts(
    documents: int, preset: Any, on_gpu: bool, expected: bool
) -> None:
    options = RecoveryOptions(preset=preset)
    budget = resolve_budget(options, on_gpu=on_gpu, documents=documents)
    sampler = TextSampler(["a text"] * documents, 0, budget.max_length, parts=True)
    assert is_long(budget, [OBJECTIVES["distill"]], sampler, on_gpu=on_gpu) is expected


def test_presets_grow() -> None:
    for on_gpu in (False, True):
        found = [
            resolve_budget(RecoveryOptions(preset=preset), on_gpu=on_gpu, documents=1)
            for preset in ("fast", "balanced", "max")
        ]
        spent = [(b.steps * b.batch_size, b.seconds, b.flops or 0) for b in found]
        assert spent == sorted(spent)


def test_a_cpu_and_a_small_corpus_get_fewer_steps() -> None:
    options = RecoveryOptions(batch_size=10)
    budget = resolve_budget(options, on_gpu=False, documents=1000)
    assert budget.flops

    def steps(useful_texts: float, flops_per_text: float) -> int:
        return limit_steps(
            budget, options, useful_texts=useful_texts, flops_per_text=flops_per_text
        ).steps

    per_text = budget.flops / 10 / 50  # for 50 steps
    assert steps(500e6, per_text) == 50
    assert steps(500e6, budget.flops) == 1
    assert steps(useful_texts_of("distill"), 1.0) == 2 * 500 / 10
    assert steps(useful_texts_of("mlm"), 1.0) == 2 * 30 / 10
    assert steps(useful_texts_of("mlm", "distill"), 1.0) == 2 * 500 / 10
    asked = RecoveryOptions(max_steps=9)
    budget = resolve_budget(asked, on_gpu=False, documents=2)
    assert limit_steps(budget, asked, useful_texts=1000.0, flops_per_text=1e30).steps == 9


def useful_texts_of(*names: str, length: int = 1) -> float:
    """What two documents of so many times the longest input are good for."""
    document = "x" * (length * 20 * CHARACTERS_PER_TOKEN)
    sampler = TextSampler([document, document], 0, 20, parts=False)
    return count_useful_texts([OBJECTIVES[name] for name in names], sampler)


def test_long_documents_are_good_for_more_texts() -> None:
    assert useful_texts_of("mlm", length=3) == 3 * useful_texts_of("mlm")


def test_the_rate_follows_width_length_and_depth() -> None:
    whole = resolve_budget(RecoveryOptions(), on_gpu=True, documents=10**6)
    short = resolve_budget(
        RecoveryOptions(max_steps=whole.steps // 16), on_gpu=True, documents=10**6
    )

    def rate(width: int = 384, budget: Any = whole, fewer_layers: bool = False) -> float:
        return default_learning_rate(width, budget, fewer_layers=fewer_layers)

    assert rate() == rate(width=128) == 5e-4
    assert rate(width=768) == pytest.approx(2.5e-4)
    assert rate(budget=short) == pytest.approx(2.5e-4, rel=0.01)
    assert rate(fewer_layers=True) == 1e-3
    assert rate(fewer_layers=True, budget=short) == pytest.approx(1e-3 / 2**0.5, rel=0.01)
