"""Measurements with a limit of time: they end about then, and say what the long ones say."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from torch import Tensor

from tests.support.domain import domain_documents
from worker.compression import (
    LoadedModel,
    measure_latency,
    measure_quality,
    train_tokenizer,
    transfer_vocabulary,
)
from worker.compression.evaluation import latency as timing
from worker.compression.evaluation.clock import Clock
from worker.compression.evaluation.latency import time_runs
from worker.compression.models.encoder import Encoder
from worker.compression.progress import silent


@pytest.fixture(scope="module")
def compressed(minilm: LoadedModel) -> LoadedModel:
    documents = domain_documents(400)
    domain = train_tokenizer(minilm.tokenizer, lambda: documents, 150)
    model = transfer_vocabulary(minilm.model, minilm.tokenizer, domain).model
    return replace(minilm, model=model, tokenizer=domain)


def slow(vectors: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def slowed(encoder: Encoder, texts: Sequence[str]) -> Tensor:
        time.sleep(0.05)
        return vectors(encoder, texts)

    return slowed


@pytest.mark.slow
def test_quality_reads_fewer_texts_and_its_figures_are_within_the_long_intervals(
    minilm: LoadedModel, compressed: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = list(dict.fromkeys(domain_documents(500, seed=1)))
    whole = measure_quality(minilm, compressed, texts)
    assert [row.items for row in whole] == [len(texts)] * 3
    monkeypatch.setattr(Encoder, "vectors", slow(Encoder.vectors))
    short = measure_quality(minilm, compressed, texts, seconds=0.3)
    for long_row, row in zip(whole, short, strict=True):
        assert row.items is not None
        assert 64 <= row.items < len(texts)
        assert row.metric == long_row.metric
        assert row.low is not None
        assert row.high is not None
        assert long_row.low is not None
        assert long_row.high is not None
        # Fewer texts, a wider interval, and both are about the same share.
        assert row.high - row.low > long_row.high - long_row.low
    cosine, long_cosine = short[0], whole[0]
    assert cosine.low is not None
    assert cosine.high is not None
    assert cosine.low <= long_cosine.retention <= cosine.high


def test_the_first_row_has_slices_and_general_text_is_kept_worst(
    minilm: LoadedModel, compressed: LoadedModel
) -> None:
    texts = list(dict.fromkeys(domain_documents(200, seed=1)))
    first, *others = measure_quality(minilm, compressed, texts)
    assert not any(row.slices for row in others)
    kept = {part.name: part for part in first.slices}
    assert {"short", "long", "out_of_domain"} <= kept.keys()
    assert kept["short"].texts == kept["long"].texts == len(texts) // 4
    assert kept["out_of_domain"].retention < first.retention
    for part in first.slices:
        assert part.low is not None
        assert part.high is not None
        assert part.low <= part.retention <= part.high


def sleeping(seconds: float, seen: list[tuple[str, ...]] | None = None) -> timing.Run:
    def run(batch: Sequence[str]) -> None:
        time.sleep(seconds)
        if seen is not None:
            seen.append(tuple(batch))

    return run


def test_latency_ends_about_in_time_with_fewer_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_SETTLE", 0.0)
    texts = [f"text {number}" for number in range(64)]
    began = time.monotonic()
    timed = time_runs(
        [sleeping(0.02), sleeping(0.01)],
        texts,
        (1,),
        pairs=[(0, 1)],
        clock=Clock(0.6),
        progress=silent,
    )[1]
    # All 32 batches of both runs, three times, would take more than 3 s.
    assert time.monotonic() - began < 1.5
    assert 2 <= timed.batches < 32
    assert timed.median(0) / timed.median(1) == pytest.approx(2, rel=0.2)


def test_without_time_it_is_two_batches_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_SETTLE", 0.0)
    seen = list[tuple[str, ...]]()
    timed = time_runs(
        *([sleeping(0.001, seen), sleeping(0.001)], ["a", "b", "c"], (32,)),
        pairs=[(0, 1)],
        clock=Clock(0.0),
        progress=silent,
    )[32]
    assert (timed.batches, timed.rounds, len(timed.times[0])) == (2, 2, 4)
    assert len(seen) == 1 + 4
    # Too few for an interval, and so nothing is called stable.
    assert timed.ratio_interval(0, 1) is None
    assert not timed.is_stable(0, 1)


def test_it_goes_on_until_ratios_are_stable_or_says_that_they_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timing, "_SETTLE", 0.0)
    figures = iter(range(10_000))
    monkeypatch.setattr(timing, "_milliseconds", lambda *_: 1.0 + next(figures) % 7)
    wild = time_runs(
        *([sleeping(0), sleeping(0)], ["a"], (8,)),
        pairs=[(0, 1)],
        clock=Clock(),
        progress=silent,
    )[8]
    assert wild.rounds == timing._MOST_REPEATS
    assert not wild.is_stable(0, 1)
    monkeypatch.setattr(timing, "_milliseconds", lambda *_: 2.0)
    calm = time_runs(
        *([sleeping(0), sleeping(0)], ["a"], (8,)),
        pairs=[(0, 1)],
        clock=Clock(),
        progress=silent,
    )[8]
    assert (calm.rounds, calm.is_stable(0, 1)) == (timing._REPEATS, True)


def test_a_row_of_latency_has_its_spread(
    minilm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "_SETTLE", 0.0)
    (row,) = measure_latency(minilm, minilm, ["A rash.", "Nausea."], batch_sizes=(1,), seconds=6)
    assert row.low is not None
    assert row.high is not None
    assert row.low <= row.speedup <= row.high
    assert row.rounds is not None
    assert row.stable is not None
