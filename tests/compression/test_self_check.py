import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import DOMAIN, domain_texts, sentences, tokenizer_pair
from worker.compression import (
    ArtifactCheckFailedError,
    CompressionError,
    load_model,
    save_model,
    train_tokenizer,
    transfer_vocabulary,
    write_vocabulary,
)
from worker.compression.self_check import check_artifact

BY_TYPE = {kind.model_type: kind for kind in reversed(KINDS)}


def artifact(folder: Path, model_type: str = "gpt2") -> Path:
    """A result in this folder, and its base in ``base`` beside it."""
    kind = BY_TYPE[model_type]
    base, _ = tokenizer_pair(kind.family)
    texts, size = sentences(DOMAIN, 1), len(base) * 9 // 10
    domain = train_tokenizer(base, lambda: texts, size)
    model = kind.make(kind.classes[0], base)
    save_model(base_of(folder), model, base)
    transfer = transfer_vocabulary(model, base, domain)
    save_model(folder, transfer.model, domain, base_of(folder))
    write_vocabulary(folder, transfer.partitions)
    return folder


def base_of(folder: Path) -> Path:
    return folder.parent / f"{folder.name}-base"


def change_config(folder: Path, **settings: Any) -> None:
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | settings))


def change_weights(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return apply


def swap_ids(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    one, other = list(vocabulary)[20:22]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    (folder / "tokenizer.json").write_text(json.dumps(content))


def change_decoder(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["decoder"] = {"type": "Replace", "pattern": {"String": "e"}, "content": "o"}
    (folder / "tokenizer.json").write_text(json.dumps(content))


def untie(tensors: dict[str, Any]) -> None:
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"] + 1


def lose_a_tensor(tensors: dict[str, Any]) -> None:
    del tensors["transformer.h.1.mlp.c_fc.weight"]


def poison(tensors: dict[str, Any]) -> None:
    tensors["transformer.h.0.mlp.c_fc.weight"][3, 2] = float("nan")


def overflow(tensors: dict[str, Any]) -> None:
    for tensor in tensors.values():
        tensor.fill_(3e38)


@pytest.mark.parametrize("model_type", ["gpt2", "t5", "bert", "xlm-roberta"])
def test_a_sound_artifact_passes(model_type: str, tmp_path: Path) -> None:
    check_artifact(artifact(tmp_path, model_type), domain_texts(), base_of(tmp_path))


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (lambda f: change_config(f, eos_token_id=10_000), "eos_token_id is 10000"),
        (lambda f: change_config(f, vocab_size=99), "does not load"),
        (lambda f: change_config(f, n_layer=3), r"has no transformer\.h\.2"),
        (lambda f: change_config(f, n_layer=1), r"transformer\.h\.1\..*does not know of"),
        (change_weights(untie), "lm_head.weight"),
        (change_weights(lose_a_tensor), r"transformer\.h\.1\.mlp\.c_fc\.weight"),
        (change_weights(poison), r"transformer\.h\.0\.mlp\.c_fc\.weight holds NaN"),
        (change_weights(overflow), "outputs are not finite"),
        (change_decoder, "do not come back"),
        (swap_ids, "2 tokens have other ids"),
        (lambda f: (f / "tokenizer.json").unlink(), "does not load"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "does not load"),
    ],
)
def test_a_broken_artifact_is_told(
    breaks: Callable[[Path], object], says: str, tmp_path: Path
) -> None:
    breaks(artifact(tmp_path))
    with pytest.raises(ArtifactCheckFailedError, match=says) as raised:
        check_artifact(tmp_path, domain_texts(), base_of(tmp_path))
    assert isinstance(raised.value, CompressionError)
    assert raised.value.code == "artifact_check_failed"


@pytest.mark.slow
def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    folder, texts = artifact(tmp_path / "model"), tmp_path / "texts.json"
    texts.write_text(json.dumps(domain_texts()))
    module = [sys.executable, "-m", "worker.compression.self_check"]
    command = [*module, str(texts), str(base_of(folder)), str(folder)]
    subprocess.run(command, check=True)
    change_config(folder, bos_token_id=9999)
    failed = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    assert failed.returncode == 3
    assert "bos_token_id is 9999" in failed.stderr.splitlines()[-1]
    change_config(folder, bos_token_id=0)
    change_weights(overflow)(folder)
    change_weights(overflow)(base_of(folder))
    failed = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    assert failed.returncode == 4
    assert "base model's own outputs" in failed.stderr.splitlines()[-1]


def test_text_that_no_tokenizer_keeps_does_not_count(tmp_path: Path) -> None:
    folder = artifact(tmp_path, "bert")
    texts = ["", "  \t", "Ünknown 中文 \x00 ibuprofen", *domain_texts()]
    check_artifact(folder, texts, base_of(folder))
    assert load_model(folder).model.dtype == torch.float32
