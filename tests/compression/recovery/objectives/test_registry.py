"""The registry of objectives: what each says of itself, what `auto` takes, and a new one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.contract.architectures import LANGUAGE_MODEL_HEADS
from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import sentences, tokenizer_pair
from tests.toy_extension.small_embeddings import SMALL_EMBEDDINGS
from worker.compression import (
    LoadedModel,
    RecoveryOptions,
    RecoveryUnsupportedError,
    recover,
    transfer_vocabulary,
)
from worker.compression.models.traits import ModelTraits
from worker.compression.recovery.objectives import OBJECTIVES
from worker.compression.recovery.recover import choose_objectives

HEADLESS = ModelTraits(
    is_sentence_encoder=False,
    has_masked_lm_head=False,
    has_causal_lm_head=False,
    has_seq2seq_head=False,
    pooling="mean",
)
MASKED = replace(HEADLESS, has_masked_lm_head=True)
CAUSAL = replace(HEADLESS, has_causal_lm_head=True)
SEQ2SEQ = replace(HEADLESS, has_seq2seq_head=True)
SENTENCES = replace(MASKED, is_sentence_encoder=True)


def test_each_is_registered_under_its_own_name_and_describes_itself() -> None:
    for name, objective in OBJECTIVES.items():
        assert objective.name == name
        assert objective.label
        assert objective.needs
        assert objective.auto_rules


def test_what_they_need_is_said_in_the_words_of_the_contract() -> None:
    for name, head in LANGUAGE_MODEL_HEADS.items():
        assert OBJECTIVES[name].needs == head.needs
    for name in OBJECTIVES.keys() - LANGUAGE_MODEL_HEADS.keys():
        assert OBJECTIVES[name].can_train(HEADLESS)


@pytest.mark.parametrize(
    ("traits", "fewer_layers", "chosen"),
    [
        (HEADLESS, False, "distill"),
        (HEADLESS, True, "distill"),
        (MASKED, False, "mlm"),
        (MASKED, True, "mlm+distill"),
        (CAUSAL, False, "clm"),
        (CAUSAL, True, "clm"),
        (SEQ2SEQ, True, "denoise"),
        (SENTENCES, False, "distill"),
        (SENTENCES, True, "distill"),
    ],
)
def test_auto_takes_what_the_model_is_for(
    traits: ModelTraits, fewer_layers: bool, chosen: str
) -> None:
    objectives, reason = choose_objectives("auto", traits, fewer_layers=fewer_layers)
    assert "+".join(objective.name for objective in objectives) == chosen
    assert reason
    assert all(objective.can_train(traits) for objective in objectives)


@pytest.mark.parametrize(
    ("name", "traits"), [("mlm", CAUSAL), ("clm", SEQ2SEQ), ("denoise", MASKED)]
)
def test_the_refusal_says_what_is_needed(name: str, traits: ModelTraits) -> None:
    with pytest.raises(RecoveryUnsupportedError, match=OBJECTIVES[name].needs):
        choose_objectives(f"distill+{name}", traits)


def test_the_refusal_of_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(RecoveryUnsupportedError, match="mlm, clm, denoise, distill"):
        choose_objectives("unheard-of", HEADLESS)


@pytest.mark.parametrize("name", ["toy", "toy+distill"])
def test_a_new_objective_is_an_entry(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OBJECTIVES, "toy", SMALL_EMBEDDINGS)
    kind = next(kind for kind in KINDS if "BertModel" in kind.classes)
    tokenizer, domain = tokenizer_pair(kind.family)
    base = LoadedModel(kind.make("BertModel", tokenizer), tokenizer, Path("nowhere"))
    student: Any = transfer_vocabulary(base.model, tokenizer, domain).model
    before = student.get_input_embeddings().weight.detach().square().mean()
    texts = sentences(["ibuprofen", "lithium", "rash"], 0)
    options = RecoveryOptions(objective=name, max_steps=12, batch_size=8, learning_rate=1e-2)
    done = recover(base, student, domain, lambda: texts, options, cpu=True)
    assert (done.summary.used, done.summary.steps) == (name, 12)
    assert done.summary.loss[-1].train < done.summary.loss[0].train
    if name == "toy":
        assert student.get_input_embeddings().weight.square().mean() < before
