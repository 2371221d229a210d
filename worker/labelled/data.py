"""The labelled data of each kind of task, out of the rows of its corpora."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)

from app.contract.errors import UserFault
from app.contract.recipe import (
    Retrieval,
    SentencePairs,
    SequenceClassification,
    Task,
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

Value = TypeVar("Value")


@dataclass(frozen=True)
class FieldType(Generic[Value]):
    """The values that a field may have: pydantic's type, and its name in messages."""

    adapter: TypeAdapter[Value]
    expected: str


def _has_text(text: str) -> str:
    if not text.strip():
        raise ValueError("blank")
    return text


def _as_label(value: bool | int | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_id(value: int | str) -> str:
    text = str(value)
    if not text or "\0" in text:
        raise ValueError("no id")
    return text


def _as_grade(value: float) -> int:
    if not (0 <= value <= HIGHEST_GRADE and value == int(value)):
        raise ValueError("no grade")
    return int(value)


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
TEXT = FieldType[str](
    TypeAdapter(Annotated[StrictStr, AfterValidator(_has_text)]), "a string with text in it"
)
# Their validators change the type, which mypy does not follow.
_LABEL: Any = Annotated[StrictBool | StrictInt | StrictStr, AfterValidator(_as_label)]
_ID: Any = Annotated[StrictInt | StrictStr, AfterValidator(_as_id)]
_GRADE: Any = Annotated[Number, AfterValidator(_as_grade)]
LABEL = FieldType[str](TypeAdapter(_LABEL), "a string, an integer or a boolean")
ID = FieldType[str](TypeAdapter(_ID), "an integer, or a string that is not empty")
GRADE = FieldType[int](
    TypeAdapter(_GRADE), f"a whole number from 0, not relevant, to {HIGHEST_GRADE}"
)
NUMBER = FieldType[float](TypeAdapter(Number), "a number")
STRINGS = FieldType[list[str]](TypeAdapter(list[StrictStr]), "a list of strings")


@dataclass(frozen=True)
class LabelledRow:
    """An object of a corpus: ``part`` is what the task calls that, ``line`` counts from 1."""

    part: str
    line: int
    values: Row

    def read(self, field: str, kind: FieldType[Value]) -> Value:
        """Return the value of a field; raises `UserFault` where it is missing or another kind."""
        if field not in self.values:
            names = ", ".join(repr(name[:80]) for name in list(self.values)[:20]) or "none"
            raise self.fault(
                f"has no field {field!r}; it has {names}. Name the field in the task, or mend the "
                "row"
            )
        try:
            return kind.adapter.validate_python(self.values[field])
        except ValidationError as error:
            raise self._unexpected(field, kind.expected) from error

    def read_words(self, field: str) -> list[str]:
        """Return a list of strings with text in it."""
        words = self.read(field, STRINGS)
        if not any(map(str.strip, words)):
            raise self._unexpected(field, "a list of strings with text in it")
        return words

    def read_tags(self, field: str, words: list[str]) -> list[str]:
        """Return a tag a word."""
        tags = self.read(field, STRINGS)
        if len(tags) != len(words):
            raise self.fault(f"has {len(words)} words and {len(tags)} tags: give each word one")
        return tags

    def fault(self, why: str) -> UserFault:
        """Return the fault of the row, with its place."""
        return UserFault("task_data_invalid", f"Line {self.line} of `{self.part}` {why}.")

    def _unexpected(self, field: str, expected: str) -> UserFault:
        value = self.values[field]
        kind = "a blank string" if value == "" else _KINDS[type(value)]
        if isinstance(value, float) and not math.isfinite(value):
            kind = "no finite number"
        return self.fault(f"has {kind} in the field {field!r}, where {expected} is expected")


# The rows of a part of a task, by its name.
Rows = Callable[[str], Iterator[LabelledRow]]
Parts = tuple[list[Labelled], list[Labelled]]
TaggedParts = tuple[list[Tagged], list[Tagged]]


def read_texts(task: SequenceClassification, rows: Rows) -> Parts:
    """Return texts with labels, of train and test; raises `UserFault` and `TaskDataError`."""

    def read(part: str) -> list[Labelled]:
        return [
            (row.read(task.text_field, TEXT), row.read(task.label_field, LABEL))
            for row in rows(part)
        ]

    train, test = read("train"), read("test")
    check_labels(train, test)
    return train, test


def read_sentences(task: TokenClassification, rows: Rows) -> TaggedParts:
    """Return words with tags, of train and test; raises `UserFault` and `TaskDataError`."""

    def read(part: str) -> list[Tagged]:
        sentences = list[Tagged]()
        for row in rows(part):
            words = row.read_words(task.words_field)
            sentences.append((words, row.read_tags(task.tags_field, words)))
        return sentences

    train, test = read("train"), read("test")
    check_tags(train, test)
    return train, test


def read_retrieval(task: Retrieval, rows: Rows) -> tuple[Texts, Texts, Judgements]:
    """Return documents, queries and judgements; raises `UserFault` and `TaskDataError`."""

    def read(part: str) -> dict[str, str]:
        texts = dict[str, str]()
        for row in rows(part):
            name = row.read(task.id_field, ID)
            if name in texts:
                raise row.fault(f"has the id {name[:80]!r} of an earlier line: give each once")
            texts[name] = row.read(task.text_field, TEXT)
        return texts

    documents, queries = read("documents"), read("queries")
    judgements = _read_judgements(task, rows)
    check_judgements(documents, queries, judgements)
    return documents, queries, judgements


def _read_judgements(task: Retrieval, rows: Rows) -> Judgements:
    judgements = dict[str, dict[str, int]]()
    for row in rows("judgements"):
        grades = judgements.setdefault(row.read(task.query_field, ID), {})
        document = row.read(task.document_field, ID)
        if document in grades:
            raise row.fault("judges a document for a query once more: give one grade")
        grades[document] = row.read(task.grade_field, GRADE)
    return judgements


def read_pairs(task: SentencePairs, rows: Rows) -> list[Pair]:
    """Return pairs of texts with grades; raises `UserFault` and `TaskDataError`."""
    first, second = task.text_fields
    pairs = [
        (row.read(first, TEXT), row.read(second, TEXT), row.read(task.grade_field, NUMBER))
        for row in rows("pairs")
    ]
    check_pairs(pairs)
    return pairs


def measured_texts(task: Task, rows: Rows) -> Iterator[str]:
    """Yield the texts that models are measured on, and that no training may have seen."""
    for row in rows(task.measured):
        if isinstance(task, TokenClassification):
            yield " ".join(row.read_words(task.words_field))
            continue
        fields = task.text_fields if isinstance(task, SentencePairs) else [task.text_field]
        for field in fields:
            yield row.read(field, TEXT)
