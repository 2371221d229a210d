"""Measure masked language modeling: bits a character of words that are hidden from an encoder."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from tokenizers import Encoding
from torch import Tensor

from worker.compression.evaluation.metrics.metric import BeforeAfter, Metric, Sample
from worker.compression.models.encoder import Encoder
from worker.compression.progress import Progress, part
from worker.compression.tokenizers.tokenizer_json import unbounded

# Texts that are scored: every token of each costs a row of a batch.
SCORED = 32
_BATCH = 16


def has_masked_lm(encoder: Encoder) -> bool:
    """Tell whether a model predicts masked tokens."""
    return encoder.traits.has_masked_lm_head


def fits(encoder: Encoder, text: str) -> bool:
    """Tell whether a text is short enough to be scored whole."""
    return 0 < len(encoder.tokenizer.tokenize(text)) <= encoder.max_length - 2


def bits_per_character(encoder: Encoder, texts: Sequence[str], progress: Progress) -> float:
    """Return the negative pseudo-log-likelihood of texts in bits a character.

    A token is predicted with itself and the rest of its word masked (Kauf and Ivanova, ACL 2023),
    so the score of a word does not depend on how its tokenizer splits it: with the pieces that
    follow in sight, a word of more pieces would seem easier.
    """
    backend, bits = unbounded(encoder.tokenizer), 0.0
    for number, text in enumerate(texts):
        progress(number / len(texts), f"{number} of {len(texts)} texts scored")
        bits += _masked_bits(encoder, backend.encode(text))
    return bits / sum(map(len, texts))


@torch.inference_mode()
def _masked_bits(encoder: Encoder, encoding: Encoding) -> float:
    ids = torch.tensor(encoding.ids)
    positions = [i for i, special in enumerate(encoding.special_tokens_mask) if not special]
    log_likelihood = 0.0
    for batch in _batches(positions):
        masked = torch.stack([_masked(encoder, encoding, position) for position in batch])
        logits = encoder.logits(masked)  # (batch, positions, vocabulary)
        rows = torch.arange(len(batch))
        scores = logits[rows, batch].float().cpu().log_softmax(dim=-1)  # (batch, vocabulary)
        log_likelihood += scores[rows, ids[batch]].sum().item()
    return -log_likelihood / math.log(2)


def _masked(encoder: Encoder, encoding: Encoding, position: int) -> Tensor:
    """Return the ids (positions) of a text, a token and the rest of its word masked."""
    words = encoding.word_ids
    hidden = [i >= position and word == words[position] for i, word in enumerate(words)]
    ids = torch.tensor(encoding.ids)
    return ids.masked_fill(torch.tensor(hidden), int(encoder.tokenizer.mask_token_id or 0))


def _batches(positions: list[int]) -> Iterator[list[int]]:
    return (positions[start : start + _BATCH] for start in range(0, len(positions), _BATCH))


def _measure(sample: Sample, progress: Progress) -> Sequence[BeforeAfter | None]:
    count = len(sample.others)
    return [
        _compare(sample, other, part(progress, number / count, (number + 1) / count))
        for number, other in enumerate(sample.others)
    ]


def _compare(sample: Sample, other: Encoder, progress: Progress) -> BeforeAfter | None:
    pair = sample.base, other
    short = (text for text in sample.texts if all(fits(encoder, text) for encoder in pair))
    texts = list(islice(short, SCORED))
    if not texts or not has_masked_lm(other):
        return None
    return sample.scores(bits_per_character, other, texts, progress)


MASKED_LM = Metric("masked_lm_bits_per_character", has_masked_lm, _measure)
