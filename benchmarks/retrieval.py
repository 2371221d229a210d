"""Collections to retrieve from, and nDCG@10 of a model on them."""

import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.corpus import SENTENCE_END, docstrings_of, sources
from worker.compression.evaluation.sentence_vectors import SentenceEncoder
from worker.compression.evaluation.tasks.retrieval import Judgements, Texts, retrieval_score

RECORD = re.compile(r"^\.I (\d+)\s*\n\.W\s*\n(.*?)(?=^\.I |\Z)", re.MULTILINE | re.DOTALL)
DESCRIPTION = re.compile(r"^Description-en: (.*)\n((?: .*\n)*)", re.MULTILINE)
MOST_PACKAGES, FEWEST_CHARACTERS = 3000, 100


def read_records(file: Path) -> Texts:
    """Read a SMART file: texts by number, white space made one space."""
    found = RECORD.findall(file.read_text("latin-1"))
    return {number: " ".join(text.split()) for number, text in found}


def read_judgements(file: Path) -> Judgements:
    grades = defaultdict[str, dict[str, int]](dict)
    for line in file.read_text("ascii").splitlines():
        query, _, document, *_ = line.split()
        grades[query][document] = 1
    return grades


@dataclass(frozen=True)
class Retrieval:
    """A collection, and what a model makes of it."""

    documents: Texts
    queries: Texts
    judgements: Judgements

    def score(self, encoder: SentenceEncoder) -> float:
        return retrieval_score(encoder, self.documents, self.queries, self.judgements)


def smart(folder: Path) -> Retrieval:
    """Read a SMART collection, of which a folder has one."""
    documents, queries, judgements = (
        next(folder.glob(f"*.{end}")) for end in ("ALL", "QRY", "REL")
    )
    return Retrieval(read_records(documents), read_records(queries), read_judgements(judgements))


def docstrings() -> Retrieval:
    """Return the standard library's docstrings, each to be found by its first sentence."""
    found = dict.fromkeys(text for source in sources() for text in docstrings_of(source))
    split = [[" ".join(part.split()) for part in SENTENCE_END.split(text, 1)] for text in found]
    known = {parts[0]: parts[1] for parts in split if len(parts) == 2}
    return _by_title([pair for pair in known.items() if len(pair[1]) >= FEWEST_CHARACTERS])


def packages(file: Path) -> Retrieval:
    """Return 3,000 of Debian's package descriptions, each to be found by its title.

    ``file`` is ``Translation-en`` of a release, which every mirror has under ``main/i18n``.
    """
    found = dict[str, str]()
    for title, lines in DESCRIPTION.findall(file.read_text("utf-8")):
        body = " ".join(line.strip() for line in lines.splitlines() if line.strip() != ".")
        found.setdefault(title, body)
    long = sorted(pair for pair in found.items() if len(pair[1]) >= FEWEST_CHARACTERS)
    return _by_title(random.Random(0).sample(long, MOST_PACKAGES))  # noqa: S311


def _by_title(pairs: Sequence[tuple[str, str]]) -> Retrieval:
    """Return a collection of titled texts, each the one answer to its title."""
    numbered = {str(number): pair for number, pair in enumerate(pairs)}
    return Retrieval(
        {number: text for number, (_, text) in numbered.items()},
        {number: title for number, (title, _) in numbered.items()},
        {number: {number: 1} for number in numbered},
    )


def collection(name: str) -> Retrieval:
    """Return `docstrings`, that of a folder of a SMART collection, or of a package list."""
    if name == "docstrings":
        return docstrings()
    place = Path(name)
    return smart(place) if place.is_dir() else packages(place)
