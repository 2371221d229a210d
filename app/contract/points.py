"""Choose the models that a job makes: points of the frontier, each so many tokens and layers.

Without a target they are the sizes of the recipe. With one they are planned here, before anything
is trained, from what the files of each would take.
"""

from collections.abc import Sequence
from itertools import groupby

from pydantic import BaseModel, ConfigDict

from .architectures import evenly_spaced

MOST_POINTS = 4
"""Models that a target's job makes at most."""
FEW_LAYERS = (1, 2, 3)
FRACTIONS = (0.05, 0.1, 0.25, 0.5)
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
        layers = "1 layer" if self.layers == 1 else f"{self.layers} layers"
        return f"{self.vocab_size:,} tokens and {layers}"


class SizedPoint(Point):
    """A point with the bytes that its file for a target's runtime would take."""

    bytes: int


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

    For each number of layers that is the largest vocabulary in ``max_bytes``. Where nothing but a
    quality is asked, vocabularies grow with the layers: the smallest model is looked for.
    """
    fitting = [point for point in points if max_bytes is None or point.bytes <= max_bytes]
    rows = [list(row) for _, row in groupby(fitting, key=lambda point: point.layers)]
    if only_quality and len(rows) == 1:
        rows = [[point] for point in rows[0]]
    rows = [rows[place] for place in evenly_spaced(len(rows), min(MOST_POINTS, len(rows)))]
    if only_quality and len(rows) > 1:
        steps = len(rows) - 1
        return [row[round(place / steps * (len(row) - 1))] for place, row in enumerate(rows)]
    return [row[-1] for row in rows]


def recovery_share(points: int) -> float:
    """Return the share of a plain job's recovery that each point of a target has."""
    return min(1.0, PLAIN_JOBS / points)
