"""A model family that is not known is a row away: nothing else of the code is told of it."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from app.base_models.catalog import list_models, locate
from app.contract.architectures import ARCHITECTURES, Architecture
from app.contract.errors import UserFault
from app.errors import UnprocessableError
from app.jobs.schemas import JobFields
from app.jobs.validation import check_base_model
from app.settings import Settings
from tests.support.matrix_models import Kind, causal, deep, masked
from tests.support.matrix_tokenizers import DOMAIN, GENERAL, sentences, tokenizer_pair
from worker.compression import load_model, save_model, train_tokenizers, transfer_vocabulary
from worker.compression.models.layers import drop_layers, layer_count
from worker.compression.models.pooling import pooling_of

ROWS = {
    "camembert": Architecture("camembert", "encoder", "cls"),
    "olmo": Architecture(
        "olmo",
        "decoder",
        "lasttoken",
        tokenizer_models=("BPE",),
        has_token_classifier=False,
    ),
}
KINDS = {
    "camembert": masked("CamembertConfig", "unigram"),
    "olmo": causal("OlmoConfig", "byte_bpe"),
}
HEADS = {"camembert": ("CamembertForMaskedLM", "mlm"), "olmo": ("OlmoForCausalLM", "clm")}
TASK = {"type": "token_classification", "train": "corpus_a", "test": "corpus_b"}


@pytest.fixture(params=list(ROWS))
def name(request: pytest.FixtureRequest) -> str:
    assert request.param not in ARCHITECTURES
    return str(request.param)


@pytest.fixture
def settings(name: str, tmp_path: Path) -> Settings:
    """An installation that has a tiny model of the type, of five layers."""
    models, kind = tmp_path / "models", KINDS[name]
    tokenizer, _ = tokenizer_pair(kind.family)
    save_model(models / name, kind.make(HEADS[name][0], tokenizer, **deep(kind)), tokenizer)
    return Settings(models_dir=models, hub=False, auth="off")


@pytest.fixture
def row(name: str, monkeypatch: pytest.MonkeyPatch) -> Architecture:
    monkeypatch.setitem(ARCHITECTURES, name, ROWS[name])
    return ROWS[name]


def submit(name: str, settings: Settings, **recipe: Any) -> None:
    fields = {"base_model": name, "recipe": recipe}
    check_base_model(JobFields.model_validate(fields), settings)


def test_without_its_row_it_is_refused(name: str, settings: Settings) -> None:
    with pytest.raises(UserFault, match=f"'{name}' cannot be compressed") as refusal:
        submit(name, settings)
    assert refusal.value.code == "unsupported_model"


def test_with_its_row_it_is_taken_and_listed(
    name: str, settings: Settings, row: Architecture
) -> None:
    submit(name, settings, recovery={"objective": HEADS[name][1], "keep_layers": 5})
    facts = {folder.id: facts for folder, facts in list_models(settings)}[name]
    assert (facts.model_type, facts.encoder_decoder) == (name, False)
    with pytest.raises(UnprocessableError, match="has 5 layers"):
        submit(name, settings, recovery={"keep_layers": 6})
    with pytest.raises(UnprocessableError) as refusal:
        submit(name, settings, recovery={"objective": "denoise"})
    assert refusal.value.code == "recovery_unsupported"
    if row.has_token_classifier:
        submit(name, settings, evaluation={"task": TASK})
    else:
        with pytest.raises(UnprocessableError, match="no class for token classification"):
            submit(name, settings, evaluation={"task": TASK})


@pytest.mark.usefixtures("row")
def test_the_engine_compresses_it(name: str, settings: Settings, tmp_path: Path) -> None:
    base = load_model(locate(name, None, settings).path)
    texts = sentences(DOMAIN + GENERAL[:2], 1)
    sizes = [len(base.tokenizer) * 9 // 10, len(base.tokenizer) - 5]
    trained = train_tokenizers(base.tokenizer, lambda: texts, sizes)
    for size, tokenizer in zip(sizes, trained, strict=True):
        assert len(tokenizer) == size
        student = transfer_vocabulary(base.model, base.tokenizer, tokenizer).model
        save_model(tmp_path / str(size), student, tokenizer)
        loaded = load_model(tmp_path / str(size))
        assert type(loaded.model) is type(base.model)
        assert loaded.tokenizer.get_vocab() == tokenizer.get_vocab()
        inputs = dict(loaded.tokenizer(texts[0], return_tensors="pt"))
        inputs.pop("token_type_ids", None)
        with torch.inference_mode():
            made: Any = loaded.model(**inputs)
            assert torch.equal(made.logits, student(**inputs).logits)
        assert made.logits.shape[-1] == size
        smaller = drop_layers(loaded.model, 2)
        assert layer_count(smaller) == smaller.config.num_hidden_layers == 2


def test_the_engine_pools_it_as_its_classifier_does(
    name: str, row: Architecture, tmp_path: Path
) -> None:
    kind: Kind = KINDS[name]
    tokenizer, _ = tokenizer_pair(kind.family)
    classifier = kind.config.replace("Config", "ForSequenceClassification")
    assert hasattr(transformers, classifier)
    assert pooling_of(tmp_path, kind.make(classifier, tokenizer)) == row.classifier_pooling
