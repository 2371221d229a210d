"""Latency of both models on the same texts, turn by turn."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch

from worker.compression.evaluation.encoding import Encoder
from worker.compression.loading import LoadedModel
from worker.compression.progress import Progress, part, silent

_TEXTS = 32
_FEWEST_BATCHES = 4
_REPEATS = 3
_WARM_UP = 2


@dataclass(frozen=True)
class Latency:
    """Median milliseconds a batch, tokenization included, each model with its own tokenizer."""

    runtime: str
    device: str
    dtype: str
    threads: int
    batch_size: int
    batches: int
    includes_tokenization: bool
    before_ms: float
    after_ms: float
    speedup: float


def measure_latency(
    base: LoadedModel,
    compressed: LoadedModel,
    texts: Sequence[str],
    *,
    batch_sizes: Sequence[int] = (1, 32),
    progress: Progress | None = None,
) -> list[Latency]:
    """Time both models on the same batches of held-out texts, padded to the longest of a batch.

    The models take turns on every batch, and which goes first changes from batch to batch, so
    that neither has the warmer machine. Texts are used again where there are few. What is timed is
    one pass over the texts: of an encoder-decoder the encoder and one position of the decoder.
    """
    progress = progress or silent
    pair = Encoder(base), Encoder(compressed)
    rows = []
    for number, batch_size in enumerate(batch_sizes):
        batches = _batches(texts, batch_size)
        timing = part(progress, number / len(batch_sizes), (number + 1) / len(batch_sizes))
        for batch in batches[:_WARM_UP]:
            for encoder in pair:
                encoder.vectors(batch)
        rows.append(_row(pair[0], batch_size, len(batches), *_interleaved(pair, batches, timing)))
    return rows


def _row(
    base: Encoder, batch_size: int, batches: int, before: list[float], after: list[float]
) -> Latency:
    before_ms, after_ms = median(before), median(after)
    return Latency(
        runtime=f"torch {torch.__version__}",
        device=base.model.device.type,
        dtype=str(base.model.dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        batch_size=batch_size,
        batches=batches,
        includes_tokenization=True,
        before_ms=before_ms,
        after_ms=after_ms,
        speedup=before_ms / after_ms,
    )


def _batches(texts: Sequence[str], batch_size: int) -> list[list[str]]:
    count = max(_FEWEST_BATCHES, _TEXTS // batch_size)
    return [
        [texts[(start + i) % len(texts)] for i in range(batch_size)]
        for start in range(0, count * batch_size, batch_size)
    ]


def _interleaved(
    pair: tuple[Encoder, Encoder], batches: Sequence[Sequence[str]], progress: Progress
) -> tuple[list[float], list[float]]:
    """Return milliseconds of both models, a figure a batch and repeat."""
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(_REPEATS):
        for number, batch in enumerate(batches):
            done = (repeat * len(batches) + number) / (_REPEATS * len(batches))
            progress(done, f"timing batches of {len(batch)}")
            for which in ((0, 1), (1, 0))[(number + repeat) % 2]:
                times[which].append(_milliseconds(pair[which], batch))
    return times


def _milliseconds(encoder: Encoder, batch: Sequence[str]) -> float:
    start = time.perf_counter()
    encoder.run(batch)
    return (time.perf_counter() - start) * 1000
