"""Run one rank of a recovery, as ``recover_in_processes`` launches it.

    torchrun … -m worker.compression.recovery.rank_process LAUNCH_SPEC

All ranks do the same work on their share of each step. The main one reports progress and saves the
result; an error is reported by any rank that has one.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path

import torch
from accelerate import PartialState

from worker.compression.errors import CompressionError
from worker.compression.models.loading import load_model
from worker.compression.models.saving import save_model
from worker.compression.recovery.distributed import LaunchSpec, send_record
from worker.compression.recovery.options import RecoveryCallbacks
from worker.compression.recovery.recover import recover


def main() -> None:
    """Do this rank's part of the recovery that the launch spec describes."""
    spec = LaunchSpec.read(Path(sys.argv[1]))
    for module in spec.imports:
        import_module(module)
    ranks = PartialState(cpu=spec.cpu or not torch.cuda.is_available())
    try:
        _recover(spec, is_main=ranks.is_main_process)
    except CompressionError as error:
        # By any rank: the others may wait for it. The first report counts where all have it.
        send_record(error=type(error).__name__, message=str(error))
    finally:
        ranks.destroy_process_group()


def _recover(spec: LaunchSpec, *, is_main: bool) -> None:
    base, student = load_model(spec.base), load_model(spec.student)

    def stream(path: Path) -> Iterator[str]:
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)

    callbacks = RecoveryCallbacks(file=spec.state)
    if is_main:
        callbacks = RecoveryCallbacks(
            progress=lambda fraction, message: send_record(fraction=fraction, message=message),
            on_point=lambda point: send_record(point=point.model_dump()),
            on_plan=lambda plan: send_record(plan=asdict(plan)),
            file=spec.state,
            every_seconds=spec.every_seconds,
            saved=lambda: send_record(saved=True),
            must_save=spec.save_now.exists,
        )
    recovered = recover(
        base,
        student.model,
        student.tokenizer,
        partial(stream, spec.texts),
        spec.options,
        spec.seed,
        callbacks,
        cpu=spec.cpu,
        general=partial(stream, spec.general) if spec.general else None,
        queries=partial(stream, spec.queries) if spec.queries else None,
    )
    if is_main:
        save_model(spec.target, recovered.model, student.tokenizer, base.folder)
        send_record(summary=recovered.summary.model_dump())


if __name__ == "__main__":
    main()
