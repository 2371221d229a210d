"""The smallest and the largest vocabulary that a corpus allows."""

from worker.compression.errors import CorpusTooSmallError, VocabSizeBelowFloorError


def check_floor(vocab_size: int, floor: int) -> None:
    """Refuse a vocabulary that cannot hold the ``floor`` tokens that must be kept."""
    if vocab_size < floor:
        raise VocabSizeBelowFloorError(
            f"A vocabulary of {vocab_size} tokens cannot hold the special tokens, the tokens to "
            f"keep and the corpus's alphabet: ask for at least {floor}."
        )


def check_ceiling(size: int, candidates: int, reserved: int) -> None:
    """Refuse a vocabulary of more tokens, ``reserved`` ones apart, than there are candidates."""
    if size > candidates:
        raise CorpusTooSmallError(
            f"The corpus is too small for a vocabulary of {size + reserved} tokens: ask for at "
            f"most {candidates + reserved}, or upload more text."
        )
