"""The self-check in a job: a result that does not load never gets to the package."""

import json
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from app.blobs import Blobs
from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.settings import Settings
from tests.worker.finished import SMALL, stages_started
from tests.worker.models import texts
from tests.worker.processes import read, store_corpus, submit
from worker.runner import run_to_an_end


def test_a_result_that_is_not_sound_fails_the_job(
    settings: Settings, db: Database, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By name: the package's attribute is the stage's function.
    stage = import_module("worker.stages.check")
    run_child = stage.run_child

    def broken(command: list[str | Path], *rest: Any, **more: Any) -> object:
        config = Path(command[-2], "config.json")
        config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": 10**6}))
        return run_child(command, *rest, **more)

    monkeypatch.setattr(stage, "run_child", broken)
    corpus = store_corpus(db, blobs, texts(2000))
    job = submit(db, corpus.id, "acme/tiny-bert", SMALL)
    claim = transitions.claim(db, job.id, "tester", timedelta(seconds=60))
    assert claim
    run_to_an_end(claim, settings, db, blobs)
    done = read(db, job.id)
    assert done.status == Status.FAILED
    assert done.error
    assert (done.error["type"], done.error["code"]) == ("user", "artifact_check_failed")
    assert "eos_token_id is 1000000" in done.error["message"]
    assert stages_started(db, job.id)[-1] == "check"
    assert blobs.keys(job.blob_prefix) == []
