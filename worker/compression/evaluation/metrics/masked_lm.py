"""Measure masked language modeling: bits a character of words that are hidden from an encoder."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from tokenizers import Encoding
from torch import Tensor

from worker.compression.evaluation.metrics.metric import Compared, Metric, Sample
from worker.compression.models.encoder import Encoder
from worker.compression.progress import Progress
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
    bits = 0.0
    for number, text in enumerate(texts):
        progress(number / len(texts), f"{number} of {len(texts)} texts scored")
        bits += masked_bits(encoder, text)[0]
    return bits / sum(map(len, texts))


@torch.inference_mode()
def masked_bits(encoder: Encoder, text: str) -> tuple[float, float]:
    """Return the bits of a text as `bits_per_character` has them, and its characters."""
    encoding = unbounded(encoder.tokenizer).encode(text)
    ids = torch.tensor(encoding.ids)
    positions = [i for i, special in enumerate(encoding.special_tokens_mask) if not special]
    log_likelihood = 0.0
    for batch in _batches(positions):
        masked = torch.stack([_masked(encoder, encoding, position) for position in batch])
        logits = encoder.logits_at(masked, torch.tensor(batch))  # (batch, vocabulary)
        scores = logits.float().cpu().log_softmax(dim=-1)
        log_likelihood += scores[torch.arange(len(batch)), ids[batch]].sum().item()
    return -log_likelihood / math.log(2), len(text)


def _masked(encoder: Encoder, encoding: Encoding, position: int) -> Tensor:
    """Return the ids (positions) of a text, a token and the rest of its word masked."""
    words = encoding.word_ids
    hidden = [i >= position and word == words[position] for i, word in enumerate(words)]
    ids = torch.tensor(encoding.ids)
    return ids.masked_fill(torch.tensor(hidden), int(encoder.tokenizer.mask_token_id or 0))


def _batches(positions: list[int]) -> Iterator[list[int]]:
    return (positions[start : start + _BATCH] for start in range(0, len(positions), _BATCH))


def _measure(sample: Sample, progress: Progress) -> Sequence[Compared | None]:
    able = [other for other in sample.others if has_masked_lm(other)]
    readers = [sample.base, *able]
    short = (text for text in sample.texts if all(fits(encoder, text) for encoder in readers))
    texts = list(islice(short, SCORED))
    if not texts or len(able) < len(sample.others):
        return [None] * len(sample.others)
    return sample.scores(masked_bits, texts, progress)


MASKED_LM = Metric("masked_lm_bits_per_character", has_masked_lm, _measure)
