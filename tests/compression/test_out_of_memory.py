"""What does not fit in memory is said to be so; other faults stay what they are."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from worker.compression import OutOfMemoryError
from worker.compression.errors import within_memory


def of_cuda() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB.")


def of_cublas() -> None:
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


@pytest.mark.parametrize(
    "fill", [lambda: torch.empty(1 << 60), lambda: bytearray(1 << 62), of_cuda, of_cublas]
)
def test_it_says_what_does_not_fit_and_what_to_give(fill: Callable[[], Any]) -> None:
    with pytest.raises(OutOfMemoryError) as refusal, within_memory("So much", "less"):
        fill()
    assert str(refusal.value) == "So much does not fit in memory: give less."


def test_what_is_no_fault_of_memory_passes() -> None:
    with pytest.raises(RuntimeError, match="size of tensor"), within_memory("So much", "less"):
        torch.empty(2) + torch.empty(3)
