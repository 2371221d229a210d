"""Check each model in a process that knows nothing but its files."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from app.contract.errors import UserFault
from app.contract.results import CheckedModels
from worker.compression import ArtifactCheckFailedError
from worker.compression.report.files import VOCABULARY
from worker.compression.self_check import BASE_FAILED, CHECKED, FAILED
from worker.compression.subprocesses import ChildProcess, child_process, failure
from worker.context import JobContext, StageProgress
from worker.spare import Spare

SELF_CHECK = "worker.compression.self_check"

log = logging.getLogger(__name__)


def check(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `check.json`, which models load and run as their user will load and run them.

    One process checks them all. It was forked before the job began; where there is none, as in a
    job that no worker runs, a fresh one imports everything.
    """
    recovered = context.workspace.root / "recover"
    models = sorted(file.parent for file in recovered.rglob(VOCABULARY))
    names = [model.relative_to(recovered).as_posix() for model in models]

    def report(done: int) -> None:
        if done < len(names):
            progress(done / len(names), f"loading {names[done]}")

    began = time.perf_counter()
    texts = context.output("corpus", "held_out.json")
    checked = run_self_check(models, texts, context.base.folder, report, context.spare)
    seconds = dict(zip(names, checked, strict=True))
    import_seconds = time.perf_counter() - began - sum(seconds.values())
    log.info("self-check: %.1f s of imports, then %s", import_seconds, seconds)
    CheckedModels(import_seconds=import_seconds, seconds=seconds).write(folder / "check.json")


def run_self_check(
    models: Sequence[Path],
    texts: Path,
    base: Path,
    report: Callable[[int], None],
    spare: Spare | None = None,
) -> list[float]:
    """Return the seconds that each model's check took; `report` gets how many have ended.

    Raises:
        ArtifactCheckFailedError: a model is not sound.
        LibraryCrashedError: a library crashed on one.
        UserFault: the base model itself is not.

    """
    seconds, output = list[float](), list[str]()
    with check_process([texts, base, *models], spare) as child:
        for line in child.lines(lambda: report(len(seconds))):
            if line.startswith(CHECKED):
                seconds.append(float(line.removeprefix(CHECKED)))
                report(len(seconds))
            else:
                output.append(line)
        status = child.wait(lambda: report(len(seconds)))
    text = "".join(output).strip()
    if status == FAILED:
        raise ArtifactCheckFailedError(text.splitlines()[-1])
    if status == BASE_FAILED:
        raise UserFault("invalid_model", text.splitlines()[-1])
    if status:
        raise failure("The check", status, text)
    return seconds


def check_process(
    arguments: Sequence[Path], spare: Spare | None
) -> AbstractContextManager[ChildProcess]:
    """Start the self-check in the process that waits for it, or in a fresh one without."""
    if spare and spare.poll() is None:
        return spare.run(SELF_CHECK, arguments)
    command: list[str | Path] = [sys.executable, "-m", SELF_CHECK, *arguments]
    return child_process(command, stderr=subprocess.STDOUT)
