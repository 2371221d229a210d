"""Compare the similarities of a text to reference documents: the student's with the base's.

A search ranks documents by such similarities, which a small distance of the vectors leaves open.
SEED distils them so, with a queue of the teacher's latest vectors (Fang et al. 2021, arXiv
2101.04731). Here the references stay the same: a training that is resumed has the same ones, and
the loss of a text does not depend on the others of its batch.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

SIMILARITY_WEIGHT = 1.0
_TEMPERATURE = 0.05
"""Of the distribution over the references: low, so that it is about the nearest ones."""
_MOST_REFERENCES = 4_096


def choose_references(documents: Sequence[str], seed: int) -> list[str]:
    """Return documents to compare texts with; none of a corpus of one."""
    if len(documents) < 2:
        return []
    count = min(len(documents), _MOST_REFERENCES)
    return random.Random(f"{seed} references").sample(documents, count)  # noqa: S311


def similarity_divergence(student: Tensor, teacher: Tensor, references: Tensor) -> Tensor:
    """Return the divergence (texts,) of the student's similarities from the teacher's.

    It is the Kullback-Leibler divergence of the two distributions over the references that a
    softmax of the cosines gives. ``student`` and ``teacher`` are vectors (texts, hidden) of the
    same texts, ``references`` (references, hidden) of length 1. Computed in float32.
    """
    with torch.autocast(student.device.type, enabled=False):
        ours, wanted = (
            (normalize(vectors.float(), dim=-1) @ references.T / _TEMPERATURE).log_softmax(-1)
            for vectors in (student, teacher)
        )
        return (wanted.exp() * (wanted - ours)).sum(-1)
