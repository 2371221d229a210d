"""Read a corpus file as blocks of decompressed bytes, within limits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from app.contract.errors import UserFault
from app.corpora.formats.layout import Compression
from app.settings import Settings

BLOCK = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bound what a corpus may decompress to."""

    max_bytes: int
    max_ratio: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        return cls(settings.max_corpus_bytes, settings.max_compression_ratio)

    def check(self, decompressed: int, compressed: int) -> None:
        """Refuse what grows too large; a megabyte is always allowed."""
        if decompressed > self.max_bytes:
            raise UserFault(
                "corpus_too_large",
                f"The corpus is larger than {self.max_bytes} bytes once decompressed, the most "
                "that this installation takes (FVT_MAX_CORPUS_BYTES). Send a sample of it.",
            )
        if decompressed > BLOCK + self.max_ratio * compressed:
            raise UserFault(
                "decompression_bomb",
                f"The corpus grows to more than {self.max_ratio} times its size when decompressed "
                "(FVT_MAX_COMPRESSION_RATIO). Real text does not; send it less compressed.",
            )


class CountingFile:
    """Count what Arrow reads of a file, and tell the file's own failures from bad data."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.bytes_read = 0
        self.failure: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            data = bytes(self._file.read(size))
        except Exception as error:
            self.failure = error
            raise
        self.bytes_read += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """Leave the file open: it is its owner's."""


def read_blocks(
    file: BinaryIO, compression: Compression | None, limits: Limits | None
) -> Iterator[bytes]:
    """Yield the decompressed bytes; a broken archive raises `UserFault`."""
    source = CountingFile(file)
    blocks = _plain(source) if compression is None else _decompress(source, compression)
    decompressed = 0
    for block in blocks:
        decompressed += len(block)
        if limits:
            limits.check(decompressed, source.bytes_read)
        yield block


def _plain(source: CountingFile) -> Iterator[bytes]:
    while block := source.read(BLOCK):
        yield block


def _decompress(source: CountingFile, compression: Compression) -> Iterator[bytes]:
    try:
        with pa.CompressedInputStream(pa.PythonFile(source, "r"), compression) as stream:
            while block := stream.read(BLOCK):
                yield block
    except (OSError, pa.ArrowException) as error:
        if source.failure:
            raise source.failure from error
        raise UserFault(
            f"broken_{compression}",
            f"The {compression} file is truncated or damaged: {error}. Compress and send it again.",
        ) from error
