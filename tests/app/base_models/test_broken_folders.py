"""One broken folder among many: the others are listed, it is listed with its reason."""

import os
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.base_models.catalog import check_submission, survey_models
from app.base_models.checks import ModelFacts
from app.contract.errors import UserFault
from app.main import create_app
from app.settings import Settings
from tests.support.broken_files import HEADERS, INDEXES, KINDS, deep, header_of, long_number, pipe
from tests.support.model_folders import write_json
from tests.support.sound_model import make_sound

WEIGHTS = "model.safetensors"
NAMES = ("config.json", "tokenizer.json", "tokenizer_config.json", WEIGHTS)


@pytest.fixture
def models(settings: Settings, tmp_path: Path) -> Settings:
    folder = tmp_path / "models"
    make_sound(folder / "a")
    make_sound(folder / "org" / "z")
    make_sound(folder / "m")
    return settings.model_copy(update={"models_dir": folder})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("breaks", [*KINDS, long_number])
def test_whatever_a_file_is_the_others_are_listed(
    models: Settings, breaks: Callable[[Path], None], name: str
) -> None:
    assert models.models_dir
    breaks(models.models_dir / "m" / name)
    began = time.monotonic()
    found = {folder.id: facts for folder, facts in survey_models(models)}
    assert time.monotonic() - began < 5
    assert isinstance(found["a"], ModelFacts)
    assert isinstance(found["org/z"], ModelFacts)
    fault = found["m"]
    assert isinstance(fault, UserFault)
    assert fault.code in {"invalid_model", "no_fast_tokenizer", "unsupported_model"}
    with pytest.raises(UserFault) as raised:
        check_submission("m", models)
    assert raised.value.code == fault.code


@pytest.mark.parametrize("name", NAMES)
def test_deep_json_breaks_nothing(models: Settings, name: str) -> None:
    assert models.models_dir
    deep(models.models_dir / "m" / name)
    assert {"a", "m", "org/z"} <= {folder.id for folder, _ in survey_models(models)}


@pytest.mark.parametrize("header", HEADERS)
def test_headers_of_every_kind(models: Settings, header: object) -> None:
    assert models.models_dir
    header_of(models.models_dir / "m" / WEIGHTS, header)
    found = {folder.id: facts for folder, facts in survey_models(models)}
    assert isinstance(found["m"], UserFault)
    assert found["m"].code == "invalid_model"
    assert isinstance(found["org/z"], ModelFacts)


def test_what_is_huge_is_not_read(models: Settings) -> None:
    assert models.models_dir
    folder = models.models_dir / "m"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in ("config.json", "tokenizer_config.json"):
        make_sound(folder.with_name(f"huge-{name}"))
        with (folder.with_name(f"huge-{name}") / name).open("wb") as file:
            file.truncate(100 << 20)
    with (folder / WEIGHTS).open("wb") as file:
        file.write(struct.pack("<Q", 1 << 30))
        file.truncate(2 << 30)
    began = time.monotonic()
    found = {each.id: facts for each, facts in survey_models(models)}
    assert time.monotonic() - began < 3
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 150 << 10
    assert isinstance(found["m"], UserFault)
    assert "more than 16,777,216 bytes" in str(found["huge-config.json"])
    assert isinstance(found["huge-tokenizer_config.json"], UserFault)


@pytest.mark.parametrize("content", INDEXES)
def test_indexes_of_every_kind(models: Settings, content: object) -> None:
    assert models.models_dir
    (models.models_dir / "m" / WEIGHTS).unlink()
    write_json(models.models_dir / "m" / f"{WEIGHTS}.index.json", content)
    found = {folder.id: facts for folder, facts in survey_models(models)}
    assert isinstance(found["m"], UserFault)


def test_links_of_folders_that_lead_nowhere_break_nothing(models: Settings) -> None:
    assert models.models_dir
    for name, target in {"loop": "loop", "gone": "nowhere", "org/loop": ".."}.items():
        (models.models_dir / name).symlink_to(target)
    found = {folder.id for folder, _ in survey_models(models)}
    assert {"a", "m", "org/z"} <= found
    for name in ("loop", "gone"):
        with pytest.raises(UserFault) as raised:
            check_submission(name, models)
        assert raised.value.code == "base_model_not_found"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_listed_so(models: Settings) -> None:
    assert models.models_dir
    (models.models_dir / "m" / "config.json").chmod(0)
    (models.models_dir / "a").chmod(0)
    try:
        found = {folder.id: facts for folder, facts in survey_models(models)}
    finally:
        (models.models_dir / "a").chmod(0o700)
    assert "Permission denied" in str(found["m"])
    assert "Permission denied" in str(found["a"])


def test_the_answer_says_which_are_usable_and_why_not(models: Settings) -> None:
    assert models.models_dir
    pipe(models.models_dir / "m" / "config.json")
    with TestClient(create_app(models), base_url="http://localhost") as client:
        answer = client.get("/v1/base-models")
    assert answer.status_code == 200
    rows = {row["id"]: row for row in answer.json()["data"]}
    sound, broken = rows["a"], rows["m"]
    assert (sound["usable"], sound["problem"], sound["model_type"]) == (True, None, "bert")
    assert not broken["usable"]
    assert broken["problem"]["code"] == "invalid_model"
    assert "config.json is not a regular file" in broken["problem"]["message"]
    assert broken["source"] == "local"
    nulls = ("model_type", "vocab_size", "parameters", "bytes")
    assert [broken[name] for name in nulls] == [None] * 4
