"""What is drawn, against arithmetic done here on the numbers in the drawing."""

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.report import Histogram
from worker.compression.report.charts import (
    Bar,
    Candidate,
    bar_chart,
    length_chart,
    loss_chart,
    ticks,
    tradeoff_chart,
)

SVG = "{http://www.w3.org/2000/svg}"
NASTY = '<script>alert("1")</script>&'


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def with_class(svg: str, *names: str) -> list[ElementTree.Element]:
    return [found for found in parsed(svg).iter() if found.get("class") in names]


def corners(found: ElementTree.Element) -> list[tuple[float, float]]:
    numbers = [float(found_) for found_ in re.findall(r"-?[\d.]+", found.get("points") or "")]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def number(found: ElementTree.Element, name: str) -> float:
    return float(found.get(name) or "nan")


def texts(svg: str) -> list[str]:
    return [found.text or "" for found in parsed(svg).iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_figures() -> None:
    bars = [
        Bar("base", [("embeddings", 30), ("rest", 60)], "90 MB"),
        Bar("small", [("embeddings", 5), ("rest", 40)], "45 MB"),
    ]
    svg = bar_chart("size", bars)
    embeddings, rest = (with_class(svg, f"fill {kind}") for kind in ("embeddings", "rest"))
    pairs = list(zip(embeddings, rest, strict=True))
    widths = [number(part, "width") for pair in pairs for part in pair]
    longest = sum(widths[:2])
    assert widths == pytest.approx([longest * v / 90 for v in (30, 60, 5, 40)], abs=0.01)
    for first, second in pairs:
        assert number(first, "width") == pytest.approx(number(second, "x"), abs=0.01)
    assert texts(svg) == ["base", "90 MB", "small", "45 MB"]


def test_the_histograms_have_an_area_a_text() -> None:
    found = Histogram(width=5, before=[0, 10, 30], after=[20, 20, 0])
    svg = length_chart("lengths", found)
    (after,), (before,) = with_class(svg, "fill after"), with_class(svg, "stroke before")
    areas = [area(corners(found)) for found in (before, after)]
    assert areas[0] == pytest.approx(areas[1], rel=1e-3)
    top = min(y for _, y in corners(before))
    bottom = max(y for _, y in corners(before))
    height = bottom - min(y for _, y in corners(after))
    assert height == pytest.approx((bottom - top) * 20 / 30, 0.01)


def area(outline: list[tuple[float, float]]) -> float:
    pairs = zip(outline, outline[1:] + outline[:1], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2


def test_the_losses_are_where_the_axis_says() -> None:
    rows: list[dict[str, Any]] = [
        {"step": 0, "train": 1.0, "held_out": 0.8},
        {"step": 50, "train": 0.5, "held_out": None},
        {"step": 100, "train": 0.25, "held_out": 0.4},
    ]
    svg = loss_chart("loss", rows)
    (train,), (held_out,) = with_class(svg, "stroke before"), with_class(svg, "stroke after")
    (x0, y0), (x1, y1), (x2, y2) = corners(train)
    assert (x1 - x0) == pytest.approx(x2 - x1, abs=0.02)
    assert (y1 - y0) / (y2 - y0) == pytest.approx((1.0 - 0.5) / (1.0 - 0.25), abs=0.01)
    assert [x for x, _ in corners(held_out)] == [x0, x2]


def test_a_loss_that_stays_the_same_is_drawn_too() -> None:
    rows = [{"step": n, "train": 2.0, "held_out": 2.0} for n in (1, 2)]
    assert len(with_class(loss_chart("loss", rows), "stroke before")) == 1


def test_the_front_leaves_out_what_is_beaten() -> None:
    found = [
        Candidate("base", "before", 90, 100),
        Candidate("good", "after", 50, 99, chosen=True),
        Candidate("beaten", "after", 60, 98),
        Candidate("small", "other", 10, 90),
    ]
    svg = tradeoff_chart("sizes", found)
    (front,) = with_class(svg, "front")
    marks = [
        (number(mark, "cx"), number(mark, "cy"))
        for mark in with_class(svg, "fill before", "fill after", "fill other")
    ]
    assert len(marks) == 4
    assert corners(front) == [marks[i] for i in (0, 1, 3)]
    (ring,) = with_class(svg, "ring")
    assert (number(ring, "cx"), number(ring, "cy")) == marks[1]


def test_names_are_text_and_nothing_else() -> None:
    drawn = [
        bar_chart(NASTY, [Bar(NASTY, [("rest", 1)], NASTY)]),
        tradeoff_chart(NASTY, [Candidate(NASTY, "after", 1, 1)]),
    ]
    for svg in drawn:
        assert "<script" not in svg
        assert NASTY in texts(svg)


@given(st.floats(-1e6, 1e6), st.floats(1, 1e6))
def test_ticks_are_round_even_and_inside(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert 1 <= len(found) <= 6
    assert all(low - span * 1e-6 <= tick <= low + span * (1 + 1e-6) for tick in found)
    steps = [b - a for a, b in pairwise(found)]
    for step in steps:
        assert step == pytest.approx(steps[0], rel=1e-6)
        assert re.match(r"^[125](\.0*)?e", f"{step:.3e}")
