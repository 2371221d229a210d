"""Progress of the long functions, and the way to abort them."""

from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

Item = TypeVar("Item")

Progress = Callable[[float, str], None]
"""Called with a fraction 0..1 and a message; an exception raised from it aborts the work."""


def silent(fraction: float, message: str) -> None:
    """Report to nobody."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """Return a progress whose 0..1 is ``start``..``end`` of ``progress``."""

    def scaled(fraction: float, message: str) -> None:
        progress(start + (end - start) * min(max(fraction, 0.0), 1.0), message)

    return scaled


def reported(
    items: Collection[Item], progress: Progress, message: str, every: int = 5_000
) -> Iterator[Item]:
    """Yield ``items``, reporting how many of them are done."""
    for number, item in enumerate(items):
        if number % every == 0:
            progress(number / len(items), message)
        yield item
