"""Errors of a compression: those that its user can mend, and a crash of a library."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class CompressionError(Exception):
    """A compression that cannot go on as asked: ``code`` is stable, the message says what to do."""

    code: ClassVar[str] = "compression_failed"


class CorpusEmptyError(CompressionError):
    code = "corpus_empty"


class CorpusTooSmallError(CompressionError):
    code = "corpus_too_small"


class TooFewWordGroupsError(CorpusTooSmallError):
    """Fewer groups of words than multi-word tokens; a smaller vocabulary has no more of them."""


class VocabSizeBelowFloorError(CompressionError):
    code = "vocab_size_below_floor"


class VocabSizeAboveBaseError(CompressionError):
    code = "vocab_size_above_base"


class UnsupportedTokenizerError(CompressionError):
    code = "unsupported_tokenizer"


class MultiwordUnsupportedError(CompressionError):
    code = "multiword_unsupported"


class UnknownKeepTokensError(CompressionError):
    code = "unknown_keep_tokens"


class UnsupportedModelError(CompressionError):
    code = "unsupported_model"


class NonFiniteWeightsError(CompressionError):
    code = "non_finite_weights"


class ArtifactCheckFailedError(CompressionError):
    code = "artifact_check_failed"


class RecoveryUnsupportedError(CompressionError):
    code = "recovery_unsupported"


class TooManyLayersError(CompressionError):
    code = "keep_layers_above_base"


class RecoveryTooShortError(CompressionError):
    code = "recovery_too_short"


class OutOfMemoryError(CompressionError):
    code = "out_of_memory"


class ExportUnsupportedError(CompressionError):
    code = "export_unsupported"


class ExportFailedError(CompressionError):
    code = "export_failed"


class TaskDataError(CompressionError):
    code = "task_data_invalid"


class TaskUnsupportedError(CompressionError):
    code = "task_unsupported"


class LibraryCrashedError(RuntimeError):
    """A library below Python crashed its process, as it will again: nobody's recipe mends it."""


_SAID = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
"""By the GPU's allocator or its driver, by that of the CPU, by cuBLAS and its like."""


@contextmanager
def within_memory(what: str, remedy: str) -> Iterator[None]:
    """Say what to give instead where what is done within does not fit in memory.

    Raises:
        OutOfMemoryError: it does not.

    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_of_memory(error):
            raise
        raise OutOfMemoryError(f"{what} does not fit in memory: give {remedy}.") from error


def is_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory was short."""
    return isinstance(error, MemoryError) or any(said in str(error) for said in _SAID)
