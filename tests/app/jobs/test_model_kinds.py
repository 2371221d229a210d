"""What a model is, is known at submission: what cannot be done with it is refused there."""

from pathlib import Path
from typing import Any

import pytest

from app.base_models.catalog import list_models, locate
from app.contract.errors import UserFault
from app.contract.recipe import Recipe
from app.errors import UnprocessableError
from app.jobs.schemas import JobFields
from app.jobs.validation import check_base_model
from app.settings import Settings
from tests.support.model_folders import make_model, write_json

ST = "sentence_transformers.models."
PARTS = "documents", "queries", "judgements"
RETRIEVAL = {"type": "retrieval", **dict.fromkeys(PARTS, "corpus_a")}


def sentence_transformers(folder: Path, *types: str, inner: str = "", **use: Any) -> Path:
    """A folder whose modules are of these types, the first one the model's."""
    make_model(folder / inner, architectures=["BertForSequenceClassification"])
    paths = [inner, *(f"{place}_Module" for place in range(1, len(types)))]
    listed = [{"path": path, "type": type_} for path, type_ in zip(paths, types, strict=True)]
    write_json(folder / "modules.json", listed)
    write_json(folder / "config_sentence_transformers.json", use)
    return folder


def submitted(models: Path, **recipe: Any) -> None:
    fields = JobFields(base_model="org/model", recipe=Recipe.model_validate(recipe))
    check_base_model(fields, Settings(models_dir=models, hub=False))


@pytest.mark.parametrize(
    ("types", "use", "code", "said"),
    [
        ([f"{ST}Transformer"], {"model_type": "SparseEncoder"}, "unsupported_model", "SPLADE"),
        ([f"{ST}StaticEmbedding"], {}, "unsupported_model", "StaticEmbedding"),
        ([f"{ST}Router"], {}, "unsupported_model", "Router"),
        ([f"{ST}CLIPModel"], {}, "unsupported_model", "CLIPModel"),
        ([f"{ST}Transformer", f"{ST}CNN"], {}, "unsupported_model", "CNN"),
        (["mine.Transformer"], {}, "remote_code_refused", "mine.Transformer"),
    ],
)
def test_what_cannot_be_compressed_is_refused_by_name(
    types: list[str], use: dict[str, Any], code: str, said: str, tmp_path: Path
) -> None:
    sentence_transformers(tmp_path / "org" / "model", *types, **use)
    with pytest.raises(UserFault) as refusal:
        submitted(tmp_path)
    assert refusal.value.code == code
    assert said in refusal.value.message
    assert not [folder for folder, _ in list_models(Settings(models_dir=tmp_path, hub=False))
                if folder.id == "org/model"]  # fmt: skip


def test_a_cross_encoder_is_not_searched_with(tmp_path: Path) -> None:
    folder = tmp_path / "org" / "model"
    sentence_transformers(folder, f"{ST}Transformer", model_type="CrossEncoder")
    submitted(tmp_path)
    with pytest.raises(UnprocessableError, match="cross-encoder") as refusal:
        submitted(tmp_path, evaluation={"task": RETRIEVAL})
    assert refusal.value.code == "task_unsupported"


def test_scores_are_distilled_of_models_that_have_them(tmp_path: Path) -> None:
    make_model(tmp_path / "org" / "model", architectures=["BertForMaskedLM"])
    with pytest.raises(UnprocessableError, match="a cross-encoder or a classifier") as refusal:
        submitted(tmp_path, recovery={"objective": "distill_scores"})
    assert refusal.value.code == "recovery_unsupported"


def test_the_model_may_lie_in_a_folder_of_its_own(tmp_path: Path) -> None:
    types = f"{ST}Transformer", f"{ST}Pooling"
    folder = sentence_transformers(tmp_path / "org" / "model", *types, inner="0_Transformer")
    submitted(tmp_path)
    settings = Settings(models_dir=tmp_path, hub=False)
    assert "org/model" in [found.id for found, _ in list_models(settings)]
    assert locate("org/model", None, settings).path == folder
