"""Measure models that generate: bits per character, comparable across tokenizers."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from worker.compression.evaluation.metrics.metric import Compared, Metric, Sample, Score
from worker.compression.models.encoder import Encoder
from worker.compression.progress import Progress

# Texts that are scored, and the characters of a text at most.
SCORED = 32
_EXCERPT = 1000
# Of every so many words so many are hidden, the first time after so many words.
_PERIOD, _HIDDEN, _FIRST_HIDDEN = 20, 3, 7
_SENTINELS = 100

# The text that is read, the text to predict, and how many characters that counts for.
Task = tuple[str, str, int]


def excerpts(encoders: Sequence[Encoder], texts: Sequence[str], limit: int) -> list[str]:
    """Return the beginnings of texts, each short enough for every model."""
    beginnings = (_excerpt(encoders, text) for text in texts)
    return list(islice(filter(None, beginnings), limit))


def _excerpt(encoders: Sequence[Encoder], text: str) -> str:
    text = " ".join(text[:_EXCERPT].split(" ")[: -1 if len(text) > _EXCERPT else None]).strip()
    while any(len(e.tokenizer(text)["input_ids"]) >= e.max_length - 1 for e in encoders):
        text = text[: len(text) // 2].strip()
    return text


def causal_bits_per_character(encoder: Encoder, texts: Sequence[str], progress: Progress) -> float:
    """Return the negative log-likelihood of texts under a decoder, in bits a character.

    A text is encoded as its tokenizer does by itself. Where that puts no token first, the bos
    token, or else the eos token, which stands between documents in GPT-2's training, goes before
    it, so that the first token of the text is predicted as well. Special tokens are not scored.
    """
    return _bits_per_character(causal_bits, encoder, texts, progress)


def denoising_bits_per_character(
    encoder: Encoder, texts: Sequence[str], progress: Progress
) -> float:
    """Return bits a character of what an encoder-decoder has to restore, teacher-forced.

    Of every 20 words 3 are hidden. With T5's sentinels, they stand for the hidden words, which are
    the target; with a mask token, it does, and the target is the whole text (BART); else the
    second half of the text is the target of the first. Special tokens are not scored.
    """
    return _bits_per_character(denoising_bits, encoder, texts, progress)


def causal_bits(encoder: Encoder, text: str) -> tuple[float, float]:
    """Return the bits of a text as `causal_bits_per_character` has them, and its characters."""
    score = _seq2seq if encoder.model.config.is_encoder_decoder else _causal
    return score(encoder, "", text), len(text)


def denoising_bits(encoder: Encoder, text: str) -> tuple[float, float]:
    """Return the bits of what has to be restored of a text, and how many characters these are."""
    source, target, characters = _hidden_words(encoder, text)
    score = _seq2seq if encoder.model.config.is_encoder_decoder else _causal
    return score(encoder, source, target), characters


def _bits_per_character(
    score: Score, encoder: Encoder, texts: Sequence[str], progress: Progress
) -> float:
    bits = characters = 0.0
    for number, text in enumerate(texts):
        progress(number / len(texts), f"{number} of {len(texts)} texts scored")
        more = score(encoder, text)
        bits, characters = bits + more[0], characters + more[1]
    return bits / characters


@torch.inference_mode()
def _causal(encoder: Encoder, _: str, text: str) -> float:
    ids: list[int] = encoder.tokenizer(text)["input_ids"]
    tokenizer = encoder.tokenizer
    first = next((i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None), 0)
    if ids[0] not in tokenizer.all_special_ids:
        ids = [first, *ids]
    return _negative_bits(encoder, encoder.logits(torch.tensor([ids]))[0, :-1], ids[1:])


@torch.inference_mode()
def _seq2seq(encoder: Encoder, source: str, target: str) -> float:
    labels: list[int] = encoder.tokenizer(text_target=target)["input_ids"]
    row = torch.tensor([labels], device=encoder.model.device)
    logits = encoder.model(**encoder.inputs([source]), labels=row).logits
    return _negative_bits(encoder, logits[0], labels)


def _negative_bits(encoder: Encoder, logits: Tensor, ids: list[int]) -> float:
    tokens = encoder.tokenizer.convert_ids_to_tokens(ids)
    special = set(encoder.tokenizer.all_special_ids)
    scored = [
        i
        for i, (id_, token) in enumerate(zip(ids, tokens, strict=True))
        if id_ not in special and not token.startswith("<extra_id_")
    ]
    likelihood = logits.float().cpu().log_softmax(dim=-1)[scored, torch.tensor(ids)[scored]]
    return -likelihood.sum().item() / math.log(2)


def _hidden_words(encoder: Encoder, text: str) -> Task:
    words, mask = text.split(" "), encoder.tokenizer.mask_token
    if "<extra_id_0>" in encoder.tokenizer.get_vocab():
        return _behind_sentinels(words)
    if mask is not None:
        seen = [[mask] if hidden else span for _, hidden, span in _spans(words)]
        return " ".join(word for span in seen for word in span), text, len(text)
    middle = len(words) // 2
    target = " ".join(words[middle:])
    return " ".join(words[:middle]), target, len(target)


def _behind_sentinels(words: list[str]) -> Task:
    source, target, characters = list[str](), list[str](), 0
    for number, hidden, span in _spans(words):
        sentinel = f"<extra_id_{number}>"
        source += [sentinel] if hidden else span
        target += [sentinel, *span] if hidden else []
        characters += len(" ".join(span)) if hidden else 0
    return " ".join(source), " ".join(target), characters


def _spans(words: list[str]) -> Iterator[tuple[int, bool, list[str]]]:
    """Yield spans of words in order: the number of the next hidden one, whether it is one."""
    start, first = 0, min(_FIRST_HIDDEN, len(words) - 1)
    for number, hidden in enumerate(range(first, len(words), _PERIOD)):
        if number == _SENTINELS:
            break
        yield number, False, words[start:hidden]
        yield number, True, words[hidden : hidden + _HIDDEN]
        start = hidden + _HIDDEN
    yield _SENTINELS, False, words[start:]


def _measure_by(score: Score, sample: Sample, progress: Progress) -> Sequence[Compared | None]:
    texts = excerpts(sample.encoders, sample.texts, SCORED)
    if not texts:
        return [None] * len(sample.others)
    return sample.scores(score, texts, progress)


CAUSAL_LM = Metric(
    "causal_lm_bits_per_character",
    lambda encoder: encoder.generates and encoder.traits.has_causal_lm_head,
    partial(_measure_by, causal_bits),
)
DENOISING = Metric(
    "denoising_bits_per_character",
    lambda encoder: encoder.generates and encoder.traits.has_seq2seq_head,
    partial(_measure_by, denoising_bits),
)
