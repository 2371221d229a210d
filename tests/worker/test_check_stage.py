"""The self-check in a job: a result that does not load never gets to the package."""

import json
import time
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from tokenizers import decoders

from app.blobs import Blobs
from app.contract.errors import UserFault
from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.settings import Settings
from tests.support.finished_jobs import SMALL, stages_started
from tests.support.job_store import read
from tests.support.tiny_models import make_base_model, texts
from tests.support.workers import store_corpus, submit
from worker.compression import ArtifactCheckFailedError
from worker.runner import run_to_an_end


def spoil(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"eos_token_id": 10**6}))


@pytest.mark.slow
def test_a_result_that_is_not_sound_fails_the_job(
    settings: Settings, db: Database, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By name: the package's attribute is the stage's function.
    stage = import_module("worker.stages.check")
    run = stage.run_self_check

    def broken(models: list[Path], *rest: object) -> object:
        spoil(models[0])
        return run(models, *rest)

    monkeypatch.setattr(stage, "run_self_check", broken)
    corpus = store_corpus(db, blobs, texts(2000))
    job = submit(db, corpus.id, "acme/tiny-bert", SMALL)
    claim = transitions.claim(db, job.id, "tester", timedelta(seconds=60))
    assert claim
    run_to_an_end(claim, settings, db, blobs)
    done = read(db, job.id)
    assert done.status == Status.FAILED
    assert done.error
    assert (done.error["type"], done.error["code"]) == ("system", "artifact_check_failed")
    assert not done.error["retryable"]
    assert "eos_token_id is 1000000" in done.error["message"]
    assert stages_started(db, job.id)[-1] == "check"
    assert blobs.keys(job.blob_prefix) == []


def test_a_tokenizer_that_is_not_as_its_base_fails_before_any_training(
    settings: Settings, db: Database, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = import_module("worker.stages.tokenizer")
    train = stage.train_tokenizers

    def broken(*rest: Any, **options: Any) -> list[Any]:
        trained = train(*rest, **options)
        for tokenizer in trained:
            tokenizer.backend_tokenizer.decoder = decoders.Replace("e", "o")
        return list(trained)

    monkeypatch.setattr(stage, "train_tokenizers", broken)
    corpus = store_corpus(db, blobs, texts(2000))
    job = submit(db, corpus.id, "acme/tiny-bert", SMALL)
    claim = transitions.claim(db, job.id, "tester", timedelta(seconds=60))
    assert claim
    run_to_an_end(claim, settings, db, blobs)
    done = read(db, job.id)
    assert (done.status, done.attempt) == (Status.FAILED, 1)
    assert done.error
    assert (done.error["type"], done.error["code"]) == ("system", "artifact_check_failed")
    assert "texts" in done.error["message"]
    assert stages_started(db, job.id)[-1] == "tokenizer"


@pytest.mark.slow
def test_a_base_that_is_not_sound_itself_is_its_users(tmp_path: Path) -> None:
    stage, held_out = import_module("worker.stages.check"), tmp_path / "held_out.json"
    held_out.write_text(json.dumps(texts(20)))
    folders = [make_base_model(tmp_path / name) for name in ("base", "result")]
    for folder in folders:
        weights = load_file(folder / "model.safetensors")
        for tensor in weights.values():
            tensor.fill_(3e38)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserFault, match="base model's own outputs") as raised:
        stage.run_self_check([folders[1]], held_out, folders[0], lambda _: None)
    assert raised.value.code == "invalid_model"


@pytest.mark.slow
def test_one_process_checks_all_models(tmp_path: Path) -> None:
    stage, held_out = import_module("worker.stages.check"), tmp_path / "held_out.json"
    held_out.write_text(json.dumps(texts(20)))
    models = [make_base_model(tmp_path / name) for name in ("300", "600")]
    told = list[int]()
    began = time.perf_counter()
    seconds = stage.run_self_check(models, held_out, models[0], told.append)
    assert len(seconds) == 2
    assert 0 < sum(seconds) < time.perf_counter() - began
    assert told == sorted(told)
    assert told[-1] == 2
    spoil(models[1])
    with pytest.raises(ArtifactCheckFailedError, match="eos_token_id is 1000000"):
        stage.run_self_check(models, held_out, models[0], told.append)
