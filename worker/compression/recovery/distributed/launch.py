"""Start the processes of a recovery and follow them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

from worker.compression import errors
from worker.compression.corpus import Texts
from worker.compression.progress import part
from worker.compression.recovery.distributed.order import RECORD_SEPARATOR, Order
from worker.compression.recovery.options import RecoveryOptions
from worker.compression.recovery.outcome import LossPoint, Recovery
from worker.compression.recovery.recover import Watch
from worker.compression.recovery.texts.sample import sample_texts

_READING = 0.03
"""Share of the progress that reading the corpus takes."""
_SECONDS, _GRACE = 0.5, 5.0


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
    it stops them by raising from ``watch.progress``, which is called at least every second.

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
        return _follow(_command(count, file), watch)
    finally:
        lines.unlink()
        file.unlink()


def _command(count: int, order: Path) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    module = "worker.compression.recovery.distributed.launched"
    return [*launcher, f"--nproc-per-node={count}", "-m", module, str(order)]


def _follow(command: list[str], watch: Watch) -> Recovery:
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={"OMP_NUM_THREADS": "1", **os.environ},
        start_new_session=True,
    ) as process:
        try:
            return _outcome(process, part(watch.progress, _READING, 1), watch)
        finally:
            _stop(process)


def _outcome(process: subprocess.Popen[str], progress: Any, watch: Watch) -> Recovery:
    said, done = (0.0, "starting the processes"), None
    for message in _messages(process):
        if "error" in message:
            raise getattr(errors, message["error"])(message["message"])
        if "done" in message:
            done = message["done"]
        elif "point" in message:
            watch.on_point(LossPoint(**message["point"]))
        elif "saved" in message:
            watch.saved()
        else:
            said = message.get("fraction", said[0]), message.get("message", said[1])
            progress(*said)
    if done is None or process.wait():
        raise RuntimeError(f"The processes of the recovery ended with {process.wait()}.")
    return Recovery(**{**done, "loss": [LossPoint(**point) for point in done["loss"]]})


def _messages(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Yield what the first process tells; an empty message where it is silent for long."""
    lines = SimpleQueue[str | None]()
    assert process.stdout is not None
    Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=_SECONDS)
        except Empty:
            yield {}
            continue
        if line is None:
            return
        if line.startswith(RECORD_SEPARATOR):
            yield json.loads(line[1:])


def _read(source: IO[str], lines: SimpleQueue[str | None]) -> None:
    with contextlib.suppress(ValueError):  # closed meanwhile
        for line in source:
            lines.put(line)
    lines.put(None)


def _stop(process: subprocess.Popen[str]) -> None:
    """End all processes of the group that are left."""
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, wanted)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
