"""Read general text: prose of no domain, which a recovery trains on beside the corpus.

Where an operator names none, it is English documentation that every installation has on its disk.
"""

import inspect
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import blake2b
from importlib.metadata import distributions
from pathlib import Path
from pydoc_data.topics import topics

MAX_PASSAGES = 4_000
PASSAGE_WORDS, _FEWEST_WORDS = 150, 40
_PROSE_WORDS, _PROSE_SHARE = 6, 0.8
"""A paragraph of so many words at least, of which so many are plain ones, is prose."""

_FENCED = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1[^\n]*$", re.MULTILINE | re.DOTALL)
_DROPPED_LINE = re.compile(
    r"""\s*(?:
        \#|>|\$|\||\+[-=]|\.\.|:\w[\w ]*:|@     # headings, code, tables, directives, fields
        |[=\-*~^"'`_.:+#]{3,}\s*$               # rules and underlines
        |\[!|!\[|\[.+\]:                        # badges, images, targets of links
    )""",
    re.VERBOSE,
)
_MARKUP = (
    (re.compile(r"<[^<>\n]{1,300}>`_{1,2}|<!--.*?-->|</?[A-Za-z][^<>]{0,300}>", re.DOTALL), ""),
    (re.compile(r"!\[[^\]]*\]\([^)]*\)"), ""),
    (re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\[[^\]]*\])"), r"\1"),
    (re.compile(r":[\w:]+:`~?([^`]*)`"), r"\1"),
    (re.compile(r"(?:https?|ftp)://\S+"), ""),
    (re.compile(r"`+_*|\*\*|(?<=[a-z])_(?!\w)|(?<![\w*])\*(?=\w)|(?<=[\w.,])\*(?![\w*])"), ""),
)
_BULLET = re.compile(r"\s*(?:[-*+\u2022]|\d{1,2}[.)])\s+")
_PLAIN_WORD = re.compile(r"[(\"'\u201c]?[A-Za-z]+(?:['\u2019/-][A-Za-z]+)*[.,;:!?)\"'\u201d]*$")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
_NOT_READ = {"test", "idlelib", "lib2to3", "turtledemo", "antigravity", "this", "pydoc_data"}


def manual_texts() -> Iterator[str]:
    """Yield the chapters of Python's reference that `help()` shows."""
    for name in sorted(topics):
        yield topics[name]


def docstring_texts() -> Iterator[str]:
    """Yield the docstrings of each module of the standard library, joined; none is imported."""
    root = Path(sysconfig.get_path("stdlib"))
    for name in sorted(sys.stdlib_module_names - _NOT_READ):
        folder = root / name
        files = sorted(folder.glob("*.py")) if folder.is_dir() else [root / f"{name}.py"]
        for file in files:
            if not name.startswith("_") and file.is_file():
                yield "\n\n".join(_docstrings(file))


def description_texts() -> Iterator[str]:
    """Yield the long descriptions of the installed packages, by name."""
    found = dict[str, str]()
    for one in distributions():
        fields = one.metadata.json
        found.setdefault(str(fields.get("name")).lower(), str(fields.get("description") or ""))
    for name in sorted(found):
        yield found[name]


SOURCES: dict[str, Callable[[], Iterator[str]]] = {
    "manual": manual_texts,
    "docstrings": docstring_texts,
    "descriptions": description_texts,
}


@lru_cache(maxsize=4)
def default_passages(
    sources: tuple[str, ...] = tuple(SOURCES), limit: int = MAX_PASSAGES
) -> tuple[str, ...]:
    """Return English passages of about 150 words that this installation has, none twice.

    Of more than ``limit`` a hash of each says which are kept, and so does it their order: with the
    same packages they are always the same.
    """
    seen = set[str]()
    found = dict.fromkeys(
        passage for name in sources for text in SOURCES[name]() for passage in passages(text, seen)
    )
    return tuple(sorted(found, key=lambda one: blake2b(one.encode()).digest())[:limit])


def passages(text: str, seen: set[str] | None = None) -> Iterator[str]:
    """Cut the prose of a document into passages of whole sentences, of about 150 words.

    Code, tables, headings and markup are left out, and so are sentences in ``seen``, to which its
    own are added. What is left at the end may be shorter; a few words are dropped.
    """
    seen = set() if seen is None else seen
    passage, words = list[str](), 0
    for sentence in _sentences(text):
        if sentence in seen:
            continue
        seen.add(sentence)
        passage.append(sentence)
        words += len(sentence.split())
        if words >= PASSAGE_WORDS:
            yield " ".join(passage)
            passage, words = [], 0
    if words >= _FEWEST_WORDS:
        yield " ".join(passage)


def _sentences(text: str) -> Iterator[str]:
    for paragraph in _paragraphs(text):
        yield from _SENTENCE.split(paragraph)


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs that are prose, each on one line, without markup."""
    text = _FENCED.sub("\n\n", text.expandtabs())
    for pattern, plain in _MARKUP:
        text = pattern.sub(plain, text)
    for block in re.split(r"\n\s*\n", text):
        # A dropped line ends what stands before it, as a heading does; so does a new item.
        paragraph = list[str]()
        for line in [*block.splitlines(), ""]:
            dropped, bullet = _DROPPED_LINE.match(line), _BULLET.match(line)
            if dropped or bullet or not line.strip():
                yield from filter(_is_prose, [" ".join(paragraph)])
                paragraph = []
            if not dropped:
                paragraph += (line[bullet.end() :] if bullet else line).split()


def _is_prose(paragraph: str) -> bool:
    words = paragraph.split()
    if len(words) < _PROSE_WORDS or paragraph[-1] not in ".!?" or not paragraph[0].isalpha():
        return False
    return sum(bool(_PLAIN_WORD.match(word)) for word in words) >= _PROSE_SHARE * len(words)


def _docstrings(file: Path) -> Iterator[str]:
    """Yield the strings of several lines that begin a line.

    These are mostly docstrings, and found in a fifth of the time that a parser takes.
    """
    parts = file.read_text("utf-8", "replace").split('"""')
    for code, text in zip(parts[::2], parts[1::2], strict=False):
        if not code.rpartition("\n")[2].strip(" \trR"):
            yield inspect.cleandoc(text)
