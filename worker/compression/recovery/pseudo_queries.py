"""Make queries of documents: short texts like those that people search with.

Nothing here knows a language. Words are rare by the counts of the documents themselves, and a
question is a heading with the question mark of its script.
"""

import math
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from worker.compression.progress import Progress, part, reported, silent

MOST_DOCUMENTS = 20_000
"""Documents that queries are made of, at most."""
_READ = 10_000
"""Characters of a document that are read."""
_MOST_WORDS, _MOST_CLUSTERS = 24, 100
_FEWEST_KEYWORDS, _MOST_KEYWORDS = 2, 5
_MOST_HEADING = 100
_REPORTED = 500

_UNSPACED = re.compile(
    "(["
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Chinese, Japanese
    "\U00020000-\U0003ffff]+)"
)
"""Letters of scripts that put no space between words."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？।؟።])\s*|\n\s*\n")  # noqa: RUF001
_MARKED_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_UNDERLINED = re.compile(r"^(\S.*)\n([=\-~^])\2{2,}[ \t]*$", re.MULTILINE)
_ENDS_SENTENCE = (*".,;:!?。！？、।؟።",)  # noqa: RUF001
_QUESTION_ENDS = (*"?？؟",)  # noqa: RUF001


def pseudo_queries(documents: Sequence[str], seed: int, progress: Progress = silent) -> list[str]:
    """Return queries made of documents, none twice and none blank; the seed decides which.

    Of each document they are: a heading and a question made of it, where it has one; its first
    sentence; a question that it asks; some of its rarest words, twice. Of more than
    ``MOST_DOCUMENTS`` a sample is taken. There are none only where no document has text.
    """
    chosen = range(len(documents))
    if len(chosen) > MOST_DOCUMENTS:
        sampled = random.Random(f"{seed} documents").sample(chosen, MOST_DOCUMENTS)  # noqa: S311
        chosen = sorted(sampled)  # type: ignore[assignment]
    read = {number: documents[number].lstrip()[:_READ] for number in chosen}
    documents_of_word = Counter[str]()
    for text in reported(read.values(), part(progress, 0, 0.5), "counting words", _REPORTED):
        documents_of_word.update({*words_of(text)})
    queries, making = dict[str, None](), part(progress, 0.5, 1)
    for number, text in reported(read.items(), making, "making queries", _REPORTED):
        rng = random.Random(f"{seed} query {number}")  # noqa: S311
        made = [query for query in _of_document(text, documents_of_word, len(read), rng) if query]
        queries.update(dict.fromkeys(made or filter(None, [_cut(text)])))
    return list(queries)


def _of_document(
    text: str, documents_of_word: Counter[str], documents: int, rng: random.Random
) -> Iterator[str]:
    headings, body = _headings(text)
    if headings:
        heading = _cut(rng.choice(headings))
        yield heading
        yield _as_question(rng.choice(headings))
    sentences = [one for one in _SENTENCE_END.split(body) if _has_word(one)]
    if sentences:
        yield _cut(sentences[0])
    if asked := [one for one in sentences if one.rstrip().endswith(_QUESTION_ENDS)]:
        yield _cut(rng.choice(asked))
    yield from _keywords(text, documents_of_word, documents, rng)


def _headings(text: str) -> tuple[list[str], str]:
    """Return the headings of a document, and the document without them.

    The first line is one where it is short, no whole sentence, and others follow.
    """
    body = _MARKED_HEADING.sub("\n", _UNDERLINED.sub("\n", text))
    found = [match[1] for match in (*_MARKED_HEADING.finditer(text), *_UNDERLINED.finditer(text))]
    first, _, rest = body.lstrip().partition("\n")
    is_short = rest.strip() and len(first) <= _MOST_HEADING
    if not found and is_short and not first.rstrip().endswith(_ENDS_SENTENCE):
        found, body = [first], rest
    return [heading for heading in found if _has_word(heading)], body


def _as_question(heading: str) -> str:
    """Return a heading with the question mark of its script, unless it has one."""
    text = _cut(heading).rstrip("".join(_ENDS_SENTENCE))
    if not text:
        return ""
    names = [unicodedata.name(letter, "") for letter in text if letter.isalpha()]
    if any(name.startswith("ARABIC") for name in names):
        return text + "؟"
    wide = any(name.startswith(("CJK", "HIRAGANA", "KATAKANA")) for name in names)
    return text + ("？" if wide else "?")  # noqa: RUF001


def _keywords(
    text: str, documents_of_word: Counter[str], documents: int, rng: random.Random
) -> Iterator[str]:
    """Yield some of the rarest words of a document, in its order: of the best ones, at random."""
    counts = Counter(words_of(text))
    order = {word: number for number, word in enumerate(counts)}
    best = sorted(
        counts,
        key=lambda word: (
            -(1 + math.log(counts[word])) * math.log((documents + 1) / documents_of_word[word]),
            order[word],
        ),
    )[: 2 * _MOST_KEYWORDS]
    for _ in range(2):
        length = min(len(best), rng.randint(_FEWEST_KEYWORDS, _MOST_KEYWORDS))
        yield _cut(" ".join(_joined(sorted(rng.sample(best, length), key=order.__getitem__))))


def _joined(words: Sequence[str]) -> Iterator[str]:
    """Yield words; those of a script without spaces that overlap become one."""
    pending = ""
    for word in words:
        last = _clusters(pending)[-1] if _UNSPACED.fullmatch(pending) else None
        if last and _UNSPACED.fullmatch(word) and word.startswith(last):
            pending += word[len(last) :]
            continue
        if pending:
            yield pending
        pending = word
    if pending:
        yield pending


def words_of(text: str) -> Iterator[str]:
    """Yield the words of a text without punctuation around them.

    Where a script has no spaces, every two neighbouring characters are one, with their marks.
    """
    if not _UNSPACED.search(text):
        yield from filter(None, map(_stripped, text.split()))
        return
    for token in text.split():
        for number, piece in enumerate(_UNSPACED.split(token)):
            if number % 2:
                clusters = _clusters(piece)
                yield from map("".join, pairwise(clusters))
                if len(clusters) == 1:
                    yield piece
            elif word := _stripped(piece):
                yield word


def _stripped(token: str) -> str:
    """Return a token from its first letter or digit to its last; a mark counts as its letter."""
    first, end = 0, len(token)
    while first < end and not _is_of_word(token[first]):
        first += 1
    while first < end and not _is_of_word(token[end - 1]):
        end -= 1
    return token[first:end]


def _is_of_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] in "LMN"


def _clusters(text: str) -> list[str]:
    """Return the characters of a text, each with the marks that follow it."""
    clusters = list[str]()
    for char in text:
        if clusters and unicodedata.category(char)[0] == "M":
            clusters[-1] += char
        else:
            clusters.append(char)
    return clusters


def _has_word(text: str) -> bool:
    return any(map(_stripped, text.split()))


def _cut(text: str) -> str:
    """Return the first words of a text on one line; of a script without spaces, characters."""
    short = " ".join(text.split()[:_MOST_WORDS])
    return "".join(_clusters(short)[:_MOST_CLUSTERS]).strip() if _UNSPACED.search(short) else short
