"""The batches of steps: every draw once, texts of like length together, from any step on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.compression.recovery.batching import Batch, BatchLoader
from worker.compression.recovery.data import TextSampler
from worker.compression.recovery.ranks import Ranks

TEXTS = ["x" * (1 + n * 7 % 50) + f" {n}" for n in range(100)]


class Read(str):
    """A text of which every character is a token."""

    __slots__ = ()

    @property
    def tokens(self) -> int:
        return len(self)


@dataclass
class One:
    """One of some ranks, as far as it can be told alone: its share, and its own counts."""

    world_size: int = 1
    rank: int = 0

    def share(self, items: Sequence[Any]) -> Sequence[Any]:
        return Ranks.share(self, items)  # type: ignore[arg-type]

    def sum_counts(self, values: Sequence[int]) -> list[int]:
        return list(values)


@dataclass
class Reading:
    """An objective that takes every text as it is, but those it has nothing to learn from."""

    skipped: str = "no text"

    def examples(self, texts: Sequence[str], _: int) -> list[Any]:
        return [None if self.skipped in text else Read(text) for text in texts]

    def num_items(self, examples: Sequence[Any]) -> tuple[int, ...]:
        return (len(examples),)

    def loss(self, student: Any, examples: Any, num_items: Any) -> Any:
        raise NotImplementedError


ALONE = One()


def steps_of(
    batch_size: int, steps: int, start: int = 0, one: One = ALONE, **more: Any
) -> list[list[Batch]]:
    sampler, processes = TextSampler(TEXTS, 3, 100, parts=False), cast("Ranks", one)
    return list(
        BatchLoader([Reading(**more)], sampler, batch_size, steps, processes).steps_from(start)
    )


def texts_of(steps: Iterable[Sequence[Batch]]) -> list[str]:
    return [text for [batch] in steps for text in batch.examples]


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 150))
def test_a_run_has_each_of_its_draws_once(batch_size: int, steps: int) -> None:
    made = steps_of(batch_size, steps)
    assert [len(batch.examples) for [batch] in made] == [batch_size] * steps
    expected = TextSampler(TEXTS, 3, 100, parts=False).texts(0, steps * batch_size)
    assert Counter(texts_of(made)) == Counter(expected)


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 150), st.integers(1, 5))
def test_processes_share_the_texts_of_every_step(batch_size: int, steps: int, count: int) -> None:
    alone = steps_of(batch_size, steps)
    shares = [steps_of(batch_size, steps, one=One(count, number)) for number in range(count)]
    for [whole], *of_step in zip(alone, *shares, strict=True):
        own = [batch for [batch] in of_step]
        assert Counter(text for batch in own for text in batch.examples) == Counter(whole.examples)
        assert sum(batch.tokens for batch in own) == whole.tokens == sum(map(len, whole.examples))
        assert sum(batch.num_items[0] for batch in own) == whole.num_items[0]


def test_a_run_of_one_pass_has_every_document_once() -> None:
    assert Counter(texts_of(steps_of(10, 10))) == dict.fromkeys(TEXTS, 1)


@settings(max_examples=20)
@given(st.integers(0, 149))
def test_it_goes_on_from_any_step_as_it_would_have(start: int) -> None:
    assert texts_of(steps_of(20, 150, start)) == texts_of(islice(steps_of(20, 150), start, None))


def test_texts_of_a_step_are_of_like_length() -> None:
    spread = [max(map(len, t)) - min(map(len, t)) for t in map(texts_of, zip(steps_of(20, 100)))]
    assert max(spread) <= 3
    lengths = [len(texts_of([step])[0]) for step in steps_of(20, 100)]
    assert lengths != sorted(lengths)


def test_a_text_with_nothing_to_learn_is_left_out() -> None:
    found = texts_of(steps_of(10, 10, skipped="xxxxxxxxxx"))
    assert 0 < len(found) < 100
    assert not any("xxxxxxxxxx" in text for text in found)


@pytest.mark.parametrize("start", [10, 400])
def test_there_is_nothing_after_the_last_step(start: int) -> None:
    assert steps_of(10, 10, start) == []
