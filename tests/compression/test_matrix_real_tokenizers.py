"""Real tokenizer files around tiny models; FVT_TOKENIZERS_DIR names the folder that has them."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertTokenizer, GPT2Tokenizer

from tests.support.domain import domain_documents
from tests.support.matrix_models import KINDS
from worker.compression import (
    LoadedModel,
    load_model,
    required_tokens,
    save_model,
    train_tokenizer,
    transfer_vocabulary,
)
from worker.compression.models.encoder import Encoder
from worker.compression.self_check import check_artifact

FOLDER = Path(os.environ.get("FVT_TOKENIZERS_DIR", ""))
BY_TYPE = {kind.model_type: kind for kind in reversed(KINDS)}
REAL = [
    ("bert-base-cased", "bert", "ForMaskedLM"),
    ("gpt2", "gpt2", "LMHeadModel"),
    ("roberta-base", "roberta", "ForMaskedLM"),
    ("t5-small", "t5", "ForConditionalGeneration"),
    ("phi-3-mini", "phi3", "ForCausalLM"),
    ("phi-3-mini", "llama", "ForCausalLM"),
    ("xlmr-unigram-30k-de", "xlm-roberta", "ForMaskedLM"),
]
SIZES = {"phi-3-mini": 450}
ROLES = {"roberta-base": {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}}
"""Of checkpoints whose tokenizer does not say what its special tokens are for."""

pytestmark = pytest.mark.skipif(
    "FVT_TOKENIZERS_DIR" not in os.environ, reason="needs FVT_TOKENIZERS_DIR"
)


def tokenizer_of(folder: Path) -> Any:
    if (folder / "vocab.txt").exists():
        tokens = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        return BertTokenizer(vocab={t: i for i, t in enumerate(tokens)}, do_lower_case=False)
    if not (folder / "tokenizer.json").exists():
        return GPT2Tokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"))
    return AutoTokenizer.from_pretrained(folder)


def base_of(name: str, model_type: str, head: str, folder: Path) -> LoadedModel:
    """A tiny model saved with a real tokenizer, and loaded as a job loads it."""
    kind = BY_TYPE[model_type]
    tokenizer = tokenizer_of(FOLDER / name)
    model_class = next(name for name in kind.classes if name.endswith(head))
    save_model(folder, kind.make(model_class, tokenizer, **ROLES.get(name, {})), tokenizer)
    return load_model(folder)


@pytest.mark.parametrize(("name", "model_type", "head"), REAL)
def test_a_real_tokenizer(name: str, model_type: str, head: str, tmp_path: Path) -> None:
    base, texts = base_of(name, model_type, head, tmp_path / "base"), domain_documents(200)
    same = transfer_vocabulary(base.model, base.tokenizer, base.tokenizer)
    assert same.counts.copied == len(base.tokenizer)
    before = Encoder(base).run(texts[:2])
    after = Encoder(LoadedModel(same.model, base.tokenizer, base.folder)).run(texts[:2])
    assert torch.equal(after, before[..., : len(base.tokenizer)])
    keep = required_tokens(base.model, base.tokenizer)
    domain = train_tokenizer(base.tokenizer, lambda: texts, SIZES.get(name, 550), keep_tokens=keep)
    done = transfer_vocabulary(base.model, base.tokenizer, domain)
    save_model(tmp_path / "done", done.model, domain)
    check_artifact(tmp_path / "done", texts)
    config, own = load_model(tmp_path / "done").model.config, base.model.config
    for role in ("bos", "eos", "pad"):
        old, new = getattr(own, f"{role}_token_id"), getattr(config, f"{role}_token_id")
        tokens = [
            None if i is None else tokenizer.convert_ids_to_tokens(i)
            for tokenizer, i in ((base.tokenizer, old), (domain, new))
        ]
        assert tokens[0] == tokens[1], role
