"""Plain text, and what is sent as if it were."""

import codecs
import io
import lzma
import sqlite3
import tarfile
import zipfile

from tests.hostile.case import Case, accepted, raw_upload, refused, upload
from tests.hostile.world import MIB

LONG = 17 * MIB
NOT_TEXT = {
    "a zip archive": b"PK\x03\x04" + bytes(40),
    "a PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
    "Rich Text": b"{\\rtf1\\ansi hello}",
    "an old office document": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(40),
    "an xz archive": lzma.compress(b"hello"),
    "an LZMA archive": lzma.compress(b"hello", lzma.FORMAT_ALONE),
    "a 7z archive": b"7z\xbc\xaf\x27\x1c\0\4",
    "a RAR archive": b"Rar!\x1a\x07\x01\0",
    "an lzip archive": b"LZIP\x01\x0c",
    "an LZ4 archive": b"\x04\x22\x4d\x18\x64\x40",
    "Snappy data": b"\xff\x06\x00\x00sNaPpY",
    "data of compress": b"\x1f\x9d\x90hello",
    "an Arrow file": b"ARROW1\0\0",
    "a Feather file": b"FEA1\0\0\0\0",
    "an Avro file": b"Obj\x01\x04\x14avro.codec",
    "an ORC file": b"ORC\x08\x03",
    "an HDF5 file": b"\x89HDF\r\n\x1a\n",
    "a NumPy array": b"\x93NUMPY\x01\0v\0",
    "a bzip2 archive": b"BZh91AY&SY\0\0",
    "a pickle": b"\x80\x04\x95\x05\0\0\0\0\0\0\0]\x94a.",
    "zstd before 0.8": b"\x26\xb5\x2f\xfdhello",
    "UTF-16 without a mark": "hello there, you".encode("utf-16-le"),
    "UTF-32 without a mark": "hello there, you".encode("utf-32-be"),
    "nothing but NUL": bytes(5000),
    "a NUL in a line": b"a\0b\n",
    "a PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "a JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF",
}
NOT_UTF8 = {
    "one byte of 0xff": b"\xff",
    "latin-1": "naïve café\n".encode("latin-1"),
    "windows-1251": "привет\n".encode("cp1251"),
    "Shift JIS": "こんにちは\n".encode("shift_jis"),
    "a character cut at the end": "hello €".encode()[:-1],
    "a character cut at a line's end": b"hello \xe2\x82\nworld\n",
    "an overlong slash": b"..\xc0\xafetc\n",
    "an overlong NUL": b"a\xc0\x80b\n",
    "half a surrogate pair": b"a\xed\xa0\x80b\n",
    "beyond U+10FFFF": b"a\xf4\x90\x80\x80b\n",
    "a continuation alone": b"a\x80b\n",
    "UTF-16 cut in a character": codecs.BOM_UTF16_LE + "hello".encode("utf-16-le")[:-1],
    "half a pair in UTF-16": codecs.BOM_UTF16_LE + b"a\0\x00\xd8b\0",
    "UTF-32 beyond Unicode": codecs.BOM_UTF32_LE + b"\0\0\x20\0",
    "one bad byte after a megabyte": b"a line of text\n" * 70_000 + b"\xff",
}
EMPTY = {
    "no byte": b"",
    "a line end": b"\n",
    "blank lines": b"\r\n \t\n\x0b\n\r\r",
    "a mark alone": codecs.BOM_UTF8,
    "a UTF-16 mark alone": codecs.BOM_UTF16_BE,
    "spaces of Unicode": "\u2003\u3000\u00a0\n\u2028".encode(),
}
WORKS = {
    "one character": (b"a", 1),
    "CR as line end": (b"a\rb\rc", 3),
    "all line ends": (b"a\nb\r\nc\rd", 4),
    "U+2028 in a line": ("a\u2028b\nc".encode(), 2),
    "a vertical tab in a line": (b"a\x0bb\x0cc\x1cd\n", 1),
    "UTF-8 with a mark": (codecs.BOM_UTF8 + b"a\nb", 2),
    "UTF-16": ("a\nb".encode("utf-16"), 2),
    "UTF-32, big end first": (codecs.BOM_UTF32_BE + "a\nb".encode("utf-32-be"), 2),
    "from right to left": ("\u202eabc\u202c\n\u200f\u0627\n".encode(), 2),
    "marks without a letter": ("\u0301\u0301\n".encode(), 1),
    "emoji of several characters": ("\U0001f469\u200d\U0001f469\u200d\U0001f467\n".encode(), 1),
    "not characters": ("\ufffe\uffff\U0010ffff\n".encode(), 1),
    "private use": ("\ue000\U000f0000\n".encode(), 1),
    "signs for a terminal": (b"\x1b[2J\x1b]0;x\x07\n", 1),
    "a script": (b"<script>alert(1)</script>\n", 1),
    "SQL": (b"'; DROP TABLE jobs; --\n", 1),
    "a template": (b"{{7*7}} ${7*7} #{7*7} %s %n\n", 1),
    "many short lines": (b"a\n" * 200_000, 200_000),
    "one line of 15 MiB": (b"ab" * (15 * MIB // 2), 1),
}


def _tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("../../escaped.txt")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"hello"))
    return packed.getvalue()


def _zip_slip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../escaped.txt", "hello")
    return packed.getvalue()


def _database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (x)")
        return connection.serialize()


CASES: list[Case] = [
    *(upload(name, data, refused("binary_corpus")) for name, data in NOT_TEXT.items()),
    upload("a tar archive that leaves its folder", _tar, refused("binary_corpus")),
    upload("a zip archive that leaves its folder", _zip_slip, refused("binary_corpus")),
    upload("an SQLite database", _database, refused("binary_corpus")),
    *(upload(name, data, refused("not_utf8")) for name, data in NOT_UTF8.items()),
    *(upload(name, data, refused("empty_corpus")) for name, data in EMPTY.items()),
    *(
        upload(name, data, accepted(format="text", documents=count))
        for name, (data, count) in WORKS.items()
    ),
    upload("a line of 17 MiB", lambda: b"ab" * (LONG // 2), refused("line_too_long")),
    upload("a file of 19 MiB", lambda: b"a line\n" * (19 * MIB // 7), refused("upload_too_large")),
    raw_upload(
        "a body of 19 MiB", lambda: b"a line\n" * (19 * MIB // 7), refused("upload_too_large")
    ),
    raw_upload(
        "a text field of plain text",
        b"hello\n",
        refused("text_field_without_fields"),
        format="text",
        text_field="text",
    ),
    raw_upload("an image by its type", b"hello\n", accepted(documents=1), media_type="image/png"),
    raw_upload("a type that is none", b"hello\n", accepted(documents=1), media_type=";/,"),
    *(
        upload(
            f"a file named {filename[:30]!r}", b"hello\n", accepted(name=None), filename=filename
        )
        for filename in (
            *("../../etc/passwd", "..\\..\\boot.ini", "/dev/null", "CON", "~", ".", "a" * 2000),
            *("a;b.txt", 'a"b.txt', "\u202etxt.exe", "%00.txt", "$(reboot).txt", "-rf"),
        )
    ),
]
