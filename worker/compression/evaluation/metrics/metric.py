"""Describe a label-free metric: the models it is measured on, and how."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from app.contract import names
from worker.compression.evaluation.clock import Clock
from worker.compression.evaluation.intervals import Draws, PerText
from worker.compression.models.encoder import Encoder, sentence_vectors
from worker.compression.progress import Progress, part

BeforeAfter = tuple[float, float]
Item = TypeVar("Item")


class Compared(NamedTuple):
    """A figure of both models, with what its interval comes from, if anything.

    ``sums`` are what it is made of text by text, ``draws`` are resamples of a figure that is no
    sum; ``items`` are the texts or pairs that it is of.
    """

    before: float
    after: float
    sums: PerText | None = None
    draws: Draws | None = None
    items: int | None = None


def compared(sums: PerText) -> Compared:
    """Return the figures that sums come to."""
    return Compared(*sums.figures, sums=sums, items=len(sums.texts))


# Numerator and denominator of a text's score, such as bits and characters.
Score = Callable[[Encoder, str], tuple[float, float]]

# Texts of a chunk that all models read before the clock is looked at, where there is one, and the
# texts that are scored whatever it says.
_CHUNK = 64
_FEWEST_SCORED = 8


class Sample:
    """Holds held-out texts, the base and the models that are set against it.

    What several metrics need of the base is computed once. Where ``clock`` has a limit, fewer of
    the texts are read than there are: whichever a shuffle brings first.
    """

    def __init__(
        self,
        base: Encoder,
        others: Sequence[Encoder],
        texts: Sequence[str],
        clock: Clock | None = None,
        seed: int = 0,
    ) -> None:
        self.base = base
        self.others = others
        self.texts = texts
        self.clock = clock or Clock()
        self.seed = seed
        self._vectors: list[Tensor] = []
        self._read: list[int] = []

    @property
    def encoders(self) -> list[Encoder]:
        """The base, then the others."""
        return [self.base, *self.others]

    @property
    def texts_with_vectors(self) -> list[str]:
        """The texts that `vectors` has the vectors of."""
        return [self.texts[i] for i in self._read]

    def vectors(self, progress: Progress) -> list[Tensor]:
        """Return sentence vectors (texts, width) of the base, then of each other model."""
        if not self._vectors:
            self._read, self._vectors = self.run_all(self.texts, sentence_vectors, progress)
        return self._vectors

    def run_all(
        self,
        items: Sequence[Item],
        run: Callable[[Encoder, Sequence[Item], Progress], Tensor],
        progress: Progress,
    ) -> tuple[list[int], list[Tensor]]:
        """Run every model on as many items as there is time for.

        Returns their places in order, and of each model a tensor (items, …).
        """
        limited = self.clock.seconds is not None
        order, done = list(range(len(items))), 0
        if limited:
            random.Random(self.seed).shuffle(order)  # noqa: S311
        chunks = list[list[Tensor]]()
        while done < len(items) and not (done and self.clock.is_over):
            end = min(len(items), done + (_CHUNK if limited else len(items)))
            chunk = [items[i] for i in order[done:end]]
            own = part(progress, done / len(items), end / len(items))
            chunks.append(self._run_chunk(chunk, run, own))
            done = end
        back = torch.tensor(order[:done]).argsort()
        tensors = [torch.cat(of_model)[back] for of_model in zip(*chunks, strict=True)]
        return sorted(order[:done]), tensors

    def _run_chunk(
        self,
        chunk: Sequence[Item],
        run: Callable[[Encoder, Sequence[Item], Progress], Tensor],
        progress: Progress,
    ) -> list[Tensor]:
        count = len(self.encoders)
        return [
            run(encoder, chunk, part(progress, number / count, (number + 1) / count))
            for number, encoder in enumerate(self.encoders)
        ]

    def scores(self, score: Score, texts: Sequence[str], progress: Progress) -> list[Compared]:
        """Return the scores of the base and of each other model on as many texts as there is time.

        Of each model it is the sum of the numerators by that of the denominators.
        """
        sums = list[list[tuple[float, float]]]()
        for number, text in enumerate(texts):
            if number >= _FEWEST_SCORED and self.clock.is_over:
                break
            progress(number / len(texts), f"{number} of {len(texts)} texts scored")
            sums.append([score(encoder, text) for encoder in self.encoders])
        before, *others = np.array(sums, dtype=np.float64).transpose(1, 0, 2)
        return [compared(PerText(texts[: len(sums)], before, after)) for after in others]


@dataclass(frozen=True)
class Metric:
    """Describes a metric for ``METRICS``; its row in ``app.contract.names`` says how it is shown.

    ``applies`` tells whether a base model has it. ``measure`` returns the figures of the base and
    of each other model, None where the texts do not allow one; plain pairs have no interval.
    ``work`` is its share of the time.
    """

    name: str
    applies: Callable[[Encoder], bool]
    measure: Callable[[Sample, Progress], Sequence[BeforeAfter | Compared | None]]
    work: float = 1.0

    @property
    def row(self) -> names.MetricName:
        """Return the row in ``app.contract.names``."""
        return names.METRICS[self.name]
