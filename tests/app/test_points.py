"""The points of a target: which are planned, of any base and any target."""

from hypothesis import given
from hypothesis import strategies as st

from app.contract.points import FRACTIONS, MOST_POINTS, Point, SizedPoint, grid, plan
from app.contract.points import recovery_share as share

DEPTHS, TOKENS = st.integers(0, 96), st.integers(40, 300_000)


def sized(depth: int, tokens: int) -> list[SizedPoint]:
    """The grid of a base whose tables have 8 numbers a token and whose layers 500 each."""
    return [
        SizedPoint(**dict(point), bytes=8 * point.vocab_size + 500 * (point.layers or depth))
        for point in grid(depth, tokens)
    ]


def depths(points: list[SizedPoint], depth: int) -> list[int]:
    return [point.layers or depth for point in points]


@given(DEPTHS, TOKENS)
def test_a_grid_has_few_layers_half_and_all_with_each_share_of_the_vocabulary(
    depth: int, tokens: int
) -> None:
    found = grid(depth, tokens)
    layers = list(dict.fromkeys(point.layers for point in found))
    assert layers[-1] is None
    wanted = {n for n in (1, 2, 3, depth // 2) if 0 < n < depth}
    assert layers[:-1] == sorted(wanted)
    sizes = sorted({round(part * tokens) for part in FRACTIONS})
    assert found == [Point(vocab_size=size, layers=n) for n in layers for size in sizes]
    assert len({point.key for point in found}) == len(found)


@given(DEPTHS, TOKENS, st.integers(1, 5_000_000), st.booleans())
def test_a_plan_fits_and_goes_from_fast_to_good(
    depth: int, tokens: int, most: int, only_quality: bool
) -> None:
    candidates = sized(depth, tokens)
    max_bytes = None if only_quality else most
    planned = plan(candidates, max_bytes, only_quality=only_quality)
    fitting = [p for p in candidates if max_bytes is None or p.bytes <= max_bytes]
    assert bool(planned) == bool(fitting)
    assert len(planned) <= MOST_POINTS
    assert set(planned) <= set(fitting)
    assert depths(planned, depth) == sorted(depths(planned, depth))
    if not planned:
        return
    # The fastest and the best that fit are always there.
    reached = depths(fitting, depth)
    assert depths([planned[0], planned[-1]], depth) == [min(reached), max(reached)]
    if only_quality:
        sizes = [point.vocab_size for point in planned]
        assert sizes == sorted(sizes)
        assert planned[0] == min(candidates, key=lambda point: point.bytes)
        assert planned[-1] == max(candidates, key=lambda point: point.bytes)
        return
    assert len({point.layers for point in planned}) == len(planned)
    for point in planned:
        of_same = [p.vocab_size for p in fitting if p.layers == point.layers]
        assert point.vocab_size == max(of_same)


def test_all_recoveries_together_take_two_plain_jobs_at_most() -> None:
    shares = [number * share(number) for number in range(1, MOST_POINTS + 1)]
    assert shares == [1.0, 2.0, 2.0, 2.0]


def test_points_are_named_by_their_tokens_and_by_the_layers_that_a_target_chose() -> None:
    assert (Point(vocab_size=7630).key, Point(vocab_size=7630).label) == ("7630", "7,630 tokens")
    two, one = Point(vocab_size=7630, layers=2), Point(vocab_size=7630, layers=1)
    assert (two.key, two.label) == ("7630-2l", "7,630 tokens and 2 layers")
    assert one.label == "7,630 tokens and 1 layer"
