"""Archives are read however they were written, or refused for what they are."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from app.corpora.documents import Layout, inspect, read_documents
from app.corpora.formats.compression import compression_of, read_blocks
from tests.app.corpora.reading import LIMITS, documents_of, read, refusal
from tests.support.encodings import BitsFile, encode

TEXT = b"one\ntwo\nthree\n"
SKIPPABLE = struct.pack("<II", 0x184D2A53, 5) + b"12345"


def zstd(data: bytes, **options: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(**options)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)


def streamed(data: bytes, window_log: int) -> bytes:
    """A frame that names its window and not its size, as `zstd --long` writes from a pipe."""
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(TEXT),
        gzip.compress(TEXT) + b"\0" * 5000,
        gzip.compress(TEXT[:5]) + gzip.compress(TEXT[5:]),
        gzip.compress(TEXT[:5]) + b"\0" * 511 + gzip.compress(TEXT[5:]) + b"\0",
        gzip.compress(b"") + gzip.compress(TEXT),
        b"".join(gzip.compress(TEXT[i : i + 1]) for i in range(len(TEXT))),
        gzip.compress(TEXT, 0),
        zstd(TEXT),
        zstd(TEXT[:5]) + zstd(TEXT[5:]),
        SKIPPABLE + zstd(TEXT),
        SKIPPABLE * 3 + zstd(TEXT[:5]) + SKIPPABLE + zstd(TEXT[5:]) + SKIPPABLE,
        struct.pack("<II", 0x184D2A50, 3 << 20) + b"x" * (3 << 20) + zstd(TEXT),
        zstd(b"") + zstd(TEXT),
        zstd(TEXT, write_checksum=1, write_content_size=0),
        streamed(TEXT, 27),
        streamed(TEXT, 10),
    ],
)
@pytest.mark.parametrize("name", [None, "a.txt", "a.txt.gz"])
def test_archives_are_read(data: bytes, name: str | None) -> None:
    assert documents_of(data, name) == TEXT.decode().split()


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (streamed(TEXT, 28), "zstd_window_too_long", "a window of 256 MiB"),
        (streamed(TEXT, 31), "zstd_window_too_long", "a window of 2,048 MiB"),
        (SKIPPABLE + streamed(TEXT, 30), "zstd_window_too_long", "a window of 1,024 MiB"),
        (zstd(TEXT) + streamed(TEXT, 29), "zstd_window_too_long", "128 MiB"),
        (gzip.compress(TEXT)[:-1], "broken_gzip", "ends within"),
        (gzip.compress(TEXT)[:12], "broken_gzip", "ends within"),
        (gzip.compress(TEXT) + gzip.compress(TEXT)[:15], "broken_gzip", "ends within"),
        (gzip.compress(TEXT)[:-8] + b"\1" * 8, "broken_gzip", "incorrect data check"),
        (gzip.compress(TEXT) + b"\0\0x", "broken_gzip", "damaged"),
        (gzip.compress(TEXT)[:-2] + b"\0\1", "broken_gzip", "incorrect length check"),
        (zstd(TEXT)[:-2], "broken_zstd", "truncated"),
        (zstd(TEXT) + zstd(TEXT)[:6], "broken_zstd", "truncated"),
        (zstd(TEXT) + b"x" * 9, "broken_zstd", "damaged"),
        (SKIPPABLE[:-1], "broken_zstd", "truncated"),
        (zstd(TEXT, write_checksum=1)[:-4] + b"abcd", "broken_zstd", "damaged"),
    ],
)
def test_what_cannot_be_read_is_refused_for_what_it_is(data: bytes, code: str, says: str) -> None:
    fault = refusal(data)
    assert (fault.code, says in fault.message) == (code, True), fault.message


def test_a_frame_made_with_a_dictionary_is_told() -> None:
    samples: list[bytes | bytearray | memoryview[int]] = [
        f"sample {number} of text {number % 7}".encode() for number in range(2000)
    ]
    dictionary = zstandard.train_dictionary(1024, samples)
    data = zstandard.ZstdCompressor(dict_data=dictionary).compress(samples[0])
    fault = refusal(data)
    assert (fault.code, "dictionary" in fault.message) == ("broken_zstd", True)


def archive_of(kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as zipped:
            zipped.writestr("a.txt", TEXT)
    else:
        with tarfile.open(fileobj=out, mode="w:gz" if kind == "tar.gz" else "w") as tar:
            info = tarfile.TarInfo("a.txt")
            info.size = len(TEXT)
            tar.addfile(info, io.BytesIO(TEXT))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bz2.compress(TEXT), "a bzip2 archive"),
        (bz2.compress(b""), "a bzip2 archive"),
        (lzma.compress(TEXT), "an xz archive"),
        (lzma.compress(TEXT, format=lzma.FORMAT_ALONE), "an LZMA archive"),
        (archive_of("zip"), "a zip archive"),
        (archive_of("tar"), "a tar archive"),
        (archive_of("tar.gz"), "a tar archive"),
        (gzip.compress(archive_of("zip")), "a zip archive"),
        (gzip.compress(gzip.compress(TEXT)), "gzip data"),
        (gzip.compress(zstd(TEXT)), "zstd data"),
        (gzip.compress(encode(["a"], "parquet")), "a Parquet file"),
        (b"\x04\x22\x4d\x18" + b"\x60\x40\x82" + b"x" * 20, "an LZ4 archive"),
        (SKIPPABLE + b"\x04\x22\x4d\x18\x60\x40\x82", "holds binary data"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive"),
        (b"\x1f\x9d\x90" + b"\xff" * 20, "`compress`"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF"),
        (b"{\\rtf1\\ansi x}", "Rich Text"),
        (b"SQLite format 3\0", "SQLite"),
        (b"Obj\x01\x04", "an Avro file"),
        (b"ARROW1\0\0", "an Arrow file"),
    ],
)
@pytest.mark.parametrize("name", [None, "a.txt", "a.jsonl", "a.csv"])
def test_other_files_are_named(data: bytes, says: str, name: str | None) -> None:
    fault = refusal(data, name)
    assert (fault.code, says in fault.message) == ("binary_corpus", True), fault.message


def test_zlib_data_is_no_text() -> None:
    assert refusal(zlib.compress(TEXT * 9)).code in {"binary_corpus", "not_utf8"}


def test_a_text_that_begins_like_an_archive_is_text() -> None:
    for text in (b"BZh is a magic\n", b"Rar! A lion\n", b"PK met QL\n", b"ORC and elf\n", b"]\n"):
        assert documents_of(text) == [text.decode().strip()]


@settings(max_examples=150)
@given(
    parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    kind=st.sampled_from(["gzip", "zstd"]),
    level=st.integers(1, 9),
    between=st.integers(0, 600),
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=4),
)
def test_any_archive_gives_what_went_in(
    parts: list[bytes], kind: str, level: int, between: int, sizes: list[int]
) -> None:
    if kind == "gzip":
        data = b"".join(gzip.compress(part, level) + b"\0" * between for part in parts)
    else:
        frame = struct.pack("<II", 0x184D2A5F, between) + b"\0" * between
        data = b"".join(frame + zstandard.compress(part, level) for part in parts)
    compression = compression_of(data)
    assert compression == kind
    assert b"".join(read_blocks(BitsFile(data, sizes), compression, None)) == b"".join(parts)


def test_a_bomb_is_stopped_as_it_grows() -> None:
    for data in (gzip.compress(bytes(64 << 20)), zstd(bytes(64 << 20)), bytes(0)):
        blocks = read_blocks(io.BytesIO(data), compression_of(data), None)
        assert max((len(block) for block in blocks), default=0) <= 1 << 20


def test_a_stored_corpus_is_read_as_it_was_told() -> None:
    data = SKIPPABLE + zstd(b'{"id": 1, "body": "a"}\n')
    inspection, _ = read(data)
    assert inspection.layout == Layout("jsonl", "zstd", "body")
    assert inspect(io.BytesIO(data), inspection.layout, LIMITS) == inspection
    assert list(read_documents(io.BytesIO(data), Layout("jsonl", "zstd"))) == ["a"]
