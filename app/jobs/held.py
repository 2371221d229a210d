"""The corpora of a submission: there, of a format that serves, and not deleted meanwhile."""

from sqlalchemy.orm import Session

from app.corpora.documents import ROW_FORMATS
from app.corpora.models import Corpus
from app.errors import FieldError, NotFoundError, UnprocessableError
from app.ids import is_id
from app.jobs.recipe import Task
from app.jobs.recipe.task import MAX_CHARACTERS, MAX_ROWS

CORPUS_ID, TASK = "/corpus_id", "/recipe/evaluation/task"


def hold_corpus(session: Session, corpus_id: str, pointer: str = CORPUS_ID) -> Corpus:
    """A corpus that is not deleted before this transaction ends."""
    lock = {"read": True}
    corpus = session.get(Corpus, corpus_id, with_for_update=lock) if is_id(corpus_id) else None
    if corpus is None:
        detail = (
            f"There is no corpus {corpus_id!r}. Upload one with `POST /v1/corpora` and give its "
            "`id`"
        )
        detail += (
            ", or send the file along as multipart/form-data." if pointer == CORPUS_ID else "."
        )
        fault = FieldError(pointer=pointer, detail=detail)
        raise NotFoundError("corpus_not_found", detail, errors=[fault])
    return corpus


def check_has_text(corpus: Corpus) -> None:
    """Refuse labelled data in place of the text to compress for."""
    if corpus.format == "records":
        _refuse(
            "corpus_without_text",
            CORPUS_ID,
            "A corpus of the format `records` has no text field to compress for. Upload the text "
            "as text, jsonl, csv, tsv or parquet; records are for `evaluation.task`.",
        )


def hold_task_data(session: Session, task: Task | None) -> None:
    """Hold the corpora that a task names; refuse those that it cannot be read from."""
    for name, corpus_id in task.corpora.items() if task else ():
        pointer = f"{TASK}/{name}"
        _check_rows(hold_corpus(session, corpus_id, pointer), pointer)


def _check_rows(corpus: Corpus, pointer: str) -> None:
    if corpus.format not in ROW_FORMATS:
        _refuse(
            "corpus_without_records",
            pointer,
            f"The corpus {corpus.id!r} is of the format {corpus.format}, and a task reads "
            "`records` or `jsonl`. Upload the rows as JSON objects, a line each, with "
            "`format=records`.",
        )
    if corpus.documents > MAX_ROWS or corpus.characters > MAX_CHARACTERS:
        _refuse(
            "too_many_records",
            pointer,
            f"The corpus {corpus.id!r} has {corpus.documents:,} rows of {corpus.characters:,} "
            f"characters, and a task reads at most {MAX_ROWS:,} of {MAX_CHARACTERS:,} characters. "
            "Upload a sample of them.",
        )


def _refuse(code: str, pointer: str, detail: str) -> None:
    raise UnprocessableError(code, detail, errors=[FieldError(pointer=pointer, detail=detail)])
