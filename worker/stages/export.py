"""Write the files for other runtimes, where the recipe asks for them."""

from pathlib import Path

from worker.compression import export_model
from worker.context import JobContext, StageProgress, nth_part


def export(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size with the exported files of its model; nothing where none are wanted."""
    recipe = context.recipe.export
    if not recipe.wanted:
        return
    sizes = context.resolved.target_vocab_sizes
    for number, size in enumerate(sizes):
        own = nth_part(progress, number, len(sizes))
        export_model(context.final_folder(size), folder / str(size), recipe.runtimes, own)
