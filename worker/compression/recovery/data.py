"""Sample the documents of a recovery, and draw its texts from them."""

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from app.contract.split import is_held_out
from worker.compression.corpus import Texts
from worker.compression.errors import CorpusEmptyError
from worker.compression.progress import Progress

MAX_CHARACTERS, MAX_GENERAL_CHARACTERS = 64_000_000, 16_000_000
"""Of the documents kept in memory, and of the general texts beside them."""
SAMPLING_SHARE = 0.03
"""Share of a recovery's progress that sampling the documents takes."""
_HELD_OUT, _FEWEST, _MOST = 0.02, 4, 200
_SPLIT_SEED = 0x5EED


@dataclass(frozen=True)
class Documents:
    """Hold the documents to train on, and those of the held-out loss; none of a tiny corpus."""

    training: list[str]
    held_out: list[str]


def sample_documents(
    texts: Texts, seed: int, progress: Progress, max_characters: int = MAX_CHARACTERS
) -> Documents:
    """Read a corpus once, keep what `sample_texts` does, and hold some of it out.

    Raises:
        CorpusEmptyError: there is no text.

    """
    kept = sample_texts(texts, seed, progress, max_characters)
    held_out = [text for text in kept if is_held_out(text, _HELD_OUT, seed ^ _SPLIT_SEED)][:_MOST]
    if len(held_out) < _FEWEST:
        return Documents(kept, [])
    chosen = set(held_out)
    return Documents([text for text in kept if text not in chosen], held_out)


def sample_texts(
    texts: Texts, seed: int, progress: Progress, max_characters: int = MAX_CHARACTERS
) -> list[str]:
    """Read a corpus once and return a share of its documents that fits in memory, in order.

    A hash of the text and the seed decides which ones, so it depends on nothing else.

    Raises:
        CorpusEmptyError: there is no text.

    """
    hash_of, share, characters = dict[str, float](), 1.0, 0
    for number, text in enumerate(texts()):
        if number % 2_000 == 0:
            progress(number / (number + 50_000), f"{number} documents read")
        text_hash = _hash(text, seed)
        if not text.strip() or text in hash_of or text_hash >= share:
            continue
        hash_of[text] = text_hash
        characters += len(text)
        while characters > max_characters and len(hash_of) > 1:
            share /= 2
            hash_of = {text: value for text, value in hash_of.items() if value < share}
            characters = sum(map(len, hash_of))
    if not hash_of:
        raise CorpusEmptyError("The corpus has no text to train on: upload more documents.")
    return list(hash_of)


def sample_general(
    texts: Texts, seed: int, progress: Progress, held_out: Sequence[str] = ()
) -> list[str]:
    """Return general texts to train on beside a corpus, as `sample_texts` does; there may be none.

    Those of the held-out loss are left out.
    """
    left_out = {*held_out}
    try:
        kept = sample_texts(texts, seed, progress, MAX_GENERAL_CHARACTERS)
    except CorpusEmptyError:
        return []
    return [text for text in kept if text not in left_out]


def _hash(text: str, seed: int) -> float:
    """Return a number in [0, 1) that a text and a seed always give."""
    content = f"{seed} sample\n{text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") / 2**64


Form = Literal["document", "sentence", "window"]

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_WORD = re.compile(r"\S+")
_FORMS: tuple[Form, ...] = ("document", "sentence", "window")
_SHARES = (0.25, 0.4, 0.35)
CHARACTERS_PER_TOKEN = 6
"""More than any tokenizer has in ordinary text."""
_SHORTEST_WINDOW, _LONGEST_WINDOW = 3, 20


@dataclass(frozen=True)
class TextSampler:
    """Draw texts: documents, or with ``parts`` their sentences and windows of 3 to 20 words too.

    A sentence encoder is used on texts of all lengths, queries too, which the documents of a
    corpus do not show it. A document much longer than ``max_length`` tokens gives another part
    each time. ``prompt`` stands before each text, as in the model's program.

    Of all texts the share ``general_share`` is drawn from ``general`` in place of the documents,
    evenly spread, in passes of its own: any number of texts has as many as the share says.
    """

    documents: Sequence[str]
    seed: int
    max_length: int
    parts: bool
    prompt: str = ""
    general: Sequence[str] = ()
    general_share: float = 0.0

    def texts(self, start: int, count: int) -> list[str]:
        """Return the texts of numbers ``start`` to ``start + count``; a pass has one a document."""
        return [self.prompt + self._text(number) for number in range(start, start + count)]

    def _text(self, number: int) -> str:
        earlier = self.general_before(number)
        if self.general_before(number + 1) > earlier:
            drawn = _draw(self.general, earlier, self.seed)
        else:
            drawn = _draw(self.documents, number - earlier, self.seed)
        rng = random.Random(f"{self.seed} {number}")  # noqa: S311
        excerpt = _excerpt(drawn, self.max_length * CHARACTERS_PER_TOKEN, rng)
        if not self.parts:
            return excerpt
        form = rng.choices(_FORMS, _SHARES)[0]
        return excerpt if form == "document" else _part(excerpt, form, rng)

    def general_before(self, number: int) -> int:
        """Return how many general texts there are before the text of a number."""
        return int(number * self.general_share) if self.general else 0


def _draw(texts: Sequence[str], number: int, seed: int) -> str:
    """Return the text of a number: each once a pass, in another order each."""
    epoch, position = divmod(number, len(texts))
    return texts[_shuffled_order(len(texts), seed, epoch)[position]]


@lru_cache(maxsize=4)
def _shuffled_order(size: int, seed: int, epoch: int) -> list[int]:
    order = list(range(size))
    random.Random(f"{seed} order {epoch}").shuffle(order)  # noqa: S311
    return order


def _excerpt(text: str, max_characters: int, rng: random.Random) -> str:
    """Return a text, or a part of a long one that starts at a word."""
    if len(text) <= max_characters:
        return text
    start = rng.randrange(len(text) - max_characters + 1)
    if start and (space := re.search(r"\s", text[start - 1 :])):
        start += space.start()
    return text[start : start + max_characters].strip() or text[:max_characters]


def _part(text: str, form: Form, rng: random.Random) -> str:
    """Return a random sentence of a text, or a random window of its words."""
    if form == "sentence":
        sentences = [part for part in _SENTENCE_END.split(text) if _WORD.search(part)]
        return rng.choice(sentences or [text])
    words = list(_WORD.finditer(text))
    length = rng.randint(_SHORTEST_WINDOW, _LONGEST_WINDOW)
    if len(words) <= length:
        return text
    first = rng.randrange(len(words) - length + 1)
    return text[words[first].start() : words[first + length - 1].end()]
