"""Bars from left to right, each with its name above and its figure behind."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from worker.compression.export.charts.svg import LINE, WIDTH, Scale, drawing, element, text

_BAR = 16
_ROW = LINE + _BAR + 8
_FIGURE = 125
"""Room for the figure behind the longest bar."""


@dataclass(frozen=True)
class Bar:
    """Parts that follow each other, each with the class that colours it."""

    name: str
    parts: Sequence[tuple[str, float]]
    figure: str

    @property
    def total(self) -> float:
        return sum(value for _, value in self.parts)


def bar_chart(title: str, bars: Sequence[Bar]) -> Markup:
    """Draw bars on one scale from nought."""
    scale = Scale((0, max(bar.total for bar in bars)), (0, WIDTH - _FIGURE))
    rows = [part for n, bar in enumerate(bars) for part in _row(bar, n * _ROW, scale)]
    return drawing(title, len(bars) * _ROW, *rows)


def _row(bar: Bar, top: float, scale: Scale) -> list[Markup]:
    drawn, start = [text(bar.name, 0, top + LINE / 2)], 0.0
    for kind, value in bar.parts:
        width = scale(value)
        drawn.append(
            element(
                "rect", x=start, y=top + LINE + 2, width=width, height=_BAR, class_=f"fill {kind}"
            )
        )
        start += width
    figure = text(bar.figure, start + 6, top + LINE + 2 + _BAR / 2, class_="figure")
    return [*drawn, figure]
