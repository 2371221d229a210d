"""The vector of a text is the one that sentence-transformers gives a user of the same folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer

from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import domain_texts, tokenizer_pair
from worker.compression import (
    LoadedModel,
    export_model,
    load_model,
    measure_exports,
    measure_quality,
    save_model,
    transfer_vocabulary,
)
from worker.compression.models.encoder import Encoder
from worker.compression.models.pooling import pooling_of
from worker.compression.models.traits import model_traits
from worker.compression.runtimes.onnx import OnnxEncoder

TEXTS = [*domain_texts()[:5], "rash"]
MODULES = {"": "models.Transformer", "1_Pooling": "models.Pooling"}
POOLINGS: list[dict[str, Any]] = [
    {"pooling_mode": "cls"},
    {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    {"pooling_mode": "mean"},
    {"pooling_mode": "lasttoken"},
    {"pooling_mode": "max"},
    {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False},
    {"pooling_mode": "weightedmean"},
]


def sentence_encoder(folder: Path, settings: dict[str, Any]) -> LoadedModel:
    """A tiny BERT, whose first token heeds the others, as sentence-transformers saves it."""
    tokenizer, _ = tokenizer_pair("wordpiece")
    save_model(folder, KINDS[0].make("BertModel", tokenizer, initializer_range=1.0), tokenizer)
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.{name}"}
        for place, (path, name) in enumerate(MODULES.items())
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 16, **settings})
    )
    return load_model(folder)


def for_its_user(folder: Path) -> torch.Tensor:
    found: torch.Tensor = SentenceTransformer(str(folder)).encode(TEXTS, convert_to_tensor=True)
    return found.cpu()


@pytest.mark.parametrize("settings", POOLINGS)
def test_vectors_are_those_of_the_models_use(settings: dict[str, Any], tmp_path: Path) -> None:
    loaded = sentence_encoder(tmp_path, settings)
    export_model(tmp_path, tmp_path, ["onnx"])
    expected = for_its_user(tmp_path)
    ours = Encoder(loaded).vectors(TEXTS)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)
    onnx = OnnxEncoder(loaded, tmp_path / "onnx" / "model.onnx").vectors(TEXTS)
    torch.testing.assert_close(onnx, expected, rtol=0, atol=1e-4)


def test_padding_on_the_left_leaves_the_first_token_the_first(tmp_path: Path) -> None:
    loaded = sentence_encoder(tmp_path, {"pooling_mode": "cls"})
    loaded.tokenizer.padding_side = "left"
    encoder = Encoder(loaded)
    inputs = encoder.inputs(TEXTS)
    assert not inputs["attention_mask"][-1, 0]
    hidden = encoder.last_hidden(inputs)
    starts = inputs["input_ids"] == loaded.tokenizer.cls_token_id
    torch.testing.assert_close(encoder.vectors(TEXTS), hidden[starts])


def test_quality_is_of_the_vectors_in_use(tmp_path: Path) -> None:
    base = sentence_encoder(tmp_path, {"pooling_mode": "cls"})
    _, domain = tokenizer_pair("wordpiece")
    made = transfer_vocabulary(base.model, base.tokenizer, domain, "pvt").model
    save_model(tmp_path / "made", made, domain, base.folder)
    export_model(tmp_path / "made", tmp_path / "made", ["onnx"])
    compressed = load_model(tmp_path / "made")
    vectors = for_its_user(tmp_path), for_its_user(tmp_path / "made")
    cosine = torch.cosine_similarity(*vectors).mean().item()
    (row, *_) = measure_quality(base, compressed, TEXTS)
    assert row.metric == "sentence_cosine"
    assert row.after == pytest.approx(cosine, abs=1e-5)
    (export,) = measure_exports(base, compressed, compressed.folder, TEXTS)
    assert export.quality[0].after == pytest.approx(cosine, abs=1e-4)


@pytest.mark.parametrize(
    ("head", "more", "pooling"),
    [
        ("BertModel", {}, "mean"),
        ("BertForSequenceClassification", {}, "cls"),
        ("ModernBertForSequenceClassification", {"classifier_pooling": "mean"}, "mean"),
        ("ModernBertForSequenceClassification", {}, "cls"),
        ("GPT2ForSequenceClassification", {}, "lasttoken"),
        ("T5ForSequenceClassification", {}, "mean"),
    ],
)
def test_without_a_pooling_module_the_head_decides(
    head: str, more: dict[str, Any], pooling: str, tmp_path: Path
) -> None:
    kind = next(kind for kind in KINDS if head in kind.classes)
    tokenizer, _ = tokenizer_pair(kind.family)
    loaded = LoadedModel(kind.make(head, tokenizer, **more), tokenizer, tmp_path)
    assert pooling_of(tmp_path, loaded.model) == model_traits(loaded).pooling == pooling
