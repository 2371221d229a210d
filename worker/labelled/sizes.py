"""The task of a job on every size that was made, against the base."""

from worker.compression import TaskQuality, load_model
from worker.context import JobContext, StageProgress, nth_part
from worker.device import to_best_device
from worker.labelled.task import read_task


def score_sizes(
    context: JobContext, sizes: list[int], progress: StageProgress
) -> dict[int, TaskQuality]:
    """Score the base once and each size once, with the same seeds; empty without a task."""
    task = read_task(context, progress)
    if task is None:
        return {}
    runs, found = len(sizes) + 1, dict[int, TaskQuality]()
    before = task.scores(context.base, "the base", nth_part(progress, 0, runs))
    for number, size in enumerate(sizes, 1):
        compressed = load_model(context.final_model(size))
        to_best_device(compressed.model)
        after = task.scores(compressed, f"{size:,} tokens", nth_part(progress, number, runs))
        found[size] = task.compared(before, after)
    return found
