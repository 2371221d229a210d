from hypothesis import given
from hypothesis import strategies as st

from worker.compression import pareto_front

Points = list[tuple[float, float]]
values = st.integers(0, 6).map(float)
points = st.lists(st.tuples(values, values), max_size=12)


def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(points)
def test_the_front_is_what_nothing_dominates(found: Points) -> None:
    expected = {
        i for i, point in enumerate(found) if not any(dominates(other, point) for other in found)
    }
    assert set(pareto_front(found)) == expected


@given(points)
def test_the_front_rises_from_the_cheapest_on(found: Points) -> None:
    front = [found[i] for i in pareto_front(found)]
    assert front == sorted(front)
    assert len(front) == len(pareto_front(found))


def test_of_equals_each_is_on_the_front() -> None:
    assert pareto_front([(1.0, 5.0), (2.0, 4.0), (1.0, 5.0)]) == [0, 2]
