import pytest
import torch

from worker.compression import LoadedModel, measure_latency
from worker.compression.evaluation import latency
from worker.compression.evaluation.encoding import Encoder


def test_rows_say_how_they_were_measured(
    minilm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "_TEXTS", 4)
    monkeypatch.setattr(latency, "_FEWEST_BATCHES", 2)
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

    monkeypatch.setattr(latency, "_milliseconds", record)
    rows = measure_latency(minilm, minilm, [f"text {n}" for n in range(100)], batch_sizes=(4,))
    assert (rows[0].before_ms, rows[0].after_ms, rows[0].speedup) == (3.0, 1.5, 2.0)
    for one, other in zip(calls[::2], calls[1::2], strict=True):
        assert one[1] == other[1]
        assert one[0] is not other[0]


def test_timing_can_be_aborted(minilm: LoadedModel) -> None:
    def abort(fraction: float, message: str) -> None:
        raise InterruptedError(f"{fraction} {message}")

    with pytest.raises(InterruptedError):
        measure_latency(minilm, minilm, ["A rash."], progress=abort)
