"""report.html: every figure is there, nothing is fetched, and strange text stays text."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from app.contract.report import Gate, Recovery, Report, Slice
from tests.support.reports import (
    exports,
    full_report,
    index_rows,
    recovered,
    sweep_report,
    target_report,
    with_task,
)
from worker.compression.report.page import render_page

VOID = {"meta", "wbr", "br", "link", "img", "input"}
NASTY = "</span><script>alert('1')</script><img src=x onerror=alert(1)>&amp;\u202e"


class Page(HTMLParser):
    """The tags of a page, which must nest, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def count(self, name: str) -> int:
        return sum(tag == name for tag, _ in self.tags)


def with_static(report: Report) -> Report:
    """The same report where each size has static vectors too."""

    def added(report: Any) -> dict[str, Any]:
        file, static = report.exports[-1], {"runtime": "static"}
        timed = [row for row in report.latency if row.runtime == file.runtime]
        latency = [*report.latency, *(row.model_copy(update=static) for row in timed)]
        exports = [*report.exports, file.model_copy(update={**static, "path": "static/m"})]
        return {"exports": exports, "latency": latency}

    sweep = [row.model_copy(update=added(row)) for row in report.sweep]
    return report.model_copy(update={**added(report), "sweep": sweep})


REPORTS = {
    "one": full_report(NASTY),
    "recovered": recovered(full_report()),
    "sweep": sweep_report(),
    "static vectors": with_static(sweep_report()),
    "task": with_task(sweep_report()),
    "task that the base cannot do": with_task(full_report(), None),
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_the_page_nests_and_needs_nothing_else(report: Report) -> None:
    html = render_page(report)
    page = Page(html)
    assert page.open == []
    outside = {"script", "img", "link", "iframe", "object", "embed", "base", "form", "image"}
    assert not [tag for tag, _ in page.tags if tag in outside]
    given = [name for _, attributes in page.tags for name in attributes]
    assert not [name for name in given if name in {"src", "href", "style"} or name.startswith("on")]
    urls = set(re.findall(r"\w+://[^\s\"'<]+", html)) - {"http://www.w3.org/2000/svg"}
    assert not urls
    assert "url(" not in html
    assert "@import" not in html


def test_text_of_the_corpus_stays_text() -> None:
    page = Page(render_page(full_report(NASTY)))
    assert NASTY in page.text
    assert page.count("script") == page.count("img") == 0


def test_warnings_and_expected_unknown_tokens_are_shown() -> None:
    plain = full_report()
    tokens = plain.tokens.model_copy(update={"expected_unk_rate": 0.0123})
    page = Page(render_page(plain.model_copy(update={"tokens": tokens, "warnings": [NASTY]})))
    assert page.open == []
    assert "0.01230" in page.text
    assert any(NASTY in text for text in page.text)
    assert not any("to be expected" in text for text in Page(render_page(plain)).text)


def test_every_figure_is_there() -> None:
    html = render_page(full_report())
    page = Page(html)
    # Size, lengths, and the latency of two batch sizes.
    assert page.count("svg") == page.count("figcaption") == 4
    for figure in (
        *("1.6 times smaller", "6.5 times smaller", "1.2 times faster", "93.0 % kept"),
        *("3.6 times faster", "92.0 % kept", "90.9 to 13.9 MB", "Gate met"),
        *("21.0 ms", "17.5 ms, 1.2x", "5.8 ms, 3.6x", "onnx-int8", "13.9 MB"),
        *("<td>30,522</td><td>7,630</td><td>-75.0 %</td>", "ten nearest"),
        *("<td>560</td><td>134</td><td>-76.0 %</td>", "base, 5", "compressed, 1"),
    ):
        assert figure in html, figure
    assert "Agranulocytosis" in page.text


def test_an_index_that_stays_has_rows_of_its_own_of_every_file() -> None:
    plain = full_report()
    assert "the compressed model reads the queries alone" not in render_page(plain)
    rows = index_rows("index_overlap_10")
    files = [
        one.model_copy(update={"quality": [*one.quality, *index_rows("index_overlap_10")]})
        for one in exports(55_600_000, 0.93)
    ]
    update = {"quality": [*plain.quality, *rows], "exports": files}
    html = render_page(plain.model_copy(update=update))
    assert "the compressed model reads the queries alone" in html
    (body,) = [part for part in html.split("<tbody>") if "Your index stays: same ten" in part]
    assert body.count("<td>98.7 %</td><td>96.0 to 101.0 %</td>") == 3
    assert all(runtime in body for runtime in ("PyTorch", "ONNX", "ONNX int8"))


def test_the_loss_is_drawn_where_there_is_one() -> None:
    assert "Loss in recovery" in render_page(recovered(full_report()))
    assert "Loss in recovery" not in render_page(full_report())


def test_a_sweep_is_a_table_and_a_front() -> None:
    html = render_page(sweep_report())
    page = Page(html)
    assert page.count("svg") == 5
    assert html.count('class="ring"') == html.count('class="front"') == 1
    # A row a runtime, of the chosen size in bold.
    assert html.count('<tr class="chosen">') == 3
    for size in sweep_report().sweep:
        assert f"{size.vocab_size:,}: {size.bytes / 1e6:.1f} MB" in html
        assert f"{size.vocab_size:,} int8" in html


def test_a_target_is_a_front_with_layers_and_a_ring_around_the_file_that_was_picked() -> None:
    html = render_page(target_report())
    assert Page(html).open == []
    assert "Target met" in html
    assert "Of the 4 models that were made 1 meets the target." in html
    assert html.count("<td>met</td>") == 1
    assert html.count("<td>missed</td>") == 3
    ring = re.search(r"<title>([^<]+)</title></circle><circle[^>]*class=\"ring\"", html)
    assert ring
    assert ring[1].startswith("7,630, 2 layers int8: 13.9 MB")
    missed = render_page(target_report(met=False))
    assert "Target not met" in missed
    assert "<td>met</td>" not in missed


def test_a_targets_tiles_are_of_the_file_that_was_picked() -> None:
    report = with_static(target_report())
    target = report.target
    assert target
    assert target.picked
    timed = [
        row.model_copy(update={"rounds": 2, "speedup": 31.8} if row.runtime == "static" else {})
        for row in report.latency
    ]
    told = {"runtime": "static", "metric": "neighbour_overlap_10", "layers": 1}
    asked = {"runtime": "any", "max_ms": 50.0, "picked": target.picked.model_copy(update=told)}
    update = {"latency": timed, "target": target.model_copy(update=asked)}
    html = render_page(report.model_copy(update=update))
    assert html.count('<div class="cards">') == 1
    assert "Static vectors, 90.9 to 13.9 MB" in html
    assert "<strong>About 32 times faster</strong>" in html
    assert "one text at a time, timed on too few batches to be sure" in html
    assert "<strong>72.0 % kept</strong>" in html
    assert (
        "Asked for any runtime: at most 15,000,000 bytes, at most 50 ms for one text and at least "
        "90 % of the quality." in html
    )
    # The nearest of a target that none meets is told of by its own file too.
    missed = render_page(target_report(met=False))
    assert missed.count('<div class="cards">') == 1
    assert "ONNX int8, 90.9 to 13.9 MB" in missed


def test_a_task_comes_first_with_its_spread() -> None:
    html = render_page(with_task(full_report()))
    row = "<td>0.9200 ± 0.0100</td><td>0.9100 ± 0.0100</td><td>99.0 %</td>"
    assert html.index(row) < html.index("Same sentence vectors")
    assert "over 3 seeds" in html
    # The files for ONNX Runtime were not fine-tuned: no card says what of the task they keep.
    assert re.findall(r"<strong>([\d.]+) % kept", html) == ["99.0"]


def test_a_sweep_compares_sizes_by_the_task_where_it_was_measured() -> None:
    html = render_page(with_task(sweep_report()))
    assert html.count("<td>99.0 %</td>") == 1 + 4
    # Nothing is said of the two files of each size.
    unsaid = "<td>\N{EN DASH}</td>"
    assert html.count(unsaid) - render_page(sweep_report()).count(unsaid) == 4 * 2
    assert "30,522 int8" not in html
    assert "3,052: " in html
    assert "3,052 int8: " not in html


def test_a_base_that_cannot_do_the_task_is_said_so() -> None:
    page = Page(render_page(with_task(full_report(), None)))
    assert any("there is no share to keep" in text for text in page.text)
    assert page.count("svg") == 4


def test_the_gate_says_its_metric() -> None:
    gate = Gate(min_quality=0.9, max_bytes=None, misses=[], metric="macro_f1")
    assert "90.0 % of the quality (Macro-F1" in render_page(
        full_report().model_copy(update={"gate": gate})
    )


def test_a_bare_report_has_a_page_too() -> None:
    bare = full_report()
    bare = Report(
        base_model=bare.base_model,
        corpus=bare.corpus,
        base=bare.base,
        compressed=bare.compressed,
        tokens=bare.tokens,
        quality=[],
        latency=[],
        stages=[],
        selection="usage",
        transfer_method="fvt",
        seed=0,
    )
    page = Page(render_page(bare))
    assert page.count("svg") == 2
    assert not any("faster" in text or "kept" in text for text in page.text)


@pytest.mark.parametrize(
    ("speedup", "said"),
    [(3.61, "3.6 times faster"), (0.97, "As fast as the base"), (0.8, "1.2 times slower")],
)
def test_the_headline_says_what_is_slower(speedup: float, said: str) -> None:
    report = full_report()
    row = report.latency[0].model_copy(update={"speedup": speedup})
    html = render_page(report.model_copy(update={"latency": [row], "exports": []}))
    assert f"<strong>{said}</strong>" in html


def test_the_verdict_comes_first_and_noise_is_no_card() -> None:
    plain = full_report()
    latency = [
        row.model_copy(update={"low": 0.9, "high": 1.4, "rounds": 9, "stable": False})
        for row in plain.latency
    ]
    slices = [
        Slice(name="short", texts=60, retention=0.91, low=0.9, high=0.92),
        Slice(name="out_of_domain", texts=24, retention=0.71, low=0.6, high=0.8),
    ]
    quality = plain.quality[0].model_copy(update={"low": 0.92, "high": 0.94, "slices": slices})
    recovery = Recovery(used="distill", steps=13, planned_steps=93, stopped_by="max_minutes")
    update = {
        "verdict": "Recovery was cut short. 1.6x smaller.",
        "latency": latency,
        "quality": [quality, *plain.quality[1:]],
        "recovery": recovery,
    }
    text = "".join(Page(render_page(plain.model_copy(update=update))).text)
    assert text.index("Recovery was cut short.") < text.index("times smaller")
    assert "As fast as the base, within the noise" in text
    assert not re.search(r"[0-9.]+ times faster\s", text.split("Size and tokens")[0])
    assert "0.90 to 1.40, unstable" in text
    assert "92.0 to 94.0 %" in text
    assert "general English, not of the corpus" in text
    assert "60.0 to 80.0 %" in text
    assert "13 of 93 planned steps: its time was used up" in text


def test_static_vectors_are_a_point_of_their_own_beside_sizes() -> None:
    text = " ".join(Page(render_page(with_static(sweep_report()))).text)
    assert "Static vectors" in text
    assert re.search(r"\d static\b", text)
    assert " static" not in " ".join(Page(render_page(sweep_report())).text)
