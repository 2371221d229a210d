"""Describe a label-free metric: the models it is measured on, and how."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from app.contract import names
from worker.compression.models.encoder import Encoder, sentence_vectors
from worker.compression.progress import Progress, part

Score = Callable[[Encoder, Sequence[str], Progress], float]
BeforeAfter = tuple[float, float]


class Sample:
    """Holds held-out texts, the base and the models that are set against it.

    What several metrics need of the base is computed once.
    """

    def __init__(self, base: Encoder, others: Sequence[Encoder], texts: Sequence[str]) -> None:
        self.base = base
        self.others = others
        self.texts = texts
        self._vectors: list[Tensor] = []
        self._base_scores: dict[tuple[Score, tuple[str, ...]], float] = {}

    def vectors(self, progress: Progress) -> list[Tensor]:
        """Return sentence vectors (texts, width) of the base, then of each other model."""
        encoders = [self.base, *self.others]
        for number in range(len(self._vectors), len(encoders)):
            share = part(progress, number / len(encoders), (number + 1) / len(encoders))
            self._vectors.append(sentence_vectors(encoders[number], self.texts, share))
        return self._vectors

    def scores(
        self, score: Score, other: Encoder, texts: Sequence[str], progress: Progress
    ) -> BeforeAfter:
        """Return a score of the base and of another model on some of the texts."""
        key = score, tuple(texts)
        if key not in self._base_scores:
            self._base_scores[key] = score(self.base, texts, part(progress, 0, 0.5))
        return self._base_scores[key], score(other, texts, part(progress, 0.5, 1))


@dataclass(frozen=True)
class Metric:
    """Describes a metric for ``METRICS``; its row in ``app.contract.names`` says how it is shown.

    ``applies`` tells whether a base model has it. ``measure`` returns the figures of the base and
    of each other model, None where the texts do not allow one. ``work`` is its share of the time.
    """

    name: str
    applies: Callable[[Encoder], bool]
    measure: Callable[[Sample, Progress], Sequence[BeforeAfter | None]]
    work: float = 1.0

    @property
    def row(self) -> names.MetricName:
        """Return the row in ``app.contract.names``."""
        return names.METRICS[self.name]
