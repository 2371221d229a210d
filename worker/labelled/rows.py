"""A row of labelled data, whose fields are what they must be or the fault of who sent them."""

import math
from dataclasses import dataclass

from app.corpora.documents import Row
from app.contract.errors import UserFault

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
