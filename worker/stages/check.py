"""Check what was made in a process that knows nothing but its files."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from app.contract.results import CheckedModels
from worker.compression import ArtifactCheckFailedError
from worker.compression.self_check import FAILED
from worker.context import JobContext, StageProgress

SECONDS = 0.5
"""How long a stage waits for the process before it looks whether the job is to stop."""


def check(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `check.json`, which models load and run as their user will load and run them."""
    made = context.workspace.root / "recover"
    models = sorted(file.parent for file in made.rglob("tokenizer.json"))
    for number, model in enumerate(models):
        done = number / len(models)
        texts, errors = context.output("corpus", "held_out.json"), folder / "errors.txt"
        alive = partial(progress, done, f"loading {model.name}")
        status = _run(model, texts, errors, alive)
        said = errors.read_text("utf-8", "replace").strip()
        errors.unlink()
        if status == FAILED:
            raise ArtifactCheckFailedError(said.splitlines()[-1])
        if status:
            raise RuntimeError(f"The check ended with {status}: {said[-2000:]}")
    checked = [model.relative_to(made).as_posix() for model in models]
    CheckedModels(checked=checked).write(folder / "check.json")


def _run(model: Path, texts: Path, errors: Path, alive: Callable[[], None]) -> int:
    command = (sys.executable, "-m", "worker.compression.self_check", model, texts)
    with (
        errors.open("wb") as file,
        subprocess.Popen(command, stdout=file, stderr=file) as process,  # noqa: S603
    ):
        try:
            while True:
                alive()
                try:
                    return process.wait(SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
