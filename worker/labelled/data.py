"""The labelled data of each kind of task, out of the rows of its corpora."""

from collections.abc import Callable, Iterator

from app.jobs.recipe import (
    Retrieval,
    SentencePairs,
    SequenceClassification,
    TokenClassification,
)
from worker.compression.evaluation.tasks.classification import Labelled, check_labels
from worker.compression.evaluation.tasks.pairs import Pair, check_pairs
from worker.compression.evaluation.tasks.retrieval import Judgements, Texts, check_judgements
from worker.compression.evaluation.tasks.tagging import Tagged, check_tags
from worker.labelled.rows import LabelledRow

Rows = Callable[[str], Iterator[LabelledRow]]
"""The rows of a part of a task, by its name."""
Parts = tuple[list[Labelled], list[Labelled]]
TaggedParts = tuple[list[Tagged], list[Tagged]]


def read_texts(task: SequenceClassification, rows: Rows) -> Parts:
    """Texts with labels, of train and test; raises `UserFault` and `TaskDataError`."""

    def read(part: str) -> list[Labelled]:
        return [(row.text(task.text_field), row.label(task.label_field)) for row in rows(part)]

    train, test = read("train"), read("test")
    check_labels(train, test)
    return train, test


def read_sentences(task: TokenClassification, rows: Rows) -> TaggedParts:
    """Words with tags, of train and test; raises `UserFault` and `TaskDataError`."""

    def read(part: str) -> list[Tagged]:
        found = list[Tagged]()
        for row in rows(part):
            words = row.words(task.words_field)
            found.append((words, row.tags(task.tags_field, words)))
        return found

    train, test = read("train"), read("test")
    check_tags(train, test)
    return train, test


def read_retrieval(task: Retrieval, rows: Rows) -> tuple[Texts, Texts, Judgements]:
    """Documents, queries and judgements; raises `UserFault` and `TaskDataError`."""

    def read(part: str) -> dict[str, str]:
        found = dict[str, str]()
        for row in rows(part):
            name = row.id(task.id_field)
            if name in found:
                raise row.fault(f"has the id {name[:80]!r} of an earlier line: give each once")
            found[name] = row.text(task.text_field)
        return found

    documents, queries = read("documents"), read("queries")
    judgements = _read_judgements(task, rows)
    check_judgements(documents, queries, judgements)
    return documents, queries, judgements


def _read_judgements(task: Retrieval, rows: Rows) -> Judgements:
    found = dict[str, dict[str, int]]()
    for row in rows("judgements"):
        grades = found.setdefault(row.id(task.query_field), {})
        document = row.id(task.document_field)
        if document in grades:
            raise row.fault("judges a document for a query once more: give one grade")
        grades[document] = row.grade(task.grade_field)
    return found


def read_pairs(task: SentencePairs, rows: Rows) -> list[Pair]:
    """Pairs of texts with grades; raises `UserFault` and `TaskDataError`."""
    first, second = task.text_fields
    pairs = [
        (row.text(first), row.text(second), row.number(task.grade_field)) for row in rows("pairs")
    ]
    check_pairs(pairs)
    return pairs
