"""Tasks with labels in whole jobs: base and compressed model scored by one protocol."""

import copy
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
import torch
from transformers import BertForMaskedLM, BertForSequenceClassification
from transformers.models.auto import modeling_auto as auto

from app.blobs import Blobs
from app.broker import Dispatcher
from app.contract.architectures import ARCHITECTURES
from app.contract.names import gate_metrics, task_metrics
from app.contract.recipe import Recipe
from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.jobs.models import Job
from app.settings import Settings
from tests.support.finished_jobs import UNTRAINED, stages_started
from tests.support.in_process import report_of, run, unpack
from tests.support.job_store import read
from tests.support.labelled_tasks import DATA, METRICS, labelled, store_task
from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import tokenizer_pair
from tests.support.some_slow import some_slow
from tests.support.st_folders import sentence_encoder
from tests.support.tiny_models import texts
from tests.support.workers import (
    kill,
    store_corpus,
    submit,
    wait_for_end,
    wait_until,
    worker_process,
)
from worker import runner
from worker.compression import (
    ExportFailedError,
    LoadedModel,
    load_model,
    quality_metrics,
    save_model,
)
from worker.compression.evaluation.tasks.fine_tuning import fine_tune
from worker.compression.evaluation.tasks.sequence_classification import fine_tuned_classifier
from worker.compression.models.encoder import Encoder
from worker.compression.runtimes import RUNTIMES
from worker.compression.runtimes.onnx import OnnxEncoder
from worker.stages import STAGES


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep a tiny model from waiting for threads on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the stage that starts a process a model."""
    monkeypatch.setattr(runner, "STAGES", [s for s in STAGES if s.name != "check"])


def scored(task: dict[str, Any], **recipe: Any) -> dict[str, Any]:
    return {"vocab_size": 300, "evaluation": {"latency": False, "task": task}, **recipe}


def failure(job: Job) -> tuple[str, str]:
    assert (job.status, (job.error or {})["type"]) == (Status.FAILED, "user")
    assert job.error
    return job.error["code"], job.error["message"]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("type_", some_slow(METRICS, fast={"sequence_classification"}))
def test_a_task_is_the_first_of_what_is_measured(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path, type_: str
) -> None:
    job = run(settings, db, blobs, **scored(store_task(db, blobs, type_)))
    assert job.status == Status.SUCCEEDED, job.error
    folder, metric = unpack(job, blobs, tmp_path), METRICS[type_]
    report = report_of(folder)
    task, first = report["task"], report["quality"][0]
    assert (task["type"], task["metric"], task["seeds"]) == (type_, metric, 1)
    for when in ("before", "after"):
        assert task[when]["values"] == [task[when]["mean"]]
        assert task[when]["spread"] == 0.0
        assert -1 <= task[when]["mean"] <= 1
    assert task["before"]["mean"] > 0.4
    assert task["retention"] == task["after"]["mean"] / task["before"]["mean"]
    figures = {
        "metric": metric,
        "before": task["before"]["mean"],
        "after": task["after"]["mean"],
        "retention": task["retention"],
    }
    assert {name: first[name] for name in figures} == figures
    rows = [row["metric"] for row in report["quality"]]
    assert rows == [*task_metrics(type_), "sentence_cosine", "neighbour_overlap_10"]
    others = {row["metric"]: row for row in task["others"]}
    assert list(others) == task_metrics(type_)[1:]
    for row in report["quality"][1 : len(others) + 1]:
        other = others[row["metric"]]
        assert row["after"] == other["after"]["mean"]
        assert row["retention"] == other["retention"] == row["after"] / row["before"]
    assert job.result
    assert next(iter(job.result["quality"])) == metric
    for page in ("report.html", "README.md"):
        assert f"{task['before']['mean']:.4f}" in (folder / page).read_text("utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_the_base_is_scored_once_and_each_size_with_the_same_seeds(
    settings: Settings,
    db: Database,
    blobs: Blobs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tuned = Counter[int]()

    def count(model: Any, *more: Any) -> None:
        tuned[len(model.get_input_embeddings().weight)] += 1
        fine_tune(model, *more)

    monkeypatch.setattr(f"{fine_tuned_classifier.__module__}.fine_tune", count)
    task = store_task(db, blobs, "sequence_classification", seeds=3, epochs=2)
    gate = {"min_quality": 0.01, "metric": "macro_f1"}
    wanted = scored(task, vocab_size=[300, 240], gate=gate, export={"int8": True})
    job = run(settings, db, blobs, **wanted)
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    rows = [row["task"] for row in report["sweep"]]
    assert rows[0]["before"] == rows[1]["before"] == report["task"]["before"]
    assert report["task"] == next(row["task"] for row in report["sweep"] if row["path"] == ".")
    for row in report["sweep"]:
        scores = row["task"]["after"]
        assert len(scores["values"]) == row["task"]["seeds"] == 3
        assert (
            row["quality"][0]["after"] == scores["mean"] == pytest.approx(sum(scores["values"]) / 3)
        )
        for file in row["exports"]:
            assert file["quality"][0]["metric"] == "macro_f1"
            assert file["quality"][0]["before"] == report["task"]["before"]["mean"]
            assert file["quality"][2]["metric"] == "sentence_cosine"
    # A model and its files are of one fine-tuning a seed.
    assert tuned[300] == tuned[240] == 3
    assert tuned.total() == 9
    assert report["compressed"]["vocab_size"] == 240
    assert report["gate"]["metric"] == "macro_f1"
    page = (folder / "report.html").read_text("utf-8")
    assert (
        f"{report['task']['before']['mean']:.4f} ± {report['task']['before']['spread']:.4f}" in page
    )


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("type_", ["retrieval", "sentence_pairs"])
def test_what_needs_no_training_is_measured_on_the_exports_too(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path, type_: str
) -> None:
    job = run(settings, db, blobs, **scored(store_task(db, blobs, type_), export={"int8": True}))
    assert job.status == Status.SUCCEEDED, job.error
    report = report_of(unpack(job, blobs, tmp_path))
    plain, int8 = (export["quality"][0] for export in report["exports"])
    assert plain["metric"] == int8["metric"] == METRICS[type_]
    assert plain["before"] == report["task"]["before"]["mean"]
    assert plain["after"] == pytest.approx(report["task"]["after"]["mean"], abs=0.02)
    assert int8["after"] == pytest.approx(plain["after"], abs=0.3)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("type_", ["sequence_classification", "token_classification"])
def test_files_of_what_was_fine_tuned_are_scored_in_every_runtime(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path, type_: str
) -> None:
    task, export = store_task(db, blobs, type_, seeds=2), {"int8": True, "openvino_int8": True}
    job = run(settings, db, blobs, **scored(task, export=export))
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    files = {one["runtime"]: one["quality"] for one in report["exports"]}
    assert list(files) == ["onnx", "onnx-int8", "openvino", "openvino-int8"]
    names = task_metrics(type_)
    for rows in files.values():
        assert [row["metric"] for row in rows[: len(names)]] == names
        assert rows[0]["before"] == report["task"]["before"]["mean"]
        assert rows[0]["items"] == 16
    # In float32 a file labels as the model does, and all of them have learnt the task.
    after = report["task"]["after"]["mean"]
    assert files["onnx"][0]["after"] == pytest.approx(after, abs=0.02)
    assert min(rows[0]["after"] for rows in files.values()) > 0.5
    assert not [said for said in report["warnings"] if "once fine-tuned" in said]
    for page in ("report.html", "README.md"):
        said = (folder / page).read_text("utf-8")
        for rows in files.values():
            assert f"{rows[0]['after']:.4f}" in said


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_a_target_is_missed_by_a_file_that_forgets_what_the_model_has_learnt(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgetful(OnnxEncoder):
        def head_logits(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            return -super().head_logits(inputs)

    monkeypatch.setitem(RUNTIMES, "onnx-int8", replace(RUNTIMES["onnx-int8"], encoder=Forgetful))
    task = store_task(db, blobs, "sequence_classification")
    target = {"max_bytes": 10**7, "min_quality": 0.5, "runtime": "onnx-int8"}
    evaluation = {"latency": False, "task": task}
    job = run(settings, db, blobs, target=target, evaluation=evaluation)
    code, message = failure(job)
    assert (code, "in ONNX int8: macro_f1 keeps" in message) == ("target_not_met", True), message
    report = report_of(unpack(job, blobs, tmp_path))
    assert report["task"]["retention"] > 0.5 > report["target"]["nearest"]["kept"]


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_a_file_that_cannot_be_made_of_the_fine_tuned_model_has_no_score_and_is_told(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    int8 = RUNTIMES["onnx-int8"]
    write = int8.write
    assert write

    def refuse_heads(loaded: LoadedModel, file: Path) -> None:
        if isinstance(loaded.model, BertForSequenceClassification):
            raise ExportFailedError("It is not sound.")
        write(loaded, file)

    monkeypatch.setitem(RUNTIMES, "onnx-int8", replace(int8, write=refuse_heads))
    task = store_task(db, blobs, "sequence_classification", seeds=2, epochs=2)
    job = run(settings, db, blobs, **scored(task, export={"int8": True}))
    assert job.status == Status.SUCCEEDED, job.error
    report = report_of(unpack(job, blobs, tmp_path))
    firsts = {one["runtime"]: one["quality"][0]["metric"] for one in report["exports"]}
    assert firsts == {"onnx": "macro_f1", "onnx-int8": "sentence_cosine"}
    [told] = [said for said in report["warnings"] if "ONNX int8" in said]
    assert told.endswith("once fine-tuned: It is not sound.")


@pytest.mark.usefixtures("unchecked")
def test_queries_by_the_result_are_searched_in_the_bases_documents(
    settings: Settings,
    db: Database,
    blobs: Blobs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = Counter[str]()
    vectors = Encoder.vectors

    def count(encoder: Encoder, some: Sequence[str]) -> torch.Tensor:
        read.update(some)
        return vectors(encoder, some)

    monkeypatch.setattr(Encoder, "vectors", count)
    task = store_task(db, blobs, "retrieval")
    gate = {"metric": "index_ndcg_at_10", "min_quality": 0.999}
    job = run(settings, db, blobs, **scored(task, gate=gate, export={"int8": True}))
    # Without recovery the vectors are not the base's.
    code, message = failure(job)
    assert code == "gate_not_met"
    assert "index_ndcg_at_10 keeps 0." in message
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    assert report["gate"]["metric"] == "index_ndcg_at_10"
    names = [name for name in task_metrics("retrieval") if name.startswith("index_")]
    assert names == ["index_ndcg_at_10", "index_recall_at_10", "index_mrr"]
    rows = {row["metric"]: row for row in report["quality"]}
    scores = {row["metric"]: row for row in report["task"]["others"]}
    for name in names:
        own = rows[name.removeprefix("index_")]
        assert rows[name]["before"] == own["before"] > 0
        assert rows[name]["after"] == scores[name]["after"]["mean"]
        assert rows[name]["items"] == 8
        assert rows[name]["low"] <= rows[name]["retention"] <= rows[name]["high"]
    onnx, int8 = ({row["metric"]: row for row in one["quality"]} for one in report["exports"])
    assert [name for name in onnx if name in names] == names
    assert [name for name in int8 if name in names] == names
    assert onnx["index_mrr"]["after"] == pytest.approx(rows["index_mrr"]["after"], abs=0.02)
    assert "Your index stays: nDCG@10 of the task" in (folder / "report.html").read_text("utf-8")
    # The base reads a document once, and so do the result and its two files.
    parts = DATA["retrieval"]()
    queries = {row["text"] for row in parts["queries"]}
    documents = {row["text"] for row in parts["documents"]} - queries
    assert len(documents) > 20
    assert {read[text] for text in documents} == {4}


@pytest.mark.usefixtures("unchecked")
def test_of_a_base_that_cannot_do_the_task_no_share_is_kept(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    pairs = [{"sentence1": "babe", "sentence2": "babe", "score": score} for score in range(4)]
    task = store_task(db, blobs, "sentence_pairs", pairs=pairs)
    job = run(settings, db, blobs, **scored(task, gate={"min_quality": 0.1}))
    code, message = failure(job)
    assert code == "gate_not_met"
    assert "the base scores 0.0000 in spearman, of which none is kept" in message
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    assert (report["task"]["before"]["mean"], report["task"]["retention"]) == (0, None)
    assert report["quality"][0]["metric"] == "sentence_cosine"
    assert "there is no share to keep" in (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("type_", "changed", "says"),
    [
        ("sequence_classification", {"test": labelled(4)[:1]}, "test part has 1 different labels"),
        ("token_classification", {"train": [{"tokens": ["a"], "tags": []}]}, "Line 1 of `train`"),
        ("retrieval", {"documents": [{"id": "x", "text": "a"}]}, "documents that are not given"),
        ("retrieval", {"grade_field": "relevance"}, "has no field 'relevance'"),
        ("sentence_pairs", {"text_fields": ["sentence1", "other"]}, "has no field 'other'"),
    ],
)
def test_bad_data_fails_the_job_before_anything_is_trained(
    settings: Settings, db: Database, blobs: Blobs, type_: str, changed: dict[str, Any], says: str
) -> None:
    job = run(settings, db, blobs, **scored(store_task(db, blobs, type_, **changed)))
    code, message = failure(job)
    assert (code, says in message) == ("task_data_invalid", True), message
    assert stages_started(db, job.id) == ["resolve", "corpus"]


@pytest.mark.usefixtures("unchecked")
def test_batches_too_large_for_the_memory_are_the_jobs_fault(
    settings: Settings, db: Database, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(*_: Any, **__: Any) -> torch.Tensor:
        return torch.empty(1 << 60)

    monkeypatch.setattr(BertForSequenceClassification, "forward", hungry)
    job = run(settings, db, blobs, **scored(store_task(db, blobs, "sequence_classification")))
    code, message = failure(job)
    assert (code, "batches of 8 rows" in message) == ("out_of_memory", True), message


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        ("macro_f1", "by the task `sequence_classification`"),
        ("index_mrr", "by the task `retrieval`"),
        # The base is no sentence encoder: nobody has an index of it.
        ("index_overlap_10", "`sentence_cosine`, `neighbour_overlap_10`"),
        ("masked_lm_bits_per_character", "`sentence_cosine`, `neighbour_overlap_10`"),
    ],
)
def test_a_gate_on_what_is_not_measured_fails_the_job_at_once(
    settings: Settings, db: Database, blobs: Blobs, metric: str, says: str
) -> None:
    job = run(settings, db, blobs, gate={"min_quality": 0.9, "metric": metric})
    code, message = failure(job)
    assert (code, says in message) == ("gate_metric_not_measured", True), message
    assert stages_started(db, job.id) == ["resolve"]


def test_a_model_without_the_head_fails_the_job_at_once(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    kind = next(kind for kind in KINDS if kind.config == "BartConfig")
    tokenizer, _ = tokenizer_pair(kind.family)
    folder = tmp_path / "models" / "acme" / "tiny-bert"
    save_model(folder, kind.make("BartModel", tokenizer), tokenizer)
    own = settings.model_copy(update={"models_dir": tmp_path / "models"})
    task = store_task(db, blobs, "token_classification")
    job = run(own, db, blobs, **scored(task))
    code, message = failure(job)
    assert (code, "with a bart" in message) == ("task_unsupported", True)
    assert stages_started(db, job.id) == ["resolve"]


def test_the_metrics_that_a_gate_may_name_are_those_there_are(models: Path, tmp_path: Path) -> None:
    bert = load_model(models / "acme" / "tiny-bert")
    config: Any = bert.model.config
    masked = replace(bert, model=BertForMaskedLM(config))
    named = {*quality_metrics(masked)}
    named |= {metric for type_ in METRICS for metric in task_metrics(type_)}
    for config, head in (
        ("GPT2Config", "GPT2LMHeadModel"),
        ("T5Config", "T5ForConditionalGeneration"),
    ):
        kind = next(kind for kind in KINDS if kind.config == config)
        tokenizer, _ = tokenizer_pair(kind.family)
        named |= set(quality_metrics(replace(bert, model=kind.make(head, tokenizer))))
    named |= set(quality_metrics(cross_encoder(bert, tmp_path / "scores")))
    named |= set(quality_metrics(load_model(sentence_encoder(tmp_path / "vectors"))))
    assert named == set(gate_metrics())


def cross_encoder(bert: LoadedModel, folder: Path) -> LoadedModel:
    """A model that scores pairs of texts: a classifier with one label."""
    config: Any = copy.deepcopy(bert.model.config)
    config.num_labels = 1
    save_model(folder, BertForSequenceClassification(config), bert.tokenizer)
    return load_model(folder)


def test_the_list_of_models_without_a_head_is_that_of_transformers() -> None:
    tagging = auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES
    labelling = auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
    without = {row.model_type for row in ARCHITECTURES.values() if not row.has_token_classifier}
    assert set(ARCHITECTURES) - set(tagging) == without
    assert set(ARCHITECTURES) <= set(labelling)


def folders_of_heads(settings: Settings) -> list[Path]:
    return [*settings.workspaces.rglob("fine-tuned-*"), *Path(gettempdir()).glob("fine-tuned-*")]


@pytest.mark.slow
@pytest.mark.parametrize("end", ["cancel", "kill"])
def test_a_job_that_ends_amid_the_files_of_its_task_leaves_none(
    settings: Settings, db: Database, blobs: Blobs, end: str
) -> None:
    task = store_task(db, blobs, "token_classification", seeds=4, epochs=1)
    corpus = store_corpus(db, blobs, texts(200))
    recipe = Recipe.model_validate(scored(task, export={"int8": True}) | UNTRAINED)
    job = submit(db, corpus.id, "acme/tiny-bert", recipe)
    Dispatcher(settings).send(job.id)
    with worker_process(settings) as process:
        wait_until(lambda: bool(folders_of_heads(settings)))
        if end == "kill":
            kill(process)
            assert folders_of_heads(settings)
        with db.write() as session:
            transitions.request_cancel(session, session.get_one(Job, job.id))
        if end == "cancel":
            wait_for_end(settings, db, job.id, seconds=30)
            # The job has ended before its workspace is removed.
            wait_until(lambda: not folders_of_heads(settings), seconds=30)
    if end == "kill":
        # What is left lies in the job's own folder, with which the next worker removes it.
        with worker_process(settings):
            wait_for_end(settings, db, job.id, seconds=60)
            wait_until(lambda: not folders_of_heads(settings), seconds=30)
    assert read(db, job.id).status == Status.CANCELLED
    assert not folders_of_heads(settings)


@pytest.mark.slow
def test_a_job_can_be_cancelled_amid_its_task(
    settings: Settings, db: Database, blobs: Blobs
) -> None:
    task = store_task(db, blobs, "token_classification", seeds=20, epochs=100)
    corpus = store_corpus(db, blobs, texts(200))
    job = submit(db, corpus.id, "acme/tiny-bert", Recipe.model_validate(scored(task) | UNTRAINED))
    Dispatcher(settings).send(job.id)
    with worker_process(settings):
        wait_until(lambda: "entity_f1 of the base: fine-tuning" in read(db, job.id).message)
        with db.write() as session:
            transitions.request_cancel(session, session.get_one(Job, job.id))
        asked = time.monotonic()
        done = wait_for_end(settings, db, job.id, seconds=10)
    assert done.status == Status.CANCELLED
    assert time.monotonic() - asked < 5
