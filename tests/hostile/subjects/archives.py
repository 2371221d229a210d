"""gzip and zstd: cut off, damaged, nested, and much larger than they look."""

import gzip
import random
import struct
import zlib

import zstandard

from tests.hostile.case import Case, accepted, refused, upload
from tests.hostile.world import MIB

TEXT = b"one\ntwo\nthree\n"
LINES = b"a b\n"
WORDS = b"some words of a text, again and again\n"


def zstd(data: bytes, **options: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(**options)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(data) + compressor.flush()


def with_dictionary() -> bytes:
    samples: list[bytes | bytearray | memoryview[int]] = [
        b"a sample number %d of a text" % number for number in range(2000)
    ]
    dictionary = zstandard.train_dictionary(2048, samples)
    return zstandard.ZstdCompressor(dict_data=dictionary).compress(TEXT)


def gzip_with(flags: int, rest: bytes = b"") -> bytes:
    """A member whose header has these flags, and what they announce."""
    plain = gzip.compress(TEXT, mtime=0)
    return plain[:3] + bytes([flags]) + plain[4:10] + rest + plain[10:]


def large_text() -> bytes:
    """26 MiB that compress about thirty times, as text may."""
    chance = random.Random(0).randbytes(520_000).hex().encode()
    return b"".join(
        b"x" * 208 + chance[place : place + 8] + b"\n" for place in range(0, 8 * 126_000, 8)
    )


def skippable(size: int) -> bytes:
    return struct.pack("<II", 0x184D2A50, size) + bytes(size)


GZIP, ZSTD = gzip.compress(TEXT, mtime=0), zstd(TEXT)
BROKEN_GZIP = {
    "two bytes": GZIP[:2],
    "a header alone": GZIP[:10],
    "cut in its data": GZIP[:15],
    "cut in its checksum": GZIP[:-6],
    "cut by a byte": GZIP[:-1],
    "of another checksum": GZIP[:-8] + b"\1\2\3\4" + GZIP[-4:],
    "of another length": GZIP[:-4] + b"\xff\xff\xff\x7f",
    "with text behind": GZIP + b"hello",
    "with a zip behind": GZIP + b"PK\x03\x04",
    "of an unknown method": GZIP[:2] + b"\x07" + GZIP[3:],
    "with reserved flags": gzip_with(0xE0),
    "with a name that never ends": gzip_with(0x08, b"a" * 50)[:60],
    "with damage inside": GZIP[:12] + b"\xff\xff" + GZIP[14:],
    "cut in its second member": GZIP + GZIP[:12],
    "of data of its own kind cut": gzip.compress(b"a b\n" * MIB)[:200],
}
BROKEN_ZSTD = {
    "four bytes": ZSTD[:4],
    "cut in its header": ZSTD[:6],
    "cut by a byte": ZSTD[:-1],
    "with text behind": ZSTD + b"hello there",
    "of another checksum": zstd(TEXT, write_checksum=1)[:-1] + b"\0",
    "with a reserved block": b"\x28\xb5\x2f\xfd\x24\x00\x07\x00\x00",
    "cut in a frame to skip": skippable(100)[:50],
    "with random data": ZSTD[:6] + random.Random(1).randbytes(500),
}
CASES: list[Case] = [
    *(upload(f"gzip {name}", data, refused("broken_gzip")) for name, data in BROKEN_GZIP.items()),
    *(upload(f"zstd {name}", data, refused("broken_zstd")) for name, data in BROKEN_ZSTD.items()),
    upload("zstd with a dictionary", with_dictionary, refused("broken_zstd")),
    upload(
        "zstd of a window of 256 MiB", zstd(TEXT, window_log=28), refused("zstd_window_too_long")
    ),
    upload("zstd of a window of 2 GiB", zstd(TEXT, window_log=31), refused("zstd_window_too_long")),
    upload(
        "zstd of a long window behind a frame",
        lambda: ZSTD + zstd(TEXT, window_log=29),
        refused("zstd_window_too_long"),
    ),
    upload("gzip of nothing", gzip.compress(b""), refused("empty_corpus")),
    upload("zstd of nothing", zstd(b""), refused("empty_corpus")),
    upload("zstd of frames to skip alone", skippable(10) * 3, refused("empty_corpus")),
    upload("gzip of blank lines", gzip.compress(b"\n \n"), refused("empty_corpus")),
    upload("gzip of gzip", gzip.compress(GZIP), refused("binary_corpus")),
    upload("zstd of zstd", zstd(ZSTD), refused("binary_corpus")),
    upload("gzip of zstd", gzip.compress(ZSTD), refused("binary_corpus")),
    upload("gzip of a zip", gzip.compress(b"PK\x03\x04" + bytes(30)), refused("binary_corpus")),
    upload("gzip of latin-1", gzip.compress(b"caf\xe9\n"), refused("not_utf8")),
    upload("zlib without gzip", zlib.compress(TEXT), refused("binary_corpus")),
    upload("gzip bomb", lambda: gzip.compress(LINES * (5 * MIB)), refused("decompression_bomb")),
    upload(
        "gzip bomb of words", lambda: gzip.compress(WORDS * 500_000), refused("decompression_bomb")
    ),
    upload(
        "gzip bomb of members",
        lambda: gzip.compress(LINES * (MIB // 4)) * 100,
        refused("decompression_bomb"),
    ),
    upload("zstd bomb", lambda: zstd(LINES * (5 * MIB)), refused("decompression_bomb")),
    upload("zstd bomb of words", lambda: zstd(WORDS * 500_000), refused("decompression_bomb")),
    upload(
        "26 MiB in one of gzip",
        lambda: gzip.compress(large_text(), 1),
        refused("corpus_too_large"),
    ),
    upload("26 MiB in one of zstd", lambda: zstd(large_text()), refused("corpus_too_large")),
    upload(
        "ten thousand members of nothing",
        lambda: gzip.compress(b"") * 10_000 + GZIP,
        accepted(documents=3, compression="gzip"),
    ),
    upload("gzip padded with zeros", GZIP + bytes(5000), accepted(documents=3)),
    upload("gzip with a name and a comment", gzip_with(0x18, b"../x\0y\0"), accepted(documents=3)),
    upload("gzip with extra data", gzip_with(0x04, b"\x04\0abcd"), accepted(documents=3)),
    upload(
        "gzip of 14 members",
        b"".join(gzip.compress(TEXT[i : i + 1]) for i in range(14)),
        accepted(documents=3),
    ),
    upload("zstd behind frames to skip", skippable(70_000) + ZSTD, accepted(documents=3)),
    upload("zstd in frames", zstd(TEXT[:5]) + zstd(TEXT[5:]), accepted(documents=3)),
    upload("gzip named as CSV", GZIP, accepted(documents=2, format="csv"), filename="a.csv.gz"),
    upload("text named as gzip", TEXT, accepted(documents=3, compression=None), filename="a.gz"),
]
