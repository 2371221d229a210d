"""Draw the charts of the page, in SVG with every text escaped."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from app.contract.report import Histogram

# In units that are about a pixel, so that text can be read on a phone as well.
WIDTH = 400
LINE = 18
# From the middle of a line of text down to where its letters stand.
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
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _shown(value))
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, escape(content))  # noqa: S704


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
    """Yield lines across for the y axis, numbers of both axes, and the names of both axes."""
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


_BAR = 16
_ROW = LINE + _BAR + 8
# Room for the figure behind the longest bar.
_FIGURE = 125


@dataclass(frozen=True)
class Bar:
    """Holds parts that follow each other, each with the class that colours it."""

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


_LENGTHS_HEIGHT, _LENGTHS_LEFT, _LENGTHS_TOP, _LENGTHS_BOTTOM = 260, 44, 30, 44


def length_chart(title: str, shape: Histogram) -> Markup:
    """Draw both histograms as steps, the one after filled."""
    longest = shape.width * len(shape.before)
    most = max(1, *shape.before, *shape.after)
    x = Scale((0, longest), (_LENGTHS_LEFT, WIDTH - 16))
    y = Scale((0, most), (_LENGTHS_HEIGHT - _LENGTHS_BOTTOM, _LENGTHS_TOP))
    after = element("polygon", points=_steps(shape.after, shape.width, x, y), class_="fill after")
    before = element(
        "polyline", points=_steps(shape.before, shape.width, x, y), class_="stroke before"
    )
    axes = grid(x, y, ("tokens a text", "texts"))
    return drawing(title, _LENGTHS_HEIGHT, *axes, after, before)


def _steps(counts: Sequence[int], width: int, x: Scale, y: Scale) -> str:
    outline = [(x(0), y(0))]
    for number, count in enumerate(counts):
        outline += [(x(number * width), y(count)), (x((number + 1) * width), y(count))]
    return points([*outline, (x(len(counts) * width), y(0))])


_LOSS_HEIGHT, _LOSS_LEFT, _LOSS_TOP, _LOSS_BOTTOM = 260, 52, 30, 44
_CURVES = {"train": "before", "held_out": "after"}

Rows = Sequence[Mapping[str, Any]]


def loss_chart(title: str, rows: Rows) -> Markup:
    """Draw the loss on training text and on held-out text; a step may lack one of them."""
    values = [value for name in _CURVES for _, value in _curve(rows, name)]
    steps = [float(row["step"]) for row in rows]
    low, high = min(values), max(values)
    x = Scale((min(steps), max(steps)), (_LOSS_LEFT, WIDTH - 16))
    y = Scale((low, high if high > low else low + 1), (_LOSS_HEIGHT - _LOSS_BOTTOM, _LOSS_TOP))
    curves = [
        element(
            "polyline",
            points=points([(x(step), y(value)) for step, value in _curve(rows, name)]),
            class_=f"stroke {kind}",
        )
        for name, kind in _CURVES.items()
    ]
    return drawing(title, _LOSS_HEIGHT, *grid(x, y, ("step", "loss")), *curves)


def _curve(rows: Rows, name: str) -> Iterable[tuple[float, float]]:
    return [(float(row["step"]), float(row[name])) for row in rows if row.get(name) is not None]


_TRADEOFF_HEIGHT, _TRADEOFF_LEFT, _TRADEOFF_TOP, _TRADEOFF_BOTTOM = 320, 48, 34, 44
_MARGIN = 0.08
_RADIUS = 5.0
_ASIDE = _RADIUS + 6
_TO_THE_LEFT = 0.75
# Labels closer to each other than this would overlap.
_WIDE, _NEAR = 70.0, 13.0


# A cost, of which less is better, and a value, of which more is.
Point = tuple[float, float]


def pareto_front(points: Sequence[Point]) -> list[int]:
    """Return the places of the points that no other dominates, from the cheapest on.

    A point dominates another that costs no less and is worth no more, unless they are equal.
    """
    best, front = float("-inf"), list[int]()
    for place in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        equal = bool(front) and points[place] == points[front[-1]]
        if points[place][1] > best or equal:
            front.append(place)
            best = points[place][1]
    return front


@dataclass(frozen=True)
class Candidate:
    """Holds a model or a file of it: its megabytes, and the quality that it keeps in percent."""

    label: str
    kind: str
    megabytes: float
    kept: float
    chosen: bool = False


def tradeoff_chart(title: str, candidates: Sequence[Candidate]) -> Markup:
    """Draw candidates by size and quality; a ring marks the chosen."""
    by_size = sorted(candidates, key=lambda one: (one.megabytes, -one.kept))
    kept = [one.kept for one in by_size]
    room = max(1.0, max(kept) - min(kept)) * _MARGIN
    x = Scale((0, by_size[-1].megabytes * 1.05), (_TRADEOFF_LEFT, WIDTH - 12))
    y = Scale(
        (min(kept) - room, max(kept) + room), (_TRADEOFF_HEIGHT - _TRADEOFF_BOTTOM, _TRADEOFF_TOP)
    )
    front = [by_size[i] for i in pareto_front([(one.megabytes, one.kept) for one in by_size])]
    line = points([(x(one.megabytes), y(one.kept)) for one in front])
    axes = grid(x, y, ("MB", "quality kept, %"))
    drawn = [
        *(part for one in by_size for part in _mark(one, x, y)),
        *_labels(by_size, x, y),
    ]
    return drawing(
        title, _TRADEOFF_HEIGHT, *axes, element("polyline", points=line, class_="front"), *drawn
    )


def _mark(one: Candidate, x: Scale, y: Scale) -> list[Markup]:
    place = {"cx": x(one.megabytes), "cy": y(one.kept)}
    name = element("title", f"{one.label}: {one.megabytes:.1f} MB, {one.kept:.1f} %")
    marks = [element("circle", name, r=_RADIUS, class_=f"fill {one.kind}", **place)]
    if one.chosen:
        marks.append(element("circle", r=_RADIUS + 4, class_="ring", **place))
    return marks


def _labels(candidates: Sequence[Candidate], x: Scale, y: Scale) -> list[Markup]:
    """Name each candidate beside its mark, lower where the name of another is already there."""
    drawn, taken = list[Markup](), list[tuple[float, float]]()
    for one in sorted(candidates, key=lambda one: -one.kept):
        left = x(one.megabytes) > _TO_THE_LEFT * WIDTH
        px, py = x(one.megabytes) + (-_ASIDE if left else _ASIDE), y(one.kept)
        while any(abs(px - tx) < _WIDE and abs(py - ty) < _NEAR for tx, ty in taken):
            py += 1
        taken.append((px, py))
        anchor = "end" if left else "start"
        drawn.append(text(one.label, px, py, text_anchor=anchor, class_="small"))
    return drawn
