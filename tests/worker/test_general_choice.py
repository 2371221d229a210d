"""General text that a job is trained on beside its corpus, and what its report says of it."""

import gzip
import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.blobs import Blobs
from app.contract.budgets import DEFAULT_GENERAL_SHARE
from app.contract.recipe import Recipe
from app.contract.states import Status
from app.db import Database
from app.jobs import transitions
from app.settings import Settings
from tests.support.in_process import report_of, run, unpack
from tests.support.workers import store_corpus, submit
from worker import stages
from worker.compression import is_held_out
from worker.context import JobContext, load_context
from worker.general_choice import check_general_text, general_text, scripts_of
from worker.general_text import default_passages

ENGLISH = [f"The patient was seen on day {n} and had no rash at all." for n in range(40)]
RUSSIAN = [f"Больной осмотрен на {n} день, сыпи и жара больше нет." for n in range(40)]
JAPANESE = [f"患者は{n}日目に診察を受けたが、発疹は見られなかった。" for n in range(40)]


@pytest.fixture
def make_context(settings: Settings, db: Database, blobs: Blobs) -> Any:
    def make(
        corpus: list[str], general: list[str] | None = None, setting: str = "", **recovery: Any
    ) -> JobContext:
        if general is not None:
            recovery["general_corpus_id"] = store_corpus(db, blobs, general).id
        recipe = Recipe.model_validate({"recovery": recovery})
        job = submit(db, store_corpus(db, blobs, corpus).id, "acme/tiny-bert", recipe)
        claim = transitions.claim(db, job.id, "tester", timedelta(seconds=60))
        assert claim
        changed = settings.model_copy(update={"general_text": setting})
        return load_context(claim, changed, db, blobs, stages.shares)

    return make


def choose(context: JobContext) -> Any:
    return general_text(context)


def test_by_default_it_is_what_is_installed(make_context: Any) -> None:
    chosen = choose(make_context(ENGLISH))
    assert chosen.texts is not None
    assert tuple(chosen.texts()) == default_passages()
    assert chosen.source.startswith("English documentation")
    assert chosen.warning is None


@pytest.mark.parametrize(("corpus", "script"), [(RUSSIAN, "Cyrillic"), (JAPANESE, "CJK")])
def test_text_in_another_script_than_the_corpus_is_left_out(
    make_context: Any, corpus: list[str], script: str
) -> None:
    chosen = choose(make_context(corpus))
    assert (chosen.texts, chosen.warning) == (None, None)
    assert chosen.source.startswith("none: the service's is in Latin script")
    assert chosen.source.endswith(f"mostly in {script}")
    asked = choose(make_context(corpus, general_share=0.3))
    assert asked.source == chosen.source
    assert f"mostly in {script}. Give a `general_corpus_id`" in asked.warning


def test_a_corpus_with_few_words_of_another_script_is_trained_with_it(make_context: Any) -> None:
    assert choose(make_context([*ENGLISH, *RUSSIAN[:15]])).texts is not None
    assert choose(make_context([*ENGLISH[:15], *RUSSIAN])).texts is None


def test_the_corpus_of_a_recipe_is_taken_whatever_the_service_has(make_context: Any) -> None:
    general = [f"{n} домов стояло вдоль реки, шумел лес." for n in range(200)]
    chosen = choose(make_context(RUSSIAN, general, setting="none"))
    assert chosen.source.startswith("the corpus corpus_")
    assert chosen.warning is None
    assert {*chosen.texts()} == {text for text in general if not is_held_out(text, 0.05, 0)}


def test_one_in_another_script_is_used_and_warned_about(make_context: Any) -> None:
    chosen = choose(make_context(RUSSIAN, ENGLISH))
    assert {*chosen.texts()} <= {*ENGLISH}
    assert "is in Latin script, and the corpus mostly in Cyrillic" in chosen.warning


def test_what_is_held_out_of_the_corpus_is_not_trained_on_as_general_text(
    make_context: Any,
) -> None:
    context = make_context(ENGLISH, ENGLISH)
    held_out = [text for text in ENGLISH if is_held_out(text, 0.05, 0)]
    assert held_out
    chosen = choose(context)
    assert {*chosen.texts()} == {*ENGLISH} - {*held_out}


