import math

import pytest

from worker.compression.recovery.budget import TrainingPlan, learning_rate_factor


def plan_of(steps: int, seconds: float | None) -> TrainingPlan:
    return TrainingPlan(
        steps=steps,
        seconds=seconds,
        seconds_asked=False,
        batch_size=16,
        max_length=128,
        documents=1000,
        learning_rate=5e-4,
        embedding_steps=0,
        dropout=True,
        seed=0,
    )


def test_the_rate_rises_evenly_then_falls_to_zero() -> None:
    factors = [learning_rate_factor(step, 100) for step in range(100)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[5] == 1.0
    assert factors == factors[:5] + sorted(factors[5:], reverse=True)
    assert factors[52] == pytest.approx((1 + math.cos(math.pi * 47 / 95)) / 2)
    assert learning_rate_factor(100, 100) == 0
    assert learning_rate_factor(0, 1) == 1


def test_with_time_enough_the_plan_never_changes() -> None:
    plan = plan_of(100, 1000.0)
    assert {plan.steps_by(step, step * 9.9) for step in range(101)} == {100}
    assert {plan_of(100, None).steps_by(step, step * 1e6) for step in range(101)} == {100}


def test_a_slow_machine_gets_as_many_steps_as_fit() -> None:
    plan = plan_of(100, 200.0)
    assert plan.steps_by(4, 40.0) == 100  # too early to tell
    assert plan.steps_by(4, 100.0) == 8  # half of the time has gone
    assert plan.steps_by(1, 180.0) == 2
    assert plan.steps_by(5, 50.0) == 20
    assert plan.steps_by(20, 200.0) == 20
    assert plan.steps_by(10, 50.0) == 40
    assert (plan.out_of_time(199.0), plan.out_of_time(200.0)) == (False, True)
