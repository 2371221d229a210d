"""Write the files for other runtimes, where the recipe asks for them."""

from pathlib import Path

from worker.compression import Teaching, export_model, needs_training
from worker.context import JobContext, StageProgress, nth_part, to_device


def export(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size with the exported files of its model; nothing where none are wanted."""
    recipe = context.recipe.export
    if not recipe.wanted:
        return
    sizes, teaching = context.resolved.target_vocab_sizes, None
    if needs_training(recipe.runtimes):
        to_device(context.base.model, context.settings)
        teaching = Teaching(context.base, context.training_texts(), context.recipe.seed)
    for number, size in enumerate(sizes):
        own = nth_part(progress, number, len(sizes))
        source, target = context.final_folder(size), folder / str(size)
        export_model(source, target, recipe.runtimes, own, teaching=teaching)