def test_a_service_may_have_none(make_context: Any) -> None:
    chosen = choose(make_context(ENGLISH, setting="none"))
    assert (chosen.source, chosen.texts, chosen.warning) == (
        "none: this service has no general text",
        None,
        None,
    )
    asked = choose(make_context(ENGLISH, setting="none", general_share=0.2))
    assert "`recovery.general_share` was asked for" in asked.warning


def test_an_operators_files_are_read_as_corpora_are(make_context: Any, tmp_path: Path) -> None:
    folder = tmp_path / "general" / "deep"
    folder.mkdir(parents=True)
    (folder / "b.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in ENGLISH[:3]))
    (folder.parent / "a.TXT").write_bytes(gzip.compress("\n\n".join(ENGLISH[3:5]).encode()))
    (folder / "ignored.md").write_text("Not read.")
    (folder / "folder.txt").mkdir()
    chosen = choose(make_context(ENGLISH, setting=str(folder.parent)))
    assert [*chosen.texts()] == [*ENGLISH[3:5], *ENGLISH[:3]]
    assert chosen.source == "text that this service was given"
    # What no user can mend does not fail a job.
    (folder / "c.jsonl").write_text('{"text": "The last line."}\n{"text": \n')
    assert [*chosen.texts()] == [*ENGLISH[3:5], *ENGLISH[:3], "The last line."]
    one = choose(make_context(ENGLISH, setting=str(folder / "b.jsonl")))
    assert [*one.texts()] == ENGLISH[:3]


def test_a_worker_does_not_start_without_the_text_of_its_setting(
    settings: Settings, tmp_path: Path
) -> None:
    broken, empty = tmp_path / "broken.jsonl", tmp_path / "empty"
    broken.write_text('{"text": "a"}\n{"text": \n')
    empty.mkdir()
    for path, why in (
        (tmp_path / "absent", "No such file"),
        (empty, "no text"),
        (broken, "[Ll]ine 2"),
    ):
        with pytest.raises(SystemExit, match=f"FVT_GENERAL_TEXT is {path}, and .*{why}"):
            check_general_text(settings.model_copy(update={"general_text": str(path)}))
    fine = tmp_path / "fine.txt"
    fine.write_text(ENGLISH[0])
    for setting in ("", "none", str(fine)):
        check_general_text(settings.model_copy(update={"general_text": setting}))


def test_scripts_are_those_of_letters() -> None:
    assert scripts_of(["Ab 12 я!", "漢字かな한"]) == Counter(CJK=4, Latin=2, Cyrillic=1, Hangul=1)


@pytest.mark.slow
def test_the_report_tells_it_apart_and_the_vocabulary_is_the_corpus_s(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    general = [f"xylophone {n} quartz jigsaw vortex" for n in range(300)]
    corpus_id = store_corpus(db, blobs, general).id
    made = {}
    for name, asked in {"with": {"general_corpus_id": corpus_id}, "without": {}}.items():
        recovery = {"max_steps": 12, "batch_size": 8, "objective": "distill", **asked}
        job = run(settings, db, blobs, vocab_size=0.5, recovery=recovery)
        assert job.status == Status.SUCCEEDED, job.error
        (tmp_path / name).mkdir()
        made[name] = unpack(job, blobs, tmp_path / name)
    recoveries = {name: report_of(folder)["recovery"] for name, folder in made.items()}
    used = recoveries["with"]
    assert used["general_share"] == DEFAULT_GENERAL_SHARE
    assert used["general_texts"] == sum(not is_held_out(text, 0.05, 0) for text in general)
    assert used["general_source"] == f"the corpus {corpus_id}"
    assert corpus_id in (made["with"] / "README.md").read_text()
    vocabularies = {(folder / "tokenizer.json").read_text() for folder in made.values()}
    assert len(vocabularies) == 1
    reports = [report_of(folder) for folder in made.values()]
    assert reports[0]["corpus"] == reports[1]["corpus"]
    assert reports[0]["tokens"] == reports[1]["tokens"]
    weights = {(folder / "model.safetensors").read_bytes() for folder in made.values()}
    assert len(weights) == 2
