"""Exported files measured beside the models they were made of."""

from pathlib import Path

import pytest
import torch
from sentence_transformers.backend.utils import backend_should_export

from tests.support.matrix_models import every_class
from tests.support.matrix_tokenizers import domain_texts, tokenizer_pair
from worker.compression import (
    LoadedModel,
    export_model,
    exported_files,
    load_model,
    measure_exports,
    measure_latency,
    measure_memory,
    measure_quality,
    save_model,
)
from worker.compression.evaluation import latency as timing
from worker.compression.models.encoder import Encoder
from worker.compression.runtimes.onnx import OnnxEncoder

TEXTS = ["A rash after ibuprofen.", "Nausea.", "The patient developed seizures.", "No effect."]


@pytest.fixture(scope="module")
def exported(minilm: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    export_model(minilm.folder, folder, ("onnx", "onnx-int8"))
    return folder


def test_onnx_vectors_are_the_models(minilm: LoadedModel, exported: Path) -> None:
    ours = OnnxEncoder(minilm, exported / "onnx" / "model.onnx").vectors(TEXTS)
    torch.testing.assert_close(ours, Encoder(minilm).vectors(TEXTS), rtol=1e-3, atol=1e-4)


def test_int8_is_a_quarter_and_agrees(minilm: LoadedModel, exported: Path) -> None:
    plain, int8 = measure_exports(minilm, minilm, exported, TEXTS)
    assert 22e6 < int8.bytes < 24e6
    assert plain.bytes / int8.bytes > 3.8
    assert plain.quality[0].metric == int8.quality[0].metric == "sentence_cosine"
    assert plain.quality[0].after == pytest.approx(1, abs=1e-4)
    assert int8.quality[0].after > 0.98
    rows = [row.metric for row in measure_quality(minilm, minilm, TEXTS)]
    assert [row.metric for row in int8.quality] == rows


def test_without_files_nothing_is_measured(minilm: LoadedModel, tmp_path: Path) -> None:
    assert measure_exports(minilm, minilm, tmp_path, TEXTS) == []


@pytest.mark.slow
def test_latency_of_a_runtime_is_set_against_the_base_in_pytorch(
    minilm: LoadedModel, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "_TEXTS", 2)
    monkeypatch.setattr(timing, "_FEWEST_BATCHES", 2)
    files = {file.runtime: exported / file.path for file in exported_files(exported)}
    _, _, *rows = measure_latency(minilm, minilm, TEXTS, files=files, batch_sizes=(1, 2))
    found = [(row.runtime, row.dtype, row.batch_size, row.device) for row in rows]
    assert found == [
        *(("onnx", "float32", 1, "cpu"), ("onnx", "float32", 2, "cpu")),
        *(("onnx-int8", "int8", 1, "cpu"), ("onnx-int8", "int8", 2, "cpu")),
    ]
    assert rows[0].before_ms == rows[2].before_ms
    assert all(row.speedup == row.before_ms / row.after_ms for row in rows)


@pytest.mark.slow
def test_memory_is_that_of_processes_of_their_own(minilm: LoadedModel, exported: Path) -> None:
    files = {"onnx-int8": exported / "onnx" / "model_int8.onnx"}
    torch_row, int8 = measure_memory(minilm.folder, minilm.folder, files, TEXTS)
    assert (torch_row.runtime, int8.runtime) == ("torch", "onnx-int8")
    assert torch_row.before_bytes == int8.before_bytes
    assert torch_row.after_bytes == pytest.approx(torch_row.before_bytes, rel=0.2)
    assert int8.after_bytes < torch_row.after_bytes / 2


def test_a_probe_that_fails_says_so(minilm: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="memory probe of torch ended with"):
        measure_memory(tmp_path, minilm.folder, {}, TEXTS)


HEADS = {"BertForMaskedLM": 3, "GPT2LMHeadModel": 1, "BertForSequenceClassification": 2}


@pytest.mark.parametrize("name", HEADS)
def test_a_file_with_a_head_has_the_models_quality(name: str, tmp_path: Path) -> None:
    kind = next(kind for kind, found in every_class() if found == name)
    tokenizer, _ = tokenizer_pair(kind.family)
    save_model(tmp_path, kind.make(name, tokenizer), tokenizer)
    export_model(tmp_path, tmp_path, ["onnx"])
    loaded, texts = load_model(tmp_path), domain_texts()
    expected = measure_quality(loaded, loaded, texts)
    (found,) = measure_exports(loaded, loaded, tmp_path, texts)
    assert len(expected) == HEADS[name]
    for row, same in zip(found.quality, expected, strict=True):
        assert row.metric == same.metric
        assert row.after == pytest.approx(same.after, rel=1e-3)


def test_sentence_transformers_finds_both_files(exported: Path) -> None:
    for name in ("model_int8.onnx", "onnx/model_int8.onnx"):
        export, found = backend_should_export(
            exported, True, {"file_name": name}, "model.onnx", "*.onnx", "ONNX"
        )
        assert not export
        assert found == {"file_name": "model_int8.onnx", "subfolder": "onnx"}
    export, found = backend_should_export(exported, True, {}, "model.onnx", "*.onnx", "ONNX")
    assert (export, found) == (False, {"file_name": "model.onnx", "subfolder": "onnx"})
