"""Tell faults of a model's files from ours, among all that the libraries raise for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from worker.compression.errors import CompressionError, is_of_memory

_OF_FILES = (
    *(OSError, ValueError, ImportError, RuntimeError, SafetensorError, StrictDataclassError),
    # What a class does with values that cannot be depends on the class.
    *(AssertionError, AttributeError, LookupError, TypeError, ArithmeticError),
)
_LONGEST = 600


def is_panic(error: BaseException) -> bool:
    """Tell whether an error is a panic of a library in Rust, which is no `Exception`."""
    return type(error).__name__ == "PanicException"


@contextmanager
def faults_of_files(make: Callable[[str], CompressionError]) -> Iterator[None]:
    """Raise what `make` makes of the message where files of a user are at fault.

    Interrupts, time limits, and errors of ours that are classes of their own pass. A lack of
    memory passes too: the files do not show it.
    """
    try:
        yield
    except CompressionError:
        raise
    except BaseException as error:
        # The tokenizers library raises bare exceptions.
        is_fault = isinstance(error, _OF_FILES) or type(error) is Exception or is_panic(error)
        if not is_fault or is_of_memory(error):
            raise
        why = f"{error}" if str(error).strip() else type(error).__name__
        raise make(" ".join(why.split())[:_LONGEST]) from error
