"""Read a corpus file as blocks of decompressed bytes, within limits."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from app.contract.corpora import Compression
from app.contract.errors import UserFault
from app.settings import Settings

BLOCK = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
GZIP_STREAM = 31  # zlib's `wbits` for data with gzip's header and checksum
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MAX_ZSTD_WINDOW_MIB = 128  # what zstd's own decoder allows unless it is told otherwise


@dataclass(frozen=True)
class Limits:
    """Bound what a corpus may decompress to, and how many of its rows may lack text."""

    max_bytes: int
    max_ratio: int
    max_skipped_share: float = 0.5

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        return cls(
            settings.max_corpus_bytes, settings.max_compression_ratio, settings.max_skipped_share
        )

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


def compression_of(head: bytes) -> Compression | None:
    """Tell the compression of a file from its first bytes."""
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    # pzstd and the seekable format put frames before the data that a decoder has to skip.
    while len(head) >= 8 and head[0] & 0xF0 == 0x50 and head[1:4] == b"\x2a\x4d\x18":
        after = 8 + int.from_bytes(head[4:8], "little")
        if after + 4 > len(head):
            return "zstd"
        head = head[after:]
    return "zstd" if head.startswith(ZSTD_MAGIC) else None


def read_blocks(
    file: BinaryIO, compression: Compression | None, limits: Limits | None
) -> Iterator[bytes]:
    """Yield the decompressed bytes; a broken archive raises `UserFault`."""
    source = CountingFile(file)
    decompressed = 0
    for block in _READERS[compression](source):
        decompressed += len(block)
        if limits:
            limits.check(decompressed, source.bytes_read)
        yield block


def _read_plain(source: CountingFile) -> Iterator[bytes]:
    while block := source.read(BLOCK):
        yield block


def _read_gzip(source: CountingFile) -> Iterator[bytes]:
    """Yield the data of each member; zeros may pad the last one, as `tar` and tapes leave them."""
    member, data = zlib.decompressobj(GZIP_STREAM), source.read(BLOCK)
    begun = True
    try:
        while data:
            if not begun:
                if not (data := data.lstrip(b"\0")):
                    data = source.read(BLOCK)
                    continue
                member, begun = zlib.decompressobj(GZIP_STREAM), True
            if block := member.decompress(data, BLOCK):
                yield block
            data = member.unused_data if member.eof else member.unconsumed_tail
            begun = not member.eof
            data = data or source.read(BLOCK)
    except zlib.error as error:
        raise _broken("gzip", str(error)) from error
    if begun:
        raise _broken("gzip", "it ends within its data")


def _read_zstd(source: CountingFile) -> Iterator[bytes]:
    try:
        with pa.CompressedInputStream(pa.PythonFile(source, "r"), "zstd") as stream:
            while block := stream.read(BLOCK):
                yield block
    except MemoryError:
        raise
    except (OSError, pa.ArrowException) as error:
        if source.failure:
            raise source.failure from error
        raise _zstd_fault(str(error), source) from error


_READERS = {None: _read_plain, "gzip": _read_gzip, "zstd": _read_zstd}


def _zstd_fault(reason: str, source: CountingFile) -> UserFault:
    if "too much memory" in reason:
        window = _zstd_window_mib(source)
        asked = f"a window of {window:,} MiB" if window else "a longer window"
        return UserFault(
            "zstd_window_too_long",
            f"The zstd file asks for {asked} of memory to be decompressed, and the most is "
            f"{MAX_ZSTD_WINDOW_MIB} MiB (`--long=27`). Compress it without `--ultra` and `--long`.",
        )
    if "Dictionary" in reason:
        return UserFault(
            "broken_zstd",
            "The zstd file was compressed with a dictionary, which is not in it. Compress it "
            "without one and send it again.",
        )
    return _broken("zstd", reason)


def _zstd_window_mib(source: CountingFile) -> int | None:
    """Read the window that the first frame asks for (RFC 8878, 3.1.1.1); None if it is not it."""
    source.seek(0)
    head = source.read(BLOCK)
    start = head.find(ZSTD_MAGIC)
    single_segment = start < 0 or len(head) < start + 6 or head[start + 4] & 0x20
    if single_segment:
        return None
    exponent, mantissa = head[start + 5] >> 3, head[start + 5] & 7
    window = (1 << 10 + exponent) * (8 + mantissa) // 8 >> 20
    return window if window > MAX_ZSTD_WINDOW_MIB else None


def _broken(compression: Compression, reason: str) -> UserFault:
    return UserFault(
        f"broken_{compression}",
        f"The {compression} file is truncated or damaged: {reason}. Compress and send it again.",
    )
