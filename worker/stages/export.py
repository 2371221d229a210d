"""Write the files for other runtimes, where the recipe asks for them."""

from pathlib import Path

from worker.compression import Teaching, export_model, needs_training
from worker.context import JobContext, StageProgress, nth_part, to_device


def export(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size with the exported files of its model; nothing where none are wanted."""
    wanted = {point: context.runtimes(point) for point in context.points}
    teaching = None
    if any(map(needs_training, wanted.values())):
        to_device(context.base.model, context.settings)
        teaching = Teaching(context.base, context.training_texts(), context.recipe.seed)
    for number, (point, runtimes) in enumerate(wanted.items()):
        own = nth_part(progress, number, len(wanted))
        source, target = context.final_folder(point), folder / point.key
        if runtimes:
            export_model(source, target, runtimes, own, teaching=teaching)
