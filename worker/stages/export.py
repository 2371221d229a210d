"""Write the files for other runtimes, where the recipe asks for them."""

from pathlib import Path

from worker.compression import export_model
from worker.context import JobContext, StageProgress, nth_part


def export(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size with the exported files of its model; nothing where none are wanted."""
    runtimes, points = context.recipe.runtimes, context.points
    if not runtimes:
        return
    for number, point in enumerate(points):
        own = nth_part(progress, number, len(points))
        export_model(context.final_folder(point), folder / point.key, runtimes, own)
