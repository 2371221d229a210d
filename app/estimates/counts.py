"""Estimate how many tokens the held-out texts of a job take, before and after.

The texts are the job's own, as far as they were read: its split depends on a text alone. A domain's
vocabulary is imitated from the others.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from app.contract.split import MOST_MEASURED, is_held_out
from app.estimates.beginnings import LONG_DOCUMENT
from app.estimates.imitation import Imitation
from app.estimates.tokens import BaseTokenizer

MOST_SPLIT = 300_000
"""Characters of different words, which cost most of the time: of text without spaces, little."""
SURE = 1.645
"""Deviations to each side that hold nine cases of ten."""
MADE = {"WordPiece": 0.02}
MADE_OTHERWISE = 0.03
"""Deviation of an imitated vocabulary's tokens, by the kind of the tokenizer."""


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


@dataclass(frozen=True)
class Split:
    """Tells which texts a job holds out, of a corpus of so many documents."""

    fraction: float
    seed: int
    documents: int


@dataclass(frozen=True)
class _Text:
    words: list[str]
    tokens: float
    is_cut: bool


class Reader:
    """Splits texts as the base does, each word once.

    Texts are cut where the base cuts them, at `max_length` tokens; the model reads `longest`.
    """

    def __init__(
        self, tokenizer: BaseTokenizer, prompt: str, max_length: int | None, longest: int
    ) -> None:
        self.tokenizer, self._prompt, self._longest = tokenizer, prompt, longest
        self._room = None if max_length is None else max_length - tokenizer.special
        self.lengths = dict[str, int]()
        self.characters = 0
        """Those of the words that were split."""

    def read(self, document: str) -> _Text:
        """Return the words and the number of tokens of a document."""
        words, tokens = list[str](), 0
        text = self._prompt + document
        for word in self.tokenizer.words(text[:LONG_DOCUMENT]):
            if (length := self.lengths.get(word)) is None:
                length = len(self.tokenizer.pieces(word, self.tokenizer.vocabulary))
                self.lengths[word] = length
                self.characters += len(word)
            if self._room is not None and tokens + length > self._room:
                return _Text(words, tokens, True)
            tokens += length
            words.append(word)
        if self._room is not None:
            return _Text(words, tokens, False)
        is_cut = tokens + self.tokenizer.special > self._longest
        return _Text(words, tokens * max(1.0, len(text) / LONG_DOCUMENT), is_cut)


def count_tokens(
    reader: Reader, documents: Iterable[str], split: Split, sizes: Sequence[int]
) -> TokenCounts:
    """Estimate the tokens of held-out texts before and after, for vocabularies of so many tokens.

    `documents` are the first of the corpus, or all.
    """
    held_out, learned, read = list[_Text](), list[_Text](), 0
    for document in documents:
        if reader.characters > MOST_SPLIT:
            break
        read += 1
        if not is_held_out(document, split.fraction, split.seed):
            learned.append(reader.read(document))
        elif len(held_out) < MOST_MEASURED:
            held_out.append(reader.read(document))
    texts = [*learned, *held_out]
    tried, learned = held_out or texts, learned or texts
    whole = read >= split.documents
    expected = len(held_out) if whole else min(MOST_MEASURED, split.fraction * split.documents)
    base, deviation = _mean(held_out, texts, round(expected))
    share = 1.0 if whole else read / split.documents
    words = _count(learned)
    imitation = Imitation(reader.tokenizer, words)
    parts = _count(tried), words
    made = {
        size: _estimate(reader, imitation, size, (base, deviation), parts, share)
        for size in dict.fromkeys(sizes)
    }
    return TokenCounts(
        base=base,
        sizes=[made[size] for size in sizes],
        available=imitation.available,
        least=imitation.least,
        cut=sum(text.is_cut for text in texts) / max(1, len(texts)),
    )


def _mean(held_out: Sequence[_Text], read: Sequence[_Text], expected: int) -> tuple[float, float]:
    """Return the tokens of a held-out text, and the share of it that it may deviate by.

    Those that were not read are taken to be as all texts are that were.
    """
    lengths = [text.tokens for text in read]
    mean = fmean(lengths) if lengths else 0.0
    missing = 1 - min(1.0, len(held_out) / max(1, expected))
    if not mean or (held_out and not missing):
        return fmean(text.tokens for text in held_out) if held_out else mean, 0.0
    value = missing * mean + sum(text.tokens for text in held_out) / max(1, expected)
    # A corpus in an order differs more from one part to the next than its texts do by chance.
    step = math.ceil(len(lengths) / 10)
    parts = [fmean(lengths[start : start + step]) for start in range(0, len(lengths), step)]
    drift = pstdev(parts) / math.sqrt(max(1, len(parts) - 1))
    chance = pstdev(lengths) / math.sqrt(max(1.0, missing * expected))
    return value, missing * math.hypot(chance, drift) / value


def _count(texts: Iterable[_Text]) -> Counter[str]:
    counts = Counter[str]()
    for text in texts:
        counts.update(text.words)
    return counts


def _estimate(  # noqa: PLR0913, PLR0917
    reader: Reader,
    imitation: Imitation,
    size: int,
    base: tuple[float, float],
    parts: tuple[Mapping[str, int], Mapping[str, int]],
    share: float,
) -> TokenEstimate:
    vocabulary = imitation.of(size)
    unseen, seen = (_ratio(reader, words, vocabulary) for words in parts)
    # With more texts those that a vocabulary was made of and new ones come together: halfway where
    # it has to choose among its words, nearer to the first where more texts bring it new words.
    gap = unseen - seen
    halfway = 0.5 / (1 + size / max(1, imitation.available))
    ratio = seen + gap * (halfway + (1 - halfway) * share)
    value, deviation = base
    # Merges need steps on the way: with little room beside its characters, few words are reached.
    is_crowded = reader.tokenizer.kind == "BPE"
    crowded = max(1.0, min(3.0, 3.0 * imitation.least / max(1, size))) if is_crowded else 1.0
    made = MADE.get(reader.tokenizer.kind, MADE_OTHERWISE) * (1 + imitation.least / max(1, size))
    spread = SURE * math.hypot(deviation, made, gap / 2 * (1 - share) / ratio)
    return TokenEstimate(
        base=round(value, 2),
        value=round(value * ratio * crowded**0.5, 2),
        low=round(value * ratio * math.exp(-spread), 2),
        high=round(value * ratio * math.exp(spread) * crowded, 2),
    )


def _ratio(reader: Reader, words: Mapping[str, int], vocabulary: set[str]) -> float:
    before = sum(reader.lengths[word] * count for word, count in words.items())
    pieces = reader.tokenizer.pieces
    after = sum(len(pieces(word, vocabulary)) * count for word, count in words.items())
    return after / before if before else 1.0
