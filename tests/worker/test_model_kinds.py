"""Whole jobs on models that are more than a body: every stage takes them for what they are."""

import json
from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import BertForSequenceClassification, Qwen3Config, Qwen3ForCausalLM

from app.blobs import Blobs
from app.contract.states import Status
from app.db import Database
from app.settings import Settings
from tests.support.in_process import report_of, run, unpack
from tests.support.tiny_models import make_base_model, texts
from worker.compression import load_tokenizer

TRAINED: dict[str, Any] = {"recovery": {"max_steps": 3, "batch_size": 8}, "vocab_size": 0.5}
POOLING = {"word_embedding_dimension": 32, "pooling_mode_lasttoken": True}


def write(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), "utf-8")


def in_sentence_transformers(base: Path, inner: str, **use: Any) -> None:
    """Make a folder of sentence-transformers of one of transformers."""
    names = {inner: "Transformer", "1_Pooling": "Pooling"}
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{name}"}
        for n, (path, name) in enumerate(names.items())
    ]
    write(base / "modules.json", modules)
    write(base / "1_Pooling" / "config.json", POOLING)
    write(base / "config_sentence_transformers.json", use)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "models" / "acme" / "tiny-bert"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"models_dir": tmp_path / "models"})


@pytest.mark.slow
def test_a_cross_encoder(
    base: Path, tmp_path: Path, settings: Settings, db: Database, blobs: Blobs
) -> None:
    made = make_base_model(tmp_path / "made")
    BertForSequenceClassification.from_pretrained(made, num_labels=1).save_pretrained(made)
    CrossEncoder(str(made), device="cpu").save_pretrained(str(base))
    gate = {"metric": "score_agreement", "min_quality": 0.01}
    job = run(settings, db, blobs, export={"onnx": True}, gate=gate, **TRAINED)
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    assert report["recovery"]["used"] == "distill_scores"
    assert [row["metric"] for row in report["quality"]] == ["score_agreement"]
    assert "pipeline_tag: text-ranking" in (folder / "README.md").read_text("utf-8")
    assert CrossEncoder(str(folder), device="cpu").predict([("a", "b")]).shape == (1,)


@pytest.mark.slow
def test_a_decoder_that_makes_vectors_in_a_folder_of_its_own(
    base: Path, tmp_path: Path, settings: Settings, db: Database, blobs: Blobs
) -> None:
    inner = make_base_model(base / "0_Transformer")
    tokenizer = load_tokenizer(inner)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
    )
    Qwen3ForCausalLM(config).save_pretrained(inner)
    write(
        inner / "sentence_bert_config.json",
        {"max_seq_length": 40, "do_lower_case": True, "processor_kwargs": {"padding_side": "left"}},
    )
    prompts = {"query": "ba be bi: "}
    in_sentence_transformers(base, "0_Transformer", prompts=prompts, default_prompt_name="query")
    gate = {"metric": "sentence_cosine", "min_quality": 0.1}
    export = {"onnx": True, "static": True}
    job = run(settings, db, blobs, export=export, gate=gate, **TRAINED)
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    assert [row["runtime"] for row in report["exports"]] == ["onnx", "static"]
    static = SentenceTransformer(str(folder / "static"), device="cpu")
    assert static.encode(texts(3)).shape == (3, 32)
    assert report["exports"][1]["quality"][0]["after"] > 0.5
    assert "static/" in (folder / "README.md").read_text("utf-8")
    hashed = {file["path"] for file in json.loads((folder / "manifest.json").read_text())["files"]}
    assert {f"static/{n}" for n in ("config.json", "modules.json", "tokenizer.json")} <= hashed
    assert report["recovery"]["used"] == "distill"
    assert [row["metric"] for row in report["quality"]] == [
        "sentence_cosine",
        "neighbour_overlap_10",
        "index_overlap_10",
    ]
    assert not (folder / "model.safetensors").exists()
    assert (folder / "0_Transformer" / "model.safetensors").exists()
    vectors = SentenceTransformer(str(folder), device="cpu").encode(texts(3))
    assert vectors.shape == (3, 32)
