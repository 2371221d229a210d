"""Pieces of SVG, with every text escaped, and the scales they are placed by."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 400
"""In units that are about a pixel, so that text can be read on a phone as well."""
LINE = 18
_MIDDLE = 5
Range = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """Places values of ``values`` in a line over ``places``, which may run backwards."""

    values: Range
    places: Range

    def __call__(self, value: float) -> float:
        (low, high), (start, end) = self.values, self.places
        share = (value - low) / (high - low) if high > low else 0.5
        return start + share * (end - start)


def element(name: str, content: object = "", /, **attributes: object) -> Markup:
    """Return an element; underscores in names of attributes become hyphens, as in SVG."""
    given = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _shown(value))
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), given, escape(content))  # noqa: S704


def text(content: object, x: float, y: float, **attributes: object) -> Markup:
    """Return a text whose middle is at the height y."""
    return element("text", content, x=x, y=y + _MIDDLE, **attributes)


def drawing(title: str, height: float, *parts: Markup) -> Markup:
    """Return a drawing as wide as the page has room for."""
    return element(
        "svg",
        Markup("").join([element("title", title), *parts]),
        viewBox=f"0 0 {WIDTH} {_shown(height)}",
        role="img",
        xmlns=_NAMESPACE,
    )


_NAMESPACE = "http://www.w3.org/2000/svg"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers from low to high: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def points(scaled: Sequence[tuple[float, float]]) -> str:
    """Return the points of a line."""
    return " ".join(f"{_shown(x)},{_shown(y)}" for x, y in scaled)


def grid(
    x: Scale, y: Scale, labels: tuple[str, str], patterns: tuple[str, str] = ("{:g}", "{:g}")
) -> Iterator[Markup]:
    """Yield lines across for the y axis, numbers of both axes, and what they are of."""
    (left, right), (bottom, top) = x.places, y.places
    for value in ticks(*y.values):
        yield element("line", x1=left, x2=right, y1=y(value), y2=y(value), class_="grid")
        yield text(patterns[1].format(value), left - 6, y(value), text_anchor="end")
    for value in ticks(*x.values):
        yield text(patterns[0].format(value), x(value), bottom + 14, text_anchor="middle")
    yield text(labels[0], right, bottom + 32, text_anchor="end", class_="label")
    yield text(labels[1], left - 30, top - 16, class_="label")


def _shown(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
