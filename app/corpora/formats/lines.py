"""Lines out of blocks of bytes: UTF-8, ended by a line feed, within a length."""

from collections.abc import Iterable, Iterator

from app.contract.errors import UserFault

MAX_LINE_BYTES = 16 << 20
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
        """The lines that end in this block, each with its line feed; often with the one before."""
        end = block.rfind(b"\n") + 1
        if not end:
            self._keep(block)
            return ""
        piece = b"".join((self._rest, memoryview(block)[:end]))
        self._rest.clear()
        self._keep(block[end:])
        return self._decode(piece)

    def finish(self) -> str:
        """The last line, which no line feed ends."""
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
    """Runs of whole lines; all but the last end in a line feed."""
    decoder = LineDecoder()
    for block in blocks:
        if piece := decoder.feed(block):
            yield piece
    if piece := decoder.finish():
        yield piece


def read_lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Each line with its ending, as `csv` wants them."""
    for piece in read_pieces(blocks):
        *whole, last = piece.split("\n")
        for line in whole:
            yield line + "\n"
        if last:
            yield last
