"""Read the beginning of a corpus: as much as an estimate needs, however large the file is."""

import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from app.blobs import Blobs
from app.contract.errors import UserFault
from app.corpora.documents import inspect, read_documents
from app.corpora.formats.compression import Limits, read_blocks
from app.corpora.formats.layout import Hints, Layout, detect_layout

READ_BYTES = 8 << 20
"""Of a file, as it is stored or sent."""
KEPT_BYTES = 8 << 20
"""Of what that decompresses to, from which documents are read."""
UNFOLDED_BYTES = 64 << 20
KEPT_DOCUMENTS = 40_000
KEPT_CHARACTERS = 2_000_000
LONG_DOCUMENT = 20_000
"""Characters that a document counts for at most: of a longer one more are hardly looked at."""


@dataclass(frozen=True)
class Source:
    """A corpus that is stored, or the beginning of one that was sent along.

    `size` is that of the whole file; `documents` are those of a stored one, which were counted.
    """

    size: int
    layout: Layout | None = None
    url: str = ""
    key: str = ""
    data: bytes = b""
    hints: Hints = field(default_factory=Hints)
    documents: int | None = None
    characters: int | None = None


@dataclass(frozen=True)
class Beginning:
    """The first documents of a corpus, and what the whole of it holds, as far as is known."""

    texts: list[str]
    documents: int
    characters: int
    whole: bool
    """Whether `texts` are all of it."""
    is_sample: bool
    format: str


def read_beginning(source: Source, limits: Limits) -> Beginning:
    """Read the first documents; raises `UserFault` where the file cannot be read as it is said."""
    if source.url:
        with closing(Blobs(source.url).reader(source.key)) as file:
            return _of_stored(file, source)
    return _of_sent(source, limits)


def _of_stored(file: BinaryIO, source: Source) -> Beginning:
    layout = source.layout or Layout("text")
    if layout.format != "parquet":
        file, layout = _unfolded(file, layout, source.size)[0], replace(layout, compression=None)
    texts = list(_first_texts(file, layout, lenient=True))
    documents, characters = source.documents or 0, source.characters or 0
    whole = len(texts) >= documents
    return Beginning(texts, documents, characters, whole, not whole, layout.format)


def _of_sent(source: Source, limits: Limits) -> Beginning:
    data, is_whole = source.data, len(source.data) >= source.size
    layout = detect_layout(data[:READ_BYTES], is_whole, source.hints)
    if is_whole:
        found = inspect(io.BytesIO(data), layout, limits)
        texts = list(_first_texts(io.BytesIO(data), found.layout, lenient=False))
        whole = len(texts) == found.documents
        format_ = found.layout.format
        return Beginning(texts, found.documents, found.characters, whole, False, format_)
    if layout.format == "parquet":
        raise UserFault(
            "sample_unreadable",
            "The beginning of a Parquet file cannot be read alone. Upload the file with "
            "`POST /v1/corpora` and give its `corpus_id`, or send all of it.",
        )
    file, share = _unfolded(io.BytesIO(data), layout, source.size)
    layout = replace(layout, compression=None)
    texts = list(_first_texts(file, layout, lenient=layout.format not in {"text", "jsonl"}))
    if not texts:
        raise UserFault(
            "empty_corpus",
            "The corpus holds no document with text. Send a file with at least one.",
        )
    read = sum(map(len, texts))
    # The texts kept may be fewer than those of the bytes that were unfolded.
    encoded = sum(len(text.encode("utf-8", "replace")) + 1 for text in texts)
    times = max(1.0, len(file.getvalue()) / max(1, encoded)) if _is_cut(texts) else 1.0
    documents = round(len(texts) * times / share)
    return Beginning(texts, documents, round(read * times / share), False, True, layout.format)


def _is_cut(texts: list[str]) -> bool:
    read = sum(min(len(text), LONG_DOCUMENT) for text in texts)
    return len(texts) >= KEPT_DOCUMENTS or read >= KEPT_CHARACTERS


