"""Compare models with their base without labels: the rows of the report's quality."""

import random
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from app.contract.report import Export, Quality, Slice
from worker.compression.evaluation.clock import Clock
from worker.compression.evaluation.intervals import intervals_of
from worker.compression.evaluation.metrics import METRICS, Metric, Sample
from worker.compression.evaluation.metrics.metric import BeforeAfter, Compared
from worker.compression.evaluation.slices import GENERAL, slices_of
from worker.compression.models.encoder import Encoder
from worker.compression.models.loading import LoadedModel
from worker.compression.progress import Progress, part, silent
from worker.compression.runtimes import RUNTIMES, exported_files


def quality_metrics(loaded: LoadedModel) -> list[str]:
    """Return the metrics that `measure_quality` has for models like this one, in their order.

    Some may be missing where the texts do not allow them: predictions where no text is short
    enough, nearest texts where there is one text.
    """
    return [metric.name for metric in _applicable(Encoder(loaded))]


def _applicable(base: Encoder) -> list[Metric]:
    return [metric for metric in METRICS.values() if metric.applies(base)]


def measure_quality(  # noqa: PLR0913
    base: LoadedModel,
    compressed: LoadedModel,
    texts: Sequence[str],
    *,
    sample: int = 1000,
    seed: int = 0,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> list[Quality]:
    """Compare both models on (a sample of) the same held-out texts.

    A decoder with its head has ``causal_lm_bits_per_character``, an encoder-decoder with its head
    ``denoising_bits_per_character`` of the beginnings of 32 of the texts. Any other model is
    compared by its sentence vectors, pooled as in its use: ``sentence_cosine`` is the mean cosine
    of a text's two vectors, ``neighbour_overlap_10`` the mean share of its ten nearest texts under
    the base that are so under the compressed model (fewer where there are fewer texts). Both are 1
    for the base against itself. Of a sentence encoder ``index_overlap_10`` is the share of these
    ten that a text finds in the base's vectors of the others, read by the compressed model. Where
    the model predicts masked tokens, ``masked_lm_bits_per_character`` is of 32 of the texts.

    Each row has its intervals, and the first that is a sum over texts what is kept on slices of
    them. In about ``seconds``: where the time runs out, fewer texts are read.
    """
    rows = compare_quality(
        Encoder(base),
        [Encoder(compressed)],
        texts,
        sample=sample,
        seed=seed,
        seconds=seconds,
        progress=progress,
    )
    return rows[0]


def compare_quality(  # noqa: PLR0913
    base: Encoder,
    others: Sequence[Encoder],
    texts: Sequence[str],
    *,
    sample: int = 1000,
    seed: int = 0,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> list[list[Quality]]:
    """Compare several models with the base as `measure_quality` does; returns the rows of each."""
    progress, clock = progress or silent, Clock(seconds)
    if len(texts) > sample:
        texts = random.Random(seed).sample(texts, sample)  # noqa: S311
    metrics, drawn = _applicable(base), Sample(base, others, texts, seed=seed)
    done = list(accumulate((metric.work for metric in metrics), initial=0.0))
    total = done[-1] or 1.0
    rows: list[list[Quality]] = [[] for _ in others]
    sliced = False
    for number, metric in enumerate(metrics):
        own = part(progress, done[number] / total, done[number + 1] / total)
        drawn.clock = Clock(clock.share(metric.work, total - done[number]))
        found = [_with_sums(pair) for pair in metric.measure(drawn, part(own, 0, 0.95))]
        slices: list[list[Slice]] = [[] for _ in others]
        if not sliced and any(one and one.sums for one in found):
            slices, sliced = _slices(metric, found, drawn, part(own, 0.95, 1)), True
        for quality, one, of_parts in zip(rows, found, slices, strict=True):
            quality.extend(_row(metric, one, of_parts, seed) if one else [])
    return rows


def _with_sums(pair: BeforeAfter | Compared | None) -> Compared | None:
    return pair if pair is None or isinstance(pair, Compared) else Compared(*pair)


def _row(metric: Metric, found: Compared, slices: list[Slice], seed: int) -> list[Quality]:
    """Return a row; none where no share of the base's is kept."""
    retention = metric.row.retention(found.before, found.after)
    if retention is None:
        return []
    draws = found.sums.draws(seed) if found.sums else found.draws
    row = Quality(
        metric=metric.name,
        before=found.before,
        after=found.after,
        retention=retention,
        items=found.items,
        slices=slices,
        **intervals_of(draws, higher_is_better=metric.row.higher_is_better),
    )
    return [row]


def _slices(
    metric: Metric, found: Sequence[Compared | None], sample: Sample, progress: Progress
) -> list[list[Slice]]:
    """Return what each model keeps on parts of the texts, and on text of no domain."""
    general = Sample(sample.base, sample.others, GENERAL, Clock(sample.clock.left), sample.seed)
    outside = [_with_sums(pair) for pair in metric.measure(general, progress)]
    return [
        list(slices_of(metric.row, one.sums, other.sums if other else None, sample.seed))
        if one and one.sums
        else []
        for one, other in zip(found, outside, strict=True)
    ]


def measure_exports(  # noqa: PLR0913
    base: LoadedModel,
    compressed: LoadedModel,
    folder: Path,
    texts: Sequence[str],
    *,
    seed: int = 0,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> list[Export]:
    """Measure the files exported under ``folder`` as `measure_quality` measures the model.

    The figures before are always those of the base in PyTorch.
    """
    files = exported_files(folder)
    if not files:
        return []
    encoders = [RUNTIMES[file.runtime].encoder(compressed, folder / file.path) for file in files]
    rows = compare_quality(
        Encoder(base), encoders, texts, seed=seed, seconds=seconds, progress=progress
    )
    return [
        Export(runtime=file.runtime, path=file.path, bytes=file.bytes, quality=quality)
        for file, quality in zip(files, rows, strict=True)
    ]
