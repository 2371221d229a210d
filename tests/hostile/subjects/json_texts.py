"""JSON lines, arrays and records that are none, or that are too much."""

import json

from tests.hostile.case import Case, Data, Wanted, accepted, refused, upload
from tests.hostile.world import MIB


def lines(name: str, data: Data, wanted: Wanted, /, **fields: str) -> Case:
    return upload(f"JSON lines: {name}", data, wanted, filename="a.jsonl", **fields)


def records(name: str, data: Data, wanted: Wanted) -> Case:
    return upload(f"records: {name}", data, wanted, filename="rows.jsonl", format="records")


INVALID = {
    "no JSON": b"hello\n",
    "single quotes": b"{'text': 'a'}\n",
    "names without quotes": b'{text: "a"}\n',
    "a comma too many": b'{"text": "a",}\n',
    "a comment": b'{"text": "a"} // b\n',
    "cut off": b'{"text": "a"}\n{"text": "b\n',
    "a number a line": b"1\n2\n",
    "a list a line": b'{"text": "a"}\n["b"]\n',
    "a string among objects": b'{"text": "a"}\n"b"\n',
    "a control character in a string": b'{"text": "a\x01b"}\n{"text": "b"} x\n',
    "an escape of no kind": b'{"text": "\\q"}\n',
    "half an escape": b'{"text": "\\u12"}\n',
    "nested 100,000 deep": b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    "objects nested 50,000 deep": b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"\n",
    "an open list 200,000 deep": b'{"text": "a"}\n' + b"[" * 200_000,
    "an array that is not closed": b'[{"text": "a"}, {"text": "b"}',
    "an array with text behind": b'[{"text": "a"}]\nhello',
    "an array of no commas": b'[{"text": "a"} {"text": "b"}]',
    "true in place of an object": b"true\n",
}
CASES: list[Case] = [
    *(lines(name, data, refused("invalid_jsonl")) for name, data in INVALID.items()),
    lines("blank lines", b"\n\n", refused("empty_corpus")),
    lines("texts that are blank", b'{"text": ""}\n{"text": " "}\n', refused("empty_corpus")),
    lines("texts that are null", b'{"text": null}\n', refused("empty_corpus")),
    lines("an empty array", b"[]", refused("empty_corpus", "invalid_jsonl")),
    lines(
        "texts that are numbers", b'{"text": 1}\n{"text": 2}\n', refused("text_field_not_string")
    ),
    lines("texts that are objects", b'{"text": {"a": "b"}}\n', refused("text_field_not_string")),
    lines("keys of no text", b'{"a": 1, "b": 2}\n', refused("missing_text_field")),
    lines("two keys of text", b'{"a": "x", "b": "y"}\n', refused("missing_text_field")),
    lines("no key", b"{}\n{}\n", refused("missing_text_field")),
    lines("no such key", b'{"text": "a"}\n', refused("missing_text_field"), text_field="body"),
    lines(
        "most without text",
        b'{"text": 1}\n{"text": 2}\n{"text": "a"}\n',
        refused("too_many_rows_without_text"),
    ),
    lines(
        "a key of 201 characters",
        json.dumps({"k" * 201: "a"}).encode(),
        refused("unusable_text_field"),
    ),
    lines("a key with a NUL", b'{"te\\u0000xt": "a"}\n', refused("unusable_text_field")),
    lines("latin-1", b'{"text": "caf\xe9"}\n', refused("not_utf8")),
    lines(
        "a line of 17 MiB",
        lambda: b'{"text": "' + b"ab" * (17 * MIB // 2) + b'"}\n',
        refused("line_too_long", "invalid_jsonl"),
    ),
    # An array is read piece by piece, up to twice the length of a line.
    lines(
        "an entry of 17 MiB in an array",
        lambda: b'[{"text": "' + b"ab" * (17 * MIB // 2) + b'"}]',
        accepted(documents=1),
    ),
    lines("a key twice", b'{"text": "a", "text": "b"}\n', accepted(documents=1, preview=["b"])),
    lines("NaN and infinity", b'{"text": "a", "x": NaN, "y": -Infinity}\n', accepted(documents=1)),
    lines(
        "a number of 4,500 digits",
        b'{"text": "a", "x": ' + b"9" * 4500 + b"}\n",
        accepted(documents=1),
    ),
    lines("a number of 10**400", b'{"text": "a", "x": 1e400}\n', accepted(documents=1)),
    lines(
        "half a surrogate pair",
        b'{"text": "a\\ud800b"}\n',
        accepted(documents=1, preview=["a\ufffdb"]),
    ),
    lines("pairs the wrong way round", b'{"text": "\\udc00\\ud800"}\n', accepted(documents=1)),
    lines(
        "a NUL in a text", b'{"text": "a\\u0000b"}\n', accepted(documents=1, preview=["a\ufffdb"])
    ),
    lines(
        "a key of Python's own",
        b'{"__class__": 1, "__proto__": {}, "text": "a"}\n',
        accepted(documents=1),
    ),
    lines("an empty key", b'{"": "a"}\n', accepted(documents=1)),
    lines(
        "20,000 keys",
        lambda: json.dumps({"text": "a", **{f"k{i}": i for i in range(20_000)}}).encode(),
        accepted(documents=1),
    ),
    lines(
        "a mark, and record separators",
        b'\xef\xbb\xbf\x1e{"text": "a"}\n\x1e{"text": "b"}\n',
        accepted(documents=2),
    ),
    lines(
        "objects over lines",
        b'{\n"text": "a"\n}\n{\n"text": "b"\n}\n',
        accepted(documents=2, format="json"),
    ),
    lines("an array", b'[{"text": "a"},\n{"text": "b"}]', accepted(documents=2, format="json")),
    lines(
        "two objects a line",
        b'{"text": "a"} {"text": "b"}\n{"text": "c"}\n',
        accepted(documents=3, format="json"),
    ),
    lines("strings", b'"a"\n"b"\n', accepted(documents=2)),
    lines(
        "nested 500 deep beside the text",
        b'{"text": "a", "x": ' + b"[" * 500 + b"]" * 500 + b"}\n",
        accepted(documents=1),
    ),
    records("numbers", b"1\n2\n", refused("invalid_jsonl")),
    records("strings", b'"a"\n', refused("invalid_jsonl")),
    records("plain text", b"hello\nworld\n", refused("invalid_jsonl")),
    records("no row", b"\n", refused("empty_corpus")),
    records("a row cut off", b'{"a": 1}\n{"a": \n', refused("invalid_jsonl")),
    records("a text field", b'{"a": 1}\n', accepted(documents=1)),
    records("rows of no key", b"{}\n" * 1000, accepted(documents=1000)),
    records(
        "deep rows", b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", refused("invalid_jsonl")
    ),
    upload(
        "records with a text field",
        b'{"a": 1}\n',
        refused("text_field_without_fields"),
        format="records",
        text_field="a",
    ),
]
