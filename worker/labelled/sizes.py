"""The task of a job on every size that was made, against the base."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.compression import (
    LoadedModel,
    Scores,
    TaskQuality,
    load_model,
    onnx_files,
    quality_row,
)
from worker.compression.evaluation.onnx_encoder import OnnxEncoder
from worker.compression.progress import part
from worker.context import JobContext, StageProgress, nth_part
from worker.device import to_device
from worker.labelled.task import LabelledTask, VectorTask, read_task


@dataclass(frozen=True)
class ScoredSize:
    """The task on a size, and on what was exported of it, by runtime."""

    task: TaskQuality
    exports: dict[str, TaskQuality]

    def rows(self, runtime: str | None = None) -> list[dict[str, Any]]:
        """The task as a row of quality of the model, or of a file; none where it has none."""
        task = self.exports.get(runtime) if runtime else self.task
        return [asdict(row) for row in quality_row(task)]


def score_sizes(
    context: JobContext, sizes: list[int], progress: StageProgress
) -> dict[int, ScoredSize]:
    """Score the base once and each size once, with the same seeds; empty without a task."""
    task = read_task(context, progress)
    if task is None:
        return {}
    runs = len(sizes) + 1
    before = task.scores(context.base, "the base", nth_part(progress, 0, runs))
    return {
        size: _score_size(context, task, before, size, nth_part(progress, number, runs))
        for number, size in enumerate(sizes, 1)
    }


def with_task(measured: dict[str, Any], scored: ScoredSize | None) -> dict[str, Any]:
    """What was measured of a size, with the task's metric first in all quality."""
    if scored is None:
        return {**measured, "task": None}
    exports = [
        {**row, "quality": scored.rows(row["runtime"]) + row["quality"]}
        for row in measured["exports"]
    ]
    quality = scored.rows() + measured["quality"]
    return {**measured, "task": asdict(scored.task), "quality": quality, "exports": exports}


def _score_size(
    context: JobContext, task: LabelledTask, before: Scores, size: int, progress: StageProgress
) -> ScoredSize:
    compressed = load_model(context.final_model(size))
    to_device(compressed.model, context.settings)
    folder = context.exported(size)
    runs = 1 + (len(onnx_files(folder)) if isinstance(task, VectorTask) else 0)
    after = task.scores(compressed, f"{size:,} tokens", nth_part(progress, 0, runs))
    found = dict[str, Scores]()
    if isinstance(task, VectorTask):
        found = _score_files(task, compressed, folder, part(progress, 1 / runs, 1.0))
    exports = {runtime: task.compared(before, scores) for runtime, scores in found.items()}
    return ScoredSize(task.compared(before, after), exports)


def _score_files(
    task: VectorTask, compressed: LoadedModel, folder: Path, progress: StageProgress
) -> dict[str, Scores]:
    files = onnx_files(folder)
    return {
        file.runtime: task.file_scores(
            OnnxEncoder(compressed, folder / file.path),
            file.path,
            nth_part(progress, number, len(files)),
        )
        for number, file in enumerate(files)
    }
