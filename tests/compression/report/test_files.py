import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression import (
    LoadedModel,
    Provenance,
    UnsupportedModelError,
    load_model,
    save_model,
    train_tokenizer,
    transfer_vocabulary,
    write_manifest,
    write_vocabulary,
)

SIZE = 200
LOAD = """
import sys, torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

folder, text = sys.argv[1], "The patient developed a rash after ibuprofen, 12 mg."
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
inputs = tokenizer([text, text], padding="longest", return_tensors="pt")
assert inputs["input_ids"].max() < model.config.vocab_size == len(tokenizer) == int(sys.argv[2])
with torch.inference_mode():
    once, again = model(**inputs).last_hidden_state, model(**inputs).last_hidden_state
assert torch.isfinite(once).all() and torch.equal(once, again)
vectors = SentenceTransformer(folder, device="cpu").encode([text, text], convert_to_tensor=True)
assert torch.isfinite(vectors).all() and torch.allclose(vectors[0], vectors[1], atol=1e-6)
mean = (once * inputs["attention_mask"][..., None]).sum(1)[0]
mean = mean / mean.norm()
assert torch.allclose(vectors[0] / vectors[0].norm(), mean, atol=1e-5)
"""


def compress(base: LoadedModel, texts: list[str], folder: Path) -> None:
    domain = train_tokenizer(base.tokenizer, lambda: texts, SIZE)
    transfer = transfer_vocabulary(base.model, base.tokenizer, domain)
    save_model(folder, transfer.model, domain, base.folder)
    write_vocabulary(folder, transfer.partitions)


@pytest.fixture(scope="module")
def artifact(
    minilm: LoadedModel, documents: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    compress(minilm, documents, folder)
    return folder


@pytest.mark.slow
def test_it_loads_as_it_is_in_another_process(artifact: Path) -> None:
    subprocess.run([sys.executable, "-c", LOAD, artifact, str(SIZE)], check=True)


def test_it_holds_what_is_true_and_nothing_stale(artifact: Path) -> None:
    files = {
        path.relative_to(artifact).as_posix() for path in artifact.rglob("*") if path.is_file()
    }
    assert files == {
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "vocab.txt",
        "modules.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "1_Pooling/config.json",
        "vocabulary.jsonl",
    }
    config = (artifact / "config.json").read_text() + (
        artifact / "tokenizer_config.json"
    ).read_text()
    assert "/" not in config
    assert "local" not in config
    assert json.loads((artifact / "config.json").read_text())["vocab_size"] == SIZE
    tokens = (artifact / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert load_model(artifact).tokenizer.convert_tokens_to_ids(tokens) == list(range(SIZE))


def test_doing_it_again_gives_the_same_bytes(
    minilm: LoadedModel, documents: list[str], artifact: Path, tmp_path: Path
) -> None:
    compress(minilm, documents, tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            same = artifact / path.relative_to(tmp_path)
            assert path.read_bytes() == same.read_bytes(), path.name


def test_weights_are_readable_by_others(artifact: Path) -> None:
    modes = {(artifact / name).stat().st_mode for name in ("model.safetensors", "config.json")}
    assert len(modes) == 1


def test_a_compressed_model_can_be_compressed_again(
    artifact: Path, documents: list[str], tmp_path: Path
) -> None:
    base = load_model(artifact)
    domain = train_tokenizer(base.tokenizer, lambda: documents, 150)
    transfer = transfer_vocabulary(base.model, base.tokenizer, domain)
    save_model(tmp_path, transfer.model, domain, artifact)
    assert load_model(tmp_path).model.config.vocab_size == 150


def test_folders_outside_of_the_model_are_refused(
    masked_lm: PreTrainedModel, uncased: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "modules.json").write_text(json.dumps([{"path": "../secrets"}]))
    with pytest.raises(UnsupportedModelError, match=r"\.\./secrets"):
        save_model(tmp_path / "out", masked_lm, uncased, base)


def test_code_of_a_module_is_left_behind(
    masked_lm: PreTrainedModel, uncased: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    module = tmp_path / "base" / "2_Dense"
    module.mkdir(parents=True)
    (tmp_path / "base" / "modules.json").write_text(json.dumps([{"path": ""}, {"path": "2_Dense"}]))
    (module / "model.safetensors").write_bytes(b"weights")
    (module / "own.py").write_text("")
    save_model(tmp_path / "out", masked_lm, uncased, tmp_path / "base")
    assert [f.name for f in (tmp_path / "out" / "2_Dense").iterdir()] == ["model.safetensors"]


def test_a_line_a_token_says_where_its_embedding_comes_from(
    artifact: Path, minilm: LoadedModel
) -> None:
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in (artifact / "vocabulary.jsonl").open(encoding="utf-8")
    ]
    vocabulary = load_model(artifact).tokenizer.get_vocab()
    assert {line["token"]: line["id"] for line in lines} == vocabulary
    assert [line["id"] for line in lines] == list(range(SIZE))
    known = minilm.tokenizer.get_vocab()
    for line in lines:
        assert line["source"] == ("copied" if line["token"] in known else "averaged")
        assert line["base_ids"] == [known[piece] for piece in line["pieces"]]


def test_the_manifest_holds_the_hash_of_every_file(artifact: Path) -> None:
    provenance = Provenance("some/model", "c0ffee", "a" * 64, seed=3)
    manifest = json.loads(write_manifest(artifact, provenance).read_text())
    (artifact / "manifest.json").unlink()
    on_disk = [path for path in artifact.rglob("*") if path.is_file()]
    assert {file["path"] for file in manifest["files"]} == {
        path.relative_to(artifact).as_posix() for path in on_disk
    }
    for file in manifest["files"]:
        content = (artifact / file["path"]).read_bytes()
        assert file["bytes"] == len(content)
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert (manifest["base_model"], manifest["base_commit"]) == ("some/model", "c0ffee")
    assert (manifest["corpus_sha256"], manifest["seed"]) == ("a" * 64, 3)
    assert set(manifest["versions"]) == {
        "fvt-service",
        "torch",
        "transformers",
        "tokenizers",
        "python",
    }
