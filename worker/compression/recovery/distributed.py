"""Launch a recovery by several processes of this machine, and follow them."""

import json
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.contract.report import LossPoint, Recovery
from worker.compression import errors
from worker.compression.corpus import Texts
from worker.compression.lifetimes import TIED
from worker.compression.progress import Progress, part
from worker.compression.recovery.data import SAMPLING_SHARE, sample_general, sample_texts
from worker.compression.recovery.options import RecoveryCallbacks, RecoveryOptions, Replanned
from worker.compression.subprocesses import ChildProcess, child_process, failure

RECORD_SEPARATOR = "\x1e"
"""Begins each message on standard output, a JSON text sequence (RFC 7464); libraries print too."""
_EXIT_SECONDS = 30.0
"""Time for the processes to exit after the result."""
_RANK_STATUS = re.compile(r"exitcode\s*: (-?\d+)")
_LAST_LINES = 200


@dataclass(frozen=True)
class Folders:
    """Name the folders of the models that ``recover`` is given and of the recovered one."""

    base: Path
    student: Path
    target: Path
    scratch: Path


@dataclass(frozen=True)
class LaunchSpec:
    """Describe a recovery in files: base, transferred model and texts, and where the result goes.

    ``texts`` has a JSON string a line, and so have ``general`` and ``queries``, where there are
    such; the other fields are those of ``recover``.
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
    imports: tuple[str, ...] = ()
    general: Path | None = None
    queries: Path | None = None

    @property
    def save_now(self) -> Path:
        """Name the file whose being there asks the main rank for a checkpoint at once."""
        return self.texts.with_name("save_now")

    def write(self, file: Path) -> None:
        """Write it for ``read``."""
        file.write_text(json.dumps(asdict(self), default=str), "utf-8")

    @classmethod
    def read(cls, file: Path) -> "LaunchSpec":
        """Read what ``write`` wrote."""
        fields = json.loads(file.read_text("utf-8"))
        for name in ("base", "student", "texts", "target", "state", "general", "queries"):
            fields[name] = Path(fields[name]) if fields[name] else None
        return cls(**{**fields, "options": RecoveryOptions(**fields["options"])})


def recover_in_processes(  # noqa: PLR0913, PLR0917
    world_size: int,
    folders: Folders,
    texts: Texts,
    options: RecoveryOptions = RecoveryOptions(),  # noqa: B008
    seed: int = 0,
    callbacks: RecoveryCallbacks = RecoveryCallbacks(),  # noqa: B008
    *,
    cpu: bool = False,
    imports: Sequence[str] = (),
    general: Texts | None = None,
    queries: Texts | None = None,
) -> Recovery:
    """Do what ``recover`` does in so many processes of this machine, each on a GPU of its own.

    With ``cpu``, or without a GPU, they share the CPU. They end with the caller, and at once where
    it stops them by raising from ``callbacks.progress``, which is called at least every second
    until the last of them has exited. Those that have not half a minute after the result are ended.
    Each first imports the modules ``imports``, which may register objectives.

    Raises:
        CompressionError: as ``recover`` does.
        LibraryCrashedError: a library crashed one of them.
        RuntimeError: a process died.

    """
    texts_file, spec_file = folders.scratch / "texts.jsonl", folders.scratch / "launch.json"
    sampling = part(callbacks.progress, 0, SAMPLING_SHARE)
    _write(texts_file, sample_texts(texts, seed, sampling))
    other_files = dict[str, Path]()
    for name, other in (("general", general), ("queries", queries)):
        if other:
            other_files[name] = folders.scratch / f"{name}.jsonl"
            sampled = part(callbacks.progress, SAMPLING_SHARE, SAMPLING_SHARE)
            _write(other_files[name], sample_general(other, seed, sampled))
    spec = LaunchSpec(
        base=folders.base,
        student=folders.student,
        texts=texts_file,
        target=folders.target,
        options=options,
        seed=seed,
        state=callbacks.file,
        every_seconds=callbacks.every_seconds,
        cpu=cpu,
        imports=tuple(imports),
        **other_files,
    )
    spec.write(spec_file)
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *(f"--nproc-per-node={world_size}", "--no-python", *TIED),
        *(sys.executable, "-m", "worker.compression.recovery.rank_process", str(spec_file)),
    ]
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    try:
        with child_process(command, env=threads, stderr=subprocess.STDOUT) as launcher:
            return _follow(launcher, _training_progress(spec, callbacks), callbacks)
    finally:
        for file in (texts_file, *other_files.values(), spec_file, spec.save_now):
            file.unlink(missing_ok=True)


def _write(file: Path, texts: Iterable[str]) -> None:
    with file.open("w", encoding="utf-8") as sink:
        sink.writelines(f"{json.dumps(text)}\n" for text in texts)


def _training_progress(spec: LaunchSpec, callbacks: RecoveryCallbacks) -> Progress:
    """Return what to call with the progress of the training; it passes ``must_save`` on too."""
    training = part(callbacks.progress, SAMPLING_SHARE, 1)

    def progress(fraction: float, message: str) -> None:
        if callbacks.must_save():
            spec.save_now.touch()
        training(fraction, message)

    return progress


def _follow(launcher: ChildProcess, progress: Progress, callbacks: RecoveryCallbacks) -> Recovery:
    """Hand on what the ranks send until they have exited; return the summary they end with."""
    fraction, message = 0.0, "starting the processes"
    summary: Recovery | None = None
    printed = deque[str](maxlen=_LAST_LINES)

    def report() -> None:
        progress(fraction, message)

    for record in _records(launcher, report, printed):
        if "error" in record:
            raise getattr(errors, record["error"])(record["message"])
        if "summary" in record:
            summary = Recovery.model_validate(record["summary"])
            break
        if not _called_back(record, callbacks):
            fraction, message = record["fraction"], record["message"]
            report()
    # The result is saved by now: it counts also where they do not exit and have to be ended.
    message = "waiting for the processes to exit"
    status = launcher.wait(report, _EXIT_SECONDS)
    if summary is None or status:
        raise _failure(status, "".join(printed))
    return summary


def _called_back(record: dict[str, Any], callbacks: RecoveryCallbacks) -> bool:
    """Call back with what a record holds; False of one that is about progress."""
    if "point" in record:
        callbacks.on_point(LossPoint.model_validate(record["point"]))
    elif "plan" in record:
        callbacks.on_plan(Replanned(**record["plan"]))
    elif "saved" in record:
        callbacks.saved()
    else:
        return False
    return True


def _failure(status: int | None, output: str) -> Exception:
    # The launcher tells of the rank that failed first at its end.
    ranks = _RANK_STATUS.findall(output)
    return failure("A process of the recovery", int(ranks[-1]) if ranks else status, output)


def _records(
    launcher: ChildProcess, callback: Callable[[], None], printed: deque[str]
) -> Iterator[dict[str, Any]]:
    """Yield the records that ranks send with ``send_record``; pass on whatever else is printed."""
    for line in launcher.lines(callback):
        if line.startswith(RECORD_SEPARATOR):
            yield json.loads(line[1:])
        else:
            printed.append(line)
            sys.stderr.write(line)


def send_record(**record: Any) -> None:
    """Send a record to the process that launched this one."""
    sys.stdout.write(f"{RECORD_SEPARATOR}{json.dumps(record)}\n")
    sys.stdout.flush()
