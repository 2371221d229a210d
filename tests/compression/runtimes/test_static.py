"""Static encoders as files: other libraries load them and make the same vectors."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch.nn.functional import normalize

from tests.support.domain import domain_documents
from tests.support.environments import environment_over_this
from tests.support.st_folders import (
    compressed,
    cross_encoder,
    sentence_encoder,
    transformers_folder,
)
from worker.compression import (
    ExportFailedError,
    ExportUnsupportedError,
    LoadedModel,
    Teaching,
    export_model,
    load_model,
    measure_exports,
    measure_latency,
    measure_memory,
)
from worker.compression.evaluation import latency as timing
from worker.compression.runtimes import RUNTIMES
from worker.compression.runtimes.static import write_static

LOCK = Path(__file__).parents[3] / "requirements-model2vec.lock"
NORMALIZED = (("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
TEXTS = [*domain_documents(6, seed=3), "", "\u4f60", "A \u4f60 rash. " * 90]
MODEL2VEC = """
import json, sys
from model2vec import StaticModel

model = StaticModel.from_pretrained(sys.argv[1])
json.dump(model.encode(json.load(sys.stdin)).tolist(), sys.stdout)
"""


def teaching(base: LoadedModel) -> Teaching:
    return Teaching(base, lambda: domain_documents(200))


def exported(folder: Path, modules: Any = NORMALIZED) -> tuple[LoadedModel, LoadedModel]:
    """A tiny sentence encoder, and its result with a static encoder in it."""
    base = load_model(sentence_encoder(folder / "base", modules=modules))
    result = compressed(base.folder, folder / "result")
    export_model(result.folder, result.folder, ["static"], teaching=teaching(base))
    return base, result


def ours(result: LoadedModel, texts: list[str]) -> torch.Tensor:
    runtime = RUNTIMES["static"]
    return runtime.encoder(result, result.folder / runtime.row.path).vectors(texts)


def test_sentence_transformers_makes_the_same_vectors(tmp_path: Path) -> None:
    _, result = exported(tmp_path)
    model = SentenceTransformer(str(result.folder / "static"), device="cpu")
    assert [type(module).__name__ for module in model] == ["StaticEmbedding", "Normalize"]
    vectors = normalize(ours(result, TEXTS))
    # An unknown token counts in neither: it turns no vector.
    np.testing.assert_allclose(model.encode(TEXTS), vectors.numpy(), atol=1e-6)
    assert not vectors[TEXTS.index("\u4f60")].any()


def test_where_the_base_does_not_divide_by_the_length_nor_does_it(tmp_path: Path) -> None:
    _, result = exported(tmp_path, modules=(("1_Pooling", "Pooling"),))
    model = SentenceTransformer(str(result.folder / "static"), device="cpu")
    assert [type(module).__name__ for module in model] == ["StaticEmbedding"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_model2vec_makes_the_same_vectors(tmp_path: Path) -> None:
    _, result = exported(tmp_path)
    python = environment_over_this("model2vec", LOCK, tmp_path / "environment")
    command = [python, "-c", MODEL2VEC, str(result.folder / "static")]
    done = subprocess.run(
        command, input=json.dumps(TEXTS), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = normalize(ours(result, TEXTS)).numpy()
    np.testing.assert_allclose(json.loads(done.stdout), expected, atol=1e-6)


def test_it_is_measured_like_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_FEWEST_BATCHES", 1), ("_REPEATS", 1), ("_SETTLE", 0), ("_TEXTS", 1)):
        monkeypatch.setattr(timing, name, value)
    base, result = exported(tmp_path)
    texts, file = domain_documents(30, seed=4), result.folder / "static" / "model.safetensors"
    [row] = measure_exports(base, result, result.folder, texts)
    assert (row.runtime, row.path) == ("static", "static/model.safetensors")
    assert row.bytes > file.stat().st_size
    metrics = [one.metric for one in row.quality]
    assert metrics == ["sentence_cosine", "neighbour_overlap_10", "index_overlap_10"]
    assert row.quality[0].after > 0.8
    [plain, static] = measure_latency(base, result, texts, files={"static": file}, batch_sizes=[1])
    assert (static.runtime, static.before_ms) == ("static", plain.before_ms)
    assert static.after_ms < static.before_ms


@pytest.mark.slow
def test_it_takes_less_memory_than_a_program_with_pytorch(tmp_path: Path) -> None:
    base, result = exported(tmp_path)
    files = {"static": result.folder / "static" / "model.safetensors"}
    torch_row, row = measure_memory(base.folder, result.folder, files, domain_documents(4))
    assert (torch_row.runtime, row.runtime) == ("torch", "static")
    assert 0 < row.after_bytes < torch_row.after_bytes / 2


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross-encoder"])
def test_what_is_no_sentence_encoder_is_refused(tmp_path: Path, kind: str) -> None:
    makers: dict[str, Any] = {
        "encoder": transformers_folder,
        "decoder": lambda folder: transformers_folder(folder, "GPT2LMHeadModel"),
        "cross-encoder": lambda folder: cross_encoder(folder, "BertForSequenceClassification"),
    }
    folder = makers[kind](tmp_path / "model")
    with pytest.raises(ExportUnsupportedError, match="are made of a sentence encoder"):
        export_model(folder, tmp_path, ["static"], teaching=teaching(load_model(folder)))
    assert not (tmp_path / "static").exists()


def test_a_table_that_is_not_sound_fails_the_check(tmp_path: Path) -> None:
    result = load_model(sentence_encoder(tmp_path / "model"))
    file, check = tmp_path / "model.safetensors", RUNTIMES["static"].check
    assert check
    rows, width = len(result.tokenizer), 4
    sound = torch.ones(rows, width)
    for table in (sound[:-1], torch.zeros(rows, width), sound * torch.nan):
        write_static(result, table, file)
        with pytest.raises(ExportFailedError, match="static vectors are not sound"):
            check(result, file)
    write_static(result, sound, file)
    check(result, file)


def test_without_texts_to_train_on_it_says_so(tmp_path: Path) -> None:
    folder = sentence_encoder(tmp_path / "model")
    with pytest.raises(ValueError, match="give `teaching`"):
        export_model(folder, tmp_path, ["static"])
