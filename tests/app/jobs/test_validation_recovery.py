"""What of a recovery is refused at submission, by the model's configs alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.base_models.checks import TrainingFacts, training_facts
from app.contract.recipe import Recipe, RecoveryRecipe
from app.errors import UnprocessableError
from app.jobs.schemas import JobFields
from app.jobs.validation import check_base_model, check_recovery
from app.settings import Settings

BERT = TrainingFacts("BertModel", 6, True)


def facts(folder: Path, config: dict[str, Any], tokenizer: dict[str, Any] | None) -> TrainingFacts:
    (folder / "config.json").write_text(json.dumps(config))
    if tokenizer is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return training_facts(folder)


def test_facts_of_configs(tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_layer": 4,
    }
    assert facts(tmp_path, config, None) == TrainingFacts("GPT2LMHeadModel", 4, None)
    config = {"model_type": "bart", "encoder_layers": 2, "decoder_layers": 3}
    assert facts(tmp_path, config, {"mask_token": None}) == TrainingFacts(None, 3, False)
    config = {"model_type": "bert", "architectures": [], "num_hidden_layers": "many"}
    assert facts(tmp_path, config, {"mask_token": "[MASK]"}) == TrainingFacts(None, None, True)


@pytest.mark.parametrize(
    ("known", "asked", "code", "pointer"),
    [
        (BERT, {"objective": "mlm"}, "recovery_unsupported", "objective"),
        (BERT, {"objective": "mlm+distill"}, "recovery_unsupported", "objective"),
        (BERT, {"objective": "clm"}, "recovery_unsupported", "objective"),
        (BERT, {"objective": "denoise"}, "recovery_unsupported", "objective"),
        (BERT, {"keep_layers": 7}, "keep_layers_above_base", "keep_layers"),
        (
            TrainingFacts("BertForMaskedLM", 6, False),
            {"objective": "mlm"},
            "recovery_unsupported",
            "objective",
        ),
    ],
)
def test_what_cannot_work_is_refused_where_it_is(
    known: TrainingFacts, asked: dict[str, Any], code: str, pointer: str
) -> None:
    with pytest.raises(UnprocessableError) as refusal:
        check_recovery("acme/model", known, RecoveryRecipe(**asked))
    assert refusal.value.code == code
    assert refusal.value.members["errors"][0].pointer == f"/recipe/recovery/{pointer}"


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        (BERT, {}),
        (BERT, {"objective": "none"}),
        (BERT, {"objective": "distill", "keep_layers": 6}),
        (TrainingFacts("BertForMaskedLM", 6, True), {"objective": "mlm+distill"}),
        (TrainingFacts("GPT2LMHeadModel", 6, None), {"objective": "clm"}),
        (TrainingFacts("T5ForConditionalGeneration", 6, None), {"objective": "denoise"}),
        (TrainingFacts(None, None, None), {"objective": "mlm", "keep_layers": 9}),
    ],
)
def test_what_may_work_is_taken(known: TrainingFacts, asked: dict[str, Any]) -> None:
    check_recovery("acme/model", known, RecoveryRecipe(**asked))


def submitted(minutes: float) -> None:
    recipe = Recipe(recovery=RecoveryRecipe(max_minutes=minutes))
    fields = JobFields(base_model="sentence-transformers/all-MiniLM-L6-v2", recipe=recipe)
    check_base_model(fields, Settings(hub=False, max_recovery_minutes=10))


def test_more_minutes_than_the_service_gives_are_refused() -> None:
    submitted(10)
    with pytest.raises(UnprocessableError, match="10 minutes at most") as refusal:
        submitted(10.5)
    assert refusal.value.code == "recovery_too_long"
    assert refusal.value.members["errors"][0].pointer == "/recipe/recovery/max_minutes"
