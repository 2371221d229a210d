"""Check which strings may be keys."""

from collections.abc import Sequence

MIN_KEY_LENGTH = 16
HOW_TO_MAKE_A_KEY = "Make one with `openssl rand -hex 32`."


def check_keys(keys: Sequence[str]) -> None:
    """Refuse keys that are missing, easy to guess, or not sendable in a header.

    The `ValueError` says which key and how to make one, and never the key.
    """
    if not any(keys):
        raise ValueError(
            "Authentication is on but there is no key. Set FVT_API_KEYS to a JSON list of keys, "
            "as in FVT_API_KEYS='[\"a-long-random-key\"]', or FVT_AUTH=off to serve anyone who "
            f"reaches the port. {HOW_TO_MAKE_A_KEY}"
        )
    for number, key in enumerate(keys, start=1):
        which = f"FVT_API_KEYS: key {number} of {len(keys)}"
        if not all("!" <= character <= "~" for character in key):
            raise ValueError(
                f"{which} has spaces or characters beyond printable ASCII. {HOW_TO_MAKE_A_KEY}"
            )
        if len(key) < MIN_KEY_LENGTH:
            raise ValueError(
                f"{which} has {len(key)} characters, fewer than {MIN_KEY_LENGTH}. "
                f"{HOW_TO_MAKE_A_KEY}"
            )
        if key in keys[: number - 1]:
            raise ValueError(f"{which} is there twice. {HOW_TO_MAKE_A_KEY}")
