"""Check each model in a process that knows nothing but its files."""

import subprocess
import sys
from functools import partial
from pathlib import Path

from app.contract.results import CheckedModels
from worker.compression import ArtifactCheckFailedError
from worker.compression.self_check import FAILED
from worker.compression.subprocesses import run_child
from worker.context import JobContext, StageProgress

SELF_CHECK = "worker.compression.self_check"


def check(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `check.json`, which models load and run as their user will load and run them."""
    recovered = context.workspace.root / "recover"
    models = sorted(file.parent for file in recovered.rglob("tokenizer.json"))
    texts = context.output("corpus", "held_out.json")
    for number, model in enumerate(models):
        report = partial(progress, number / len(models), f"loading {model.name}")
        command: list[str | Path] = [sys.executable, "-m", SELF_CHECK, model, texts]
        child = run_child(command, report, stderr=subprocess.STDOUT)
        output = child.output.strip()
        if child.status == FAILED:
            raise ArtifactCheckFailedError(output.splitlines()[-1])
        if child.status:
            raise RuntimeError(f"The check ended with {child.status}: {output[-2000:]}")
    checked = [model.relative_to(recovered).as_posix() for model in models]
    CheckedModels(checked=checked).write(folder / "check.json")
