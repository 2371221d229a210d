"""The verdict of a report and its caveats: no figure is headlined that is inside its noise."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.names import runtime_label
from app.contract.report import Export, Recovery, Report
from app.contract.verdict import caveats, cut_short, roughly, steps_done, verdict
from tests.support.reports import full_report, index_rows, target_report


def report(
    speed: tuple[float, float] | None = (3.0, 3.5),
    kept: tuple[float, float] | None = (0.91, 0.95),
    **changes: Any,
) -> Report:
    """A report whose figures have these intervals, of the model in PyTorch alone."""
    whole = full_report()
    low, high = speed or (None, None)
    latency = [
        row.model_copy(update={"low": low, "high": high, "rounds": 3, "stable": True})
        for row in whole.latency
    ]
    low, high = kept or (None, None)
    quality = [
        row.model_copy(update={"low": low, "high": high, "items": 246}) for row in whole.quality
    ]
    tokens = whole.tokens.model_copy(update=changes.pop("tokens", {}))
    update = {"latency": latency, "quality": quality, "exports": [], "tokens": tokens, **changes}
    return whole.model_copy(update=update)


def test_it_has_size_speed_and_quality_in_a_sentence() -> None:
    assert verdict(report()) == (
        "1.6x smaller, 1.2x faster at one text, keeps 93 % of the base's quality (same sentence "
        "vectors as the base (cosine))."
    )
    assert list(caveats(report())) == []


def test_it_is_of_the_smallest_file() -> None:
    whole = report()
    exports = full_report().exports
    quality = [row.model_copy(update={"low": 0.9, "high": 0.94}) for row in exports[1].quality]
    exports = [exports[0], exports[1].model_copy(update={"quality": quality})]
    said = verdict(whole.model_copy(update={"exports": exports}))
    assert said.startswith("As ONNX int8: 6.5x smaller, 3.6x faster at one text, keeps 92 % of")
    # Static vectors are smaller, but not the model that was asked for.
    static = exports[1].model_copy(update={"runtime": "static", "bytes": 1})
    exports.append(static)
    assert verdict(whole.model_copy(update={"exports": exports})) == said


def with_static(**judged: Any) -> Report:
    """A report of a target that picked static vectors, by its second metric."""
    rows = [row.model_copy(update={"low": 0.65, "high": 0.67}) for row in full_report().quality]
    static = Export(runtime="static", path="static/m", bytes=3_000_000, quality=rows)
    whole = target_report()
    timed = whole.latency[0].model_copy(update={"runtime": "static", "speedup": 32.0})
    seen = whole.target and whole.target.picked
    assert whole.target
    assert seen
    told = {"runtime": "static", "metric": "neighbour_overlap_10", "kept": 0.66, **judged}
    target = whole.target.model_copy(
        update={"runtime": "any", "picked": seen.model_copy(update=told)}
    )
    exports, latency = [*whole.exports, static], [*whole.latency, timed]
    return whole.model_copy(update={"exports": exports, "latency": latency, "target": target})


def test_with_a_target_it_is_of_the_file_that_was_picked() -> None:
    said = verdict(with_static())
    assert said == (
        "As static vectors: 30.3x smaller, about 32 times faster at one text, timed on too few "
        "batches to be sure, keeps 73 % of the base's quality (same ten nearest texts as the base)."
    )
    unscored = verdict(with_static(metric="macro_f1"))
    assert "its quality was not measured (macro-F1 of the task, fine-tuned)" in unscored
    assert verdict(with_static(runtime="onnx")).startswith("As ONNX: 1.6x smaller, about 2.4 times")
    assert verdict(with_static(runtime="torch")).startswith("1.6x smaller, about 1.2 times")


@pytest.mark.parametrize(
    ("speedup", "said"),
    [(31.7, "32 times faster"), (1.01, "as fast as the base"), (0.5, "2.0 times slower")],
)
def test_a_speedup_whose_noise_is_not_known_is_rough(speedup: float, said: str) -> None:
    assert roughly(speedup) == f"about {said}"


def test_more_tokens_are_slower_only_where_nothing_else_is_faster() -> None:
    more = {"per_text_after": 30.0}
    slow = "the model reads them slower, and sees less of a long one"
    assert f"{slow}. Ask for a larger vocabulary." in warned(tokens=more, speed=(0.9, 1.1))
    bare = "Texts have more tokens than before, 30.0 for 28.4."
    assert bare in warned(tokens=more, speed=(3.0, 3.5))
    assert bare in warned(tokens=more, speed=None, recovery=Recovery(keep_layers=2))
    target = with_static(layers=None).target
    assert bare in warned(tokens=more, speed=None, target=target, exports=with_static().exports)
    asked = target_report().target
    assert asked
    assert asked.picked
    whole = asked.picked.model_copy(update={"layers": None})
    asked = asked.model_copy(update={"picked": whole})
    assert f"{slow}." in warned(tokens=more, speed=None, target=asked)
    assert "vocabulary." not in warned(tokens=more, speed=None, target=asked)


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({"speed": (0.95, 1.4)}, "no faster at one text beyond the noise", "1.2x"),
        (
            {"speed": None},
            "about 1.2 times faster at one text, timed on too few batches to be sure",
            "noise",
        ),
        ({"kept": (-0.65, 0.57)}, "keeps up to 57 % of", "-"),
        ({"kept": (-0.2, -0.1)}, "keeps nothing of the base's quality", "%"),
        ({"kept": (0.7, 0.99)}, "keeps between 70 % and 99 %", "93 %"),
        ({"kept": None}, "on too few texts to say what it keeps", "93 %"),
        ({"kept": (0.97, 1.04)}, "keeps all of the base's quality", "93 %"),
        ({"latency": []}, "1.6x smaller, keeps 93 %", "faster"),
        ({"quality": []}, "its quality was not measured", "%"),
    ],
)
def test_what_is_inside_its_noise_is_no_figure(
    changes: dict[str, Any], said: str, unsaid: str
) -> None:
    found = verdict(report(**changes))
    assert said in found
    assert unsaid not in found


def test_general_text_in_another_script_is_warned_about() -> None:
    said = "The general corpus is in Latin script, and the corpus mostly in Cyrillic."
    recovery = Recovery(used="distill", general_share=0.2, general_warning=said)
    assert list(caveats(report(recovery=recovery))) == [said]


CUT = Recovery(used="distill", steps=13, planned_steps=93, stopped_by="max_minutes")


def test_a_recovery_that_was_cut_short_says_so_first() -> None:
    short = report(recovery=CUT)
    start = "Recovery was cut short after 13 of 93 planned steps: its time was used up."
    assert verdict(short).startswith(start)
    assert next(iter(caveats(short))).startswith(start)
    assert verdict(short).endswith(verdict(report()))


@pytest.mark.parametrize(
    ("stopped_by", "said"),
    [
        ("held_out_loss", "the loss on held-out text had risen"),
        ("non_finite_loss", "no longer a number"),
        ("cancelled", "it was cancelled"),
        ("power", "`power` ended it"),
    ],
)
def test_why_it_stopped_is_said_in_words(stopped_by: str, said: str) -> None:
    assert said in (cut_short(CUT.model_copy(update={"stopped_by": stopped_by})) or "")


@given(st.integers(0, 500), st.integers(0, 500))
def test_only_fewer_steps_than_planned_are_cut_short(steps: int, planned: int) -> None:
    recovery = Recovery(steps=steps, planned_steps=planned, stopped_by="steps")
    assert (cut_short(recovery) is not None) == (steps < planned)
    assert f"{steps:,}" in steps_done(recovery)


def warned(**changes: Any) -> str:
    return "\n".join(caveats(report(**changes)))


def test_what_figures_rest_on_is_said_in_words() -> None:
    corpus = full_report().corpus.model_copy(update={"documents": 120})
    assert "only 120 documents" in warned(corpus=corpus)
    assert "Only 12 texts were held out" in warned(tokens={"texts": 12})
    assert "more tokens than before, 30.0 for 28.4" in warned(tokens={"per_text_after": 30.0})
    cut = {"longest_input": 256, "cut_before": 0.31, "cut_after": 0.22}
    assert "31% of the texts are longer than the 256 tokens" in warned(tokens=cut)
    assert "known roughly: between 70.0% and 99.0%, from 246 texts" in warned(kept=(0.7, 0.99))
    noise = warned(speed=(0.95, 1.4))
    assert "No difference in speed is shown" in noise
    assert "one text (0.95 to 1.40)" in noise
    assert "time for too few batches" in warned(speed=None)


def test_a_doubt_about_many_timings_is_said_once_and_names_the_runtimes() -> None:
    [row, *_] = full_report().latency
    known = {"low": 1.2, "high": 1.9, "rounds": 9, "stable": False}
    rows = [
        row.model_copy(update={"runtime": runtime, "batch_size": size, **known})
        for runtime in ("torch", "onnx", "onnx-int8")
        for size in (1, 32)
    ]
    even, settled = rows[0].model_copy(update={"low": 0.9}), {"stable": True}
    said = [
        *caveats(report().model_copy(update={"latency": rows})),
        *caveats(report().model_copy(update={"latency": [even, *rows[1:]]})),
        *caveats(report().model_copy(update={"latency": [rows[0].model_copy(update=settled)]})),
    ]
    everywhere = "one text (1.20 to 1.90), 32 texts at a time (1.20 to 1.90)"
    named = [f"{runtime_label(name)}, {everywhere}" for name in ("torch", "onnx", "onnx-int8")]
    start = "The timing did not become stable, in times the base's speed, of "
    end = ". Measure on a machine with nothing else to do."
    rest = [everywhere.partition(", ")[2], *named[1:]]
    assert said == [
        f"{start}{'; '.join(named)}{end}",
        "No difference in speed is shown, in times the base's, of PyTorch, one text (0.90 to "
        "1.90).",
        f"{start}PyTorch, {'; '.join(rest)}{end}",
    ]


def test_a_label_that_is_a_heading_is_quoted() -> None:
    wide = index_rows("index_ndcg_at_10", low=0.7)
    (said,) = caveats(report().model_copy(update={"quality": wide}))
    assert said == (
        'What is kept of "Your index stays: nDCG@10 of the task" is known roughly: between 70.0% '
        "and 101.0%, from 30 texts."
    )


@given(
    st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)).map(lambda pair: (min(pair), max(pair))),
)
def test_no_speedup_is_headlined_whose_interval_holds_one(speed: tuple[float, float]) -> None:
    low, high = speed
    has_figure = any(word in verdict(report(speed=speed)) for word in ("x faster", "x slower"))
    assert has_figure == (low > 1 or high < 1)
