"""Write the files for other runtimes, where the recipe asks for them."""

from pathlib import Path

from app.contract.names import ANY
from app.contract.results import ExportResult
from worker.compression import Teaching, export_model, needs_training
from worker.context import JobContext, StageProgress, nth_part, to_device


def export(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size with the exported files of its model, where any are wanted.

    Where a target weighs any runtime, one that fails is left out: `left_out.json` says why.
    """
    target = context.recipe.target
    is_any, left_out = target is not None and target.runtime == ANY, dict[str, dict[str, str]]()
    wanted = {point: context.runtimes(point) for point in context.points}
    teaching = None
    if any(map(needs_training, wanted.values())):
        to_device(context.base.model, context.settings)
        teaching = Teaching(context.base, context.training_texts(), context.recipe.seed)
    for number, (point, runtimes) in enumerate(wanted.items()):
        own = nth_part(progress, number, len(wanted))
        source, into = context.final_folder(point), folder / point.key
        if runtimes:
            failed = dict[str, str]()
            export_model(
                *(source, into, runtimes, own),
                teaching=teaching,
                left_out=failed if is_any else None,
                needed=context.recipe.runtimes,
            )
            left_out |= {point.key: failed} if failed else {}
    if is_any:
        ExportResult(left_out).write(folder / "left_out.json")
