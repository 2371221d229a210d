"""Estimate how many tokens a text takes, by the vocabulary of a `tokenizer.json` alone.

The front end has no tokenizer library. Words are split from the left into the longest tokens, as
WordPiece does; other kinds of tokenizers split a few words in another way, which the interval
allows for. A domain's vocabulary is imitated: the words and pieces that its texts use most.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from app.base_models.tokenizer_checks import parts_of, read_vocabulary, token_ids

BERT_WORDS = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3400-\u4dbf\u4e00-\u9fff]+|\S")
GPT_WORDS = re.compile(
    r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+", re.IGNORECASE
)
SPACED_WORDS = re.compile(r"\S+")
LONGEST_WORD = 100
"""Characters of a word that WordPiece still splits."""
LEARNED_SHARE = 0.8
"""Of the sample: the vocabulary is imitated from it, and tried on the rest."""
SLACK = 1.06
"""Difference of a vocabulary as trained, and once more where words are split otherwise."""
PIECE_SHARE = 0.25
"""Of a word's uses that count for each of its pieces, which it needs only where it has no token."""
MOST_CHARACTERS = 20_000
"""Of a document; what follows in a longer one is taken to be alike."""
METASPACE = "\u2581"


@dataclass(frozen=True)
class TokenEstimate:
    """Tokens a text without special ones: of the base, and of a vocabulary of the domain."""

    base: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class TokenCounts:
    """Holds what a sample shows of the base and of vocabularies of several sizes."""

    base: float
    sizes: list[TokenEstimate]
    available: int
    """Tokens that the sample could fill a vocabulary with."""
    least: int
    """Tokens that its characters and the special tokens take alone."""
    cut: float
    """Share of the texts that are longer than the model reads."""

    @classmethod
    def by_characters(
        cls, texts: Sequence[str], sizes: Sequence[int], per_token: float, longest: int
    ) -> "TokenCounts":
        """Estimate from the length of the texts alone, where no vocabulary is at hand."""
        lengths = [len(text) / per_token for text in texts]
        mean = sum(min(length, longest) for length in lengths) / max(1, len(lengths))
        estimate = TokenEstimate(round(mean, 2), round(mean, 2), round(mean / 2, 2), mean * 2)
        cut = sum(length > longest for length in lengths) / max(1, len(lengths))
        return cls(round(mean, 2), [estimate] * len(sizes), 1 << 62, 0, cut)


class BaseTokenizer:
    """Splits text into words as a `tokenizer.json` does, and words into its longest tokens."""

    def __init__(self, tokenizer: Mapping[str, Any]) -> None:
        self.kind, self.size = read_vocabulary(tokenizer)
        self.vocabulary = token_ids(tokenizer)
        self._model = tokenizer["model"]
        parts = [*parts_of(tokenizer.get("normalizer")), *parts_of(tokenizer.get("pre_tokenizer"))]
        self._types = {part.get("type") for part in parts}
        self._lowers = any(
            part.get("type") == "Lowercase" or part.get("lowercase") is True for part in parts
        )
        self._decomposes = "StripAccents" in self._types or any(
            part.get("type") == "BertNormalizer"
            and (part.get("strip_accents") or (part.get("strip_accents") is None and self._lowers))
            for part in parts
        )
        self.special = _special_per_text(tokenizer.get("post_processor"))
        self.added = len(tokenizer.get("added_tokens") or [])

    @cached_property
    def continuing(self) -> str:
        """The mark of a token within a word, "" where there is none."""
        mark = self._model.get("continuing_subword_prefix")
        if self.kind == "WordPiece":
            return mark if isinstance(mark, str) else "##"
        return mark if isinstance(mark, str) else ""

    @cached_property
    def _split(self) -> Callable[[str], Iterable[str]]:
        if "ByteLevel" in self._types:
            return lambda text: (_as_bytes(word) for word in GPT_WORDS.findall(text))
        if self.kind == "Unigram" or self._types & {"Metaspace", "Prepend", "Replace"}:
            return lambda text: (METASPACE + word for word in SPACED_WORDS.findall(text))
        suffix = self._model.get("end_of_word_suffix")
        end = suffix if isinstance(suffix, str) else ""
        return lambda text: (word + end for word in BERT_WORDS.findall(text))

    def words(self, text: str) -> list[str]:
        """Return the words of a text, as the vocabulary writes them."""
        if self._lowers:
            text = text.lower()
        if self._decomposes and not text.isascii():
            text = "".join(
                sign
                for sign in unicodedata.normalize("NFD", text)
                if unicodedata.category(sign) != "Mn"
            )
        return list(self._split(text))

    def pieces(self, word: str, known: Mapping[str, Any] | set[str]) -> list[str]:
        """Split a word into the longest tokens that are known, from the left."""
        if word in known:
            return [word]
        if self.kind == "WordPiece" and len(word) > LONGEST_WORD:
            return [word]
        found, start = list[str](), 0
        while start < len(word):
            mark = self.continuing if start else ""
            end = min(len(word), start + self._longest)
            while end > start + 1 and mark + word[start:end] not in known:
                end -= 1
            piece = mark + word[start:end]
            if self.kind == "WordPiece" and piece not in known:
                return [word]  # one unknown token
            found.append(piece)
            start = end
        return found

    @cached_property
    def _longest(self) -> int:
        return min(LONGEST_WORD, max(map(len, self.vocabulary), default=1))


