"""Latency of several models on the same texts, turn by turn."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from worker.compression.evaluation.encoding import Encoder
from worker.compression.evaluation.onnx_encoder import OnnxEncoder, on_cpu
from worker.compression.evaluation.timing import Run, batch_count, time_batches
from worker.compression.loading import LoadedModel
from worker.compression.progress import Progress, silent

_DTYPES = {"onnx": "float32", "onnx-int8": "int8"}


@dataclass(frozen=True)
class Latency:
    """Median milliseconds a batch, tokenization included, each model with its own tokenizer.

    Of the runtimes ``onnx`` and ``onnx-int8`` what was before is the base in PyTorch and float32,
    on the same CPU: what its user has today.
    """

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


@dataclass(frozen=True)
class _Timed:
    """A run that becomes a row, and the run of the base that it is set against."""

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
    """Time both models, and ONNX files of the compressed one by runtime, on the same batches.

    Batches are of held-out texts, padded to the longest. All take turns on every batch, and which
    goes first changes from batch to batch, so that none has the warmer machine. Texts are used
    again where there are few. What is timed is one pass over the texts: of an encoder-decoder the
    encoder and one position of the decoder; of a model with another head its body, but where it is
    an ONNX file, which has its head, both with it.
    """
    in_torch = _in_torch(base, compressed)
    timed = [in_torch, *_in_onnx(base, compressed, files or {}, in_torch)]
    runs = list(dict.fromkeys(run for one in timed for run in (one.before, one.after)))
    medians = time_batches(runs, texts, batch_sizes, progress or silent)
    return [
        _row(one, size, found[runs.index(one.before)], found[runs.index(one.after)])
        for one in timed
        for size, found in medians.items()
    ]


def _in_torch(base: LoadedModel, compressed: LoadedModel) -> _Timed:
    before, after = Encoder(base), Encoder(compressed)
    dtype = str(before.model.dtype).removeprefix("torch.")
    name = f"torch {torch.__version__}"
    return _Timed(name, before.model.device.type, dtype, before.run, after.run)


def _in_onnx(
    base: LoadedModel, compressed: LoadedModel, files: Mapping[str, Path], in_torch: _Timed
) -> Iterator[_Timed]:
    model = base.model
    same = in_torch.device == "cpu" and (model.base_model is model or model.can_generate())
    before = in_torch.before if same else Encoder(on_cpu(base)).run_whole
    for runtime, file in files.items():
        after = OnnxEncoder(compressed, file)
        yield _Timed(runtime, "cpu", _DTYPES[runtime], before, after.run)


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
