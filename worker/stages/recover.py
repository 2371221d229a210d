"""Train the transferred models on the corpus, with the base as their teacher."""

import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

from app.contract.budgets import FOUR_BIT_SHARE
from app.contract.events import RecoveryLoss, RecoveryReplanned
from app.contract.names import RUNTIMES
from app.contract.points import Point, recovery_share
from app.contract.report import LossPoint, Recovery
from app.contract.results import RecoveryResult
from app.extensions import engine_modules
from worker.compression import (
    RecoveryCallbacks,
    RecoveryOptions,
    Texts,
    recover,
    save_model,
)
from worker.compression.recovery.data import sample_texts
from worker.compression.recovery.distributed import Folders, recover_in_processes
from worker.compression.recovery.options import Replanned
from worker.compression.recovery.queries import GIVEN
from worker.context import JobContext, StageProgress, nth_part
from worker.general_choice import general_text
from worker.labelled.leakage import QUERIES
from worker.shutdown import check_may_go_on, stop_requested

STATE, SUMMARIES, VOCABULARY = "state.pt", "recovery.json", "vocabulary.jsonl"


def recover_models(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave a folder a point, a model as `transfer` leaves it; and `recovery.json`, how it went.

    What an earlier attempt left of it counts: points that are in `recovery.json` are done, and
    `state.pt` is how far the one after them is.
    """
    points, done = context.points, dict[str, Recovery]()
    if (folder / SUMMARIES).is_file():
        done = RecoveryResult.load(folder / SUMMARIES).root
    texts = _texts(context, progress) if len(points) > 1 else context.training_texts()
    for number, point in enumerate(points):
        if point.key in done:
            continue
        own = nth_part(progress, number, len(points))
        done[point.key] = _recover(context, folder, point, texts, own)
        (folder / STATE).unlink(missing_ok=True)
        RecoveryResult(done).write(folder / SUMMARIES)
        if number + 1 < len(points):
            context.keep_partial(folder.name)
            check_may_go_on()


def _texts(context: JobContext, progress: StageProgress) -> Texts:
    """Return the texts that every model of several is trained on, read and sampled once."""
    sample = list[str]()

    def stream() -> list[str]:
        if not sample:
            sample.extend(sample_texts(context.training_texts(), context.recipe.seed, progress))
        return sample

    return stream


def _recover(
    context: JobContext, folder: Path, point: Point, texts: Texts, progress: StageProgress
) -> Recovery:
    recipe, settings = context.recipe.recovery, context.settings
    transferred = context.output("transfer", str(point.vocab_size))
    target = folder / point.key
    shutil.rmtree(target, ignore_errors=True)
    options = _options(context, point)
    if recipe.objective == "none" and options.keep_layers is None:
        shutil.copytree(transferred, target, copy_function=os.link)
        return Recovery(objective=recipe.objective, reason="asked for", preset=recipe.preset)
    general = None
    if options.general_share:
        general = general_text(context)
    general_texts = general.texts if general else None
    queries = None
    if recipe.queries_corpus_id:
        queries = context.other_texts(QUERIES, recipe.queries_corpus_id)
    callbacks, seed = _callbacks(context, folder, point, progress), context.recipe.seed
    base, cpu = context.base, settings.device == "cpu"
    if (processes := settings.recovery_processes) > 1:
        extensions = engine_modules(settings)
        with tempfile.TemporaryDirectory(dir=context.workspace.root) as scratch:
            folders = Folders(base.folder, transferred, target, Path(scratch))
            summary = recover_in_processes(
                processes,
                folders,
                texts,
                options,
                seed,
                callbacks,
                cpu=cpu,
                imports=extensions,
                general=general_texts,
                queries=queries,
            )
    else:
        student = context.take_student(point.vocab_size)
        recovered = recover(
            base,
            student.model,
            student.tokenizer,
            texts,
            options,
            seed,
            callbacks,
            cpu=cpu,
            general=general_texts,
            queries=queries,
        )
        save_model(target, recovered.model, student.tokenizer, base.folder)
        summary = recovered.summary
    shutil.copyfile(transferred / VOCABULARY, target / VOCABULARY)
    if summary.query_source == GIVEN:
        named = f"the corpus {recipe.queries_corpus_id}"
        summary = summary.model_copy(update={"query_source": named})
    if general is None:
        return summary
    source = general.source
    if general.texts and not summary.general_texts:
        source = f"none: there was no text that is not held out in {source}"
    told = {"general_source": source, "general_warning": general.warning}
    return summary.model_copy(update=told)


def _options(context: JobContext, point: Point) -> RecoveryOptions:
    recipe = context.recipe.recovery
    asked = recipe.model_dump(exclude={*recipe.data, "general_share"})
    asked["general_share"] = recipe.share_of_general_text
    if context.recipe.target:
        asked |= {"keep_layers": point.layers, "share": recovery_share(len(context.points))}
    if any(RUNTIMES[name].bits < 8 for name in context.runtimes(point)):
        asked["four_bit_share"] = FOUR_BIT_SHARE
    return RecoveryOptions(**asked, most_minutes=context.settings.max_recovery_minutes)


def _callbacks(
    context: JobContext, folder: Path, point: Point, progress: StageProgress
) -> RecoveryCallbacks:
    def on_point(losses: LossPoint) -> None:
        context.tell(RecoveryLoss(**dict(point), **dict(losses)))

    def on_plan(plan: Replanned) -> None:
        context.tell(RecoveryReplanned(**dict(point), **asdict(plan)))

    def saved() -> None:
        context.keep_partial(folder.name)
        check_may_go_on()

    return RecoveryCallbacks(
        progress=progress,
        on_point=on_point,
        on_plan=on_plan,
        file=folder / STATE,
        every_seconds=context.settings.checkpoint_seconds,
        saved=saved,
        must_save=stop_requested,
    )
