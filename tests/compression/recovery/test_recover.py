"""A whole recovery of a tiny model: that it learns, repeats, resumes, stops."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.domain import domain_documents
from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import sentences, tokenizer_pair
from tests.support.some_slow import some_slow
from worker.compression import (
    CorpusEmptyError,
    LoadedModel,
    OutOfMemoryError,
    RecoveryTooShortError,
    RecoveryUnsupportedError,
    transfer_vocabulary,
)
from worker.compression.recovery import trainer as trainer_module
from worker.compression.recovery.objectives.distill import DistillationLoss
from worker.compression.recovery.options import RecoveryCallbacks, RecoveryOptions, Replanned
from worker.compression.recovery.recover import Recovered, recover
from worker.compression.recovery.trainer import Trainer

WORDS = ["ibuprofen", "lithium", "rash", "seizures", "evening"]
TEXTS = [text for seed in range(3) for text in sentences(WORDS, seed)]
TINY = RecoveryOptions(max_steps=20, batch_size=16, learning_rate=2e-3, max_length=40)


NOBODY = RecoveryCallbacks()


class Case:
    """A tiny base of some head, and its transferred model anew each time."""

    def __init__(self, head: str = "BertModel") -> None:
        kind = next(kind for kind in KINDS if head in kind.classes)
        tokenizer, self.domain = tokenizer_pair(kind.family)
        self.base = LoadedModel(kind.make(head, tokenizer), tokenizer, Path("nowhere"))
        self._student = transfer_vocabulary(self.base.model, tokenizer, self.domain, "pvt").model

    def run(
        self, options: RecoveryOptions = TINY, callbacks: RecoveryCallbacks = NOBODY, **more: Any
    ) -> Recovered:
        student = copy.deepcopy(self._student)
        texts = more.pop("texts", TEXTS)
        return recover(
            self.base, student, self.domain, lambda: texts, options, callbacks=callbacks, **more
        )


def weights(done: Recovered) -> dict[str, torch.Tensor]:
    return dict(done.model.state_dict())


def same(one: Recovered, other: Recovered) -> bool:
    pairs = zip(weights(one).values(), weights(other).values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("head", "used"),
    [
        ("BertModel", "distill"),
        ("BertForMaskedLM", "mlm"),
        ("BertForSequenceClassification", "distill"),
        ("GPT2LMHeadModel", "clm"),
        ("T5ForConditionalGeneration", "denoise"),
        ("BartForConditionalGeneration", "denoise"),
    ],
)
def test_every_kind_learns(head: str, used: str) -> None:
    case = Case(head)
    before = copy.deepcopy(case.base.model.state_dict())
    done = case.run()
    summary = done.summary
    assert (summary.objective, summary.used, summary.stopped_by) == ("auto", used, "steps")
    assert summary.reason
    assert summary.steps == summary.planned_steps == 20
    assert summary.loss[-1].train < summary.loss[0].train
    assert summary.loss[-1].step == 20
    assert summary.epochs == round(20 * 16 / (len(TEXTS) - held_out(TEXTS)), 2)
    assert summary.tokens > 20 * 16
    assert not done.model.training
    assert all(torch.equal(t, before[n]) for n, t in case.base.model.state_dict().items())


def held_out(texts: list[str]) -> int:
    from worker.compression.recovery.data import sample_documents  # noqa: PLC0415

    return len(sample_documents(lambda: texts, 0, lambda *_: None).held_out)


@pytest.mark.parametrize("head", ["BertModel", "GPT2LMHeadModel"])
def test_a_seed_gives_the_same_weights_twice(head: str) -> None:
    case, options = Case(head), replace(TINY, max_steps=6)
    first = case.run(options, seed=1)
    assert same(first, case.run(options, seed=1))
    assert not same(first, case.run(options, seed=2))


class Killed(Exception):  # noqa: N818
    pass


def dies_after(steps: int) -> Callable[[float, str], None]:
    def progress(_: float, message: str) -> None:
        if message.startswith(f"step {steps} of") and "loss" in message:
            raise Killed

    return progress


@pytest.mark.parametrize(
    "head", some_slow(["BertModel", "BertForMaskedLM", "GPT2LMHeadModel"], fast={"BertModel"})
)
def test_what_goes_on_after_a_kill_ends_as_if_nothing_had_been(head: str, tmp_path: Path) -> None:
    case, file = Case(head), tmp_path / "state.pt"
    whole = case.run()
    saves = list[int]()
    callbacks = RecoveryCallbacks(
        dies_after(13), file=file, every_seconds=0, saved=lambda: saves.append(1)
    )
    with pytest.raises(Killed):
        case.run(callbacks=callbacks)
    assert len(saves) == 12
    seen = list[str]()
    resumed = case.run(
        callbacks=RecoveryCallbacks(lambda _, m: seen.append(m), file=file, every_seconds=9e9)
    )
    assert any(message.startswith("step 13 of 20, loss") for message in seen)
    assert not any(message.startswith("step 12 of 20, loss") for message in seen)
    assert same(whole, resumed)
    unlike = ("seconds", "tokens_per_second")
    one, other = (d.summary.model_dump() for d in (whole, resumed))
    assert {k: v for k, v in one.items() if k not in unlike} == {
        k: v for k, v in other.items() if k not in unlike
    }


def test_the_state_of_another_run_is_not_taken(tmp_path: Path) -> None:
    case, file = Case(), tmp_path / "state.pt"
    options = replace(TINY, max_steps=4)
    case.run(replace(options, learning_rate=1e-3), RecoveryCallbacks(file=file, every_seconds=0))
    assert file.exists()
    assert same(case.run(options, RecoveryCallbacks(file=file)), case.run(options))


def test_a_loss_that_is_no_number_stops_it_and_the_last_good_weights_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case, calls, real = Case(), list[int](), DistillationLoss.loss

    def loss(self: Any, student: Any, pairs: Any, num_items: Any) -> Any:
        calls.append(1)
        value = real(self, student, pairs, num_items)
        return value * math.nan if len(calls) > 9 and torch.is_grad_enabled() else value

    monkeypatch.setattr(DistillationLoss, "loss", loss)
    done = case.run()
    assert done.summary.stopped_by == "non_finite_loss"
    assert 0 < done.summary.steps < 10
    assert done.summary.warning
    assert "was not a number after" in done.summary.warning
    assert all(bool(tensor.isfinite().all()) for tensor in weights(done).values())


def test_where_held_out_texts_get_no_better_it_stops_with_the_best_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The first is of the untrained model; then one each second step.
    losses = iter([1.0, 2.0, 2.0, 2.0, 2.0, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6])
    monkeypatch.setattr(Trainer, "evaluate", lambda *_: next(losses))
    case = Case()
    done = case.run()
    assert (done.summary.stopped_by, done.summary.steps) == ("held_out_loss", 18)
    assert done.summary.kept_step == 10
    monkeypatch.setattr(Trainer, "evaluate", lambda *_: 1.0)
    assert not same(done, case.run())


def test_where_they_stand_still_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([1.0, 0.5, 0.52, 0.52, 0.52, 0.52, 0.52, 0.52, 0.52, 0.52, 0.4])
    monkeypatch.setattr(Trainer, "evaluate", lambda *_: next(losses))
    summary = Case().run().summary
    assert (summary.stopped_by, summary.steps, summary.kept_step) == ("steps", 20, 20)


class Clock:
    """Time as it is told: each look takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


