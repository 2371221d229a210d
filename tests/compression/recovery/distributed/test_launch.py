"""A recovery by two processes: the same as by one, stopped with its caller, told as it goes."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from app.contract.report import LossPoint
from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import sentences, tokenizer_pair
from tests.support.st_folders import sentence_encoder
from worker.compression import (
    CorpusEmptyError,
    OutOfMemoryError,
    RecoveryCallbacks,
    RecoveryOptions,
    load_model,
    recover,
    save_model,
    transfer_vocabulary,
)
from worker.compression.recovery import distributed
from worker.compression.recovery.distributed import Folders, recover_in_processes

TEXTS = [text for seed in range(3) for text in sentences(["lithium", "rash", "evening"], seed)]
OPTIONS = RecoveryOptions(
    objective="distill", max_steps=12, batch_size=9, learning_rate=2e-3, max_length=40
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root = tmp_path_factory.mktemp("distributed")
    kind = next(kind for kind in KINDS if "BertForMaskedLM" in kind.classes)
    tokenizer, domain = tokenizer_pair(kind.family)
    base = kind.make("BertForMaskedLM", tokenizer)
    save_model(root / "base", base, tokenizer)
    save_model(root / "student", transfer_vocabulary(base, tokenizer, domain).model, domain)
    return Folders(root / "base", root / "student", root / "target", root)


@pytest.fixture(scope="module")
def encoder_folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root = tmp_path_factory.mktemp("encoder")
    base = load_model(sentence_encoder(root / "base"))
    kind = next(kind for kind in KINDS if "BertModel" in kind.classes)
    _, domain = tokenizer_pair(kind.family)
    student = transfer_vocabulary(base.model, base.tokenizer, domain).model
    save_model(root / "student", student, domain, base.folder)
    return Folders(root / "base", root / "student", root / "target", root)


def alone(folders: Folders, options: RecoveryOptions = OPTIONS, **more: Any) -> Any:
    student = load_model(folders.student)
    base = load_model(folders.base)
    return recover(base, student.model, student.tokenizer, lambda: TEXTS, options, **more)


@dataclass
class Seen:
    """What a watch was told."""

    fractions: list[float]
    points: list[LossPoint]

    def watch(self, **more: Any) -> RecoveryCallbacks:
        return RecoveryCallbacks(lambda f, _: self.fractions.append(f), self.points.append, **more)


@pytest.mark.slow
def test_two_processes_end_where_one_does(folders: Folders) -> None:
    seen, expected = Seen([], []), alone(folders)
    summary = recover_in_processes(2, folders, lambda: TEXTS, OPTIONS, callbacks=seen.watch())
    assert (summary.processes, summary.steps, summary.used) == (2, 12, "distill")
    assert summary.tokens == expected.summary.tokens
    assert seen.points == summary.loss
    assert seen.fractions == sorted(seen.fractions)
    for point, other in zip(summary.loss, expected.summary.loss, strict=True):
        assert point.train == pytest.approx(other.train, rel=1e-4)
        assert point.held_out == pytest.approx(other.held_out, rel=1e-4)
    made = load_model(folders.target).model.state_dict()
    for name, weights in expected.model.state_dict().items():
        torch.testing.assert_close(made[name], weights, atol=2e-4, rtol=1e-3)


@pytest.mark.slow
def test_two_processes_mask_what_one_does_not_and_learn_as_much(folders: Folders) -> None:
    options = replace(OPTIONS, objective="mlm", max_steps=40)
    expected = alone(folders, options).summary
    summary = recover_in_processes(2, folders, lambda: TEXTS, options)
    assert summary.tokens == expected.tokens
    assert summary.loss != expected.loss
    assert summary.loss[-1].train < 0.9 * summary.loss[0].train
    assert summary.loss[-1].train == pytest.approx(expected.loss[-1].train, rel=0.1)


@pytest.mark.slow
def test_two_processes_have_the_same_general_texts(folders: Folders) -> None:
    options, general = replace(OPTIONS, general_share=0.4), ["It rained.", "A river rose."] * 3
    expected = alone(folders, options, general=lambda: general).summary
    summary = recover_in_processes(2, folders, lambda: TEXTS, options, general=lambda: general)
    assert (summary.general_share, summary.general_texts) == (0.4, 2)
    assert summary.tokens == expected.tokens
    assert [point.train for point in summary.loss] == pytest.approx(
        [point.train for point in expected.loss], rel=1e-4, abs=1e-6
    )
    assert not [*folders.scratch.glob("*.jsonl")]


@pytest.mark.slow
@pytest.mark.parametrize("given", [True, False])
def test_two_processes_end_on_the_same_queries(encoder_folders: Folders, given: bool) -> None:
    folders, asked = encoder_folders, ["heavy rain", "river level", "flood", "dam"] * 2
    # At a rate so low the loss does not rise: a training that it ends comes to no queries.
    options = replace(OPTIONS, learning_rate=1e-4, query_share=0.25, pseudo_queries=True)
    queries = (lambda: asked) if given else None
    expected = alone(folders, options, queries=queries).summary
    summary = recover_in_processes(2, folders, lambda: TEXTS, options, queries=queries)
    assert (summary.query_steps, summary.planned_query_steps) == (3, 3)
    assert summary.queries == expected.queries
    assert summary.query_source == expected.query_source
    assert (summary.queries == 4) == given
    assert summary.tokens == expected.tokens
    assert [point.train for point in summary.loss] == pytest.approx(
        [point.train for point in expected.loss], rel=1e-4, abs=1e-6
    )
    assert not [*folders.scratch.glob("*.jsonl")]


@pytest.mark.slow
def test_a_step_may_have_fewer_texts_than_there_are_processes(folders: Folders) -> None:
    options = replace(OPTIONS, batch_size=1, max_steps=4)
    summary = recover_in_processes(2, folders, lambda: TEXTS, options)
    expected = alone(folders, options).summary
    assert [point.train for point in summary.loss] == pytest.approx(
        [point.train for point in expected.loss], rel=1e-4, abs=1e-6
    )


@pytest.mark.slow
def test_what_a_user_can_mend_is_said_as_by_one_process(folders: Folders) -> None:
    with pytest.raises(CorpusEmptyError):
        recover_in_processes(2, folders, lambda: [" "], OPTIONS)


@pytest.mark.slow
def test_a_problem_of_the_second_process_alone_is_said_too(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import os\n"
        "if os.environ.get('LOCAL_RANK') == '1':\n"
        "    import torch\n"
        "    torch.Tensor.backward = lambda *_, **__: torch.empty(1 << 60)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(code, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(OutOfMemoryError, match="steps of 9 texts of up to 40 tokens"):
        recover_in_processes(2, folders, lambda: TEXTS, OPTIONS)
    assert not processes_of(folders)


class StoppedError(Exception):
    """Raised by a caller that wants no more."""


@pytest.mark.slow
def test_it_stops_at_once_with_all_its_processes(folders: Folders) -> None:
    began = list[float]()

    def stop(_: float, message: str) -> None:
        if "step 3" in message:
            began.append(time.monotonic())
            raise StoppedError

    options = replace(OPTIONS, max_steps=100_000)
    with pytest.raises(StoppedError):
        recover_in_processes(2, folders, lambda: TEXTS, options, callbacks=RecoveryCallbacks(stop))
    assert time.monotonic() - began[0] < 5
    assert not processes_of(folders)


@pytest.mark.slow
def test_it_ends_when_its_caller_is_killed_and_another_goes_on(folders: Folders) -> None:
    state = folders.scratch / "state.pt"
    order = (
        "from pathlib import Path;from tests.compression.recovery.distributed.test_launch import *;"
        f"folders = Folders(*map(Path, {[*map(str, vars(folders).values())]}));"
        f"watch = RecoveryCallbacks(file=Path({str(state)!r}), every_seconds=0);"
        "options = replace(OPTIONS, max_steps=3000);"
        "recover_in_processes(2, folders, lambda: TEXTS, options, 0, watch)"
    )
    caller = subprocess.Popen([sys.executable, "-c", order])
    wait_until(state.exists)
    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()
    wait_until(lambda: not processes_of(folders))
    kept = torch.load(state, weights_only=True)["state"]["step"]
    assert 0 < kept < 3000
    steps = list[str]()
    watch = RecoveryCallbacks(lambda _, message: steps.append(message), file=state)
    options = replace(OPTIONS, max_steps=3000)
    with pytest.raises(StoppedError):
        recover_in_processes(2, folders, lambda: TEXTS, options, callbacks=stopping(watch, steps))
    first = next(message for message in steps if message.startswith("step"))
    assert int(first.split()[1].replace(",", "")) >= kept


@pytest.fixture
def lingering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that do not exit when all is done, and take no SIGTERM for an answer."""
    lines = "import atexit, os, signal, time", "if 'LOCAL_RANK' in os.environ:"
    held = "signal.signal(signal.SIGTERM, signal.SIG_IGN)", "atexit.register(time.sleep, 600)"
    code = "\n".join([*lines, *(f"    {line}" for line in held)])
    (tmp_path / "sitecustomize.py").write_text(code, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.slow
@pytest.mark.usefixtures("lingering")
def test_it_can_be_stopped_while_processes_do_not_exit(folders: Folders) -> None:
    began = list[float]()

    def stop(_: float, message: str) -> None:
        if "to exit" in message and processes_of(folders):
            began.append(time.monotonic())
            raise StoppedError

    with pytest.raises(StoppedError):
        recover_in_processes(2, folders, lambda: TEXTS, OPTIONS, callbacks=RecoveryCallbacks(stop))
    assert time.monotonic() - began[0] < 5
    wait_until(lambda: not processes_of(folders), 1)


@pytest.mark.slow
@pytest.mark.usefixtures("lingering")
def test_processes_that_do_not_exit_are_ended_and_the_result_counts(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "_EXIT_SECONDS", 2.0)
    summary = recover_in_processes(2, folders, lambda: TEXTS, OPTIONS)
    assert (summary.processes, summary.steps) == (2, 12)
    assert load_model(folders.target)
    wait_until(lambda: not processes_of(folders), 1)


def stopping(watch: RecoveryCallbacks, steps: list[str]) -> RecoveryCallbacks:
    def progress(fraction: float, message: str) -> None:
        watch.progress(fraction, message)
        if len([step for step in steps if step.startswith("step")]) > 3:
            raise StoppedError

    return replace(watch, progress=progress)


def processes_of(folders: Folders) -> list[int]:
    """The processes that were launched in this folder."""
    order = str(folders.scratch / "launch.json")
    return [p.pid for p in psutil.process_iter(["cmdline"]) if order in (p.info["cmdline"] or [])]


def wait_until(holds: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)
