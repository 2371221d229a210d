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
from tests.support.matrix_tokenizers import domain_texts, tokenizer_pair
from worker.compression import (
    ArtifactCheckFailedError,
    CompressionError,
    load_model,
    save_model,
    transfer_vocabulary,
)
from worker.compression.self_check import check_artifact

BY_TYPE = {kind.model_type: kind for kind in reversed(KINDS)}


def artifact(folder: Path, model_type: str = "gpt2") -> Path:
    kind = BY_TYPE[model_type]
    base, domain = tokenizer_pair(kind.family)
    model = kind.make(kind.classes[0], base)
    save_model(folder, transfer_vocabulary(model, base, domain).model, domain)
    return folder


def change_config(folder: Path, **settings: Any) -> None:
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | settings))


def change_weights(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return apply


def shuffle_vocabulary(folder: Path) -> None:
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
    check_artifact(artifact(tmp_path, model_type), domain_texts())


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
        (shuffle_vocabulary, "do not come back"),
        (lambda f: (f / "tokenizer.json").unlink(), "does not load"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "does not load"),
    ],
)
def test_a_broken_artifact_is_told(
    breaks: Callable[[Path], object], says: str, tmp_path: Path
) -> None:
    breaks(artifact(tmp_path))
    with pytest.raises(ArtifactCheckFailedError, match=says) as raised:
        check_artifact(tmp_path, domain_texts())
    assert isinstance(raised.value, CompressionError)
    assert raised.value.code == "artifact_check_failed"


@pytest.mark.slow
def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    folder, texts = artifact(tmp_path / "model"), tmp_path / "texts.json"
    texts.write_text(json.dumps(domain_texts()))
    command = [sys.executable, "-m", "worker.compression.self_check", str(texts), str(folder)]
    subprocess.run(command, check=True)
    change_config(folder, bos_token_id=9999)
    failed = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    assert failed.returncode == 3
    assert "bos_token_id is 9999" in failed.stderr.splitlines()[-1]


def test_text_that_no_tokenizer_keeps_does_not_count(tmp_path: Path) -> None:
    folder = artifact(tmp_path, "bert")
    check_artifact(folder, ["", "  \t", "Ünknown 中文 \x00 ibuprofen", *domain_texts()])
    assert load_model(folder).model.dtype == torch.float32
