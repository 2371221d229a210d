"""A short run of the chaos suite on each database; `python -m tests.chaos` makes long ones."""

import pytest

from tests.chaos.databases import DATABASES
from tests.chaos.jobs import Kind, make_plans
from tests.chaos.points import POINTS, Hit, every_hit
from tests.chaos.run import run
from tests.chaos.table import details
from tests.support.postgres import binaries

JOBS = 14
SEED = 13


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("database", DATABASES)
def test_nothing_is_lost_or_doubled_and_nothing_is_left(database: str) -> None:
    if database == "postgresql" and binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    outcome = run(database, JOBS, SEED, workers=2, mean_seconds=2.0, end_seconds=180)
    print(details(outcome))
    assert outcome.broken == {}
    # Faults come by the clock, and jobs end by the work: how many meet is not fixed.
    assert outcome.faults.total() >= JOBS // 2
    assert outcome.accepted >= JOBS


def test_a_seed_gives_the_same_plans_and_enough_jobs_every_hit() -> None:
    assert make_plans(50, 1) == make_plans(50, 1) != make_plans(50, 2)
    assert len(every_hit()) == len(Hit) * len(POINTS) == 3 * (9 * 4 + 3)
    plans = make_plans(400, 1)
    assert {plan.chaos for plan in plans} - {""} == set(every_hit())
    assert {plan.kind for plan in plans} == set(Kind)
