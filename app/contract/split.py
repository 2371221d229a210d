"""The hold-out split, which the engine makes and an estimate foresees."""

import hashlib

MOST_MEASURED = 2000
"""Held-out documents that an evaluation reads at most, the first of the corpus."""


def is_held_out(text: str, fraction: float, seed: int) -> bool:
    """Tell whether a document belongs to the held-out part.

    The side depends on the content and the seed alone, so identical documents fall on the same
    side wherever they stand, and adding documents to a corpus moves none of the others.
    Documents that differ only in surrounding or repeated white space count as identical.
    """
    content = " ".join(text.split())
    digest = hashlib.blake2b(f"{seed}\n{content}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big") < fraction * 2**64
