"""Labelled texts that every Python brings along: docstrings of its standard library, by package."""

import json
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from examples.corpus import sentences_of

PACKAGES = ("asyncio", "email")
TEST_EVERY = 3


def write_labelled(train: Path, test: Path) -> None:
    """Write a JSON object a line: a sentence, and the package that it is from."""
    rows = [json.dumps({"text": text, "label": label}) + "\n" for text, label in sorted(_rows())]
    test.write_text("".join(rows[::TEST_EVERY]), "utf-8")
    del rows[::TEST_EVERY]
    train.write_text("".join(rows), "utf-8")


def _rows() -> Iterator[tuple[str, str]]:
    stdlib = Path(sysconfig.get_path("stdlib"))
    found = {
        sentence: package
        for package in PACKAGES
        for source in sorted((stdlib / package).glob("*.py"))
        for sentence in sentences_of(source)
    }
    return iter(found.items())


if __name__ == "__main__":
    write_labelled(Path(sys.argv[1]), Path(sys.argv[2]))
