"""Vocabulary sizes: a fraction, a number of tokens, or a list of them."""

import math
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

MIN_TOKENS = 2
MAX_SIZES = 16

Sizes = float | list[float]


def _sizes(wanted: Any) -> Sizes:
    if not isinstance(wanted, list):
        return _size(wanted)
    sizes = [_size(size) for size in wanted]
    if not 1 <= len(sizes) <= MAX_SIZES:
        raise ValueError(f"give 1 to {MAX_SIZES} sizes")
    if len(set(sizes)) < len(sizes):
        raise ValueError("give each size once")
    return sizes


def _size(size: Any) -> float:
    is_number = isinstance(size, (int, float)) and not isinstance(size, bool)
    # Compared first: an integer may be too large for a float.
    if is_number and (0 < size <= 1 or (MIN_TOKENS <= size < math.inf and size == int(size))):
        return float(size)
    raise ValueError(
        "give a fraction of the base vocabulary above 0 and up to 1, or a finite whole number of "
        "tokens"
    )


SIZE_SCHEMA: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0}
SIZES_SCHEMA: dict[str, Any] = {
    "anyOf": [
        SIZE_SCHEMA,
        {
            "type": "array",
            "items": SIZE_SCHEMA,
            "minItems": 1,
            "maxItems": MAX_SIZES,
            "uniqueItems": True,
        },
    ]
}
VocabSize = Annotated[Sizes, PlainValidator(_sizes), WithJsonSchema(SIZES_SCHEMA)]
