"""Train the transferred models on the corpus, with the base as their teacher."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from app.contract.report import LossPoint, Recovery
from worker.compression import (
    RecoveryCallbacks,
    RecoveryOptions,
    Texts,
    load_model,
    recover,
    save_model,
    training_texts,
)
from worker.compression.recovery.distributed import Folders, recover_in_processes
from worker.context import JobContext, StageProgress, nth_part, write_json

STATE, SUMMARIES, VOCABULARY = "state.pt", "recovery.json", "vocabulary.jsonl"


def recover_models(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a size, a model as `transfer` leaves it; and `recovery.json`, how it went.

    What an earlier attempt left of it counts: sizes that are in `recovery.json` are done, and
    `state.pt` is how far the one after them is.
    """
    sizes = context.read("resolve", "base.json")["target_vocab_sizes"]
    done: dict[str, Any] = {}
    if (folder / SUMMARIES).is_file():
        done = json.loads((folder / SUMMARIES).read_text("utf-8"))
    for number, size in enumerate(map(str, sizes)):
        if size in done:
            continue
        own = nth_part(progress, number, len(sizes))
        done[size] = _recover(context, folder, size, own).model_dump()
        (folder / STATE).unlink(missing_ok=True)
        write_json(folder / SUMMARIES, done)
        if number + 1 < len(sizes):
            context.keep_partial(folder.name)


def _recover(context: JobContext, folder: Path, size: str, progress: StageProgress) -> Recovery:
    asked, transferred = context.recipe.recovery, context.output("transfer", size)
    target = folder / size
    shutil.rmtree(target, ignore_errors=True)
    if asked.objective == "none" and asked.keep_layers is None:
        shutil.copytree(transferred, target)
        return Recovery(objective=asked.objective, reason="asked for", preset=asked.preset)
    watch = _watch(context, folder, size, progress)
    if (processes := context.settings.recovery_processes) > 1:
        summary = _together(processes, context, transferred, target, watch)
    else:
        summary = _alone(context, transferred, target, watch)
    shutil.copyfile(transferred / VOCABULARY, target / VOCABULARY)
    return summary


def _alone(
    context: JobContext, transferred: Path, target: Path, watch: RecoveryCallbacks
) -> Recovery:
    base, loaded = context.base, load_model(transferred)
    model, tokenizer = loaded.model, loaded.tokenizer
    done = recover(base, model, tokenizer, *_asked(context), watch, cpu=_on_cpu(context))
    save_model(target, done.model, tokenizer, base.folder)
    return done.summary


def _together(
    processes: int, context: JobContext, transferred: Path, target: Path, watch: RecoveryCallbacks
) -> Recovery:
    with tempfile.TemporaryDirectory(dir=context.workspace.root) as scratch:
        folders = Folders(context.base.folder, transferred, target, Path(scratch))
        return recover_in_processes(
            processes, folders, *_asked(context), watch, cpu=_on_cpu(context)
        )


def _on_cpu(context: JobContext) -> bool:
    return context.settings.device == "cpu"


def _asked(context: JobContext) -> tuple[Texts, RecoveryOptions, int]:
    recipe, most = context.recipe, context.settings.max_recovery_minutes
    texts = training_texts(context.documents, recipe.evaluation.holdout_fraction, recipe.seed)
    options = RecoveryOptions(**recipe.recovery.model_dump(), most_minutes=most)
    return texts, options, recipe.seed


def _watch(
    context: JobContext, folder: Path, size: str, progress: StageProgress
) -> RecoveryCallbacks:
    def on_point(point: LossPoint) -> None:
        context.tell("recovery.loss", vocab_size=int(size), **point.model_dump())

    return RecoveryCallbacks(
        progress=progress,
        on_point=on_point,
        file=folder / STATE,
        every_seconds=context.settings.checkpoint_seconds,
        saved=lambda: context.keep_partial(folder.name),
    )
