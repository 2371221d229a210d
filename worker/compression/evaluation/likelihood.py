"""Bits per character of decoders and encoder-decoders, comparable across tokenizers."""

import math
from collections.abc import Iterator, Sequence

import torch
from tokenizers import Encoding
from torch import Tensor

from worker.compression.models.encoder import Encoder
from worker.compression.models.vocabulary_tensors import output_embeddings
from worker.compression.progress import Progress
from worker.compression.tokenizers.tokenizer_json import unbounded

_EXCERPT = 1000
"""Characters of a text that are scored at most."""
_PERIOD, _HIDDEN, _FIRST_HIDDEN = 20, 3, 7
_SENTINELS = 100

Task = tuple[str, str, int]
"""What is read, what is to be predicted, and how many characters that counts for."""


def excerpts(encoders: Sequence[Encoder], texts: Sequence[str], limit: int) -> list[str]:
    """Return the beginnings of texts, each short enough for every model."""
    found = (_excerpt(encoders, text) for text in texts)
    return [text for text in found if text][:limit]


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
    return _bits(encoder, [("", text, len(text)) for text in texts], progress)


def denoising_bits_per_character(
    encoder: Encoder, texts: Sequence[str], progress: Progress
) -> float:
    """Return bits a character of what an encoder-decoder has to restore, teacher-forced.

    Of every 20 words 3 are hidden. With T5's sentinels, they stand for the hidden words, which are
    the target; with a mask token, it does, and the target is the whole text (BART); else the
    second half of the text is the target of the first. Special tokens are not scored.
    """
    return _bits(encoder, [_hidden_words(encoder, text) for text in texts], progress)


def _bits(encoder: Encoder, tasks: Sequence[Task], progress: Progress) -> float:
    score = _seq2seq if encoder.model.config.is_encoder_decoder else _causal
    bits = 0.0
    for number, (source, target, _) in enumerate(tasks):
        progress(number / len(tasks), f"{number} of {len(tasks)} texts scored")
        bits += score(encoder, source, target)
    return bits / sum(characters for _, _, characters in tasks)


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


_BATCH = 16


def has_masked_lm(encoder: Encoder) -> bool:
    """Tell whether a model predicts masked tokens."""
    has_mask = encoder.tokenizer.mask_token_id is not None
    return has_mask and not encoder.generates and bool(output_embeddings(encoder.model))


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
        rows = torch.stack([_masked(encoder, encoding, position) for position in batch])
        logits = encoder.logits(rows)
        own = logits[torch.arange(len(batch)), batch].float().cpu().log_softmax(dim=-1)
        log_likelihood += own[torch.arange(len(batch)), ids[batch]].sum().item()
    return -log_likelihood / math.log(2)


def _masked(encoder: Encoder, encoding: Encoding, position: int) -> Tensor:
    words = encoding.word_ids
    hidden = [i >= position and word == words[position] for i, word in enumerate(words)]
    ids = torch.tensor(encoding.ids)
    return ids.masked_fill(torch.tensor(hidden), int(encoder.tokenizer.mask_token_id or 0))


def _batches(positions: list[int]) -> Iterator[list[int]]:
    return (positions[start : start + _BATCH] for start in range(0, len(positions), _BATCH))
