"""A recovery with general text beside the corpus: what it changes, and what it does not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.compression.recovery.test_recover import TEXTS, TINY, Case, Killed, dies_after, same
from tests.support.matrix_tokenizers import sentences
from worker.compression.recovery import batching
from worker.compression.recovery import recover as recover_module
from worker.compression.recovery.options import RecoveryCallbacks

GENERAL = [f"{text} of no domain" for text in sentences(["river", "mountain", "weather"], 9)]
MIXED = replace(TINY, general_share=0.25)


@pytest.mark.slow
def test_it_is_a_share_of_the_training_and_told_apart() -> None:
    case = Case()
    done = case.run(MIXED, general=lambda: GENERAL)
    summary = done.summary
    assert (summary.general_share, summary.general_texts) == (0.25, len({*GENERAL}))
    alone = case.run(TINY)
    assert (alone.summary.general_share, alone.summary.general_texts) == (0.0, 0)
    assert summary.epochs == pytest.approx(0.75 * alone.summary.epochs, abs=0.01)
    assert not same(done, alone)
    assert same(done, case.run(MIXED, general=lambda: GENERAL))


@pytest.mark.parametrize(
    "general",
    [
        pytest.param(None, marks=pytest.mark.slow),
        pytest.param(list, marks=pytest.mark.slow),
        lambda: GENERAL,
    ],
)
def test_a_share_of_none_changes_nothing(general: Any) -> None:
    case, options = Case(), replace(TINY, max_steps=4)
    share = 0.5 if general is not None and not [*general()] else 0.0
    done = case.run(replace(options, general_share=share), general=general)
    assert same(done, case.run(options))
    assert done.summary.general_share == 0.0


def test_the_held_out_loss_is_of_the_corpus_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[list[str]]()
    real = batching.batches_of

    def batches_of(losses: Any, texts: Sequence[str], ranks: Any) -> Any:
        seen.append(list(texts))
        return real(losses, texts, ranks)

    monkeypatch.setattr(recover_module, "batches_of", batches_of)
    case, options = Case(), replace(MIXED, max_steps=2)
    mixed = case.run(options, general=lambda: [*TEXTS, *GENERAL])
    alone = case.run(replace(options, general_share=0.0))
    assert seen[0] == seen[1] != []
    # A text of it that the general ones have too is not trained on.
    assert mixed.summary.general_texts < len({*TEXTS, *GENERAL})
    assert alone.summary.steps == 2


@pytest.mark.slow
def test_it_goes_on_with_the_same_texts_after_a_kill(tmp_path: Path) -> None:
    case, file = Case(), tmp_path / "state.pt"
    whole = case.run(MIXED, general=lambda: GENERAL)
    callbacks = RecoveryCallbacks(dies_after(7), file=file, every_seconds=0)
    with pytest.raises(Killed):
        case.run(MIXED, callbacks, general=lambda: GENERAL)
    said = list[str]()
    callbacks = RecoveryCallbacks(lambda _, message: said.append(message), file=file)
    assert same(case.run(MIXED, callbacks, general=lambda: GENERAL), whole)
    assert not any(message.startswith("step 6 of 20, loss") for message in said)


@pytest.mark.slow
def test_other_general_text_is_another_run(tmp_path: Path) -> None:
    case, file, options = Case(), tmp_path / "state.pt", replace(MIXED, max_steps=4)
    callbacks = RecoveryCallbacks(file=file, every_seconds=0)
    case.run(options, callbacks, general=lambda: GENERAL)
    changed = [*GENERAL[1:], "Another passage of no domain."]
    said = list[str]()
    callbacks = RecoveryCallbacks(lambda _, message: said.append(message), file=file)
    done = case.run(options, callbacks, general=lambda: changed)
    assert any(message.startswith("step 1 of 4, loss") for message in said)
    assert same(done, case.run(options, general=lambda: changed))
