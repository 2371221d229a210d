"""The points of a target: which are planned, of any base and any target."""

from hypothesis import given
from hypothesis import strategies as st

from app.contract.names import RUNTIMES
from app.contract.points import FRACTIONS, MOST_POINTS, Point, SizedPoint, grid, plan
from app.contract.points import recovery_share as share

DEPTHS, TOKENS = st.integers(0, 96), st.integers(40, 300_000)


def sized(depth: int, tokens: int) -> list[SizedPoint]:
    """The grid of a base whose tables have 8 numbers a token and whose layers 500 each."""
    return [
        SizedPoint(
            **dict(point),
            files={"onnx-int8": 8 * point.vocab_size + 500 * (point.layers or depth)},
        )
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
    assert all(point in fitting for point in planned)
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


BITS = {"torch": 32, "onnx": 32, "onnx-int8": 8, "onnx-int4": 5, "static": 32}


def in_all(depth: int, tokens: int) -> list[SizedPoint]:
    """The grid of such a base in all runtimes; vectors have no layers."""
    return [
        SizedPoint(
            **dict(point),
            files={
                name: bits * point.vocab_size
                + (0 if RUNTIMES[name].is_static else bits * 60 * (point.layers or depth))
                for name, bits in BITS.items()
            },
        )
        for point in grid(depth, tokens)
    ]


LIMITS = st.one_of(st.none(), st.integers(1, 5_000_000))


@given(DEPTHS, TOKENS, LIMITS, st.booleans())
def test_what_is_planned_in_a_runtime_fits_and_is_made_once(
    depth: int, tokens: int, max_bytes: int | None, only_quality: bool
) -> None:
    candidates = in_all(depth, tokens)
    planned = plan(candidates, max_bytes, only_quality=only_quality)
    sizes = {point.point: point.files for point in candidates}
    assert len(planned) <= MOST_POINTS
    assert len({point.key for point in planned}) == len(planned)
    assert depths(planned, depth) == sorted(depths(planned, depth))
    for point in planned:
        assert point.files
        for name, size in point.files.items():
            assert size == sizes[point.point][name]
            assert max_bytes is None or size <= max_bytes
        # All that fits is weighed, but vectors once.
        fits = {n for n, s in sizes[point.point].items() if max_bytes is None or s <= max_bytes}
        assert fits - {"static"} == set(point.files) - {"static"}
    # Something is made where anything fits, in any runtime.
    least = min(min(files.values()) for files in sizes.values())
    assert bool(planned) == (max_bytes is None or least <= max_bytes)


@given(DEPTHS, TOKENS, LIMITS, st.booleans())
def test_vectors_are_weighed_once_where_they_fit(
    depth: int, tokens: int, max_bytes: int | None, only_quality: bool
) -> None:
    # A target with a limit asks for more than quality.
    only_quality = only_quality and max_bytes is None
    candidates = in_all(depth, tokens)
    planned = plan(candidates, max_bytes, only_quality=only_quality)
    carriers = [point for point in planned if "static" in point.files]
    reached = [
        point.vocab_size
        for point in candidates
        if max_bytes is None or point.files["static"] <= max_bytes
    ]
    if not reached:
        assert carriers == []
        return
    assert len(carriers) == 1
    wanted = min(reached) if only_quality else max(reached)
    assert carriers[0].vocab_size == wanted


@given(DEPTHS, TOKENS, LIMITS)
def test_a_runtime_more_reaches_as_many_layers(
    depth: int, tokens: int, max_bytes: int | None
) -> None:
    candidates, only_quality = in_all(depth, tokens), max_bytes is None
    int8 = [point.kept(lambda name: name == "onnx-int8") for point in candidates]
    alone = plan(int8, max_bytes, only_quality=only_quality)
    more = plan(candidates, max_bytes, only_quality=only_quality)
    assert max(depths(more, depth), default=0) >= max(depths(alone, depth), default=0)
    assert len(more) >= min(len(alone), MOST_POINTS)
    if max_bytes is None:
        # Nothing is left out for its size: the models are the same, each in all runtimes.
        assert [point.point for point in more] == [point.point for point in alone]
        assert all(len(point.files) >= len(BITS) - 1 for point in more)


def test_vectors_that_no_model_has_the_words_of_take_the_place_of_one() -> None:
    tokens = 30_000
    candidates = [
        SizedPoint(
            **dict(point), files={"onnx-int8": point.vocab_size, "static": 4 * point.vocab_size}
        )
        for point in grid(6, tokens)
    ]
    planned = plan(candidates, 30_000, only_quality=False)
    told = [(p.vocab_size, p.layers, sorted(p.files)) for p in planned]
    assert told == [
        (7_500, 1, ["onnx-int8", "static"]),
        *((15_000, layers, ["onnx-int8"]) for layers in (1, 3, None)),
    ]


def test_all_recoveries_together_take_two_plain_jobs_at_most() -> None:
    shares = [number * share(number) for number in range(1, MOST_POINTS + 1)]
    assert shares == [1.0, 2.0, 2.0, 2.0]


def test_points_are_named_by_their_tokens_and_by_the_layers_that_a_target_chose() -> None:
    assert (Point(vocab_size=7630).key, Point(vocab_size=7630).label) == ("7630", "7,630 tokens")
    two, one = Point(vocab_size=7630, layers=2), Point(vocab_size=7630, layers=1)
    assert (two.key, two.label) == ("7630-2l", "7,630 tokens and 2 layers")
    assert one.label == "7,630 tokens and 1 layer"
