"""The loss of a training, step by step."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from worker.compression.export.charts.svg import WIDTH, Scale, drawing, element, grid, points

_HEIGHT, _LEFT, _TOP, _BOTTOM = 260, 52, 30, 44
_CURVES = {"train": "before", "held_out": "after"}

Rows = Sequence[Mapping[str, Any]]


def loss_chart(title: str, rows: Rows) -> Markup:
    """Draw the loss on training text and on held-out text; a step may lack one of them."""
    values = [value for name in _CURVES for _, value in _curve(rows, name)]
    steps = [float(row["step"]) for row in rows]
    low, high = min(values), max(values)
    x = Scale((min(steps), max(steps)), (_LEFT, WIDTH - 16))
    y = Scale((low, high if high > low else low + 1), (_HEIGHT - _BOTTOM, _TOP))
    curves = [
        element(
            "polyline",
            points=points([(x(step), y(value)) for step, value in _curve(rows, name)]),
            class_=f"stroke {kind}",
        )
        for name, kind in _CURVES.items()
    ]
    return drawing(title, _HEIGHT, *grid(x, y, ("step", "loss")), *curves)


def _curve(rows: Rows, name: str) -> Iterable[tuple[float, float]]:
    return [(float(row["step"]), float(row[name])) for row in rows if row.get(name) is not None]
