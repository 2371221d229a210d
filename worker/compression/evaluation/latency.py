"""Measure the latency of several models on the same texts, turn by turn."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from app.contract.report import Latency
from worker.compression.models.encoder import Encoder
from worker.compression.models.loading import LoadedModel
from worker.compression.models.traits import model_traits
from worker.compression.progress import Progress, part, silent
from worker.compression.runtimes import RUNTIMES
from worker.compression.runtimes.runtime import on_cpu

# Texts of a turn, if these are batches enough; turns of each run, and batches that are not timed.
_TEXTS = 32
_FEWEST_BATCHES = 4
_REPEATS = 3
_WARM_UP = 2
# Seconds between turns: the threads of one runtime spin for a while after its last batch, and
# would slow the next one down (a batch of 1 in ONNX Runtime after PyTorch: 4.2 ms for 0.9).
_SETTLE = 0.25

Run = Callable[[Sequence[str]], object]


def time_batches(
    runs: Sequence[Run], texts: Sequence[str], batch_sizes: Sequence[int], progress: Progress
) -> dict[int, list[float]]:
    """Return, by batch size, the median milliseconds a batch of each of several runs."""
    medians = {}
    for number, batch_size in enumerate(batch_sizes):
        batches = _batches(texts, batch_size)
        timing = part(progress, number / len(batch_sizes), (number + 1) / len(batch_sizes))
        medians[batch_size] = [median(times) for times in _in_turns(runs, batches, timing)]
    return medians


def batch_count(batch_size: int) -> int:
    """Return how many batches are timed."""
    return max(_FEWEST_BATCHES, _TEXTS // batch_size)


def _batches(texts: Sequence[str], batch_size: int) -> list[list[str]]:
    return [
        [texts[(start + i) % len(texts)] for i in range(batch_size)]
        for start in range(0, batch_count(batch_size) * batch_size, batch_size)
    ]


def _in_turns(
    runs: Sequence[Run], batches: Sequence[Sequence[str]], progress: Progress
) -> list[list[float]]:
    """Return milliseconds of each run, a figure a batch and repeat; all batches are one turn."""
    times: list[list[float]] = [[] for _ in runs]
    for repeat in range(_REPEATS):
        for place in range(len(runs)):
            done = (repeat * len(runs) + place) / (_REPEATS * len(runs))
            progress(done, f"timing batches of {len(batches[0])}")
            turn = (place + repeat) % len(runs)
            time.sleep(_SETTLE)
            for batch in batches[:_WARM_UP]:
                runs[turn](batch)
            times[turn] += [_milliseconds(runs[turn], batch) for batch in batches]
    return times


def _milliseconds(run: Run, batch: Sequence[str]) -> float:
    start = time.perf_counter()
    run(batch)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1000


@dataclass(frozen=True)
class _Timed:
    """Holds a run that becomes a row, and the run of the base that it is set against."""

    runtime: str
    device: str
    dtype: str
    before: Run
    after: Run


def measure_latency(  # noqa: PLR0913
    base: LoadedModel,
    compressed: LoadedModel,
    texts: Sequence[str],
    *,
    files: Mapping[str, Path] | None = None,
    batch_sizes: Sequence[int] = (1, 32),
    progress: Progress | None = None,
) -> list[Latency]:
    """Time both models, and exported files of the compressed one by runtime, on the same batches.

    Batches are of held-out texts, padded to the longest. All take turns on every batch, and which
    goes first changes from batch to batch, so that none has the warmer machine. Texts are used
    again where there are few. One pass over the texts is timed: of an encoder-decoder the encoder
    and one position of the decoder; of a model with another head its body, but where it is an
    exported file, which has its head, both with it.
    """
    in_torch = _in_torch(base, compressed)
    timed = [in_torch, *_exported(base, compressed, files or {}, in_torch)]
    runs = list(dict.fromkeys(run for one in timed for run in (one.before, one.after)))
    medians = time_batches(runs, texts, batch_sizes, progress or silent)
    return [
        _row(one, size, times[runs.index(one.before)], times[runs.index(one.after)])
        for one in timed
        for size, times in medians.items()
    ]


def _in_torch(base: LoadedModel, compressed: LoadedModel) -> _Timed:
    before, after = Encoder(base), Encoder(compressed)
    dtype = str(before.model.dtype).removeprefix("torch.")
    name = f"torch {torch.__version__}"
    return _Timed(name, before.model.device.type, dtype, before.run, after.run)


def _exported(
    base: LoadedModel, compressed: LoadedModel, files: Mapping[str, Path], in_torch: _Timed
) -> Iterator[_Timed]:
    model = base.model
    traits = model_traits(base)
    runs_whole = model.base_model is model or not traits.has_vectors or traits.is_sentence_encoder
    same = in_torch.device == "cpu" and runs_whole
    before = in_torch.before if same else Encoder(on_cpu(base)).run_whole
    for runtime, file in files.items():
        entry = RUNTIMES[runtime]
        yield _Timed(runtime, "cpu", entry.row.dtype, before, entry.encoder(compressed, file).run)


def _row(one: _Timed, batch_size: int, before_ms: float, after_ms: float) -> Latency:
    return Latency(
        runtime=one.runtime,
        device=one.device,
        dtype=one.dtype,
        threads=torch.get_num_threads(),
        batch_size=batch_size,
        batches=batch_count(batch_size),
        includes_tokenization=True,
        before_ms=before_ms,
        after_ms=after_ms,
        speedup=before_ms / after_ms,
    )
