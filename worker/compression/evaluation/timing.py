"""The time of several ways to run the same batches, turn by turn."""

import time
from collections.abc import Callable, Sequence
from statistics import median

import torch

from worker.compression.progress import Progress, part

_TEXTS = 32
_FEWEST_BATCHES = 4
_REPEATS = 3
_WARM_UP = 2
_SETTLE = 0.25
"""Seconds between turns: the threads of one runtime spin for a while after its last batch, and
would slow the next one down (a batch of 1 in ONNX Runtime after PyTorch: 4.2 ms for 0.9)."""

Run = Callable[[Sequence[str]], object]


def time_batches(
    runs: Sequence[Run], texts: Sequence[str], batch_sizes: Sequence[int], progress: Progress
) -> dict[int, list[float]]:
    """Return, by batch size, the median milliseconds a batch of each of several runs."""
    found = {}
    for number, batch_size in enumerate(batch_sizes):
        batches = _batches(texts, batch_size)
        timing = part(progress, number / len(batch_sizes), (number + 1) / len(batch_sizes))
        found[batch_size] = [median(times) for times in _in_turns(runs, batches, timing)]
    return found


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
            which = (place + repeat) % len(runs)
            time.sleep(_SETTLE)
            for batch in batches[:_WARM_UP]:
                runs[which](batch)
            times[which] += [_milliseconds(runs[which], batch) for batch in batches]
    return times


def _milliseconds(run: Run, batch: Sequence[str]) -> float:
    start = time.perf_counter()
    run(batch)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1000
