"""Measure the latency of several models on the same texts, turn by turn."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

from app.contract.report import Latency
from worker.compression.evaluation.clock import Clock
from worker.compression.evaluation.intervals import Interval, median_ratio_interval
from worker.compression.models.encoder import Encoder
from worker.compression.models.loading import LoadedModel
from worker.compression.models.traits import model_traits
from worker.compression.progress import Progress, part, silent
from worker.compression.runtimes import RUNTIMES
from worker.compression.runtimes.runtime import on_cpu

LATENCY_BATCH_SIZES = (1, 32)
# Texts of a turn, if these are batches enough, and batches that are not timed.
_TEXTS = 32
_FEWEST_BATCHES = 4
_WARM_UP = 2
# Turns of each run: so many, and more until the interval of each ratio is this narrow a share of
# it. Where time is short there are fewer batches first, down to so few, and then fewer turns.
_REPEATS, _MOST_REPEATS = 3, 9
_NARROW = 0.1
_FEWEST_IN_TIME, _FEWEST_REPEATS = 2, 2
# Seconds between turns: the threads of one runtime spin for a while after its last batch, and
# would slow the next one down (a batch of 1 in ONNX Runtime after PyTorch: 4.2 ms for 0.9).
_SETTLE = 0.25

Run = Callable[[Sequence[str]], object]
Pairs = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Timing:
    """Holds the milliseconds of each run on the same batches, turn by turn."""

    times: list[list[float]]
    batches: int
    rounds: int

    def median(self, run: int) -> float:
        """Return the median milliseconds a batch of a run."""
        return median(self.times[run])

    def ratio_interval(self, before: int, after: int) -> Interval | None:
        """Return the interval of the ratio of two runs' medians."""
        return median_ratio_interval(np.array(self.times[before]), np.array(self.times[after]))

    def is_stable(self, before: int, after: int) -> bool:
        """Tell whether the interval of the ratio is narrow."""
        found = self.ratio_interval(before, after)
        ratio = self.median(before) / self.median(after)
        return found is not None and found[1] - found[0] <= _NARROW * ratio


def time_batches(
    runs: Sequence[Run], texts: Sequence[str], batch_sizes: Sequence[int], progress: Progress
) -> dict[int, list[float]]:
    """Return, by batch size, the median milliseconds a batch of each of several runs."""
    timed = time_runs(runs, texts, batch_sizes, pairs=(), clock=Clock(), progress=progress)
    return {
        size: [timing.median(run) for run in range(len(runs))] for size, timing in timed.items()
    }


def time_runs(  # noqa: PLR0913
    runs: Sequence[Run],
    texts: Sequence[str],
    batch_sizes: Sequence[int],
    *,
    pairs: Pairs,
    clock: Clock,
    progress: Progress,
) -> dict[int, Timing]:
    """Time several runs by batch size, in turns, until the ratios of some pairs are stable.

    Pairs are of places in ``runs``. Where the clock has too little time for all batches there are
    fewer of them.
    """
    timings = {}
    for number, batch_size in enumerate(batch_sizes):
        own = Clock(clock.share(1, len(batch_sizes) - number))
        share = part(progress, number / len(batch_sizes), (number + 1) / len(batch_sizes))
        timings[batch_size] = _until_stable(runs, _batches(texts, batch_size), pairs, own, share)
    return timings


