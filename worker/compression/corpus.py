"""The hold-out split, made document by document so that a corpus never has to fit in memory."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from app.contract.split import is_held_out

Texts = Callable[[], Iterable[str]]
"""Starts the stream of documents anew: an engine function calls it once for every pass."""


def training_texts(texts: Texts, fraction: float, seed: int) -> Texts:
    """Return the stream of the documents that are not held out."""

    def stream() -> Iterator[str]:
        return (text for text in texts() if not is_held_out(text, fraction, seed))

    return stream


def held_out_texts(texts: Texts, fraction: float, seed: int, limit: int | None = None) -> list[str]:
    """Return distinct held-out documents in corpus order, at most ``limit`` of them."""
    held_out = (text for text in texts() if is_held_out(text, fraction, seed))
    return list(islice(_distinct(held_out), limit))


def _distinct(texts: Iterable[str]) -> Iterator[str]:
    seen: set[bytes] = set()
    for text in texts:
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            yield text
