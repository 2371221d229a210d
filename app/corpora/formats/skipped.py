"""Count the rows of a corpus that hold no text."""

from collections import Counter
from collections.abc import Sequence

from app.contract.errors import UserFault
from app.corpora.formats.layout import missing_text_field

FIRST = 10


class Skipped:
    """Count rows that are passed over, and why; `first` has the numbers of the first ones."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.first: list[int] = []
        self._names: Sequence[str] = ()

    @property
    def count(self) -> int:
        """Return how many rows there were."""
        return self.reasons.total()

    def add(self, number: int, reason: str, names: Sequence[str] = ()) -> None:
        """Count a row; `reason` is missing, null, blank, or the kind of value that it has."""
        if len(self.first) < FIRST:
            self.first.append(number)
            self._names = self._names or names
        self.reasons[reason] += 1

    def check(self, documents: int, text_field: str | None, max_share: float) -> None:
        """Refuse a corpus of which too large a share of the rows, or all of them, hold no text."""
        if self.count <= max_share * (documents + self.count) and (documents or not self.count):
            return
        wanted, first = text_field or "text", ", ".join(map(str, self.first))
        if documents == 0 and self.reasons.keys() == {"missing"}:
            raise missing_text_field(wanted, self._names, f"Line {self.first[0]}")
        if documents == 0 and self.reasons.keys() <= {"null", "blank", "missing"}:
            return
        found = ", ".join(f"{count:,} {reason}" for reason, count in self.reasons.most_common(5))
        if documents == 0:
            raise UserFault(
                "text_field_not_string",
                f"The field {wanted!r} on line {self.first[0]} is not a string, nor is any other: "
                f"{found}. Name a field of strings as `text_field`.",
            )
        raise UserFault(
            "too_many_rows_without_text",
            f"{self.count:,} of {documents + self.count:,} rows hold no text in {wanted!r} "
            f"({found}), first on lines {first}; the largest share that this installation passes "
            f"over is {max_share:g} (FVT_MAX_SKIPPED_SHARE). Name another field as `text_field`, "
            "or send the rows that have text.",
        )
