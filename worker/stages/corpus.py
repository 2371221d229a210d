"""Split the corpus, and check what is labelled: what is held out is seen by no training."""

from pathlib import Path

from app.contract.errors import UserFault
from app.contract.results import CorpusSplit, HeldOutSample
from app.contract.split import MOST_MEASURED, is_held_out
from worker.context import JobContext, StageProgress
from worker.labelled.leakage import check_queries
from worker.labelled.scoring import read_task


def split_corpus(context: JobContext, folder: Path, progress: StageProgress) -> None:
    """Leave `held_out.json`, the held-out sample, and `corpus.json`, how many documents are where.

    The split is a function of a document's text, so no copy of the training part is made. Labelled
    data that no model could be scored on fails the job here, before any training, and so do queries
    to train on that are among it.
    """
    read_task(context, progress)
    check_queries(context, progress)
    recipe, total = context.recipe, context.corpus.documents
    sample: list[str] = []
    held_out = 0
    for number, text in enumerate(context.documents()):
        if number % 10_000 == 0:
            progress(number / total, f"splitting {total:,} documents")
        if is_held_out(text, recipe.evaluation.holdout_fraction, recipe.seed):
            held_out += 1
            if len(sample) < MOST_MEASURED:
                sample.append(text)
    if not 0 < held_out < total:
        raise UserFault(
            "corpus_too_small",
            f"Of {total} documents {held_out} were held out, and each part needs at least one. "
            "Upload more documents (in a text file, a document is a line).",
        )
    HeldOutSample(sample).write(folder / "held_out.json")
    split = CorpusSplit(documents=total, training_documents=total - held_out, held_out=held_out)
    split.write(folder / "corpus.json")
