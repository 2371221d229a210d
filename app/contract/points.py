"""Choose the models that a job makes: points of the frontier, each so many tokens and layers.

Without a target they are the sizes of the recipe. With one they are planned here, before anything
is trained, from what the files of each would take.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

from pydantic import BaseModel, ConfigDict
from typing_extensions import Self

from .architectures import evenly_spaced
from .names import RUNTIMES, counted

MOST_POINTS = 4
"""Models that a target's job makes at most."""
FEW_LAYERS = (1, 2, 3)
FRACTIONS = tuple(n / 20 for n in range(1, 11))
"""Layers, beside half and all of the base's, and shares of its vocabulary to choose from."""
PLAIN_JOBS = 2.0
"""Recoveries of a target's job together take as long as that of so many plain jobs."""


class Point(BaseModel):
    """A model to make: its tokens, and its layers where a target chose them.

    Without ``layers`` it has as many as the recipe's ``recovery.keep_layers`` says, or all.
    """

    model_config = ConfigDict(frozen=True)

    vocab_size: int
    layers: int | None = None

    @property
    def key(self) -> str:
        """Return its name among the points of a job, and of its folder."""
        return str(self.vocab_size) if self.layers is None else f"{self.vocab_size}-{self.layers}l"

    @property
    def label(self) -> str:
        """Return its name for people."""
        if self.layers is None:
            return f"{self.vocab_size:,} tokens"
        return f"{self.vocab_size:,} tokens and {counted(self.layers, 'layer')}"


class SizedPoint(Point):
    """A point with the bytes that its file would take for each runtime that a target weighs."""

    files: dict[str, int]

    @property
    def bytes(self) -> int:
        """Return the bytes of the smallest of its files."""
        return min(self.files.values())

    @property
    def point(self) -> Point:
        """Return it without its files."""
        return Point(vocab_size=self.vocab_size, layers=self.layers)

    def within(self, max_bytes: int | None) -> Self:
        """Return it with the files alone that are as small; all of them without a limit."""
        return self.kept(lambda name: max_bytes is None or self.files[name] <= max_bytes)

    def kept(self, is_kept: Callable[[str], bool]) -> Self:
        """Return it with the files of some runtimes alone."""
        files = {name: size for name, size in self.files.items() if is_kept(name)}
        return self.model_copy(update={"files": files})


def grid(depth: int, tokens: int) -> list[Point]:
    """Return the points to choose from for a base of so many layers and tokens.

    From few layers to all, and for each from few tokens to many.
    """
    layers = sorted(n for n in {*FEW_LAYERS, depth // 2} if 0 < n < depth)
    sizes = sorted({round(share * tokens) for share in FRACTIONS} - {0, 1})
    return [Point(vocab_size=size, layers=n) for n in (*layers, None) for size in sizes]


def plan(
    points: Sequence[SizedPoint], max_bytes: int | None, *, only_quality: bool
) -> list[SizedPoint]:
    """Return at most `MOST_POINTS` of a grid to make, from fast to good; none where none fits.

    Each has the files alone that fit in ``max_bytes``. For each number of layers that is the
    largest vocabulary of which any file fits. Where nothing but a quality is asked, vocabularies
    grow with the layers: the smallest model is looked for.

    Static vectors, which have no layers, are once among the files: of the largest vocabulary in
    reach, or of the smallest where the smallest model is looked for. A point that is made anyway
    has them where it can; else the one with the fewest layers of that vocabulary is made too.
    """
    fitting = [found for point in points if (found := point.within(max_bytes)).files]
    models = [found for point in fitting if (found := point.kept(_is_model)).files]
    if not models:
        # Nothing is gained by dropping the layers of what vectors are made beside.
        whole = [point for point in fitting if point.layers == fitting[-1].layers]
        return _spread(whole, MOST_POINTS, only_quality=only_quality)
    chosen = _spread(models, MOST_POINTS, only_quality=only_quality)
    static = [point for point in fitting if not all(map(_is_model, point.files))]
    if not static:
        return chosen
    size = (min if only_quality else max)(point.vocab_size for point in static)
    carriers = {point.point: point for point in static if point.vocab_size == size}
    if not any(point.point in carriers for point in chosen):
        chosen = _spread(models, MOST_POINTS - 1, only_quality=only_quality)
        chosen.insert(0, next(iter(carriers.values())))
    first = next(point.point for point in chosen if point.point in carriers)
    return [carriers[first] if point.point == first else point for point in chosen]


def _is_model(runtime: str) -> bool:
    return not RUNTIMES[runtime].is_static


def _spread(points: Sequence[SizedPoint], most: int, *, only_quality: bool) -> list[SizedPoint]:
    """Return a point for each of some numbers of layers, evenly from the fewest to the most."""
    rows = [list(row) for _, row in groupby(points, key=lambda point: point.layers)]
    if only_quality and len(rows) == 1:
        rows = [[point] for point in rows[0]]
    rows = [rows[place] for place in evenly_spaced(len(rows), min(most, len(rows)))]
    if only_quality and len(rows) > 1:
        steps = len(rows) - 1
        return [row[round(place / steps * (len(row) - 1))] for place, row in enumerate(rows)]
    return [row[-1] for row in rows]


def recovery_share(points: int) -> float:
    """Return the share of a plain job's recovery that each point of a target has."""
    return min(1.0, PLAIN_JOBS / points)
