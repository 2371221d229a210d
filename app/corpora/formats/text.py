"""Read lines of text, and plain text, of which a document is a line that is not blank.

A line ends with LF, CR LF or CR, as in Python's text files; no other character ends one. Text is
UTF-8, or UTF-16 or UTF-32 with a byte order mark.
"""

import codecs
import io
import re
from collections.abc import Iterable, Iterator

from app.contract.errors import UserFault

MAX_LINE_BYTES = 16 << 20
HEAD_BYTES = 512
FIRST_BLANK_LINE = re.compile(r"[^\S\n]*\n")
LATER_BLANK_LINE = re.compile(r"\n[^\S\n]*(?=\n)")
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BINARY_MAGICS = (
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"%PDF-", "a PDF"),
    (b"{\\rtf", "a Rich Text document"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"LZIP\x01", "an lzip archive"),
    (b"\x5d\x00\x00", "an LZMA archive"),
    (b"\x04\x22\x4d\x18", "an LZ4 archive"),
    (b"\xff\x06\x00\x00sNaPpY", "Snappy data"),
    (b"\x1f\x9d", "an archive of `compress`"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"PAR1", "a Parquet file"),
    (b"PARE", "an encrypted Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"FEA1", "a Feather file"),
    (b"Obj\x01", "an Avro file"),
    (b"ORC\x08", "an ORC file"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x93NUMPY", "a NumPy array"),
)
BINARY_PATTERNS = (
    (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), "a bzip2 archive"),
    (re.compile(rb".{257}ustar", re.DOTALL), "a tar archive"),
    (re.compile(rb"[\x22-\x27]\xb5\x2f\xfd"), "an archive of a zstd before 0.8"),
    (re.compile(rb"\x80[\x02-\x05].*\.\Z", re.DOTALL), "a Python pickle"),
)


class Transcoder:
    """Turn blocks of a text file into UTF-8 without a byte order mark, as they come."""

    def __init__(self) -> None:
        self.encoding = "utf-8"
        self.bom_bytes = 0
        """Length of the mark that a UTF-8 file begins with."""
        self._head: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None

    def feed(self, block: bytes) -> bytes:
        """Return what can be told so far; raises `UserFault` for what is known to be no text."""
        if self._head is not None:
            self._head += block
            if len(self._head) < HEAD_BYTES:
                return b""
            block = self._begin(self._head)
        return self._recoded(block, final=False) if self._decoder else block

    def finish(self) -> bytes:
        """Return the rest."""
        rest = b"" if self._head is None else self._begin(self._head)
        return self._recoded(rest, final=True) if self._decoder else rest

    def _begin(self, head: bytes) -> bytes:
        self._head = None
        for bom, encoding in BOMS:
            if head.startswith(bom):
                self.encoding = encoding
                if encoding != "utf-8":
                    self._decoder = codecs.getincrementaldecoder(encoding)()
                    return head
                self.bom_bytes = len(bom)
                return head[len(bom) :]
        if kind := kind_of_binary(head[:HEAD_BYTES]):
            raise _binary(f"is {kind}")
        return head

    def _recoded(self, block: bytes, *, final: bool) -> bytes:
        assert self._decoder
        try:
            return self._decoder.decode(block, final).encode()
        except UnicodeDecodeError as error:
            name = self.encoding.upper()
            raise UserFault(
                "not_utf8",
                f"The corpus begins as {name} text but is not valid {name}: {error.reason}. Save "
                "it as UTF-8.",
            ) from error


def kind_of_binary(head: bytes) -> str | None:
    """Name what a file is that begins so, where it is known and no text."""
    for magic, kind in BINARY_MAGICS:
        if head.startswith(magic):
            return kind
    for pattern, kind in BINARY_PATTERNS:
        if pattern.match(head):
            return kind
    pairs = len(head) // 2
    if pairs and max(head[::2].count(0), head[1::2].count(0)) > 0.7 * pairs:
        return "UTF-16 or UTF-32 text without a byte order mark"
    return None


