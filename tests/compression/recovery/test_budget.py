import math
from typing import Any

import pytest

from worker.compression.recovery.budget import Load, bounded, default_rate, settle
from worker.compression.recovery.options import RecoveryOptions


def test_what_the_user_says_replaces_the_presets_limits() -> None:
    default = settle(RecoveryOptions(), on_gpu=False, documents=1000)
    assert default.work
    assert default.seconds
    assert not default.seconds_asked
    steps = settle(RecoveryOptions(max_steps=7), on_gpu=False, documents=1000)
    assert (steps.steps, steps.seconds, steps.work) == (7, None, None)
    epochs = settle(RecoveryOptions(epochs=2.5, batch_size=32), on_gpu=True, documents=100)
    assert (epochs.steps, epochs.seconds) == (math.ceil(250 / 32), None)
    both = settle(RecoveryOptions(epochs=2, max_steps=3, batch_size=10), on_gpu=True, documents=100)
    assert both.steps == 3
    timed = settle(RecoveryOptions(max_minutes=0.5), on_gpu=False, documents=1000)
    assert (timed.seconds, timed.work, timed.seconds_asked) == (30.0, None, True)
    assert timed.steps == default.steps


def test_a_limit_of_the_machine_holds_whatever_is_asked() -> None:
    def seconds(**asked: Any) -> float | None:
        return settle(RecoveryOptions(**asked), on_gpu=False, documents=1000).seconds

    assert seconds(most_minutes=0.5) == seconds(most_minutes=0.5, max_steps=7) == 30
    assert seconds(most_minutes=0.5, max_minutes=2) == 30
    assert seconds(most_minutes=0.5, max_minutes=0.1) == 6
    assert seconds(most_minutes=1000) == seconds()
    assert settle(RecoveryOptions(most_minutes=1), on_gpu=False, documents=1000).work


def test_presets_grow() -> None:
    for on_gpu in (False, True):
        found = [
            settle(RecoveryOptions(preset=preset), on_gpu=on_gpu, documents=1)
            for preset in ("fast", "balanced", "max")
        ]
        spent = [(b.steps * b.batch_size, b.seconds, b.work or 0) for b in found]
        assert spent == sorted(spent)


def test_a_cpu_and_a_small_corpus_get_fewer_steps() -> None:
    options = RecoveryOptions(batch_size=10)
    budget = settle(options, on_gpu=False, documents=1000)
    assert budget.work
    work = budget.work / 10 / 50  # a text, for 50 steps
    assert bounded(budget, options, Load(10**6, 1.0, work, True)).steps == 50
    assert bounded(budget, options, Load(10**6, 1.0, budget.work, True)).steps == 1
    assert bounded(budget, options, Load(2, 1.0, 1.0, True)).steps == 2 * 500 / 10
    assert bounded(budget, options, Load(2, 1.0, 1.0, False)).steps == 2 * 30 / 10
    asked = RecoveryOptions(max_steps=9)
    steps = settle(asked, on_gpu=False, documents=2)
    assert bounded(steps, asked, Load(2, 1.0, 1e30, True)).steps == 9


def test_the_rate_follows_width_length_and_depth() -> None:
    whole = settle(RecoveryOptions(), on_gpu=True, documents=10**6)
    short = settle(RecoveryOptions(max_steps=whole.steps // 16), on_gpu=True, documents=10**6)

    def rate(width: int = 384, budget: Any = whole, fewer_layers: bool = False) -> float:
        return default_rate(width, budget, fewer_layers=fewer_layers)

    assert rate() == rate(width=128) == 5e-4
    assert rate(width=768) == pytest.approx(2.5e-4)
    assert rate(budget=short) == pytest.approx(2.5e-4, rel=0.01)
    assert rate(fewer_layers=True) == 1e-3
    assert rate(fewer_layers=True, budget=short) == pytest.approx(1e-3 / 2**0.5, rel=0.01)
