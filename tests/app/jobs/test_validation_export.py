"""Exports that cannot be made are refused before they are queued."""

from pathlib import Path
from typing import Any

import pytest

from app.contract.recipe import Recipe
from app.errors import UnprocessableError
from app.jobs.schemas import JobFields
from app.jobs.validation import check_base_model
from app.settings import Settings
from tests.support.model_folders import make_model


def submitted(folder: Path, recipe: dict[str, Any], **config: Any) -> None:
    make_model(folder / "org" / "model", **config)
    settings = Settings(models_dir=folder, hub=False)
    fields = JobFields(base_model="org/model", recipe=Recipe.model_validate(recipe))
    check_base_model(fields, settings)


@pytest.mark.parametrize("export", [{"onnx": True}, {"int8": True}])
@pytest.mark.parametrize("model_type", ["t5", "mt5", "bart", "mbart"])
def test_an_encoder_decoder_is_refused_by_name(
    tmp_path: Path, export: dict[str, bool], model_type: str
) -> None:
    with pytest.raises(UnprocessableError) as refusal:
        submitted(tmp_path, {"export": export}, model_type=model_type)
    assert refusal.value.code == "export_unsupported"
    assert "org/model has an encoder and a decoder" in refusal.value.detail
    assert refusal.value.members["errors"][0].pointer == "/recipe/export"


def test_without_an_export_it_is_welcome(tmp_path: Path) -> None:
    submitted(tmp_path, {}, model_type="t5")


@pytest.mark.parametrize(
    "config", [{"model_type": "bert"}, {"model_type": "t5", "is_encoder_decoder": False}]
)
def test_what_is_no_encoder_decoder_is_exported(tmp_path: Path, config: dict[str, Any]) -> None:
    submitted(tmp_path, {"export": {"int8": True}}, **config)


@pytest.mark.parametrize(
    "config",
    [{"model_type": "bert"}, {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}],
)
def test_static_vectors_of_what_is_no_sentence_encoder_are_refused(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    with pytest.raises(UnprocessableError) as refusal:
        submitted(tmp_path, {"export": {"static": True}}, **config)
    assert refusal.value.code == "export_unsupported"
    assert "org/model is none" in refusal.value.detail
    assert refusal.value.members["errors"][0].pointer == "/recipe/export/static"
