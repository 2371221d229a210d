"""Check each model in a process that knows nothing but its files."""

import logging
import subprocess
import sys
import time
from pathlib import Path

from app.contract.results import CheckedModels
from worker.compression import ArtifactCheckFailedError
from worker.compression.self_check import CHECKED, FAILED
from worker.compression.subprocesses import child_process
from worker.context import JobContext, StageProgress

SELF_CHECK = "worker.compression.self_check"

log = logging.getLogger(__name__)


def check(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `check.json`, which models load and run as their user will load and run them.

    One process checks them all, since most of its time goes into its imports.
    """
    recovered = context.workspace.root / "recover"
    models = sorted(file.parent for file in recovered.rglob("tokenizer.json"))
    names = [model.relative_to(recovered).as_posix() for model in models]
    seconds, output = dict[str, float](), list[str]()

    def report() -> None:
        done = len(seconds)
        progress(done / len(names), f"loading {names[min(done, len(names) - 1)]}")

    began = time.perf_counter()
    texts = context.output("corpus", "held_out.json")
    command: list[str | Path] = [sys.executable, "-m", SELF_CHECK, texts, *models]
    with child_process(command, stderr=subprocess.STDOUT) as child:
        for line in child.lines(report):
            if line.startswith(CHECKED):
                seconds[names[len(seconds)]] = float(line.removeprefix(CHECKED))
            else:
                output.append(line)
        status = child.wait(report)
    text = "".join(output).strip()
    if status == FAILED:
        raise ArtifactCheckFailedError(text.splitlines()[-1])
    if status:
        raise RuntimeError(f"The check ended with {status}: {text[-2000:]}")
    import_seconds = time.perf_counter() - began - sum(seconds.values())
    log.info("self-check: %.1f s of imports, then %s", import_seconds, seconds)
    CheckedModels(import_seconds=import_seconds, seconds=seconds).write(folder / "check.json")