def _unfolded(file: BinaryIO, layout: Layout, size: int) -> tuple[io.BytesIO, float]:
    """Return the first bytes, decompressed and whole lines, and the share of the file they are."""
    kept, unfolded = bytearray(), 0
    ended = True
    source = io.BytesIO(file.read(READ_BYTES))
    length = len(source.getvalue())
    try:
        for block in read_blocks(source, layout.compression, None):
            kept += block[: max(0, KEPT_BYTES - len(kept))]
            unfolded += len(block)
            if unfolded >= UNFOLDED_BYTES or (layout.compression is None and len(kept) < unfolded):
                ended = False
                break
    except UserFault:  # a beginning ends within its data
        if length >= size or not kept:
            raise
    raw = len(kept) if layout.compression is None else (length if ended else source.tell())
    share = len(kept) / max(1, unfolded if layout.compression else len(kept)) * raw / max(1, size)
    if (
        share < 1
        and (end := kept.rfind(b"\n")) > 0
        and not kept.startswith((b"\xff\xfe", b"\xfe\xff"))
    ):
        del kept[end + 1 :]
    return io.BytesIO(bytes(kept)), min(1.0, max(share, 1e-12))


def _first_texts(file: BinaryIO, layout: Layout, *, lenient: bool) -> Iterator[str]:
    """Yield the first documents; where lenient, up to the first fault that follows one."""
    count = characters = 0
    try:
        for text in read_documents(file, layout):
            yield text
            count, characters = count + 1, characters + min(len(text), LONG_DOCUMENT)
            if count >= KEPT_DOCUMENTS or characters >= KEPT_CHARACTERS:
                return
    except UserFault:
        if not (lenient and count):
            raise


LANGUAGES = {
    "en": "the of and to in is that for with was",
    "de": "der die und das ist nicht von mit den ein",
    "fr": "le la les et des est une dans que pour",
    "es": "el la los de que y en una por con",
    "it": "il di che la per una non sono del della",
    "pt": "o de que não uma para com os da do",
    "nl": "de het een van en niet dat met voor zijn",
}
LEAST_SHARE, LEAST_LEAD = 0.08, 1.4
WORDS_LOOKED_AT = 20_000


def language_of(texts: list[str]) -> str | None:
    """Tell the language by its commonest words; None where no one language stands out."""
    words = re.findall(r"[^\W\d_]+", " ".join(texts)[: 8 * WORDS_LOOKED_AT].lower())
    counts = Counter(words[:WORDS_LOOKED_AT])
    shares = {
        language: sum(counts[word] for word in common.split()) / max(1, counts.total())
        for language, common in LANGUAGES.items()
    }
    first, second = sorted(shares, key=lambda language: -shares[language])[:2]
    stands_out = shares[first] >= LEAST_SHARE and shares[first] >= LEAST_LEAD * shares[second]
    return first if stands_out else None


MARKUP = re.compile(r"<(html|!doctype|div|p|body|span|\?xml)\b", re.IGNORECASE)
LINES_LOOKED_AT = 50


def looks_like(texts: list[str], format_: str) -> str | None:
    """Name what plain text looks like, where its lines seem to be rows of something else."""
    lines = [text.strip() for text in texts[:LINES_LOOKED_AT]]
    if format_ != "text" or len(lines) < 3:
        return None
    most = 0.8 * len(lines)
    if sum(line.startswith(("{", "[")) and line.endswith(("}", "]", ",")) for line in lines) > most:
        return "JSON"
    if sum(bool(MARKUP.search(line)) for line in lines) > most / 4:
        return "HTML or XML"
    for sign, name in (("\t", "a table of columns parted by tabs"), (";", "a CSV table with `;`")):
        if _same_count(lines, sign):
            return name
    return "a CSV table" if _same_count(lines, ",") else None


def _same_count(lines: list[str], sign: str) -> bool:
    """Tell whether lines have a sign equally often, as rows do; in prose a space follows it."""
    parted = (line.count(sign) - line.count(f"{sign} ") for line in lines)
    [(count, times)] = Counter(parted).most_common(1)
    return count > 0 and times > 0.9 * len(lines)
