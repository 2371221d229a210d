"""Labelled texts that every Python brings along: docstrings of its standard library, by package."""

import json
import sys
import sysconfig
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from examples.corpus import sentences_of

PACKAGES = ("asyncio", "email")
SENTENCES = 150
"""Of each package: few, so that a CPU is done with them in a minute or two."""
TEST_EVERY = 3


def write_labelled(train: Path, test: Path) -> None:
    """Write a JSON object a line: a sentence, and the package that it is from."""
    rows = [json.dumps({"text": text, "label": label}) + "\n" for text, label in sorted(_rows())]
    test.write_text("".join(rows[::TEST_EVERY]), "utf-8")
    del rows[::TEST_EVERY]
    train.write_text("".join(rows), "utf-8")


def _rows() -> Iterator[tuple[str, str]]:
    stdlib = Path(sysconfig.get_path("stdlib"))
    for package in PACKAGES:
        sources = sorted((stdlib / package).glob("*.py"))
        sentences = dict.fromkeys(s for source in sources for s in sentences_of(source))
        yield from ((sentence, package) for sentence in islice(sentences, SENTENCES))


if __name__ == "__main__":
    write_labelled(Path(sys.argv[1]), Path(sys.argv[2]))
