"""Spans of a text to hide."""

import numpy as np

_MEAN_LENGTH = 3.0


def draw_spans(length: int, noise: float, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return disjoint spans in order that hold this share of so many tokens, not next to another.

    The number of spans is that of a mean length of three; lengths are drawn evenly among all ways
    to divide the hidden tokens (Raffel et al. 2020).
    """
    hidden = min(max(1, round(noise * length)), length - 1)
    count = max(1, min(round(hidden / _MEAN_LENGTH), length - hidden))
    long, between = _divided(hidden, count, rng), _divided(length - hidden, count, rng)
    found, place = [], 0
    for gap, size in zip(between, long, strict=True):
        found.append((place + gap, place + gap + size))
        place += gap + size
    return found


def _divided(total: int, parts: int, rng: np.random.Generator) -> list[int]:
    """Divide a number into so many parts of at least one, every way as likely as another."""
    cuts = np.sort(rng.choice(np.arange(1, total), parts - 1, replace=False))
    return [int(part) for part in np.diff([0, *cuts.tolist(), total])]
