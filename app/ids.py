"""Opaque ids that sort by the time they were made."""

import re
import secrets
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26
ID = re.compile(rf"[a-z]+_[{ALPHABET}]{{{LENGTH}}}")


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters: 48 bits of milliseconds, then 80 random bits (as in ULID)."""
    number = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    digits = (ALPHABET[number >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5))
    return f"{prefix}_{''.join(digits)}"


def is_id(text: str) -> bool:
    """Tell whether a client's text could be an id at all; no other text reaches the database."""
    return ID.fullmatch(text) is not None
