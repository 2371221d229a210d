"""Texts to be found by their title or a paraphrase, and collections of a name."""

import csv
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.retrieval import Retrieval, smart
from examples.corpus import SENTENCE_END, docstrings_of, sources

FEWEST_CHARACTERS = 100
DESCRIPTION = re.compile(
    r"^Package: (\S+)\n(?:(?!\n).*\n)*?Description-en: (.*)\n((?: .*\n?)*)", re.MULTILINE
)
MOST_PACKAGES, FEWEST_OF_A_TITLE, FEWEST_OF_A_PACKAGE, MOST_OF_A_PACKAGE = 3000, 15, 250, 1500
LIKE, MOST_PARAPHRASED = 4, 600


def docstrings() -> Retrieval:
    """Return the standard library's docstrings, each to be found by its first sentence."""
    found = dict.fromkeys(text for source in sources() for text in docstrings_of(source))
    split = [[" ".join(part.split()) for part in SENTENCE_END.split(text, 1)] for text in found]
    known = {parts[0]: parts[1] for parts in split if len(parts) == 2}
    return _by_title([pair for pair in known.items() if len(pair[1]) >= FEWEST_CHARACTERS])


def packages(file: Path) -> Retrieval:
    """Return 3,000 of Debian's package descriptions, each to be found by its title.

    ``file`` is ``Translation-en`` of a release, which every mirror has under ``main/i18n``.
    Libraries are left out: the parts of one have the same description.
    """
    found = dict[str, str]()
    for name, whole_title, lines in DESCRIPTION.findall(file.read_text("utf-8")):
        title = whole_title.split(" (")[0].split(" - ")[-1]
        body = " ".join(line.strip() for line in lines.splitlines() if line.strip() != ".")
        long = len(body) > FEWEST_OF_A_PACKAGE and len(title) > FEWEST_OF_A_TITLE
        if long and not name.startswith("lib") and "language-pack" not in name:
            found.setdefault(title, body[:MOST_OF_A_PACKAGE])
    pairs = sorted(found.items())
    random.Random(0).shuffle(pairs)  # noqa: S311
    return _by_title(pairs[:MOST_PACKAGES])


def paraphrases(folder: Path) -> Retrieval:
    """Return the sentences of STS-B, to be found by those that mean nearly the same.

    ``folder`` has ``*.csv`` files of two sentences and their likeness, 0 to 5.
    """
    rows = [row for file in sorted(folder.glob("*.csv")) for row in csv.reader(file.open())]
    number_of = {text: str(n) for n, text in enumerate(dict.fromkeys(row[1] for row in rows))}
    judged = defaultdict[str, dict[str, int]](dict)
    for asked, text, likeness in rows:
        if float(likeness) >= LIKE:
            judged[asked][number_of[text]] = 1
    queries = sorted(judged)
    random.Random(0).shuffle(queries)  # noqa: S311
    numbered = {str(number): query for number, query in enumerate(queries[:MOST_PARAPHRASED])}
    return Retrieval(
        {number: text for text, number in number_of.items()},
        numbered,
        {number: judged[query] for number, query in numbered.items()},
    )


def _by_title(pairs: Sequence[tuple[str, str]]) -> Retrieval:
    """Return a collection of titled texts, each the one answer to its title."""
    numbered = {str(number): pair for number, pair in enumerate(pairs)}
    return Retrieval(
        {number: text for number, (_, text) in numbered.items()},
        {number: title for number, (title, _) in numbered.items()},
        {number: {number: 1} for number in numbered},
    )


def collection(name: str) -> Retrieval:
    """Return `docstrings`, or that of a SMART collection, a package list, or STS-B."""
    if name == "docstrings":
        return docstrings()
    place = Path(name)
    if place.is_file():
        return packages(place)
    return paraphrases(place) if any(place.glob("*.csv")) else smart(place)
