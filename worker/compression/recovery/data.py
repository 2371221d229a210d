"""The documents a recovery draws from: all of a small corpus, an even sample of a large one."""

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from worker.compression.corpus import Texts, is_held_out
from worker.compression.errors import CorpusEmptyError
from worker.compression.progress import Progress

MAX_CHARACTERS = 64_000_000
"""Of the documents kept in memory."""
_HELD_OUT, _FEWEST, _MOST = 0.02, 4, 200
_SPLIT_SEED = 0x5EED


@dataclass(frozen=True)
class Documents:
    """What is trained on, and what only says when to stop; none where the corpus is tiny."""

    training: list[str]
    held_out: list[str]


def sample_documents(
    texts: Texts, seed: int, progress: Progress, most: int = MAX_CHARACTERS
) -> Documents:
    """Read a corpus once, keep what `sample_texts` does, and hold some of it out.

    Raises:
        CorpusEmptyError: there is no text.

    """
    return _split(sample_texts(texts, seed, progress, most), seed)


def sample_texts(
    texts: Texts, seed: int, progress: Progress, most: int = MAX_CHARACTERS
) -> list[str]:
    """Read a corpus once and return a share of its documents that fits in memory, in order.

    Which ones is decided by a hash of the text and the seed, so it depends on nothing else.

    Raises:
        CorpusEmptyError: there is no text.

    """
    kept, share, characters = dict[str, float](), 1.0, 0
    for number, text in enumerate(texts()):
        if number % 2_000 == 0:
            progress(number / (number + 50_000), f"{number} documents read")
        place = _place(text, seed)
        if not text.strip() or text in kept or place >= share:
            continue
        kept[text] = place
        characters += len(text)
        while characters > most and len(kept) > 1:
            share /= 2
            kept = {text: place for text, place in kept.items() if place < share}
            characters = sum(map(len, kept))
    if not kept:
        raise CorpusEmptyError("The corpus has no text to train on: upload more documents.")
    return list(kept)


def _split(texts: list[str], seed: int) -> Documents:
    held_out = [text for text in texts if is_held_out(text, _HELD_OUT, seed ^ _SPLIT_SEED)][:_MOST]
    if len(held_out) < _FEWEST:
        return Documents(texts, [])
    chosen = set(held_out)
    return Documents([text for text in texts if text not in chosen], held_out)


def _place(text: str, seed: int) -> float:
    content = f"{seed} sample\n{text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") / 2**64


Form = Literal["document", "sentence", "window"]

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_WORD = re.compile(r"\S+")
_FORMS: tuple[Form, ...] = ("document", "sentence", "window")
_SHARES = (0.25, 0.4, 0.35)
CHARACTERS_PER_TOKEN = 6
"""More than any tokenizer has in ordinary text."""
_SHORTEST, _LONGEST = 3, 20


@dataclass(frozen=True)
class TextSampler:
    """Draws texts: documents, or their sentences and windows of 3 to 20 words as well.

    A sentence encoder is used on texts of all lengths, queries too, which the documents of a
    corpus do not show it. A document much longer than ``max_length`` tokens gives another part
    each time.
    """

    documents: Sequence[str]
    seed: int
    max_length: int
    parts: bool

    def texts(self, start: int, count: int) -> list[str]:
        """Return the texts of numbers ``start`` to ``start + count``; a pass has one a document."""
        return [self._text(number) for number in range(start, start + count)]

    def _text(self, number: int) -> str:
        epoch, place = divmod(number, len(self.documents))
        document = self.documents[_order(len(self.documents), self.seed, epoch)[place]]
        rng = random.Random(f"{self.seed} {number}")  # noqa: S311
        excerpt = _excerpt(document, self.max_length * CHARACTERS_PER_TOKEN, rng)
        if not self.parts:
            return excerpt
        form = rng.choices(_FORMS, _SHARES)[0]
        return excerpt if form == "document" else _part(excerpt, form, rng)


@lru_cache(maxsize=4)
def _order(size: int, seed: int, epoch: int) -> list[int]:
    order = list(range(size))
    random.Random(f"{seed} order {epoch}").shuffle(order)  # noqa: S311
    return order


def _excerpt(text: str, characters: int, rng: random.Random) -> str:
    """Return a text, or a part of a long one that starts at a word."""
    if len(text) <= characters:
        return text
    start = rng.randrange(len(text) - characters + 1)
    if start and (space := re.search(r"\s", text[start - 1 :])):
        start += space.start()
    return text[start : start + characters].strip() or text[:characters]


def _part(text: str, form: Form, rng: random.Random) -> str:
    if form == "sentence":
        sentences = [part for part in _SENTENCE_END.split(text) if _WORD.search(part)]
        return rng.choice(sentences or [text])
    words = list(_WORD.finditer(text))
    length = rng.randint(_SHORTEST, _LONGEST)
    if len(words) <= length:
        return text
    first = rng.randrange(len(words) - length + 1)
    return text[words[first].start() : words[first + length - 1].end()]
