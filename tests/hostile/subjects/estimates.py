"""Estimates of bad jobs, and of beginnings of files that are none."""

import gzip
import json
from typing import TYPE_CHECKING, Any

from tests.hostile.case import Answer, Case, Data, Wanted, Works, built, refused
from tests.hostile.subjects.forms import END, FILE, TYPE, field
from tests.hostile.subjects.recipes import BAD, TOO_MUCH, WORKS, nested
from tests.hostile.world import MIB

if TYPE_CHECKING:
    from tests.hostile.world import World

GIB16 = str(16 << 30)


def ask(name: str, wanted: Wanted, /, **fields: Any) -> Case:
    """Ask for an estimate on the usual corpus."""

    def send(world: "World") -> Answer:
        body = {"base_model": world.model, "corpus_id": world.corpus, **fields}
        return Answer.of(world.http.post("/v1/estimate", json=body))

    return Case(name, send, wanted)


def sample(
    name: str, data: Data, wanted: Wanted, /, *, filename: str = "corpus.txt", **fields: str
) -> Case:
    """Send the beginning of a corpus."""

    def send(world: "World") -> Answer:
        form = {"base_model": world.model, **fields}
        files = {"file": (filename, built(data))}
        return Answer.of(world.http.post("/v1/estimate", files=files, data=form))

    return Case(name, send, wanted)


def raw(name: str, data: bytes, wanted: Wanted, content_type: str) -> Case:
    """Send a body as it is."""

    def send(world: "World") -> Answer:
        headers = {"content-type": content_type}
        return Answer.of(world.http.post("/v1/estimate", content=data, headers=headers))

    return Case(name, send, wanted)


def bomb() -> bytes:
    return gzip.compress(b"one document\n" * (4 * MIB), 9)


LINES = b"one document\n" * 1000
CASES: list[Case] = [
    *(
        ask(f"{path} = {value!r:.40}", refused("invalid_recipe"), recipe=nested(path, value))
        for path, values in BAD.items()
        for value in values[:2]
    ),
    *(
        ask(f"{path} = {value!r:.40}", refused(code), recipe=nested(path, value))
        for path, value, code in TOO_MUCH
    ),
    *(ask(f"{path} = {value!r:.40}", Works(), recipe=nested(path, value)) for path, value in WORKS),
    ask("16 sizes", Works(), recipe={"vocab_size": [n / 16 for n in range(1, 17)]}),
    ask("no corpus", refused("corpus_not_found"), corpus_id="corpus_" + "0" * 26),
    ask("SQL as a corpus", refused("corpus_not_found"), corpus_id="' OR 1=1; --"),
    ask("a path as a model", refused("invalid_model_id"), base_model="../../etc/passwd"),
    ask("a hub that is silent", refused("hub_unreachable"), base_model="org/silent"),
    ask("a hub of garbage", refused("hub_unreachable"), base_model="org/garbage"),
    ask("a hub that breaks off", refused("hub_unreachable"), base_model="org/cut"),
    ask("a pickled model", refused("unsafe_weights"), base_model="org/pickled"),
    ask("a field that is not known", refused("invalid_request"), nothing=1),
    raw("no JSON", b"{", refused("malformed_json"), "application/json"),
    raw("a list", b"[]", refused("malformed_json"), "application/json"),
    raw("deep JSON", b"[" * 100_000, refused("malformed_json"), "application/json"),
    raw("text", b"hello", refused("unsupported_media_type"), "text/plain"),
    raw("a form cut off", FILE[:-8], refused("malformed_multipart"), TYPE),
    raw("a form without a file", field("recipe") + END, refused("missing_file"), TYPE),
    raw("two files", FILE + FILE + END, refused("more_than_one_file"), TYPE),
    raw("a field of another name", FILE + field("x") + END, refused("unknown_field"), TYPE),
    raw("a form without a model", FILE + END, refused("invalid_request"), TYPE),
    sample("an empty file", b"", refused("empty_corpus")),
    sample("blank lines", b"\n \n" * 1000, refused("empty_corpus")),
    sample("blank lines of 16 GiB", b"\n" * 1000, refused("empty_corpus"), corpus_bytes=GIB16),
    sample("zeros", bytes(MIB), refused("binary_corpus")),
    sample("a PDF", b"%PDF-1.7\n" + bytes(1000), refused("binary_corpus")),
    sample("Latin-1", "né\n".encode("latin-1") * 1000, refused("not_utf8")),
    sample("more than is read", lambda: b"a\n" * (4 * MIB + 1), refused("sample_too_large")),
    sample("a bomb", bomb, refused("decompression_bomb", "corpus_too_large")),
    sample("the beginning of a bomb", lambda: bomb()[:-9], Works(), corpus_bytes=GIB16),
    sample("a cut archive", gzip.compress(LINES)[:-9], refused("broken_gzip")),
    sample("a cut Parquet", b"PAR1" + bytes(99), refused("invalid_parquet")),
    sample("Parquet's beginning", b"PAR1xx", refused("sample_unreadable"), corpus_bytes=GIB16),
    sample("one long line", lambda: b"a" * (8 * MIB), Works()),
    sample("one long line of 16 GiB", lambda: b"a" * (8 * MIB), Works(), corpus_bytes=GIB16),
    sample("long words", lambda: (b"a" * 9999 + b"\n") * 800, Works(), corpus_bytes=GIB16),
    sample("ten million letters apart", lambda: b"a " * (4 * MIB), Works()),
    sample("every sign", "".join(map(chr, range(33, 0xD800))).encode(), Works()),
    sample("a size of letters", LINES, refused("invalid_request"), corpus_bytes="many"),
    sample("a size below the file's", LINES, refused("invalid_request"), corpus_bytes="1"),
    sample("a size of 400 digits", LINES, refused("invalid_request"), corpus_bytes="9" * 400),
    sample("a size of 18 digits", LINES, Works(), corpus_bytes="9" * 18),
    sample("a format that is none", LINES, refused("invalid_request"), format="docx"),
    sample("labelled data", b'{"a": 1}\n', refused("corpus_without_text"), format="records"),
    sample("no such field", b'{"a": "b"}\n', refused("missing_text_field"), text_field="x"),
    sample("a recipe that is no JSON", LINES, refused("invalid_recipe"), recipe="{"),
    sample(
        "nested JSON", b'{"text": ' + b"[" * 5000 + b"\n", refused("invalid_jsonl"), format="jsonl"
    ),
    sample("a table of quotes", b'"' * 9999 + b"\n", refused("invalid_csv"), format="csv"),
    sample("a good one", LINES, Works(), corpus_bytes=GIB16, recipe=json.dumps({"seed": 1})),
]
