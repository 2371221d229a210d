"""The Pareto front: which of several models no other beats in everything."""

from collections.abc import Sequence

Point = tuple[float, float]
"""A cost, of which less is better, and a value, of which more is."""


def pareto_front(points: Sequence[Point]) -> list[int]:
    """Return the places of the points that no other dominates, from the cheapest on.

    A point dominates another that costs no less and is worth no more, unless they are equal.
    """
    best, front = float("-inf"), list[int]()
    for place in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        equal = bool(front) and points[place] == points[front[-1]]
        if points[place][1] > best or equal:
            front.append(place)
            best = points[place][1]
    return front
