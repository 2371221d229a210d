import pytest
import torch

from worker.compression import LoadedModel, measure_latency
from worker.compression.evaluation import latency as timing
from worker.compression.models.encoder import Encoder


@pytest.mark.slow
def test_rows_say_how_they_were_measured(
    minilm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "_TEXTS", 4)
    monkeypatch.setattr(timing, "_FEWEST_BATCHES", 2)
    rows = measure_latency(minilm, minilm, ["A rash.", "Nausea."], batch_sizes=(1, 2))
    assert [row.batch_size for row in rows] == [1, 2]
    for row in rows:
        assert row.runtime == f"torch {torch.__version__}"
        assert (row.device, row.dtype) == ("cpu", "float32")
        assert row.threads == torch.get_num_threads()
        assert row.speedup == row.before_ms / row.after_ms
        assert row.before_ms > 0


def test_medians_are_of_turns_on_the_same_batches(
    minilm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Encoder, tuple[str, ...]]] = []

    def record(encoder: Encoder, batch: list[str]) -> float:
        calls.append((encoder, tuple(batch)))
        return 3.0 if encoder is calls[0][0] else 1.5

    monkeypatch.setattr(timing, "_milliseconds", record)
    monkeypatch.setattr(timing, "_SETTLE", 0)
    rows = measure_latency(minilm, minilm, [f"text {n}" for n in range(100)], batch_sizes=(4,))
    assert (rows[0].before_ms, rows[0].after_ms, rows[0].speedup) == (3.0, 1.5, 2.0)
    turns = [calls[start : start + 8] for start in range(0, len(calls), 8)]
    assert {tuple(batch for _, batch in turn) for turn in turns} == {
        tuple(batch for _, batch in turns[0])
    }
    models = [{id(encoder) for encoder, _ in turn} for turn in turns]
    first, second = models[:2]
    assert len(first | second) == 2
    assert models == [first, second, second, first, first, second]


def test_timing_can_be_aborted(minilm: LoadedModel) -> None:
    def abort(fraction: float, message: str) -> None:
        raise InterruptedError(f"{fraction} {message}")

    with pytest.raises(InterruptedError):
        measure_latency(minilm, minilm, ["A rash."], progress=abort)
