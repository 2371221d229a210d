"""One of the processes that recover a model together, as ``launch`` starts them.

    torchrun … -m worker.compression.recovery.rank_process ORDER

All do the same work on their share of each step. The first tells how it goes and saves the result;
a problem is told by whoever has it.
"""

import ctypes
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from accelerate import PartialState

from worker.compression.errors import CompressionError
from worker.compression.models.loading import load_model
from worker.compression.models.saving import save_model
from worker.compression.recovery.distributed import LaunchSpec, tell
from worker.compression.recovery.options import RecoveryCallbacks
from worker.compression.recovery.recover import recover

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Do this process's part of what the order says."""
    _end_with_launcher()
    order = LaunchSpec.read(Path(sys.argv[1]))
    processes = PartialState(cpu=order.cpu or not torch.cuda.is_available())
    try:
        _recover(order, is_first=processes.is_main_process)
    except CompressionError as error:
        # By any of them: the others may wait for it, and of a fault of all the first said counts.
        tell(error=type(error).__name__, message=str(error))
    finally:
        processes.destroy_process_group()


def _end_with_launcher() -> None:
    """Have the kernel end this process where the launcher is killed before it could do so."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _recover(order: LaunchSpec, *, is_first: bool) -> None:
    base, student = load_model(order.base), load_model(order.student)

    def texts() -> Iterator[str]:
        with order.texts.open(encoding="utf-8") as file:
            yield from map(json.loads, file)

    watch = _told(order) if is_first else RecoveryCallbacks(file=order.state)
    done = recover(
        base,
        student.model,
        student.tokenizer,
        texts,
        order.options,
        order.seed,
        watch,
        cpu=order.cpu,
    )
    if is_first:
        save_model(order.target, done.model, student.tokenizer, base.folder)
        tell(done=done.summary.model_dump())


def _told(order: LaunchSpec) -> RecoveryCallbacks:
    return RecoveryCallbacks(
        progress=lambda fraction, message: tell(fraction=fraction, message=message),
        on_point=lambda point: tell(point=point.model_dump()),
        file=order.state,
        every_seconds=order.every_seconds,
        saved=lambda: tell(saved=True),
    )


if __name__ == "__main__":
    main()
