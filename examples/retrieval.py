"""A collection that every Python brings along: docstrings, to be found by their first sentences."""

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from examples.corpus import SENTENCE_END, docstrings_of, sources

FEWEST_CHARACTERS, MOST_CHARACTERS = 100, 400
"""Shorter texts say too little to be found; longer ones are cut, so that a CPU is soon done."""
QUERIES = 250


@dataclass(frozen=True)
class Collection:
    """Texts by their first sentences, of which `asked` are the questions."""

    texts: Mapping[str, str]
    asked: tuple[str, ...]

    @classmethod
    def of_docstrings(cls, queries: int = QUERIES) -> "Collection":
        """Read the standard library; the questions are drawn at random, the same each time."""
        found = dict.fromkeys(text for source in sources() for text in docstrings_of(source))
        split = [[" ".join(part.split()) for part in SENTENCE_END.split(text, 1)] for text in found]
        known = {parts[0]: parts[1][:MOST_CHARACTERS] for parts in split if len(parts) == 2}
        texts = {title: text for title, text in known.items() if len(text) >= FEWEST_CHARACTERS}
        drawn = random.Random(0).sample(sorted(texts), min(queries, len(texts)))  # noqa: S311
        return cls(texts, tuple(drawn))

    def write_corpus(self, target: Path) -> int:
        """Write a text a line, and every first sentence that is no question; returns the lines."""
        asked = set(self.asked)
        lines = [*self.texts.values(), *(title for title in self.texts if title not in asked)]
        target.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        return len(lines)

    def write_task(self, folder: Path) -> dict[str, str]:
        """Write the questions, and the texts that answer them, as a task of a recipe names them."""
        number = {title: str(place) for place, title in enumerate(self.asked)}
        files = {
            "documents": [{"id": n, "text": self.texts[title]} for title, n in number.items()],
            "queries": [{"id": n, "text": title} for title, n in number.items()],
            "judgements": [{"query_id": n, "document_id": n, "grade": 1} for n in number.values()],
        }
        return {part: _write(folder / f"{part}.jsonl", rows) for part, rows in files.items()}


def _write(target: Path, rows: Iterable[Mapping[str, object]]) -> str:
    target.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(target)