def test_a_time_budget_is_kept_and_the_schedule_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "time", Clock())
    told, messages = list[Replanned](), list[str]()
    callbacks = RecoveryCallbacks(
        progress=lambda _, message: messages.append(message), on_plan=told.append
    )
    done = Case().run(replace(TINY, max_steps=1000, max_minutes=1.0), callbacks)
    assert done.summary.stopped_by == "max_minutes"
    # Fewer steps than were planned are told of when that is known, and said with each of them.
    assert told[0].planned_steps == done.summary.planned_steps == 1000
    assert told[0].steps < 1000
    assert len(told) < 10
    steps = [message for message in messages if message.startswith("step ")]
    assert steps[0].startswith("step 0 of 1,000,") or steps[0] == "step 0 of 1,000"
    assert "(1,000 were planned: time is short)" in steps[-1]
    assert not any(" left" in message for message in steps)
    assert 5 < done.summary.steps < 60
    assert done.summary.seconds <= 62


def test_a_time_budget_too_short_for_a_step_is_said() -> None:
    with pytest.raises(RecoveryTooShortError, match="max_minutes is too short for one step"):
        Case().run(replace(TINY, max_minutes=1e-9))


def test_it_can_be_stopped_at_every_step() -> None:
    with pytest.raises(Killed):
        Case().run(callbacks=RecoveryCallbacks(dies_after(1)))


def test_no_recovery_leaves_the_model_as_it_was() -> None:
    case = Case()
    done = case.run(RecoveryOptions(objective="none"))
    assert same(done, Recovered(case._student, done.summary))
    assert (done.summary.used, done.summary.steps) == ("none", 0)


def test_only_the_embeddings_learn_at_first() -> None:
    case = Case()
    done = case.run(replace(TINY, max_steps=3, embedding_steps=3))
    start = case._student.state_dict()
    changed = {
        name for name, tensor in weights(done).items() if not torch.equal(tensor, start[name])
    }
    assert changed == {"embeddings.word_embeddings.weight"}


def test_halves_are_trained_in_float32_and_stay_halves() -> None:
    case = Case()
    torch.nn.Module.half(case._student)
    done = case.run(replace(TINY, max_steps=3))
    assert done.model.dtype == torch.float16


def test_dropped_layers_are_won_back() -> None:
    done = Case().run(replace(TINY, keep_layers=1))
    assert done.model.config.num_hidden_layers == 1
    assert done.summary.keep_layers == 1
    assert done.summary.loss[-1].train < done.summary.loss[0].train


@pytest.mark.parametrize(
    ("head", "objective"),
    [
        ("BertModel", "mlm"),
        ("BertModel", "clm"),
        ("GPT2LMHeadModel", "denoise"),
        ("BertModel", "x"),
    ],
)
def test_what_cannot_be_trained_so_is_refused(head: str, objective: str) -> None:
    with pytest.raises(RecoveryUnsupportedError, match=f"recovery.objective '{objective}'"):
        Case(head).run(replace(TINY, objective=objective))


def test_a_corpus_without_text_is_refused() -> None:
    with pytest.raises(CorpusEmptyError):
        Case().run(texts=["", "  "])


def test_steps_that_do_not_fit_in_memory_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DistillationLoss, "loss", lambda *_: torch.empty(1 << 60))
    said = r"steps of 16 texts of up to 40 tokens, .* 2,048 at once, .* a recovery\.batch_size"
    with pytest.raises(OutOfMemoryError, match=said):
        Case().run()


def test_a_corpus_of_one_text_is_learnt_without_holding_out() -> None:
    done = Case().run(replace(TINY, max_steps=3), texts=domain_documents(1))
    assert [point.held_out for point in done.summary.loss] == [None] * 3
    assert done.summary.kept_step == 3
