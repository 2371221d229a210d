"""Start the processes of a recovery and follow them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

from app.contract.report import LossPoint, Recovery
from worker.compression import errors
from worker.compression.corpus import Texts
from worker.compression.progress import Progress, part
from worker.compression.recovery.data import sample_texts
from worker.compression.recovery.options import RecoveryCallbacks, RecoveryOptions

RECORD_SEPARATOR = "\x1e"
"""Begins each message on standard output, a JSON text sequence (RFC 7464); libraries print too."""


@dataclass(frozen=True)
class LaunchSpec:
    """A recovery in files: base, transferred model and texts, and where the result goes.

    ``texts`` has a JSON string a line; the other fields are those of ``recover``.
    """

    base: Path
    student: Path
    texts: Path
    target: Path
    options: RecoveryOptions
    seed: int
    state: Path | None
    every_seconds: float
    cpu: bool = False

    def write(self, file: Path) -> None:
        """Write it for ``read``."""
        file.write_text(json.dumps(asdict(self), default=str), "utf-8")

    @classmethod
    def read(cls, file: Path) -> "LaunchSpec":
        """Read what ``write`` wrote."""
        found = json.loads(file.read_text("utf-8"))
        for name in ("base", "student", "texts", "target", "state"):
            found[name] = Path(found[name]) if found[name] else None
        return cls(**{**found, "options": RecoveryOptions(**found["options"])})


def tell(**message: Any) -> None:
    """Send a message to the process that gave the order."""
    sys.stdout.write(f"{RECORD_SEPARATOR}{json.dumps(message)}\n")
    sys.stdout.flush()


_SECONDS = 0.5
_LEAVING = 30.0
"""How long processes that have said all may take to exit."""
_GRACE = 3.0


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a launcher; whatever is left of it and its group at the end is ended."""
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={"OMP_NUM_THREADS": "1", **os.environ},
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            _stop(process)


def messages(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Yield what the processes tell; an empty message where they are silent for long."""
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


def exit_status(process: subprocess.Popen[str], alive: Callable[[], None]) -> int | None:
    """Wait for the launcher's exit, calling ``alive`` meanwhile; None where it does not come."""
    end = time.monotonic() + _LEAVING
    while time.monotonic() < end:
        alive()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_SECONDS)
    return None


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
    watch: RecoveryCallbacks = RecoveryCallbacks(),  # noqa: B008
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
    LaunchSpec(*paths, options, seed, watch.file, watch.every_seconds, cpu).write(file)
    try:
        with started(_command(count, file)) as process:
            return _outcome(process, part(watch.progress, _READING, 1), watch)
    finally:
        lines.unlink()
        file.unlink()


def _command(count: int, order: Path) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    module = "worker.compression.recovery.rank_process"
    return [*launcher, f"--nproc-per-node={count}", "-m", module, str(order)]


def _outcome(
    process: subprocess.Popen[str], progress: Progress, watch: RecoveryCallbacks
) -> Recovery:
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
