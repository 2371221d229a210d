"""Label-free quality: agreement with the base model, and how well text is predicted."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from app.contract.report import Export, Quality
from worker.compression.evaluation.likelihood import (
    bits_per_character,
    causal_bits_per_character,
    denoising_bits_per_character,
    excerpts,
    fits,
    has_masked_lm,
)
from worker.compression.models.encoder import Encoder, sentence_vectors
from worker.compression.models.loading import LoadedModel
from worker.compression.progress import Progress, part, silent
from worker.compression.runtimes.onnx import OnnxEncoder, onnx_files

_NEIGHBOURS = 10
COSINE, OVERLAP = "sentence_cosine", f"neighbour_overlap_{_NEIGHBOURS}"


def agreement(before: Tensor, after: Tensor) -> dict[str, float]:
    """Return each metric of agreement; a single text has no neighbours to compare."""
    found = {COSINE: cosine_similarity(before, after).mean().item()}
    if len(before) > 1:
        found[OVERLAP] = _neighbour_overlap(before, after)
    return found


def _neighbour_overlap(before: Tensor, after: Tensor) -> float:
    count = min(_NEIGHBOURS, len(before) - 1)
    near_before, near_after = _neighbours(before, count), _neighbours(after, count)
    shared = (near_before.unsqueeze(2) == near_after.unsqueeze(1)).any(dim=2)
    return shared.float().mean().item()


def _neighbours(vectors: Tensor, count: int) -> Tensor:
    unit = normalize(vectors)
    return (unit @ unit.T).fill_diagonal_(-2.0).topk(count).indices


_MASKED_LM = "masked_lm_bits_per_character"
_CAUSAL_LM, _DENOISING = "causal_lm_bits_per_character", "denoising_bits_per_character"
_SCORED = 32

Pair = tuple[Encoder, Encoder]


def quality_metrics(loaded: LoadedModel) -> list[str]:
    """Return the metrics that `measure_quality` has for models like this one, in their order.

    The last may be missing where no text is short enough for it, the overlap where there is one.
    """
    encoder = Encoder(loaded)
    if encoder.generates:
        return [_DENOISING if encoder.model.config.is_encoder_decoder else _CAUSAL_LM]
    return [COSINE, OVERLAP, *([_MASKED_LM] if has_masked_lm(encoder) else [])]


def measure_quality(  # noqa: PLR0913
    base: LoadedModel,
    compressed: LoadedModel,
    texts: Sequence[str],
    *,
    sample: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Quality]:
    """Compare both models on (a sample of) the same held-out texts.

    A decoder with its head has ``causal_lm_bits_per_character``, an encoder-decoder with its head
    ``denoising_bits_per_character`` of the beginnings of 32 of the texts. Any other model is
    compared by its sentence vectors, pooled as in its use: ``sentence_cosine`` is the mean cosine
    of a text's two vectors, ``neighbour_overlap_10`` the mean share of its ten nearest texts under
    the base that are so under the compressed model (fewer where there are fewer texts). Both are 1
    for the base against itself. Where the model predicts masked tokens,
    ``masked_lm_bits_per_character`` is of 32 of the texts.
    """
    rows = compare_quality(
        Encoder(base), [Encoder(compressed)], texts, sample=sample, seed=seed, progress=progress
    )
    return rows[0]


def compare_quality(  # noqa: PLR0913
    base: Encoder,
    others: Sequence[Encoder],
    texts: Sequence[str],
    *,
    sample: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[list[Quality]]:
    """Compare several models with the base as `measure_quality` does; returns the rows of each."""
    progress = progress or silent
    if len(texts) > sample:
        texts = random.Random(seed).sample(texts, sample)  # noqa: S311
    score = _likelihood if base.generates else _agreements
    return score(base, others, texts, progress)


def _agreements(
    base: Encoder, others: Sequence[Encoder], texts: Sequence[str], progress: Progress
) -> list[list[Quality]]:
    share = 1 / (len(others) + 1)
    vectors = sentence_vectors(base, texts, part(progress, 0, share))
    found = []
    for number, other in enumerate(others, 1):
        own = part(progress, number * share, (number + 1) * share)
        theirs = sentence_vectors(other, texts, part(own, 0, 0.6))
        found.append(
            [
                Quality(metric=m, before=1.0, after=v, retention=v)
                for m, v in agreement(vectors, theirs).items()
            ]
        )
        pair = base, other
        scored = [t for t in texts if all(fits(encoder, t) for encoder in pair)][:_SCORED]
        if scored and all(has_masked_lm(encoder) for encoder in pair):
            rest = part(own, 0.6, 1)
            found[-1].append(_bits_row(_MASKED_LM, bits_per_character, pair, scored, rest))
    return found


def _likelihood(
    base: Encoder, others: Sequence[Encoder], texts: Sequence[str], progress: Progress
) -> list[list[Quality]]:
    name, score = _CAUSAL_LM, causal_bits_per_character
    if base.model.config.is_encoder_decoder:
        name, score = _DENOISING, denoising_bits_per_character
    scored = excerpts([base, *others], texts, _SCORED)
    if not scored:
        return [[] for _ in others]
    own = [part(progress, n / len(others), (n + 1) / len(others)) for n in range(len(others))]
    return [
        [_bits_row(name, score, (base, other), scored, own[n])] for n, other in enumerate(others)
    ]


def _bits_row(
    name: str,
    score: Callable[[Encoder, Sequence[str], Progress], float],
    pair: Pair,
    texts: Sequence[str],
    progress: Progress,
) -> Quality:
    before = score(pair[0], texts, part(progress, 0, 0.5))
    after = score(pair[1], texts, part(progress, 0.5, 1))
    return Quality(metric=name, before=before, after=after, retention=before / after)


def measure_exports(  # noqa: PLR0913
    base: LoadedModel,
    compressed: LoadedModel,
    folder: Path,
    texts: Sequence[str],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Export]:
    """Measure the files exported under ``folder`` as `measure_quality` measures the model.

    What was before is always the base in PyTorch.
    """
    files = onnx_files(folder)
    encoders = [OnnxEncoder(compressed, folder / file.path) for file in files]
    if not encoders:
        return []
    rows = compare_quality(Encoder(base), encoders, texts, seed=seed, progress=progress)
    return [
        Export(runtime=file.runtime, path=file.path, bytes=file.bytes, quality=quality)
        for file, quality in zip(files, rows, strict=True)
    ]
