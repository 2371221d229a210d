"""What quality costs in bytes: all that was made, and the front that nothing beats."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from worker.compression.evaluation.pareto import pareto_front
from worker.compression.export.charts.svg import (
    WIDTH,
    Scale,
    drawing,
    element,
    grid,
    points,
    text,
)

_HEIGHT, _LEFT, _TOP, _BOTTOM = 320, 48, 34, 44
_MARGIN = 0.08
_RADIUS = 5.0
_ASIDE = _RADIUS + 6
_TO_THE_LEFT = 0.75
_WIDE, _NEAR = 70.0, 13.0
"""Labels closer to each other than this would overlap."""


@dataclass(frozen=True)
class Candidate:
    """A model or a file of it, its megabytes and the share of quality it keeps, in percent."""

    label: str
    kind: str
    megabytes: float
    kept: float
    chosen: bool = False


def tradeoff_chart(title: str, candidates: Sequence[Candidate]) -> Markup:
    """Draw candidates by size and quality; a ring marks the chosen."""
    found = sorted(candidates, key=lambda one: (one.megabytes, -one.kept))
    kept = [one.kept for one in found]
    room = max(1.0, max(kept) - min(kept)) * _MARGIN
    x = Scale((0, found[-1].megabytes * 1.05), (_LEFT, WIDTH - 12))
    y = Scale((min(kept) - room, max(kept) + room), (_HEIGHT - _BOTTOM, _TOP))
    front = [found[i] for i in pareto_front([(one.megabytes, one.kept) for one in found])]
    line = points([(x(one.megabytes), y(one.kept)) for one in front])
    axes = grid(x, y, ("MB", "quality kept, %"))
    drawn = [
        *(part for one in found for part in _mark(one, x, y)),
        *_labels(found, x, y),
    ]
    return drawing(title, _HEIGHT, *axes, element("polyline", points=line, class_="front"), *drawn)


def _mark(one: Candidate, x: Scale, y: Scale) -> list[Markup]:
    place = {"cx": x(one.megabytes), "cy": y(one.kept)}
    name = element("title", f"{one.label}: {one.megabytes:.1f} MB, {one.kept:.1f} %")
    marks = [element("circle", name, r=_RADIUS, class_=f"fill {one.kind}", **place)]
    if one.chosen:
        marks.append(element("circle", r=_RADIUS + 4, class_="ring", **place))
    return marks


def _labels(found: Sequence[Candidate], x: Scale, y: Scale) -> list[Markup]:
    """Name each candidate beside its mark, lower where the name of another is already there."""
    drawn, taken = list[Markup](), list[tuple[float, float]]()
    for one in sorted(found, key=lambda one: -one.kept):
        left = x(one.megabytes) > _TO_THE_LEFT * WIDTH
        px, py = x(one.megabytes) + (-_ASIDE if left else _ASIDE), y(one.kept)
        while any(abs(px - tx) < _WIDE and abs(py - ty) < _NEAR for tx, ty in taken):
            py += 1
        taken.append((px, py))
        anchor = "end" if left else "start"
        drawn.append(text(one.label, px, py, text_anchor=anchor, class_="small"))
    return drawn