def batch_count(batch_size: int) -> int:
    """Return how many batches are timed where there is time."""
    return max(_FEWEST_BATCHES, _TEXTS // batch_size)


def _batches(texts: Sequence[str], batch_size: int) -> list[list[str]]:
    return [
        [texts[(start + i) % len(texts)] for i in range(batch_size)]
        for start in range(0, batch_count(batch_size) * batch_size, batch_size)
    ]


def _until_stable(
    runs: Sequence[Run],
    batches: Sequence[Sequence[str]],
    pairs: Pairs,
    clock: Clock,
    progress: Progress,
) -> Timing:
    progress(0.0, f"timing batches of {len(batches[0])}")
    warm_up, most = _WARM_UP, _MOST_REPEATS if pairs else _REPEATS
    if clock.seconds is not None:
        batches, warm_up = _in_time(runs, batches, clock)
    times: list[list[float]] = [[] for _ in runs]
    rounds, longest = 0, 0.0
    while rounds < most:
        began = time.monotonic()
        _take_turns(runs, batches, rounds, warm_up, times)
        rounds, longest = rounds + 1, max(longest, time.monotonic() - began)
        progress(min(1.0, rounds / _REPEATS), f"timing batches of {len(batches[0])}")
        timing = Timing(times, len(batches), rounds)
        enough = rounds >= _REPEATS and all(timing.is_stable(*pair) for pair in pairs)
        left = clock.left
        if enough or (rounds >= _FEWEST_REPEATS and left is not None and left < longest):
            break
    return Timing(times, len(batches), rounds)


def _in_time(
    runs: Sequence[Run], batches: Sequence[Sequence[str]], clock: Clock
) -> tuple[Sequence[Sequence[str]], int]:
    """Return as many batches as there is time for, and how many of a turn are not timed.

    A first batch of each run, which costs more than later ones, tells how long they take.
    """
    began = time.monotonic()
    for run in runs:
        run(batches[0])
    seconds = time.monotonic() - began
    for_a_turn = (clock.left or 0.0) / _REPEATS - _SETTLE * len(runs)
    affordable = int(for_a_turn / seconds)
    if affordable >= len(batches) + _WARM_UP:
        return batches, _WARM_UP
    count = min(len(batches), max(_FEWEST_IN_TIME, affordable - 1))
    step = len(batches) / count
    return [batches[int(number * step)] for number in range(count)], int(affordable > count)


def _take_turns(
    runs: Sequence[Run],
    batches: Sequence[Sequence[str]],
    turn: int,
    warm_up: int,
    times: list[list[float]],
) -> None:
    """Add milliseconds of each run, a figure a batch; all batches are one turn."""
    for place in range(len(runs)):
        run = (place + turn) % len(runs)
        time.sleep(_SETTLE)
        for batch in batches[:warm_up]:
            runs[run](batch)
        times[run] += [_milliseconds(runs[run], batch) for batch in batches]


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
    batch_sizes: Sequence[int] = LATENCY_BATCH_SIZES,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> list[Latency]:
    """Time both models, and exported files of the compressed one by runtime, on the same batches.

    Batches are of held-out texts, padded to the longest. All take turns on every batch, and which
    goes first changes from batch to batch, so that none has the warmer machine. Texts are used
    again where there are few. One pass over the texts is timed: of an encoder-decoder the encoder
    and one position of the decoder; of a decoder the head at the last position, as before the first
    token that it generates; of a model with another head its body. Against an exported file, which
    has its head at all positions, both are timed with it.

    Turns are taken until the ratios are stable, or in about ``seconds``, with fewer batches where
    time is short.
    """
    in_torch = _in_torch(base, compressed)
    timed = [in_torch, *_exported(base, compressed, files or {}, in_torch)]
    runs = list(dict.fromkeys(run for one in timed for run in (one.before, one.after)))
    pairs = [(runs.index(one.before), runs.index(one.after)) for one in timed]
    timings = time_runs(
        runs, texts, batch_sizes, pairs=pairs, clock=Clock(seconds), progress=progress or silent
    )
    return [
        _row(one, size, timing, *pair)
        for one, pair in zip(timed, pairs, strict=True)
        for size, timing in timings.items()
    ]


def _in_torch(base: LoadedModel, compressed: LoadedModel) -> _Timed:
    before, after = Encoder(base), Encoder(compressed)
    dtype = str(before.model.dtype).removeprefix("torch.")
    name = f"torch {torch.__version__}"
    return _Timed(name, before.model.device.type, dtype, before.run_in_use, after.run_in_use)


def _exported(
    base: LoadedModel, compressed: LoadedModel, files: Mapping[str, Path], in_torch: _Timed
) -> Iterator[_Timed]:
    model = base.model
    traits = model_traits(base)
    runs_whole = model.base_model is model or not traits.has_vectors or traits.is_sentence_encoder
    same = in_torch.device == "cpu" and runs_whole and not traits.generates
    before = in_torch.before if same else Encoder(on_cpu(base)).run_whole
    for runtime, file in files.items():
        entry = RUNTIMES[runtime]
        encoder = entry.encoder(compressed, file)
        chosen = None if entry.row.is_quantized else encoder.computes_in
        dtype = chosen or entry.row.dtype
        yield _Timed(runtime, "cpu", dtype, before, encoder.run)


def _row(one: _Timed, batch_size: int, timing: Timing, before: int, after: int) -> Latency:
    before_ms, after_ms = timing.median(before), timing.median(after)
    low, high = timing.ratio_interval(before, after) or (None, None)
    return Latency(
        runtime=one.runtime,
        device=one.device,
        dtype=one.dtype,
        threads=torch.get_num_threads(),
        batch_size=batch_size,
        batches=timing.batches,
        includes_tokenization=True,
        before_ms=before_ms,
        after_ms=after_ms,
        speedup=before_ms / after_ms,
        low=low,
        high=high,
        rounds=timing.rounds,
        stable=timing.is_stable(before, after),
    )
