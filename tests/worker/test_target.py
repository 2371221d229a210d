"""Targets: the pick and its reason, vocabularies that cannot be made, and whole jobs."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.artifacts import service
from app.blobs import Blobs
from app.contract.names import RUNTIMES, in_runtime, runtime_label
from app.contract.points import SizedPoint
from app.contract.recipe import Recipe, TargetRecipe
from app.contract.report import Export, Latency, ModelSize, Scores, TaskQuality
from app.contract.results import EvaluatedSize
from app.contract.states import Status
from app.db import Database
from app.jobs.models import JobEvent
from app.settings import Settings
from tests.support.in_process import report_of, run, unpack
from tests.support.job_store import open_store
from tests.support.labelled_tasks import METRICS, store_task
from tests.support.servers import local_settings
from tests.support.tiny_models import make_base_model, texts
from tests.support.workers import store_corpus, submit, wait_for_end, worker_process
from tests.worker.test_gate import TOKENS, quality
from tests.worker.test_model_kinds import in_sentence_transformers
from worker import runner
from worker.compression import (
    CorpusTooSmallError,
    ExportFailedError,
    TooFewWordGroupsError,
    VocabSizeBelowFloorError,
)
from worker.compression.runtimes import RUNTIMES as ENTRIES
from worker.stages import STAGES
from worker.stages import tokenizer as tokenizer_stage
from worker.target import Pick, pick, target_error

MB, MINUTES = 1_000_000, 0.15


def timed(runtime: str, batch_size: int, ms: float) -> Latency:
    return Latency(
        runtime=runtime,
        device="cpu",
        dtype="float32",
        threads=1,
        batch_size=batch_size,
        batches=4,
        includes_tokenization=True,
        before_ms=10.0,
        after_ms=ms,
        speedup=10 / ms,
    )


def model(layers: int | None, megabytes: float, kept: float | None, ms: float) -> EvaluatedSize:
    """A model whose PyTorch weights are larger, slower and better than its int8 file."""
    rows = [] if kept is None else [quality("sentence_cosine", kept)]
    file = Export(
        runtime="onnx-int8",
        path="onnx/model_int8.onnx",
        bytes=round(megabytes * MB),
        quality=rows,
    )
    return EvaluatedSize(
        compressed=ModelSize(
            vocab_size=1000, parameters=2, embedding_parameters=1, bytes=round(4 * megabytes * MB)
        ),
        tokens=TOKENS,
        examples=[],
        quality=[quality("sentence_cosine", 0.999)],
        exports=[file],
        latency=[
            timed("torch 2.13.0", 1, 9.0),
            timed("onnx-int8", 1, ms),
            timed("onnx-int8", 32, 20 * ms),
        ],
        memory=[],
        layers=layers,
    )


FRONT = [model(1, 3, 0.90, 1.0), model(2, 5, 0.95, 2.0), model(None, 9, 0.98, 6.0)]


def picked(models: Sequence[EvaluatedSize] = FRONT, **target: Any) -> Pick:
    recipe = Recipe.model_validate({"target": {"runtime": "onnx-int8", **target}})
    assert recipe.target
    return pick(recipe.target, models)


@pytest.mark.parametrize(
    ("target", "layers", "meeting"),
    [
        # Bounded in bytes or time, the best in reach.
        ({"max_bytes": 5 * MB}, 2, 2),
        ({"max_bytes": 5 * MB - 1}, 1, 1),
        ({"max_bytes": 100 * MB}, None, 3),
        ({"max_ms": 2.0}, 2, 2),
        ({"max_ms": 40.0, "batch_size": 32}, 2, 2),
        ({"max_ms": 6.0, "max_bytes": 4 * MB}, 1, 1),
        ({"max_bytes": 5 * MB, "min_quality": 0.93}, 2, 1),
        # Bounded in quality alone, the smallest.
        ({"min_quality": 0.5}, 1, 3),
        ({"min_quality": 0.95}, 2, 2),
        ({"min_quality": 0.97}, None, 1),
        # Of the weights in PyTorch all keep as much: the smallest.
        ({"max_bytes": 40 * MB, "runtime": "torch"}, 1, 3),
        ({"min_quality": 0.99, "runtime": "torch"}, 1, 3),
    ],
)
def test_the_best_that_meets_all_is_picked(
    target: dict[str, Any], layers: int | None, meeting: int
) -> None:
    found = picked(**target)
    assert found.measured.layers == layers
    assert len(found.meeting) == meeting
    assert found.target.picked
    assert (found.target.picked.layers, found.target.picked.misses) == (layers, [])
    assert found.target.nearest is None
    assert target_error(found.target) is None
    how = "1 meets" if meeting == 1 else f"{meeting} meet"
    assert f"Of the 3 models that were made {how} the target" in found.target.reason
    wanted = "is the smallest" if set(target) <= {"min_quality", "runtime"} else "keeps the most"
    assert wanted in found.target.reason


@pytest.mark.parametrize(
    ("target", "layers", "says"),
    [
        (
            {"max_bytes": 2 * MB},
            1,
            ["it has 3,000,000 bytes, but at most 2,000,000 were asked for"],
        ),
        ({"max_ms": 0.5}, 1, ["a batch of 1 takes 1 ms, but at most 0.5 ms were asked for"]),
        ({"max_ms": 0.5, "batch_size": 7}, None, ["a batch of 7 was not timed"]),
        (
            {"min_quality": 0.99},
            None,
            ["sentence_cosine keeps 0.9800", "at least 0.99 was asked for"],
        ),
        # 2 layers miss the bytes by 4 %, 1 layer the quality by 8 %, all layers the bytes by far.
        (
            {"max_bytes": 4_800_000, "min_quality": 0.97},
            2,
            ["5,000,000 bytes", "0.9500"],
        ),
        ({"min_quality": 0.5, "metric": "neighbour_overlap_10"}, 1, ["could not be measured"]),
    ],
)
def test_where_none_meets_it_the_nearest_is_named_with_what_it_misses(
    target: dict[str, Any], layers: int | None, says: list[str]
) -> None:
    found = picked(**target)
    assert found.target.picked is None
    assert found.meeting == []
    assert found.target.nearest
    assert found.measured.layers == found.target.nearest.layers == layers
    error = target_error(found.target)
    assert error
    assert (error.type, error.code, error.retryable) == ("user", "target_not_met", False)
    for words in says:
        assert words in error.message


def with_file(found: EvaluatedSize, runtime: str, megabytes: float, kept: float) -> EvaluatedSize:
    """A model with one more file, as fast as its megabytes."""
    size, rows = round(megabytes * MB), [quality("sentence_cosine", kept)]
    file = Export(runtime=runtime, path=f"{runtime}/model", bytes=size, quality=rows)
    exports, latency = [*found.exports, file], [*found.latency, timed(runtime, 1, megabytes)]
    return found.model_copy(update={"exports": exports, "latency": latency})


WIDE_FRONT = [
    with_file(with_file(FRONT[0], "onnx-int4", 2, 0.85), "static", 4, 0.88),
    with_file(FRONT[1], "onnx-int4", 3.5, 0.94),
    with_file(FRONT[2], "onnx-int4", 6, 0.97),
]


@pytest.mark.parametrize(
    ("target", "layers", "runtime", "meeting"),
    [
        ({"max_bytes": 4 * MB}, 2, "onnx-int4", 4),
        ({"max_bytes": 5 * MB}, 2, "onnx-int8", 5),
        ({"max_bytes": 2 * MB}, 1, "onnx-int4", 1),
        ({"max_bytes": 100 * MB}, 1, "torch", 10),
        ({"min_quality": 0.93}, 2, "onnx-int4", 7),
        ({"min_quality": 0.87}, 1, "onnx-int8", 9),
        ({"max_bytes": 4 * MB, "max_ms": 1.5}, 1, "onnx-int8", 1),
    ],
)
def test_with_any_runtime_the_best_file_of_all_models_is_picked(
    target: dict[str, Any], layers: int | None, runtime: str, meeting: int
) -> None:
    found = picked(WIDE_FRONT, runtime="any", **target).target
    assert found.picked
    assert (found.picked.layers, found.picked.runtime) == (layers, runtime)
    assert found.runtime == "any"
    # Each of three models in PyTorch, int8 and int4, and static vectors once.
    assert len(found.front) == 10
    assert [point for point in found.front if not point.misses].count(found.picked) == 1
    assert sum(not point.misses for point in found.front) == meeting
    meet = "1 meets" if meeting == 1 else f"{meeting} meet"
    assert f"Of the 10 files of the 3 models that were made {meet} the target" in found.reason
    assert f" in {runtime_label(runtime)} " in found.reason


def test_where_no_file_meets_a_target_the_nearest_of_all_is_named() -> None:
    found = picked(WIDE_FRONT, runtime="any", max_bytes=MB).target
    assert (found.picked, len(found.front)) == (None, 10)
    assert found.nearest
    assert (found.nearest.runtime, found.nearest.bytes) == ("onnx-int4", 2 * MB)
    assert (
        "none meets the target. The nearest is that of 1,000 tokens and 1 layer in" in found.reason
    )


def test_what_the_nearest_misses_is_said_in_clauses() -> None:
    target = {"max_ms": 0.5, "min_quality": 0.99}
    assert picked([FRONT[0]], **target).target.reason == (
        "Of the 1 model that was made none meets the target. The nearest is that of 1,000 tokens "
        "and 1 layer in ONNX int8: a batch of 1 takes 1 ms, but at most 0.5 ms were asked for; "
        "sentence_cosine keeps 0.9000 of the base's, but at least 0.99 was asked for."
    )


def test_equals_are_told_apart_by_size_then_time() -> None:
    equals = [model(1, 5, 0.9, 3.0), model(2, 4, 0.9, 3.0), model(3, 4, 0.9, 2.0)]
    assert picked(equals, max_bytes=9 * MB).measured.layers == 3
    assert picked(equals, min_quality=0.9).measured.layers == 3
    better = [*equals, model(None, 4, 0.95, 2.0)]
    assert picked(better, min_quality=0.9).measured.layers is None


def test_a_model_whose_quality_was_not_measured_comes_last_and_meets_no_quality() -> None:
    unknown = model(1, 3, None, 1.0)
    assert picked([unknown, FRONT[1]], max_bytes=9 * MB).measured.layers == 2
    assert picked([unknown], max_bytes=9 * MB).target.picked
    missed = picked([unknown], min_quality=0.1)
    assert missed.target.nearest
    assert missed.target.nearest.misses == ["no quality could be measured"]


def test_what_is_fine_tuned_is_judged_on_the_file_of_the_runtime() -> None:
    """The model in PyTorch keeps enough, its int8 file too little, and its int4 file has no score.

    Nor have static vectors, which a target for any runtime weighs too.
    """
    scores = Scores(values=[0.8], mean=0.8, spread=0.0)
    kept = TaskQuality(
        type="sequence_classification",
        metric="macro_f1",
        seeds=1,
        before=scores,
        after=scores,
        retention=0.97,
    )
    [file] = FRONT[1].exports
    files = [
        file.model_copy(update={"quality": [quality("macro_f1", 0.93), *file.quality]}),
        file.model_copy(update={"runtime": "onnx-int4", "bytes": 3 * MB}),
        file.model_copy(update={"runtime": "static", "bytes": 2 * MB}),
    ]
    in_torch = [quality("macro_f1", 0.97), *FRONT[1].quality]
    update = {"task": kept, "quality": in_torch, "exports": files}
    tuned = FRONT[1].model_copy(update=update)
    missed = picked([tuned], min_quality=0.96).target
    assert missed.nearest
    assert (missed.nearest.metric, missed.nearest.kept) == ("macro_f1", 0.93)
    assert missed.nearest.misses == [
        "macro_f1 keeps 0.9300 of the base's, but at least 0.96 was asked for"
    ]
    assert picked([tuned], min_quality=0.96, runtime="torch").target.picked
    unscored = picked([tuned], min_quality=0.1, runtime="onnx-int4").target
    assert unscored.nearest
    assert unscored.nearest.misses == ["macro_f1 could not be measured"]
    found = picked([tuned], min_quality=0.9, runtime="any").target
    assert found.picked
    assert (found.picked.runtime, found.picked.kept) == ("onnx-int8", 0.93)
    largest = picked([tuned], max_bytes=100 * MB, runtime="any").target
    assert largest.picked
    assert (largest.picked.runtime, largest.picked.kept) == ("torch", 0.97)
    named = picked([tuned], min_quality=0.9, metric="sentence_cosine", runtime="static").target
    assert named.picked


CANDIDATES = [
    SizedPoint(vocab_size=size, layers=layers, files={"onnx-int8": size})
    for layers in (1, None)
    for size in (10, 20, 30, 40)
]


@pytest.mark.parametrize(
    ("least", "most", "sizes"),
    [(0, 99, [40, 40]), (0, 25, [20, 20]), (15, 35, [30, 30])],
)
def test_vocabularies_that_cannot_be_made_are_left_out_and_the_points_planned_anew(
    least: int, most: int, sizes: list[int]
) -> None:
    tried = list[int]()

    def trained(wanted: Sequence[int], _: object) -> list[Any]:
        tried.extend(wanted)
        if wanted[0] < least:
            raise VocabSizeBelowFloorError("low")
        if wanted[0] > most:
            raise CorpusTooSmallError("high")
        return [f"of {wanted[0]}"]

    target = TargetRecipe(max_bytes=99, runtime="onnx-int8")
    points, made = tokenizer_stage.for_target(target, CANDIDATES, trained, lambda *_: None)
    assert [point.vocab_size for point in points] == sizes
    assert [point.layers for point in points] == [1, None]
    assert {size: str(one) for size, one in made.items()} == {sizes[0]: f"of {sizes[0]}"}
    assert len(tried) == len(set(tried))
    # Looked for quality alone, a small one that fails gives way to the next.
    points, made = tokenizer_stage.for_target(
        TargetRecipe(min_quality=0.5), CANDIDATES, trained, lambda *_: None
    )
    assert set(made) == {point.vocab_size for point in points}
    assert all(least <= point.vocab_size <= most for point in points)


def test_where_no_vocabulary_can_be_made_the_last_fault_is_told() -> None:
    def trained(wanted: Sequence[int], _: object) -> list[Any]:
        raise CorpusTooSmallError(f"too small for {wanted[0]}")

    with pytest.raises(CorpusTooSmallError, match="too small for 10"):
        tokenizer_stage.for_target(
            TargetRecipe(max_bytes=99, runtime="onnx-int8"), CANDIDATES, trained, lambda *_: None
        )


def test_too_few_groups_of_words_are_told_and_no_smaller_vocabulary_is_tried() -> None:
    tried = list[int]()

    def trained(wanted: Sequence[int], _: object) -> list[Any]:
        tried.extend(wanted)
        if wanted[0] < 40:
            raise VocabSizeBelowFloorError("nobody asked for so few")
        raise TooFewWordGroupsError("ask for at most 363")

    with pytest.raises(CorpusTooSmallError, match="at most 363"):
        tokenizer_stage.for_target(
            TargetRecipe(max_bytes=99, runtime="onnx-int8"), CANDIDATES, trained, lambda *_: None
        )
    assert tried == [40]


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the stage that starts a process a model."""
    monkeypatch.setattr(runner, "STAGES", [s for s in STAGES if s.name != "check"])


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_a_target_makes_a_model_for_each_number_of_layers_and_picks_the_best(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    target = {"max_bytes": 10**7, "runtime": "torch"}
    job = run(settings, db, blobs, target=target)
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    rows = {row["layers"]: row for row in report["sweep"]}
    assert [(row["vocab_size"], row["layers"]) for row in report["sweep"]] == [
        (300, 1),
        (300, None),
    ]
    best = max(report["sweep"], key=lambda row: row["quality"][0]["retention"])
    assert best["path"] == "."
    assert best["bytes"] == report["compressed"]["bytes"] == report["target"]["picked"]["bytes"]
    other = rows[1 if best["layers"] is None else None]
    assert other["path"] == ("sizes/300-1l" if other["layers"] else "sizes/300")
    for row in report["sweep"]:
        config = json.loads((folder / row["path"] / "config.json").read_text())
        assert config["num_hidden_layers"] == (row["layers"] or 2)
        assert row["meets_target"] is row["meets_gate"] is True
    told = report["target"]
    assert {name: told[name] for name in target} == target
    assert "Of the 2 models that were made 2 meet the target" in told["reason"]
    page, card = ((folder / name).read_text("utf-8") for name in ("report.html", "README.md"))
    assert "Target met" in page
    assert "300, 1 layers" in page or "300, all layers" in page
    assert "| 300 | 1 |" in card


@pytest.mark.usefixtures("unchecked")
def test_a_target_that_none_meets_fails_the_job_and_keeps_its_front(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    target = {"min_quality": 1.0, "runtime": "torch", "max_bytes": 10**7}
    job = run(settings, db, blobs, target=target)
    assert (job.status, (job.error or {})["code"]) == (Status.FAILED, "target_not_met")
    assert job.error
    assert "The nearest is that of 300 tokens and" in job.error["message"]
    assert job.result
    report = report_of(unpack(job, blobs, tmp_path))
    assert report["target"]["picked"] is None
    assert report["target"]["nearest"]["misses"]
    assert [row["meets_target"] for row in report["sweep"]] == [False, False]
    assert service.find_archive(db, job.id)[0].bytes


def test_the_worker_refuses_what_no_submission_could(
    settings: Settings, db: Database, blobs: Blobs
) -> None:
    job = run(settings, db, blobs, target={"max_bytes": 50, "runtime": "torch"})
    assert (job.error or {})["code"] == "target_out_of_reach"
    assert "the smallest, of 30 tokens and 1 layer, takes about" in (job.error or {})["message"]


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("type_", ["retrieval", "sequence_classification", "token_classification"])
def test_a_task_is_judged_on_the_exported_file(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path, type_: str
) -> None:
    task, metric = store_task(db, blobs, type_), METRICS[type_]
    target = {"max_bytes": 10**7, "min_quality": 0.01}
    evaluation = {"latency": False, "task": task}
    job = run(settings, db, blobs, target=target, evaluation=evaluation)
    assert job.status == Status.SUCCEEDED, job.error
    report = report_of(unpack(job, blobs, tmp_path))
    file = next(one for one in report["exports"] if one["runtime"] == "onnx-int4")
    told = report["target"]["picked"]
    assert (told["metric"], told["bytes"]) == (metric, file["bytes"])
    assert told["kept"] == file["quality"][0]["retention"]
    assert file["quality"][0]["metric"] == metric
    for row in report["sweep"]:
        [seen] = [one for one in report["target"]["front"] if one["layers"] == row["layers"]]
        [of_file] = [one for one in row["exports"] if one["runtime"] == "onnx-int4"]
        assert seen["kept"] == of_file["quality"][0]["retention"]


@pytest.fixture
def deep(tmp_path: Path, valkey: str) -> Iterator[tuple[Settings, Database]]:
    """A service whose small model has four layers."""
    make_base_model(tmp_path / "models" / "acme" / "tiny-bert", layers=4)
    update = {"models_dir": tmp_path / "models"}
    found = local_settings(tmp_path / "service", valkey).model_copy(update=update)
    for db in open_store(found.database_url):
        yield found, db


@pytest.mark.slow
def test_a_worker_walks_the_frontier(deep: tuple[Settings, Database], tmp_path: Path) -> None:
    settings, db = deep
    blobs = Blobs(settings.blobs_url)
    target = {"max_bytes": 10**7, "max_ms": 1e6, "batch_size": 4}
    recipe = Recipe.model_validate(
        {"target": target, "recovery": {"max_minutes": MINUTES}, "tokenizer": {"multiword": 10}}
    )
    corpus = store_corpus(db, blobs, texts(800))
    job = submit(db, corpus.id, "acme/tiny-bert", recipe)
    with worker_process(settings):
        job = wait_for_end(settings, db, job.id, 400)
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    assert [(row["vocab_size"], row["layers"]) for row in report["sweep"]] == [
        *((300, 1), (300, 2), (300, 3), (300, None)),
    ]
    for row in report["sweep"]:
        file = next(one for one in row["exports"] if one["runtime"] == "onnx-int4")
        assert (folder / row["path"] / file["path"]).stat().st_size == file["bytes"]
        timed_at = {one["batch_size"] for one in row["latency"] if one["runtime"] == "onnx-int4"}
        assert timed_at == {1, 4, 32}
    # Half of a plain job's time each, so that all four take that of two.
    assert report["recovery"]["seconds"] <= 0.5 * MINUTES * 60 + 2
    # The file that the target is for is trained for.
    assert report["recovery"]["four_bit_steps"] > 0
    with db.read() as session:
        query = select(JobEvent).where(JobEvent.type == "recovery.loss")
        assert {event.data["layers"] for event in session.scalars(query)} == {1, 2, 3, None}
    picked_ = report["target"]["picked"]
    ms = [
        row["after_ms"]
        for row in report["latency"]
        if (row["runtime"], row["batch_size"]) == ("onnx-int4", 4)
    ]
    assert [picked_["ms"]] == ms
    kept = {
        row["layers"]: file["quality"][0]["retention"]
        for row in report["sweep"]
        for file in row["exports"]
        if file["runtime"] == "onnx-int4"
    }
    assert picked_["kept"] == max(kept.values())


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_in_any_runtime_one_training_serves_all_files_that_fit(
    deep: tuple[Settings, Database], tmp_path: Path
) -> None:
    settings, db = deep
    blobs, most = Blobs(settings.blobs_url), 240_000
    assert settings.models_dir
    in_sentence_transformers(settings.models_dir / "acme" / "tiny-bert", "")
    target = {"max_bytes": most, "runtime": "any"}
    job = run(settings, db, blobs, target=target, evaluation={"latency": True})
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    assert len(report["sweep"]) == 4
    rows = {(row["vocab_size"], row["layers"]): row for row in report["sweep"]}
    front = report["target"]["front"]
    for seen in front:
        row = rows[seen["vocab_size"], seen["layers"]]
        files = {file["runtime"]: file for file in row["exports"]}
        path = files[seen["runtime"]]["path"] if seen["runtime"] != "torch" else "model.safetensors"
        size, quality_ = (
            (row["bytes"], row["quality"])
            if seen["runtime"] == "torch"
            else (files[seen["runtime"]]["bytes"], files[seen["runtime"]]["quality"])
        )
        assert (folder / row["path"] / path).stat().st_size <= size == seen["bytes"]
        assert seen["kept"] == quality_[0]["retention"]
        assert seen["ms"] > 0
        assert bool(seen["misses"]) == (size > most)
    counts = Counter(seen["runtime"] for seen in front)
    # The graph of such a small model takes more than its numbers in OpenVINO's files.
    assert all(counts.pop(name) < 4 for name in ("openvino", "openvino-int8"))
    assert counts == {
        **dict.fromkeys(("torch", "onnx", "onnx-int8", "onnx-int4"), 4),
        "static": 1,
    }
    # Float files above the limit are there only for what is made of them.
    missed = {(seen["runtime"], seen["layers"]) for seen in front if seen["misses"]}
    assert ("onnx", None) in missed
    assert {name for name, _ in missed} <= {"onnx", "openvino"}
    best = report["target"]["picked"]
    assert best["kept"] == max(seen["kept"] for seen in front if not seen["misses"])
    assert rows[best["vocab_size"], best["layers"]]["path"] == "."
    assert f"{in_runtime(best['runtime'])} keeps the most quality" in report["target"]["reason"]
    assert (folder / RUNTIMES[best["runtime"]].path).is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_a_runtime_that_fails_is_left_out_where_any_will_do(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ExportFailedError("The file is not the model's.")

    int8 = replace(ENTRIES["onnx-int8"], check=fails)
    monkeypatch.setitem(ENTRIES, "onnx-int8", int8)
    asked: dict[str, Any] = {"target": {"max_bytes": 10**7, "runtime": "any"}}
    job = run(settings, db, blobs, **asked)
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    weighed = {seen["runtime"] for seen in report["target"]["front"]}
    assert weighed == {"torch", "onnx", "onnx-int4", "openvino", "openvino-int8"}
    assert not list(folder.rglob("model_int8.onnx"))
    said = "ONNX int8 was not weighed for some models: The file is not the model's."
    assert report["warnings"].count(said) == 1
    # What is asked for by name is not left out.
    job = run(settings, db, blobs, **asked, export={"int8": True})
    assert (job.status, (job.error or {})["code"]) == (Status.FAILED, "export_failed")
