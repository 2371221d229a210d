"""A recovery whose last steps train with weights in four bits: which steps, and what they bring."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.compression.recovery.test_queries import at_step
from tests.compression.recovery.test_recover import TINY, Case, Clock, Killed
from tests.compression.recovery.test_recover import same as same_weights
from tests.compression.recovery.test_schedule import plan_of
from tests.support.domain import domain_documents
from worker.compression import LoadedModel, four_bits
from worker.compression.four_bits import rounded_weights
from worker.compression.models.encoder import Encoder
from worker.compression.recovery import budget
from worker.compression.recovery import trainer as trainer_module
from worker.compression.recovery.options import RecoveryCallbacks, RecoveryOptions
from worker.compression.recovery.recover import recover

LAST = replace(TINY, four_bit_share=0.25)
"""Of 20 steps, which are so few that half of them have it."""


@pytest.fixture(autouse=True)
def tiny_weights_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Round the weights of models that are smaller than what is worth it."""
    monkeypatch.setattr(four_bits, "FEWEST", 64)


def test_the_last_steps_compute_with_rounded_weights_and_the_exact_ones_are_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, at = list[str](), list[tuple[bool, bool]]()
    real_losses, real_step = trainer_module.Trainer._losses, torch.optim.AdamW.step
    models = list[Any]()

    def losses(trainer: Any, batch: Any) -> Any:
        models[:] = [trainer.model]
        at.append((trainer.state.four_bit_start is not None, is_rounded(trainer.model)))
        return real_losses(trainer, batch)

    def step(optimizer: Any, *arguments: Any) -> Any:
        assert not is_rounded(models[0])
        return real_step(optimizer, *arguments)

    monkeypatch.setattr(trainer_module.Trainer, "_losses", losses)
    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    watch = RecoveryCallbacks(lambda _, message: said.append(message))
    summary = Case().run(LAST, watch).summary
    assert (summary.steps, summary.four_bit_steps) == (20, 10)
    assert {*at} == {(False, False), (True, True)}
    steps = [message for message in said if ", loss" in message]
    assert steps[9].startswith("step 10 of 20, loss")
    assert steps[10].startswith("step 11 of 20, in four bits, loss")


def is_rounded(model: Any) -> bool:
    """Tell whether every row of the table has few different sizes of numbers."""
    table = model.get_input_embeddings().weight.detach()
    return bool((torch.tensor([len(row.abs().unique()) for row in table]) <= 8).all())


@pytest.mark.slow
def test_a_real_model_in_four_bits_comes_back_to_its_vectors(minilm: LoadedModel) -> None:
    texts = domain_documents(200)
    options = RecoveryOptions(max_steps=40, batch_size=16, learning_rate=3e-4, max_length=48)
    found = {
        share: recover(
            minilm,
            copy.deepcopy(minilm.model),
            minilm.tokenizer,
            lambda: texts,
            replace(options, four_bit_share=share),
        ).model
        for share in (0.0, 0.9)
    }
    expected = Encoder(minilm).vectors(texts[-40:])
    kept = dict[float, float]()
    for share, model in found.items():
        with rounded_weights(model):
            vectors = Encoder(replace(minilm, model=model)).vectors(texts[-40:])
        kept[share] = float(torch.cosine_similarity(vectors, expected).mean())
    # Half of what four bits cost is won back.
    assert 1 - kept[0.9] < (1 - kept[0.0]) / 2


# Before the steps in four bits, and amid them.
@pytest.mark.parametrize("dies", [pytest.param(3, marks=pytest.mark.slow), 18])
def test_it_ends_as_if_nothing_had_been_wherever_it_is_killed(dies: int, tmp_path: Path) -> None:
    case, file = Case(), tmp_path / "state.pt"
    whole = case.run(LAST)
    with pytest.raises(Killed):
        case.run(LAST, RecoveryCallbacks(at_step(dies), file=file, every_seconds=0))
    again = case.run(LAST, RecoveryCallbacks(file=file))
    assert same_weights(again, whole)
    assert again.summary.four_bit_steps == 10


def test_many_steps_have_their_share_and_few_have_enough() -> None:
    plan = replace(plan_of(3500, seconds=None), four_bit_steps=700)
    assert [plan.four_bits_from(planned) for planned in (3500, 2000, 1000, 400)] == [
        *(2800, 1600, 700, 200),
    ]
    assert replace(plan, four_bit_steps=0).four_bits_from(400) == 400


def test_where_time_is_short_half_of_the_steps_are_left_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer_module, "time", Clock())
    summary = Case().run(replace(LAST, max_steps=1000, max_minutes=1.0)).summary
    assert summary.stopped_by == "max_minutes"
    assert summary.four_bit_steps == pytest.approx(summary.steps / 2, abs=3)


def test_they_begin_at_once_from_the_best_where_exact_weights_learn_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budget, "_FEWEST_FOUR_BIT_STEPS", 2)
    # One at the start of each part, and one each second step of 20.
    losses, seen = iter([1.0, 0.5, *[2.0] * 5, *[5.0] * 5]), list[torch.Tensor]()

    def evaluate(trainer: trainer_module.Trainer) -> float:
        table: torch.Tensor = trainer.model.get_parameter("embeddings.word_embeddings.weight")
        seen.append(table.detach().clone())
        return next(losses)

    monkeypatch.setattr(trainer_module.Trainer, "evaluate", evaluate)
    summary = Case().run(LAST).summary
    assert (summary.steps, summary.four_bit_steps, summary.kept_step) == (20, 8, 20)
    of_step_2, of_step_12, rounded_from = seen[1], seen[6], seen[7]
    assert torch.equal(rounded_from, of_step_2)
    assert not torch.equal(of_step_12, of_step_2)


def test_without_them_nothing_is_rounded() -> None:
    assert Case().run(replace(TINY, max_steps=4)).summary.four_bit_steps == 0
