"""Have the base read what a static encoder learns from, each text once."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tests.support.domain import domain_documents
from tests.support.st_folders import sentence_encoder
from worker.compression import LoadedModel, load_model
from worker.compression.evaluation.clock import Clock
from worker.compression.models.encoder import Encoder
from worker.compression.progress import silent
from worker.compression.recovery.data import Documents
from worker.compression.static.teacher import read_lesson, read_lessons


class Counting(Encoder):
    """Count how often each text is read."""

    def __init__(self, base: LoadedModel) -> None:
        super().__init__(base)
        self.read = Counter[str]()

    def vectors(self, texts: Sequence[str]) -> Tensor:
        self.read.update(texts)
        return super().vectors(texts)


@pytest.fixture
def teacher(tmp_path: Path) -> Counting:
    return Counting(load_model(sentence_encoder(tmp_path)))


def test_each_text_is_read_once_and_keeps_its_own_vector(teacher: Counting) -> None:
    first, second, third = domain_documents(3)
    known = read_lesson(teacher, [first], Clock(None), silent)
    lesson = read_lesson(teacher, [second, first, second, third], Clock(None), silent, known)
    assert set(teacher.read.values()) == {1}
    assert lesson.texts == [second, first, second, third]
    expected = normalize(Encoder.vectors(teacher, lesson.texts))
    assert torch.cosine_similarity(lesson.vectors, expected).min() > 0.999


def test_documents_among_the_parts_are_not_read_again(teacher: Counting) -> None:
    documents = Documents(domain_documents(60), [])
    lessons = read_lessons(
        teacher,
        documents,
        seed=0,
        most_documents=60,
        most_queries=120,
        clock=Clock(None),
        progress=silent,
    )
    assert {*lessons.documents.texts} & {*lessons.queries.texts}
    assert set(teacher.read.values()) == {1}
