"""What is checked of a model's files refuses no sound model: every type with every head passes."""

from pathlib import Path

import pytest

from app.base_models.checks import examine
from tests.support.matrix_models import Kind, class_cases
from tests.support.matrix_tokenizers import tokenizer_pair
from worker.compression import load_model, save_model
from worker.compression.models.trial import try_model


@pytest.mark.parametrize(("kind", "model_class"), class_cases())
def test_a_sound_model_passes(kind: Kind, model_class: str, tmp_path: Path) -> None:
    base, _ = tokenizer_pair(kind.family)
    save_model(tmp_path, kind.make(model_class, base), base)
    assert examine(tmp_path, 1 << 30).model_type == kind.model_type
    try_model(load_model(tmp_path))
