"""The documents a recovery draws from: all of a small corpus, an even sample of a large one."""

import hashlib
from dataclasses import dataclass

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
