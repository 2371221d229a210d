"""Faults of a user's model end its job at once, as the user's, with nothing tried again."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.blobs import Blobs
from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.jobs.models import Job
from app.settings import Settings
from tests.hostile_extension.acts import panic
from tests.support.job_store import read
from tests.support.tiny_models import texts
from tests.support.workers import events, store_corpus, submit
from worker import runner
from worker.runner import run_to_an_end
from worker.stages import STAGES, Stage

Json = dict[str, Any]


def edit(name: str, change: Callable[[Json], object]) -> Callable[[Path], None]:
    def edited(folder: Path) -> None:
        content = json.loads((folder / name).read_text("utf-8"))
        change(content)
        (folder / name).write_text(json.dumps(content), "utf-8")

    return edited


def config(**values: Any) -> Callable[[Path], None]:
    return edit("config.json", lambda content: content.update(values))


def settings_of_tokenizer(**values: Any) -> Callable[[Path], None]:
    return edit("tokenizer_config.json", lambda content: content.update(values))


def tokenizer(**values: Any) -> Callable[[Path], None]:
    return edit("tokenizer.json", lambda content: content.update(values))


def replace(expression: str) -> Json:
    return {"type": "Replace", "pattern": {"Regex": expression}, "content": "x"}


CHARSMAP = {"type": "Precompiled", "precompiled_charsmap": "BAAAAP////8A"}
FAULTS = {
    # What the files alone do not show.
    "activation": config(hidden_act="frob"),
    "layer types": config(layer_types=["frob", "frob"]),
    "tuple outputs": config(return_dict=False),
    "chunks": config(chunk_size_feed_forward=7),
    "chunks of text": config(chunk_size_feed_forward="a"),
    "padding id": config(pad_token_id=10**6),
    "class a number": config(architectures=[5]),
    "another class": config(architectures=["LlamaForCausalLM"]),
    "quantization": config(quantization_config=[1]),
    "class of a model": settings_of_tokenizer(tokenizer_class="BertModel"),
    "class of another kind": settings_of_tokenizer(tokenizer_class="Wav2Vec2CTCTokenizer"),
    "class without a fast one": settings_of_tokenizer(tokenizer_class="ByT5Tokenizer"),
    "names of inputs": settings_of_tokenizer(model_input_names=["frob"]),
    "token without type": settings_of_tokenizer(pad_token={"content": "[PAD]"}),
    "lookbehind": tokenizer(normalizer=replace(r"(?<=a+|\k<none>)b")),
    "unknown part": tokenizer(normalizer={"type": "Frob"}),
    "version": tokenizer(version="9.0"),
    "panic in use": tokenizer(normalizer=CHARSMAP),
    # What a submission would be refused for, were the files there then.
    "vocab_size": config(vocab_size="600"),
    "length": settings_of_tokenizer(model_max_length=-1),
    "regex": tokenizer(normalizer=replace("([")),
    "panic": tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
}


def run_once(settings: Settings, db: Database, blobs: Blobs, base_model: str) -> Job:
    corpus = store_corpus(db, blobs, texts(100, words=20))
    job = submit(db, corpus.id, base_model)
    claim = transitions.claim(db, job.id, "tester", timedelta(seconds=60))
    assert claim
    run_to_an_end(claim, settings, db, blobs)
    return read(db, job.id)


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_a_model_are_its_users(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path, name: str
) -> None:
    assert settings.models_dir
    folder = tmp_path / "models" / "acme" / "faulty"
    shutil.copytree(settings.models_dir / "acme" / "tiny-bert", folder)
    FAULTS[name](folder)
    mended = settings.model_copy(update={"models_dir": tmp_path / "models"})
    done = run_once(mended, db, blobs, "acme/faulty")
    assert (done.status, done.attempt) == (Status.FAILED, 1)
    assert done.error
    assert (done.error["type"], done.error["retryable"]) == ("user", False), done.error
    assert done.error["code"] in {"invalid_model", "unsupported_model", "unsupported_tokenizer"}


@pytest.mark.parametrize("stage", ["corpus", "tokenizer", "transfer"])
def test_a_panic_in_any_stage_ends_the_job_and_not_the_process(
    settings: Settings, db: Database, blobs: Blobs, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    stages = [Stage(s.name, panic) if s.name == stage else s for s in STAGES]
    monkeypatch.setattr(runner, "STAGES", stages)
    done = run_once(settings, db, blobs, "acme/tiny-bert")
    assert (done.status, done.attempt) == (Status.FAILED, 1)
    assert done.error
    assert (done.error["type"], done.error["code"]) == ("system", "tokenizer_panicked")
    assert not done.error["retryable"]
    assert "job.retrying" not in [type_ for type_, _ in events(db, done.id)]


def test_a_hub_that_goes_away_is_said_as_what_it_is(
    settings: Settings, db: Database, blobs: Blobs
) -> None:
    corpus = store_corpus(db, blobs, texts(100, words=20))
    job = submit(db, corpus.id, "org/on-the-hub")
    on = settings.model_copy(update={"hub": True})
    while claim := transitions.claim(db, job.id, "tester", timedelta(seconds=60)):
        run_to_an_end(claim, on, db, blobs)
    done = read(db, job.id)
    assert (done.status, done.attempt) == (Status.FAILED, 3)
    assert done.error
    assert (done.error["type"], done.error["code"]) == ("system", "hub_unreachable")
    assert "FVT_MODELS_DIR" in done.error["message"]