def _special_per_text(processor: Any) -> int:
    for part in parts_of(processor):
        if part.get("type") in {"BertProcessing", "RobertaProcessing"}:
            return 2
        if part.get("type") == "TemplateProcessing":
            return sum("SpecialToken" in step for step in part.get("single") or ())
    return 0


def _byte_signs() -> dict[int, str]:
    """Return the sign that a byte-level vocabulary writes for each byte, as GPT-2 does."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in shown]
    signs = {byte: chr(byte) for byte in shown}
    return signs | {byte: chr(256 + place) for place, byte in enumerate(others)}


BYTE_SIGNS = _byte_signs()


def _as_bytes(word: str) -> str:
    return "".join(BYTE_SIGNS[byte] for byte in word.encode("utf-8", "replace"))


def count_tokens(  # noqa: PLR0913
    tokenizer: BaseTokenizer,
    documents: Sequence[str],
    sizes: Sequence[int],
    *,
    max_length: int | None,
    longest: int,
    whole: bool,
) -> TokenCounts:
    """Estimate the tokens of texts before and after, for vocabularies of so many tokens.

    `documents` are the corpus where `whole`, else its beginning. Texts are cut where the base
    cuts them, at `max_length` tokens; the model reads `longest`.
    """
    split, texts, cut = dict[str, list[str]](), list[list[str]](), 0
    base_total = 0.0
    for document in documents:
        words, tokens = list[str](), tokenizer.special
        for word in tokenizer.words(document[:MOST_CHARACTERS]):
            if word not in split:
                split[word] = tokenizer.pieces(word, tokenizer.vocabulary)
            if max_length is not None and tokens + len(split[word]) > max_length:
                cut += 1
                break
            tokens += len(split[word])
            words.append(word)
        cut += max_length is None and tokens > longest
        texts.append(words)
        more = max(1.0, len(document) / MOST_CHARACTERS) if max_length is None else 1.0
        base_total += (tokens - tokenizer.special) * more
    base = base_total / max(1, len(texts))
    # Turn by turn, so that a corpus in an order does not have its last kind of text tried alone.
    tried = texts[:: round(1 / (1 - LEARNED_SHARE))] if len(texts) > 4 else texts
    learned = [t for n, t in enumerate(texts) if len(texts) <= 4 or n % 5]
    vocabulary = _Imitation(tokenizer, split, _count(learned))
    return TokenCounts(
        base=base,
        sizes=[
            _estimate(tokenizer, vocabulary, size, base, (tried, learned), split, whole=whole)
            for size in sizes
        ],
        available=vocabulary.available,
        least=vocabulary.least,
        cut=cut / max(1, len(texts)),
    )


def _count(texts: Iterable[list[str]]) -> Counter[str]:
    counts = Counter[str]()
    for words in texts:
        counts.update(words)
    return counts


class _Imitation:
    """The tokens that a vocabulary of the domain would have, those that are used most first."""

    def __init__(
        self, tokenizer: BaseTokenizer, split: Mapping[str, list[str]], words: Counter[str]
    ) -> None:
        used = dict[str, float]()
        for word, count in words.items():
            # A word that is used once is left to its pieces.
            used[word] = used.get(word, 0) + (count if count > 1 else 0)
            for piece in split[word] if len(split[word]) > 1 else ():
                used[piece] = used.get(piece, 0) + PIECE_SHARE * count
        self._alphabet = {
            mark + sign for word in split for sign in word for mark in {"", tokenizer.continuing}
        }
        ranked = sorted(
            (token for token, count in used.items() if count >= 1), key=used.__getitem__
        )
        self._ranked = [token for token in reversed(ranked) if token not in self._alphabet]
        self._base = list(tokenizer.vocabulary)
        self._reserved = tokenizer.added
        self.least = len(self._alphabet) + self._reserved
        self.available = len(self._ranked) + self.least

    def of(self, size: int) -> set[str]:
        """Return a vocabulary of so many tokens; the base's own fill what the texts do not."""
        room = max(0, size - self.least)
        chosen = self._alphabet | set(self._ranked[:room])
        return chosen | set(islice(self._base, max(0, room - len(self._ranked))))


def _estimate(  # noqa: PLR0913, PLR0917
    tokenizer: BaseTokenizer,
    imitation: _Imitation,
    size: int,
    base: float,
    parts: tuple[list[list[str]], list[list[str]]],
    split: Mapping[str, list[str]],
    *,
    whole: bool,
) -> TokenEstimate:
    vocabulary, least = imitation.of(size), imitation.least
    lengths = {word: len(tokenizer.pieces(word, vocabulary)) for word in split}
    unseen, seen = (_ratio(texts, lengths, split) for texts in parts)
    # A corpus that goes on after the sample knows more of the words of new texts.
    ratio = unseen if whole else seen + (unseen - seen) / 4
    low, high = min(seen, unseen), max(seen, unseen)
    slack = SLACK * (1.0 if tokenizer.kind == "WordPiece" else SLACK)
    # Close to its letters a vocabulary has little choice, and ours may choose otherwise.
    crowded = max(1.0, min(3.0, 3.0 * least / max(1, size)))
    return TokenEstimate(
        base=round(base, 2),
        value=round(base * ratio * crowded**0.5, 2),
        low=round(base * low / slack, 2),
        high=round(base * high * slack * crowded, 2),
    )


def _ratio(
    texts: Iterable[list[str]], lengths: Mapping[str, int], split: Mapping[str, list[str]]
) -> float:
    words = _count(texts)
    before = sum(len(split[word]) * count for word, count in words.items())
    after = sum(lengths[word] * count for word, count in words.items())
    return after / before if before else 1.0
