"""The labelled data of each kind of task, out of the rows of its corpora."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.contract.errors import UserFault
from app.contract.recipe import (
    Retrieval,
    SentencePairs,
    SequenceClassification,
    TokenClassification,
)
from app.corpora.documents import Row
from worker.compression.evaluation.tasks.sequence_classification import Labelled, check_labels
from worker.compression.evaluation.tasks.token_classification import Tagged, check_tags
from worker.compression.evaluation.tasks.vectors import (
    Judgements,
    Pair,
    Texts,
    check_judgements,
    check_pairs,
)

HIGHEST_GRADE = 100
_KINDS = {type(None): "null", bool: "a boolean", int: "an integer", float: "a number"}
_KINDS |= {str: "a string", list: "a list", dict: "an object"}


@dataclass(frozen=True)
class LabelledRow:
    """An object of a corpus: ``part`` is what the task calls that, ``line`` counts from 1.

    Each method raises `UserFault` where the field is missing or is not what it says.
    """

    part: str
    line: int
    values: Row

    def text(self, field: str) -> str:
        """A string that is not blank."""
        value = self._value(field)
        if isinstance(value, str) and value.strip():
            return value
        raise self._wrong(field, "a string with text in it")

    def label(self, field: str) -> str:
        """A label, as a string; booleans as JSON writes them."""
        value = self._value(field)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (str, int)):
            return str(value)
        raise self._wrong(field, "a string, an integer or a boolean")

    def id(self, field: str) -> str:
        """An id, as a string."""
        value = self._value(field)
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            text = str(value)
            if text and "\0" not in text:
                return text
        raise self._wrong(field, "an integer, or a string that is not empty")

    def grade(self, field: str) -> int:
        """A grade of relevance."""
        value = self._number(field)
        if value is not None and 0 <= value <= HIGHEST_GRADE and value == int(value):
            return int(value)
        raise self._wrong(field, f"a whole number from 0, not relevant, to {HIGHEST_GRADE}")

    def number(self, field: str) -> float:
        """A number."""
        value = self._number(field)
        if value is None:
            raise self._wrong(field, "a number")
        return value

    def words(self, field: str) -> list[str]:
        """A list of strings with text in it."""
        value = self._strings(field)
        if any(map(str.strip, value)):
            return value
        raise self._wrong(field, "a list of strings with text in it")

    def tags(self, field: str, words: list[str]) -> list[str]:
        """A tag a word."""
        value = self._strings(field)
        if len(value) == len(words):
            return value
        raise self.fault(f"has {len(words)} words and {len(value)} tags: give each word one")

    def fault(self, why: str) -> UserFault:
        """What is wrong with the row, told with its place."""
        return UserFault("task_data_invalid", f"Line {self.line} of `{self.part}` {why}.")

    def _strings(self, field: str) -> list[str]:
        value = self._value(field)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        raise self._wrong(field, "a list of strings")

    def _number(self, field: str) -> float | None:
        value = self._value(field)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None

    def _value(self, field: str) -> object:
        if field in self.values:
            return self.values[field]
        known = ", ".join(repr(name[:80]) for name in list(self.values)[:20]) or "none"
        raise self.fault(
            f"has no field {field!r}; it has {known}. Name the field in the task, or mend the row"
        )

    def _wrong(self, field: str, wanted: str) -> UserFault:
        value = self.values[field]
        kind = "a blank string" if value == "" else _KINDS[type(value)]
        if isinstance(value, float) and not math.isfinite(value):
            kind = "no finite number"
        return self.fault(f"has {kind} in the field {field!r}, where {wanted} is expected")


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
