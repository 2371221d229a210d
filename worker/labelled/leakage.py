"""Refuse queries that a job would both train on and measure."""

import unicodedata
from hashlib import blake2b

from app.contract.errors import UserFault
from worker.context import JobContext, StageProgress
from worker.labelled.data import measured_texts
from worker.labelled.scoring import labelled_rows

QUERIES = "recovery_queries"
"""Our own name of the corpus: a task may have a part `queries`."""
_SHOWN = 200


def check_queries(context: JobContext, progress: StageProgress) -> None:
    """Fail a job whose queries to train on are among the texts of its task.

    White space, case and the forms that Unicode has for one character make no difference. Raises
    `UserFault`.
    """
    task, corpus_id = context.recipe.evaluation.task, context.recipe.recovery.queries_corpus_id
    if task is None or corpus_id is None:
        return
    rows = labelled_rows(context, task, progress)
    measured = {_digest(text) for text in measured_texts(task, rows)}
    queries = context.other_documents(QUERIES, corpus_id)
    found = {_digest(text): text for text in queries if _digest(text) in measured}
    if found:
        first = " ".join(next(iter(found.values())).split())
        shown = first if len(first) <= _SHOWN else f"{first[:_SHOWN]}…"
        raise UserFault(
            "queries_in_task",
            f"Of the queries in {corpus_id}, {len(found):,} are among the texts that the task "
            f"measures on (`{task.measured}`), the first is {shown!r}. A model that was trained on "
            "them would measure too well: leave them out of one of the two.",
        )


def _digest(text: str) -> bytes:
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=16).digest()