class LineDecoder:
    """Take blocks as they come and give back runs of whole lines, decoded."""

    def __init__(self) -> None:
        self.lines = 0
        self._transcoder = Transcoder()
        self._offset = 0
        self._rest = bytearray()

    @property
    def encoding(self) -> str:
        """Name the encoding of the file."""
        return self._transcoder.encoding

    def feed(self, block: bytes) -> str:
        """Return the lines that end in this block, each with its ending."""
        block = self._transcoder.feed(block)
        # A CR at the end of a block may be half of a CR LF.
        end = max(block.rfind(b"\n"), block.rfind(b"\r", 0, max(len(block) - 1, 0))) + 1
        if not end and not (block and self._rest.endswith(b"\r")):
            self._keep(block)
            return ""
        piece = b"".join((self._rest, memoryview(block)[:end]))
        self._rest.clear()
        self._keep(block[end:])
        return self._decode(piece)

    def finish(self) -> str:
        """Return what is left, of which the last line may have no ending."""
        rest = self._transcoder.finish()
        piece = b"".join((self._rest, rest))
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
        try:
            text = piece.decode()
        except UnicodeDecodeError as error:
            raise self._not_text(piece, error.start) from error
        if "\0" in text:
            raise self._not_text(piece, piece.index(b"\0"))
        self._offset += len(piece)
        self.lines += text.count("\n")
        if "\r" in text:
            self.lines += text.count("\r") - text.count("\r\n")
        return text

    def _not_text(self, piece: bytes, at: int) -> UserFault:
        line = self.lines + len(re.findall(rb"\r\n?|\n", piece[:at])) + 1
        offset = self._transcoder.bom_bytes + self._offset + at
        if b"\0" in piece[: at + 1024]:
            return _binary(f"holds binary data (line {line}, byte {offset})")
        return UserFault(
            "not_utf8",
            f"The corpus is not UTF-8: the first bad byte, 0x{piece[at]:02x}, is on line {line} at "
            f"byte offset {offset} of the decompressed data. Convert it, as with `iconv -f "
            "WINDOWS-1252 -t UTF-8` for Western European text.",
        )


def _binary(what: str) -> UserFault:
    return UserFault(
        "binary_corpus",
        f"The corpus {what}, not UTF-8 text. Send text, JSONL, CSV, TSV or Parquet, plain or "
        "compressed with gzip or zstd.",
    )


def encoding_of(blocks: Iterable[bytes]) -> str:
    """Name the encoding of a text file by its beginning."""
    transcoder = Transcoder()
    for block in blocks:
        if transcoder.feed(block):
            return transcoder.encoding
    transcoder.finish()
    return transcoder.encoding


def read_pieces(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield runs of whole lines; all but the last end with a line's ending."""
    decoder = LineDecoder()
    for block in blocks:
        if piece := decoder.feed(block):
            yield piece
    if piece := decoder.finish():
        yield piece


def read_lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield each line with its ending, as `csv` wants them."""
    for piece in read_pieces(blocks):
        if "\r" in piece:
            yield from io.StringIO(piece, newline="")
            continue
        *whole, last = piece.split("\n")
        for line in whole:
            yield line + "\n"
        if last:
            yield last


def read_text(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield each line that is not blank, without its ending."""
    for piece in read_pieces(blocks):
        for line in with_lf(piece).split("\n"):
            if line and not line.isspace():
                yield line


class TextCounter:
    """Count the documents of plain text as it comes, as many as `read_text` would give.

    Four times as fast as making each document: no line becomes an object of its own.
    """

    def __init__(self) -> None:
        self.documents = 0
        self.characters = 0
        self.fault: UserFault | None = None
        self._decoder = LineDecoder()

    @property
    def encoding(self) -> str:
        """Name the encoding of the file."""
        return self._decoder.encoding

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
        last = with_lf(self._decoder.finish())
        unended = bool(last) and not last.endswith("\n")
        self._count(last + "\n" if unended else last)
        lines = self._decoder.lines + unended
        self.documents += lines
        self.characters -= lines

    def _count(self, piece: str) -> None:
        """Count all but the line feeds, which the decoder counts."""
        piece = with_lf(piece)
        blank = LATER_BLANK_LINE.findall(piece)
        if first := FIRST_BLANK_LINE.match(piece):
            blank.append(first.group())
        self.documents -= len(blank)
        self.characters += len(piece) + len(blank) - sum(map(len, blank))


def with_lf(text: str) -> str:
    """End every line with LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
