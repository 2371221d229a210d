"""A recovery whose last steps are on queries: how many, from where, and the same after a kill."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.compression.recovery.test_recover import TEXTS, TINY, Case, Clock, Killed
from tests.compression.recovery.test_recover import same as same_weights
from tests.compression.recovery.test_schedule import plan_of
from tests.support.matrix_tokenizers import sentences
from worker.compression.models.traits import model_traits
from worker.compression.recovery import batching
from worker.compression.recovery import recover as recover_module
from worker.compression.recovery import trainer as trainer_module
from worker.compression.recovery.budget import learning_rate_factor
from worker.compression.recovery.options import RecoveryCallbacks
from worker.compression.recovery.queries import GIVEN, MADE

QUERIES = [f"what of {text}" for text in sentences(["river", "mountain", "weather"], 9)]
LAST = replace(TINY, query_share=0.25)


@pytest.fixture(autouse=True)
def sentence_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the tiny base be a sentence encoder, which no folder of it says."""
    monkeypatch.setattr(
        recover_module,
        "model_traits",
        lambda base: replace(model_traits(base), is_sentence_encoder=True),
    )


class Read:
    """The texts that a run was given to learn from, a list a step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rounds: list[list[str]] = []
        real = batching.BatchLoader._round

        def round_(loader: Any, number: int) -> Any:
            made = real(loader, number)
            if made:
                first = number * loader._steps_per_round * loader._batch_size
                count = sum(len(batch.examples) for batch in made)
                self.rounds.append(loader._sampler.texts(first, count))
            return made

        monkeypatch.setattr(batching.BatchLoader, "_round", round_)


def test_the_last_steps_are_on_the_queries_and_on_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, case, said = Read(monkeypatch), Case(), list[str]()
    watch = RecoveryCallbacks(lambda _, message: said.append(message))
    done = case.run(LAST, watch, queries=lambda: QUERIES)
    summary = done.summary
    assert (summary.query_steps, summary.planned_query_steps) == (5, 5)
    assert (summary.steps, summary.planned_steps) == (20, 20)
    assert (summary.queries, summary.query_source) == (len({*QUERIES}), GIVEN)
    documents, queries = read.rounds
    assert len(documents) == 15 * 16
    assert len(queries) == 5 * 16
    assert {*queries} <= {*QUERIES}
    assert not {*documents} & {*QUERIES}
    assert [point.queries for point in summary.loss] == [p.step > 15 for p in summary.loss]
    assert summary.epochs == pytest.approx(15 / 20 * case.run(TINY).summary.epochs, abs=0.01)
    steps = [message for message in said if ", loss" in message]
    assert steps[14].startswith("step 15 of 20, loss")
    assert steps[15].startswith("step 16 of 20, on queries, loss")


@pytest.mark.parametrize(
    "dies", [15, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 14, 16, 18))]
)
def test_it_ends_as_if_nothing_had_been_wherever_it_is_killed(dies: int, tmp_path: Path) -> None:
    case, file = Case(), tmp_path / "state.pt"
    whole = case.run(LAST, queries=lambda: QUERIES)
    callbacks = RecoveryCallbacks(at_step(dies), file=file, every_seconds=0)
    with pytest.raises(Killed):
        case.run(LAST, callbacks, queries=lambda: QUERIES)
    again = case.run(LAST, RecoveryCallbacks(file=file), queries=lambda: QUERIES)
    assert same_weights(again, whole)
    unlike = {"seconds", "tokens_per_second"}
    assert again.summary.model_dump(exclude=unlike) == whole.summary.model_dump(exclude=unlike)


def at_step(step: int) -> Any:
    """Die after a step is said, so that the checkpoint is of the one before."""

    def progress(_: float, message: str) -> None:
        if message.startswith(f"step {step} of") and ", loss" in message:
            raise Killed

    return progress


def test_queries_held_out_decide_which_weights_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [f"{text} number {n}" for n in range(30) for text in QUERIES]
    seen = list[Sequence[str]]()
    real = batching.batches_of

    def batches_of(losses: Any, texts: Sequence[str], ranks: Any) -> Any:
        seen.append(texts)
        return real(losses, texts, ranks)

    monkeypatch.setattr(recover_module, "batches_of", batches_of)
    done = Case().run(LAST, queries=lambda: many)
    assert {*seen[1]} <= {*many}
    assert len(seen[1]) >= 4
    assert done.summary.queries < len({*many})
    assert all(point.held_out is not None for point in done.summary.loss if point.queries)


def test_they_begin_at_once_where_documents_teach_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    # One at the start of each part, and one each second step of 20.
    losses = iter([1.0, *[2.0] * 6, 5.0, 4.0, 3.0, 2.0, 1.5])
    monkeypatch.setattr(trainer_module.Trainer, "evaluate", lambda *_: next(losses))
    summary = Case().run(LAST, queries=lambda: QUERIES).summary
    assert (summary.steps, summary.stopped_by) == (20, "steps")
    assert (summary.query_steps, summary.planned_query_steps) == (8, 5)
    assert summary.kept_step == 20


def test_without_queries_nothing_changes() -> None:
    case, options = Case(), replace(TINY, max_steps=4)
    plain = case.run(options)
    assert plain.summary.query_source is None
    assert (plain.summary.planned_query_steps, plain.summary.queries) == (0, 0)
    empty = case.run(options, queries=lambda: [" "])
    assert same_weights(empty, plain)
    assert "none was trained on: there was none" in str(empty.summary.query_warning)


def test_they_are_made_of_the_documents_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, case = Read(monkeypatch), Case()
    options = replace(LAST, pseudo_queries=True)
    done = case.run(options)
    assert (done.summary.query_steps, done.summary.query_source) == (5, MADE)
    known = {word for text in TEXTS for word in text.split()}
    words = {word.strip(".?") for query in read.rounds[1] for word in query.split()}
    assert words <= {word.strip(".?") for word in known} | {""}
    assert same_weights(done, case.run(options))
    # Given ones go before.
    given = case.run(options, queries=lambda: QUERIES)
    assert given.summary.query_source == GIVEN


@pytest.mark.parametrize(
    ("head", "objective"), [("BertForMaskedLM", "mlm"), ("GPT2LMHeadModel", "clm")]
)
def test_what_learns_nothing_of_a_query_says_so(head: str, objective: str) -> None:
    options = replace(LAST, max_steps=4, objective=objective, pseudo_queries=True)
    summary = Case(head).run(options).summary
    assert (summary.query_steps, summary.planned_query_steps) == (0, 0)
    assert "only a sentence encoder" in str(summary.query_warning)


def test_where_no_step_is_on_queries_none_is_named() -> None:
    one = replace(LAST, max_steps=1)
    for options, given in ((one, QUERIES), (replace(one, pseudo_queries=True), None)):
        summary = Case().run(options, queries=given and (lambda: QUERIES)).summary
        assert (summary.query_steps, summary.queries, summary.query_source) == (0, 0, None)
        assert "none was trained on: their share of the 1 steps" in str(summary.query_warning)


def test_a_few_queries_are_not_repeated_without_end() -> None:
    options = replace(LAST, max_steps=60, batch_size=16, query_share=0.5)
    summary = Case().run(options, queries=lambda: ["one query", "another one"]).summary
    assert summary.planned_query_steps == summary.query_steps == 13


def test_where_time_is_short_documents_and_queries_lose_the_same_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer_module, "time", Clock())
    options = replace(LAST, max_steps=1000, max_minutes=1.0)
    summary = Case().run(options, queries=lambda: QUERIES).summary
    assert summary.stopped_by == "max_minutes"
    assert 5 < summary.steps < 60
    assert summary.query_steps == pytest.approx(summary.steps / 4, abs=3)


def test_the_rate_falls_to_zero_twice_and_starts_lower_the_second_time() -> None:
    plan = replace(plan_of(100, seconds=None), query_steps=20, query_rate=0.3)
    assert plan.document_steps == plan.queries_from(100) == 80
    assert plan.queries_from(50) == 40
    of_documents = [plan.rate(step, 100, None) for step in range(80)]
    of_queries = [plan.rate(step, 100, 80) for step in range(80, 100)]
    assert of_documents == [5e-4 * learning_rate_factor(step, 80) for step in range(80)]
    assert max(of_queries) == pytest.approx(0.3 * 5e-4)
    assert of_documents[-1] < 1e-6
    assert of_queries[-1] < 2e-6
