"""The hold-out split, made document by document so that a corpus never has to fit in memory."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

Texts = Callable[[], Iterable[str]]
"""Starts the stream of documents anew: an engine function calls it once for every pass."""


def is_held_out(text: str, fraction: float, seed: int) -> bool:
    """Tell whether a document belongs to the held-out part.

    The side depends on the content and the seed alone, so identical documents fall on the same
    side wherever they stand, and adding documents to a corpus moves none of the others.
    Documents that differ only in surrounding or repeated white space count as identical.
    """
    content = " ".join(text.split())
    digest = hashlib.blake2b(f"{seed}\n{content}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big") < fraction * 2**64


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
