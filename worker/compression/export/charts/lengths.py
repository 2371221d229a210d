"""How many texts have how many tokens, before and after, over each other."""

from collections.abc import Sequence

from markupsafe import Markup

from worker.compression.evaluation.histogram import Histogram
from worker.compression.export.charts.svg import WIDTH, Scale, drawing, element, grid, points

_HEIGHT, _LEFT, _TOP, _BOTTOM = 260, 44, 30, 44


def length_chart(title: str, found: Histogram) -> Markup:
    """Draw both histograms as steps, the one after filled."""
    longest = found.width * len(found.before)
    most = max(1, *found.before, *found.after)
    x = Scale((0, longest), (_LEFT, WIDTH - 16))
    y = Scale((0, most), (_HEIGHT - _BOTTOM, _TOP))
    after = element("polygon", points=_steps(found.after, found.width, x, y), class_="fill after")
    before = element(
        "polyline", points=_steps(found.before, found.width, x, y), class_="stroke before"
    )
    axes = grid(x, y, ("tokens a text", "texts"))
    return drawing(title, _HEIGHT, *axes, after, before)


def _steps(counts: Sequence[int], width: int, x: Scale, y: Scale) -> str:
    outline = [(x(0), y(0))]
    for number, count in enumerate(counts):
        outline += [(x(number * width), y(count)), (x((number + 1) * width), y(count))]
    return points([*outline, (x(len(counts) * width), y(0))])
