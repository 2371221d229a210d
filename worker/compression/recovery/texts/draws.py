"""The texts of a step: drawn from documents by the step's number and the seed alone.

So a recovery that goes on after a kill needs to know no more than its step.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Form = Literal["document", "sentence", "window"]

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_WORD = re.compile(r"\S+")
_FORMS: tuple[Form, ...] = ("document", "sentence", "window")
_SHARES = (0.25, 0.4, 0.35)
CHARACTERS_PER_TOKEN = 6
"""More than any tokenizer has in ordinary text."""
_SHORTEST, _LONGEST = 3, 20


@dataclass(frozen=True)
class Drawer:
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
