"""A corpus that every Python brings along: the docstrings of its standard library."""

import ast
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

SKIPPED = {"site-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SENTENCE_END = re.compile(r"\n\s*\n|(?<=[.!?])\s+(?=[A-Z])")
MIN_CHARACTERS = 20


def write_docstrings(target: Path) -> int:
    """Write each sentence as one line, none twice; returns how many there are."""
    sentences = dict.fromkeys(s for source in sources() for s in sentences_of(source))
    target.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")
    return len(sentences)


def sources() -> list[Path]:
    """The files of the standard library."""
    root = Path(sysconfig.get_path("stdlib"))
    return sorted(p for p in root.rglob("*.py") if not SKIPPED & {*p.relative_to(root).parts})


def sentences_of(source: Path) -> Iterator[str]:
    """The sentences of every docstring in a file."""
    for docstring in docstrings_of(source):
        sentences = (" ".join(s.split()) for s in SENTENCE_END.split(docstring))
        yield from (s for s in sentences if len(s) >= MIN_CHARACTERS)


def docstrings_of(source: Path) -> Iterator[str]:
    """Every docstring in a file, which is read and not imported."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and (docstring := ast.get_docstring(node)):
            yield docstring


if __name__ == "__main__":
    write_docstrings(Path(sys.argv[1]))
