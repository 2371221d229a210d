"""Read lines of UTF-8 text, and plain text, of which a document is a line that is not blank."""

import re
from collections.abc import Iterable, Iterator

from app.contract.errors import UserFault

MAX_LINE_BYTES = 16 << 20
FIRST_BLANK_LINE = re.compile(r"[^\S\n]*\n")
LATER_BLANK_LINE = re.compile(r"\n[^\S\n]*(?=\n)")
BOM = b"\xef\xbb\xbf"
BINARY_MAGICS = {
    b"PK\x03\x04": "a zip archive or an office document",
    b"%PDF": "a PDF",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


class LineDecoder:
    """Takes blocks as they come and gives back runs of whole lines, decoded."""

    def __init__(self) -> None:
        self.lines = 0
        self._offset = 0
        self._rest = bytearray()

    def feed(self, block: bytes) -> str:
        """Return the lines that end in this block, each with its line feed."""
        end = block.rfind(b"\n") + 1
        if not end:
            self._keep(block)
            return ""
        piece = b"".join((self._rest, memoryview(block)[:end]))
        self._rest.clear()
        self._keep(block[end:])
        return self._decode(piece)

    def finish(self) -> str:
        """Return the last line, which no line feed ends."""
        piece = bytes(self._rest)
        self._rest.clear()
        return self._decode(piece)

    def _keep(self, data: bytes) -> None:
        self._rest += data
        if len(self._rest) > MAX_LINE_BYTES:
            raise UserFault(
                "line_too_long",
                f"Line {self.lines + 1} is longer than {MAX_LINE_BYTES} bytes. Put one document on "
                "a line; cut longer ones in parts.",
            )

    def _decode(self, piece: bytes) -> str:
        start = len(BOM) if self._offset == 0 and piece.startswith(BOM) else 0
        try:
            text = str(memoryview(piece)[start:], "utf-8")
        except UnicodeDecodeError as error:
            raise self._not_text(piece, start + error.start) from error
        if "\0" in text:
            raise self._not_text(piece, piece.index(b"\0"))
        self._offset += len(piece)
        self.lines += text.count("\n")
        return text

    def _not_text(self, piece: bytes, at: int) -> UserFault:
        head = piece[:8] if self._offset == 0 else b""
        kind = next((what for magic, what in BINARY_MAGICS.items() if head.startswith(magic)), None)
        line = self.lines + piece.count(b"\n", 0, at) + 1
        offset = self._offset + at
        if kind or b"\0" in piece[: at + 1024]:
            what = f"is {kind}" if kind else f"holds binary data (line {line}, byte {offset})"
            return UserFault(
                "binary_corpus",
                f"The corpus {what}, not UTF-8 text. Send text, JSONL, CSV, TSV or Parquet, plain "
                "or compressed with gzip or zstd.",
            )
        return UserFault(
            "not_utf8",
            f"The corpus is not UTF-8: the first bad byte, 0x{piece[at]:02x}, is on line {line} at "
            f"byte offset {offset} of the decompressed data. Convert it, as with `iconv -t UTF-8`.",
        )


def read_pieces(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield runs of whole lines; all but the last end in a line feed."""
    decoder = LineDecoder()
    for block in blocks:
        if piece := decoder.feed(block):
            yield piece
    if piece := decoder.finish():
        yield piece


def read_lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield each line with its ending, as `csv` wants them."""
    for piece in read_pieces(blocks):
        *whole, last = piece.split("\n")
        for line in whole:
            yield line + "\n"
        if last:
            yield last


def read_text(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield each line that is not blank, without its ending (LF or CR LF)."""
    for piece in read_pieces(blocks):
        for line in _with_lf(piece).split("\n"):
            if line and not line.isspace():
                yield line


class TextCounter:
    """Counts the documents of plain text as it comes, as many as `read_text` would give.

    Four times as fast as making each document: no line becomes an object of its own.
    """

    def __init__(self) -> None:
        self.documents = 0
        self.characters = 0
        self.fault: UserFault | None = None
        self._decoder = LineDecoder()

    def feed(self, block: bytes) -> None:
        """Count a block; a fault is kept in `fault`, and what follows it is not looked at."""
        if self.fault is None:
            try:
                self._count(self._decoder.feed(block))
            except UserFault as fault:
                self.fault = fault

    def finish(self) -> None:
        """Count the last line; raises the first `UserFault` that was met."""
        if self.fault:
            raise self.fault
        last = self._decoder.finish()
        self._count(last + "\n" if last else "")
        lines = self._decoder.lines + bool(last)
        self.documents += lines
        self.characters -= lines

    def _count(self, piece: str) -> None:
        """Count all but the line feeds, which the decoder counts."""
        piece = _with_lf(piece)
        blank = LATER_BLANK_LINE.findall(piece)
        if first := FIRST_BLANK_LINE.match(piece):
            blank.append(first.group())
        self.documents -= len(blank)
        self.characters += len(piece) + len(blank) - sum(map(len, blank))


def _with_lf(piece: str) -> str:
    return piece.replace("\r\n", "\n").removesuffix("\r") if "\r" in piece else piece
