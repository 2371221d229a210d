"""Load the batches of all steps in order; a thread makes the next ones ready meanwhile."""

import random
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

from worker.compression.recovery.data import TextSampler
from worker.compression.recovery.objectives.objective import Example, Loss
from worker.compression.recovery.ranks import Ranks

_TEXTS_PER_ROUND, _MAX_STEPS_PER_ROUND = 2048, 64


@dataclass(frozen=True)
class Batch:
    """Hold what one loss learns from in a step: this rank's share of the examples.

    ``num_items`` are what the step's loss is a mean over and ``tokens`` what the student reads,
    over all ranks.
    """

    loss: Loss
    examples: list[Any]
    num_items: tuple[int, ...]
    tokens: int


class BatchLoader:
    """Load the batches of a step, one a loss, whatever step it starts with.

    Steps are made ready in rounds. The texts of a round are sorted by length and cut into batches,
    which come in random order: so little padding is computed. Each rank makes its share of every
    batch ready.
    """

    def __init__(
        self,
        losses: Sequence[Loss],
        sampler: TextSampler,
        batch_size: int,
        steps: int,
        ranks: Ranks,
    ) -> None:
        self._losses = losses
        self._sampler = sampler
        self._batch_size = batch_size
        self._steps = steps
        self._ranks = ranks
        self._steps_per_round = max(1, min(_MAX_STEPS_PER_ROUND, _TEXTS_PER_ROUND // batch_size))

    def steps_from(self, step: int) -> Generator[list[Batch]]:
        """Yield the batches of ``step`` and of those that follow."""
        round_number, first_step = divmod(step, self._steps_per_round)
        with ThreadPoolExecutor(1, "recovery-texts") as pool:
            next_round = pool.submit(self._round, round_number)
            while local := next_round.result():
                round_number += 1
                next_round = pool.submit(self._round, round_number)
                # Not in the thread: ranks must meet in the same order everywhere.
                batches = _sum_over_ranks(local, self._ranks)
                width = len(self._losses)
                for first in range(first_step * width, len(batches), width):
                    yield batches[first : first + width]
                first_step = 0

    def _round(self, round_number: int) -> list[Batch]:
        """Return the batches of the steps of a round, step by step; none after the last step."""
        first_step, size = round_number * self._steps_per_round, self._batch_size
        num_texts = min(self._steps_per_round, self._steps - first_step) * size
        if num_texts <= 0:
            return []
        first_text = first_step * size
        texts = self._sampler.texts(first_text, num_texts)
        by_text_length = sorted(range(num_texts), key=lambda index: len(texts[index]))
        # Of each step, the indices of this rank's texts.
        steps = [
            self._ranks.share(by_text_length[start : start + size])
            for start in range(0, num_texts, size)
        ]
        random.Random(f"{self._sampler.seed} round {round_number}").shuffle(steps)  # noqa: S311
        rank_texts = [texts[index] for indices in steps for index in indices]
        start = first_text + self._ranks.rank
        examples = [
            (loss, iter(loss.examples(rank_texts, start) if rank_texts else []))
            for loss in self._losses
        ]
        return [
            _local_batch(loss, islice(rest, len(indices)))
            for indices in steps
            for loss, rest in examples
        ]


def batches_of(losses: Sequence[Loss], texts: Sequence[str], ranks: Ranks) -> list[Batch]:
    """Return the batch of each loss for the same texts."""
    rank_texts = ranks.share(texts)
    local = [
        _local_batch(loss, loss.examples(rank_texts, ranks.rank) if rank_texts else [])
        for loss in losses
    ]
    return _sum_over_ranks(local, ranks)


def _local_batch(loss: Loss, examples: Iterable[Any]) -> Batch:
    """Return a batch with the counts of this rank; None among the examples is left out."""
    kept = [example for example in examples if example is not None]
    return Batch(loss, kept, loss.num_items(kept), sum(example.tokens for example in kept))


def _sum_over_ranks(batches: Sequence[Batch], ranks: Ranks) -> list[Batch]:
    """Return batches with the counts of all ranks."""
    local = [count for batch in batches for count in (batch.tokens, *batch.num_items)]
    counts = iter(ranks.sum_counts(local))
    return [
        replace(batch, tokens=next(counts), num_items=tuple(islice(counts, len(batch.num_items))))
        for batch in batches
    ]


AnyExample = TypeVar("AnyExample", bound=Example)


def by_length(examples: Sequence[AnyExample]) -> list[AnyExample]:
    """Return the examples, longest first."""
    return sorted(examples, key=lambda example: -example.length)


def micro_batches(examples: Sequence[AnyExample], positions: int) -> Iterator[list[AnyExample]]:
    """Yield examples that come longest first in batches of at most so many positions.

    A batch takes its number of texts times the length of its longest; a single text may be longer.
    """
    batch: list[AnyExample] = []
    for example in examples:
        if batch and (len(batch) + 1) * batch[0].length > positions:
            yield batch
            batch = []
        batch.append(example)
    if batch:
        yield batch
