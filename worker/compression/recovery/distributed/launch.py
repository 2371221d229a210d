"""Start the processes of a recovery and follow them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from worker.compression import errors
from worker.compression.corpus import Texts
from worker.compression.progress import Progress, part
from worker.compression.recovery.distributed.group import exit_status, messages, started
from worker.compression.recovery.distributed.order import Order
from worker.compression.recovery.options import RecoveryOptions
from worker.compression.recovery.outcome import LossPoint, Recovery
from worker.compression.recovery.texts.sample import sample_texts
from worker.compression.recovery.watch import Watch

_READING = 0.03
"""Share of the progress that reading the corpus takes."""


@dataclass(frozen=True)
class Folders:
    """Where the models are that ``recover`` is given, and where the recovered one goes."""

    base: Path
    student: Path
    target: Path
    scratch: Path


def recover_in_processes(  # noqa: PLR0913, PLR0917
    count: int,
    folders: Folders,
    texts: Texts,
    options: RecoveryOptions = RecoveryOptions(),  # noqa: B008
    seed: int = 0,
    watch: Watch = Watch(),  # noqa: B008
    *,
    cpu: bool = False,
) -> Recovery:
    """Do what ``recover`` does in so many processes of this machine, each on a GPU of its own.

    With ``cpu``, or without a GPU, they share the CPU. They end with the caller, and at once where
    it stops them by raising from ``watch.progress``, which is called at least every second until
    the last of them has exited. Those that have not half a minute after the result are ended.

    Raises:
        CompressionError: as ``recover`` does.
        RuntimeError: a process died.

    """
    lines, file = folders.scratch / "texts.jsonl", folders.scratch / "order.json"
    reading = part(watch.progress, 0, _READING)
    with lines.open("w", encoding="utf-8") as sink:
        sink.writelines(f"{json.dumps(t)}\n" for t in sample_texts(texts, seed, reading))
    paths = folders.base, folders.student, lines, folders.target
    Order(*paths, options, seed, watch.file, watch.every_seconds, cpu).write(file)
    try:
        with started(_command(count, file)) as process:
            return _outcome(process, part(watch.progress, _READING, 1), watch)
    finally:
        lines.unlink()
        file.unlink()


def _command(count: int, order: Path) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    module = "worker.compression.recovery.distributed.launched"
    return [*launcher, f"--nproc-per-node={count}", "-m", module, str(order)]


def _outcome(process: subprocess.Popen[str], progress: Progress, watch: Watch) -> Recovery:
    said, done = (0.0, "starting the processes"), None
    for message in messages(process):
        if "error" in message:
            raise getattr(errors, message["error"])(message["message"])
        if "done" in message:
            done = message["done"]
            break
        if "point" in message:
            watch.on_point(LossPoint(**message["point"]))
        elif "saved" in message:
            watch.saved()
        else:
            said = message.get("fraction", said[0]), message.get("message", said[1])
            progress(*said)
    # What is done is saved: it counts also where they do not exit and have to be ended.
    status = exit_status(process, lambda: progress(said[0], "waiting for the processes to exit"))
    if done is None or status:
        raise RuntimeError(f"The processes of the recovery ended with {status}.")
    return Recovery(**{**done, "loss": [LossPoint(**point) for point in done["loss"]]})
