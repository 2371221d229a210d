"""Pairs of small tokenizers of every family, trained here, and their segmentations by hand."""

import copy
import json
import math
import random
import string
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

ROLES = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
ROLES |= {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SENTINELS = ["<extra_id_1>", "<extra_id_0>"]
BASE_SIZE, DOMAIN_SIZE = 460, 430
GENERAL = ["station", "evening", "winter", "garden", "letter", "window", "travel", "morning"]
DOMAIN = ["ibuprofen", "methotrexate", "neutropenia", "hepatotoxicity", "seizures", "lithium"]
FAMILIES = ("wordpiece", "byte_bpe", "bpe", "unigram")


def sentences(words: list[str], seed: int) -> list[str]:
    """Sentences of words, inflected and joined so that there are pieces to learn."""
    rng = random.Random(seed)
    ends, starts = ["", "s", "ing", "ed", "er"], ["", "re", "un", "Pre"]
    return [
        " ".join(f"{rng.choice(starts)}{rng.choice(words)}{rng.choice(ends)}" for _ in range(9))
        for _ in range(150)
    ]


Pair = tuple[PreTrainedTokenizerFast, PreTrainedTokenizerFast]


def tokenizer_pair(family: str) -> Pair:
    """The test's own copies of a trained pair."""
    return copy.deepcopy(_trained(family))


@cache
def _trained(family: str) -> Pair:
    """A base tokenizer of general text and one of the domain, which has another order of ids."""
    extra = [f"<unused{n}>" for n in range(7)]
    letters = f"{string.ascii_letters} {string.ascii_letters[::-1]} {string.punctuation}"
    general = [*sentences(GENERAL + DOMAIN[:1], 0), letters]
    domain = [*sentences(DOMAIN + GENERAL[:2], 1), letters]
    first, last = [*SPECIALS[:4], *extra], [*SENTINELS, SPECIALS[4]]
    return (
        _wrapped(MAKERS[family](general, BASE_SIZE, first), last),
        _wrapped(MAKERS[family](domain, DOMAIN_SIZE, [*SPECIALS[:4], *last]), []),
    )


def domain_texts() -> list[str]:
    return sentences(DOMAIN + GENERAL[:2], 2)[:6]


def _wrapped(tokenizer: Tokenizer, last: list[str]) -> PreTrainedTokenizerFast:
    tokenizer.add_special_tokens(last)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=ends
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        model_max_length=60,
        extra_special_tokens=sorted(SENTINELS),
        **ROLES,
    )


def _word_piece(texts: list[str], size: int, specials: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=specials, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _byte_bpe(texts: list[str], size: int, specials: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=specials,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _bpe(texts: list[str], size: int, specials: list[str]) -> Tokenizer:
    """BPE as Llama has it: words marked by the normalizer, bytes for what has no token."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    mark = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = normalizers.Sequence(mark)
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ")]
    )
    octets = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[*specials, *octets], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    content = json.loads(tokenizer.to_str())
    # The trainer has to be told of bytes as special tokens, the tokenizer must not know them so.
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] not in octets]
    content["pre_tokenizer"] = None
    return Tokenizer.from_str(json.dumps(content))


def _unigram(texts: list[str], size: int, specials: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


MAKERS: dict[str, Callable[[list[str], int, list[str]], Tokenizer]] = {
    "wordpiece": _word_piece,
    "byte_bpe": _byte_bpe,
    "bpe": _bpe,
    "unigram": _unigram,
}


def split_by_hand(base: PreTrainedTokenizerBase, token: str) -> list[str]:
    """Return the base pieces of a raw token, from the vocabulary and the definitions alone."""
    model: dict[str, Any] = json.loads(base.backend_tokenizer.to_str())["model"]
    if model["type"] == "WordPiece":
        return _longest_match(model["vocab"], token)
    if model["type"] == "BPE":
        ranks = {tuple(pair): rank for rank, pair in enumerate(model["merges"])}
        return _merged(ranks, list(token))
    return _most_likely(dict(model["vocab"]), token)


def _longest_match(vocabulary: dict[str, int], token: str) -> list[str]:
    mark = "##" if token.startswith("##") else ""
    rest, pieces = token.removeprefix("##"), list[str]()
    while rest:
        end = max((n for n in range(len(rest) + 1) if mark + rest[:n] in vocabulary), default=0)
        if not end:
            return []
        pieces.append(mark + rest[:end])
        rest, mark = rest[end:], "##"
    return pieces


def _merged(ranks: dict[tuple[str, ...], int], pieces: list[str]) -> list[str]:
    while pairs := [pair for pair in pairwise(pieces) if pair in ranks]:
        left, right = min(pairs, key=ranks.__getitem__)
        joined: list[str] = []
        for piece in pieces:
            if joined and joined[-1] == left and piece == right:
                joined[-1] = left + right
            else:
                joined.append(piece)
        pieces = joined
    return pieces


def _most_likely(scores: dict[str, float], token: str) -> list[str]:
    best: list[tuple[float, list[str]]] = [(0.0, [])]
    for end in range(1, len(token) + 1):
        ways = [
            (best[start][0] + scores[token[start:end]], [*best[start][1], token[start:end]])
            for start in range(end)
            if token[start:end] in scores
        ]
        best.append(max(ways, default=(-math.inf, [])))
    return best[-1][1]
