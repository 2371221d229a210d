"""How long recovery and task usually take: how far a job is, and the time that is left."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.blobs import Blobs
from app.contract.recipe import Recipe
from app.contract.states import Status
from app.corpora.models import Corpus
from app.db import Database
from app.settings import Settings
from tests.support.in_process import run
from tests.support.labelled_tasks import labelled, store_task
from tests.support.tiny_models import texts
from worker import runner
from worker.compression.evaluation.clock import Clock
from worker.context import JobContext, StageProgress
from worker.estimates import recovery_seconds, task_seconds
from worker.stages import STAGES, shares
from worker.stages.evaluate import USUAL_SECONDS, begin_measurement, evaluate

PARTS = {
    "sequence_classification": ("train", "test"),
    "token_classification": ("train", "test"),
    "retrieval": ("documents", "queries", "judgements"),
    "sentence_pairs": ("pairs",),
}

TASK_SECONDS = 75.0
SHARE = TASK_SECONDS / (TASK_SECONDS + USUAL_SECONDS)
"""Of the stage, that the task takes."""


def seconds(
    type_: str, rows: int = 100, characters: int = 60, device: str = "cpu", **fields: Any
) -> float:
    corpora = {p: Corpus(documents=rows, characters=rows * characters) for p in PARTS[type_]}
    sizes, export = fields.pop("vocab_size", 0.25), fields.pop("export", {})
    task = {"type": type_, **{part: f"corpus_{part}" for part in corpora}, **fields}
    recipe = Recipe.model_validate(
        {"vocab_size": sizes, "evaluation": {"task": task}, "export": export}
    )
    return task_seconds(recipe, corpora, device)


@pytest.mark.parametrize("type_", PARTS)
def test_it_grows_with_what_is_read(type_: str) -> None:
    assert seconds(type_, rows=300) == pytest.approx(3 * seconds(type_))
    assert seconds(type_, characters=120) == pytest.approx(2 * seconds(type_))
    assert seconds(type_, characters=100_000) == seconds(type_, characters=10_000)
    assert seconds(type_, device="cuda") < seconds(type_) / 10


@pytest.mark.parametrize("type_", ["sequence_classification", "token_classification"])
def test_it_grows_with_the_fine_tunings(type_: str) -> None:
    once = seconds(type_, seeds=1, epochs=1)
    assert seconds(type_, seeds=6, epochs=1) == pytest.approx(6 * once)
    # Of three passes a row that is learnt from and one that is labelled, the three are tenfold.
    assert seconds(type_, seeds=1, epochs=10) == pytest.approx(31 / 4 * once)


def test_files_are_made_and_scored_once_a_fine_tuning() -> None:
    plain = seconds("token_classification", seeds=1)
    onnx, both, calibrated = (
        seconds("token_classification", seeds=1, export=export) - plain
        for export in ({"onnx": True}, {"int8": True}, {"openvino_int8": True})
    )
    assert 0 < onnx < both < calibrated
    assert both == pytest.approx(2 * onnx)
    thrice = seconds("token_classification", seeds=3, export={"int8": True})
    assert thrice == pytest.approx(3 * (plain + both))
    # Static vectors have no head, and a task that does not fine-tune needs no other file.
    assert seconds("token_classification", seeds=1, export={"static": True}) == plain
    assert seconds("retrieval", export={"int8": True}) == seconds("retrieval")


def test_the_base_is_shared_by_the_sizes() -> None:
    alone = seconds("retrieval")
    assert seconds("retrieval", vocab_size=[0.5, 0.25]) == pytest.approx(alone * 3 / 4)


def test_a_task_makes_its_stage_longer_and_no_other() -> None:
    without, longer = shares(5.0, 0.0), shares(5.0, 1000.0)
    assert task_seconds(Recipe(), {}, "cpu") == 0
    assert {s for s in without if without[s] != longer[s]} == {"evaluate"}
    assert longer["evaluate"] == without["evaluate"] + 1000


def recovering(
    device: str = "cpu", most_minutes: float = 10_000, documents: int = 1000, **asked: Any
) -> float:
    recipe = Recipe.model_validate({"recovery": asked})
    return recovery_seconds(recipe, Corpus(documents=documents), device, most_minutes)


def test_a_recovery_takes_what_is_asked_of_it() -> None:
    for device in ("cpu", "cuda"):
        presets = [recovering(device, preset=p) for p in ("fast", "balanced", "max")]
        assert presets == sorted(presets)
        assert recovering(device, objective="none") < min(presets) / 10
        steps = recovering(device, max_steps=100)
        assert recovering(device, max_steps=200) == pytest.approx(2 * steps)
        assert recovering(device, max_steps=100, epochs=10_000) == steps
        once = recovering(device, epochs=1, documents=10)
        assert recovering(device, epochs=3, documents=20) == pytest.approx(6 * once)
        assert recovering(device, preset="max", max_minutes=0.1) == 6
        assert recovering(device, 0.1, preset="max", max_minutes=2) == 6


def test_a_recovery_makes_its_stage_longer_and_no_other() -> None:
    short, longer = shares(1.0, 5.0), shares(100.0, 5.0)
    assert {s for s in short if short[s] != longer[s]} == {"recover"}
    assert longer["recover"] == short["recover"] + 99


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    """What the evaluation of a job says of its progress; no process is started a model."""
    said = list[tuple[float, str]]()

    def recorded(context: JobContext, folder: Path, _: StageProgress) -> None:
        context.task_seconds = TASK_SECONDS
        evaluate(context, folder, lambda *what: said.append(what))

    stages = [replace(s, run=recorded) if s.run == evaluate else s for s in STAGES]
    monkeypatch.setattr(runner, "STAGES", [s for s in stages if s.name != "check"])
    return said


def test_every_step_of_every_fine_tuning_is_as_far(
    settings: Settings, db: Database, blobs: Blobs, told: list[tuple[float, str]]
) -> None:
    task = store_task(db, blobs, "sequence_classification", seeds=2, epochs=2, train=labelled(24))
    wanted: dict[str, Any] = {
        "evaluation": {"latency": False, "task": task},
        "vocab_size": [300, 240],
    }
    job = run(settings, db, blobs, texts(200), **wanted)
    assert job.status == Status.SUCCEEDED, job.error
    fractions = [at for at, _ in told]
    assert fractions == sorted(fractions)
    steps = [at for at, message in told if ": fine-tuning, step" in message]
    # 24 rows in batches of 8, twice over, for 2 seeds of the base and of both sizes.
    assert len(steps) == 3 * 2 * 2 * 3
    # 48 rows of train are learnt from, and 16 of test are labelled, for a third as much a row.
    expected = [SHARE / 6 * (score + 0.9 * step / 6) for score in range(6) for step in range(6)]
    assert steps == pytest.approx(expected)
    assert max(at for at, message in told if "macro_f1" in message) < SHARE
    assert min(at for at, message in told if "macro_f1" not in message and at) >= SHARE


def test_files_of_other_runtimes_are_as_far_as_the_model(
    settings: Settings, db: Database, blobs: Blobs, told: list[tuple[float, str]]
) -> None:
    task = store_task(db, blobs, "sentence_pairs")
    wanted: dict[str, Any] = {
        "evaluation": {"latency": False, "task": task},
        "export": {"int8": True},
    }
    job = run(settings, db, blobs, texts(200), vocab_size=300, **wanted)
    assert job.status == Status.SUCCEEDED, job.error
    began = dict[str, float]()
    for at, message in told:
        began.setdefault(message.split(":")[0], at)
    model, *files = [at for name, at in began.items() if name.startswith("spearman of")][1:]
    assert [model, *files] == pytest.approx([SHARE * n / 6 for n in (3, 4, 5)])


def test_measurements_have_the_time_that_is_left_also_where_that_is_none() -> None:
    work = {"quality": 3.0, "latency": 1.0}
    told = list[float]()

    def progress(fraction: float, _: str) -> None:
        told.append(fraction)

    seconds, own = begin_measurement("quality", work, Clock(40.0), progress)
    assert seconds == pytest.approx(30, abs=0.1)
    own(1.0, "")
    # What was quick leaves its time: the next begins where the time is, not where the work is.
    seconds, own = begin_measurement("latency", work, Clock(40.0), progress)
    assert seconds == pytest.approx(40, abs=0.1)
    own(0.0, "")
    seconds, own = begin_measurement("latency", work, Clock(0.0), progress)
    assert seconds == 0
    own(0.5, "")
    assert told == pytest.approx([0.75, 0, 1], abs=0.01)
