"""Sentence vectors of many texts, in batches of like length."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from worker.compression.progress import Progress

_BATCH = 32


class SentenceEncoder(Protocol):
    """What makes a vector of a text."""

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Return vectors (texts, width), on the CPU."""
        ...


def sentence_vectors(encoder: SentenceEncoder, texts: Sequence[str], progress: Progress) -> Tensor:
    """Return one vector a text; texts are batched by length and put back in their order."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = []
    for start, batch in _batches([texts[i] for i in order]):
        progress(start / len(texts), f"{start} of {len(texts)} texts encoded")
        vectors.append(encoder.vectors(batch))
    return torch.cat(vectors)[torch.tensor(order).argsort()]


def _batches(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    return ((start, texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH))
