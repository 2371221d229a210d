"""Every model type with every head, around a tokenizer of every family."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from app.contract.architectures import ARCHITECTURES
from tests.support.matrix_models import COUNTS, KINDS, PADDING_ROWS, Kind, class_cases
from tests.support.matrix_tokenizers import (
    FAMILIES,
    domain_texts,
    split_by_hand,
    tokenizer_pair,
)
from worker.compression import load_model, save_model, transfer_vocabulary

CLASSES = pytest.mark.parametrize(("kind", "model_class"), class_cases())


def outputs(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """The first output: logits, span starts or hidden states."""
    if type(model).__name__.startswith(("T5Model", "MT5Model")):
        inputs = {**inputs, "decoder_input_ids": inputs["input_ids"]}
    elif type(model).__name__.endswith("ForConditionalGeneration"):
        inputs = {**inputs, "labels": inputs["input_ids"]}
    with torch.inference_mode():
        result = model(**inputs)
    tensor: Tensor = result.logits if "logits" in result else result[0]
    return tensor


def encoded(tokenizer: PreTrainedTokenizerFast) -> dict[str, Tensor]:
    batch = tokenizer(domain_texts(), padding=True, truncation=True, return_tensors="pt")
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


def rows_by_hand(
    tensor: Tensor, base: PreTrainedTokenizerFast, domain: PreTrainedTokenizerFast
) -> Tensor:
    """The rows of the domain's tokens, each a row of the base or the mean of its pieces' rows."""
    known = base.get_vocab()
    rows = []
    for token in domain.convert_ids_to_tokens(list(range(len(domain)))):
        pieces = [token] if token in known else split_by_hand(base, token)
        rows.append(tensor[[known[piece] for piece in pieces]].float().mean(0))
    return torch.stack(rows)


def vocabulary_entries(model: Any, size: int) -> dict[str, Tensor]:
    """Everything of a model with one entry a token, as (tokens, width)."""
    found = {name: t for name, t in model.state_dict().items() if size in t.shape}
    return {name: t.reshape(size, -1) for name, t in found.items()}


@CLASSES
def test_onto_its_own_tokenizer_a_model_stays_as_it_is(kind: Kind, model_class: str) -> None:
    base, _ = tokenizer_pair(kind.family)
    model = kind.make(model_class, base)
    student = transfer_vocabulary(model, base, base).model
    before, after = outputs(model, encoded(base)), outputs(student, encoded(base))
    if before.shape[-1] == model.config.vocab_size:
        before = before[..., :-PADDING_ROWS]
    assert torch.equal(after, before)


@CLASSES
def test_a_transferred_model(kind: Kind, model_class: str, tmp_path: Path) -> None:
    base, domain = tokenizer_pair(kind.family)
    model = kind.make(model_class, base)
    before = copy.deepcopy(model.state_dict())
    student: Any = transfer_vocabulary(model, base, domain).model
    entries = vocabulary_entries(model, len(base) + PADDING_ROWS)
    assert entries
    for name, tensor in student.state_dict().items():
        if name in entries:
            expected = rows_by_hand(entries[name], base, domain)
            actual = tensor.reshape(len(domain), -1)
            torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)
        else:
            assert torch.equal(tensor, before[name]), name
    for role in ("bos", "pad", "eos"):
        id_ = getattr(domain, f"{role}_token_id")
        assert getattr(student.config, f"{role}_token_id") == id_
    save_model(tmp_path, student, domain)
    check_reloaded(tmp_path, student, domain)


def check_reloaded(folder: Path, student: Any, domain: PreTrainedTokenizerFast) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.get_vocab() == domain.get_vocab()
    inputs = encoded(tokenizer)
    assert torch.equal(inputs["input_ids"], encoded(domain)["input_ids"])
    loaded: Any = load_model(folder).model
    assert type(loaded) is type(student)
    result = outputs(loaded, inputs)
    assert torch.isfinite(result).all()
    assert torch.equal(result, outputs(student, inputs))
    assert loaded.get_input_embeddings().num_embeddings == len(domain)
    AutoModel.from_pretrained(folder)
    if loaded.can_generate() and loaded.get_output_embeddings() is not None:
        produced = loaded.generate(**inputs, max_new_tokens=3, do_sample=False)
        assert produced.max() < len(domain)


OTHER_FAMILIES = [
    (kind, family)
    for kind in {kind.model_type: kind for kind in KINDS}.values()
    for family in FAMILIES
    # Qwen2's tokenizer class is byte-level whatever is saved.
    if family != kind.family and kind.model_type != "qwen2"
]


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        # In the fast suite each type with one family, each family with some types.
        pytest.param(
            *case,
            id=f"{case[0].model_type}-{case[1]}",
            marks=pytest.mark.slow if number % len(FAMILIES) else [],
        )
        for number, case in enumerate(OTHER_FAMILIES)
    ],
)
def test_every_type_with_every_family(kind: Kind, family: str, tmp_path: Path) -> None:
    base, domain = tokenizer_pair(family)
    name = next(name for name in kind.classes if name.endswith(("LM", "LMHeadModel", "Generation")))
    student: Any = transfer_vocabulary(kind.make(name, base), base, domain).model
    save_model(tmp_path, student, domain)
    check_reloaded(tmp_path, student, domain)


def test_what_is_accepted_at_submit_is_what_is_tested_here() -> None:
    kinds = {"wordpiece": "WordPiece", "byte_bpe": "BPE", "bpe": "BPE", "unigram": "Unigram"}
    tested = {(kind.model_type, kinds[kind.family]) for kind in KINDS}
    tested |= {(kind.model_type, kinds[family]) for kind, family in OTHER_FAMILIES}
    rows = ARCHITECTURES.values()
    assert tested == {(row.model_type, model) for row in rows for model in row.tokenizer_models}


def test_the_rows_of_architectures_are_what_transformers_has() -> None:
    for kind in KINDS:
        row, config = ARCHITECTURES[kind.model_type], getattr(transformers, kind.config)()
        assert {*row.layer_counts, *row.decoder_layer_counts} == {
            name for name in COUNTS if hasattr(config, name)
        }
        assert (row.kind == "encoder-decoder") == config.is_encoder_decoder
        assert (row.kind == "encoder") == ("ForMaskedLM" in kind.heads)
        assert (row.classifier_pooling == "config") == hasattr(config, "classifier_pooling")
