import gzip
import hashlib
import http.client
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.ids import new_id
from tests.support.encodings import encode
from tests.support.postgres import fresh_database
from tests.support.serving import MODEL, Service, serving

MIB = 1 << 20


def upload(service: Service, data: bytes, filename: str = "c.txt", **fields: str) -> httpx.Response:
    return service.http.post("/v1/corpora", files={"file": (filename, data)}, data=fields)


def stored(service: Service) -> list[str]:
    return [*service.blobs.keys("corpora"), *leftovers(service)]


def leftovers(service: Service) -> list[str]:
    """Files of unfinished writes, which the store does not list."""
    folder = service.settings.data_dir / "blobs"
    return [path.name for path in folder.rglob("*#*")]


def eventually_as_before(service: Service, before: list[str]) -> None:
    """Whether what is stored goes back to what it was: the store cleans up in the background."""
    for _ in range(100):
        if stored(service) == before:
            return
        time.sleep(0.05)
    assert stored(service) == before


def test_upload_as_a_form(service: Service) -> None:
    data = "eins\r\nzwei Äpfel\n\n".encode()
    answer = upload(service, data, name="Obst")
    corpus = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/corpora/{corpus['id']}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", corpus.pop("created_at"))
    assert re.fullmatch(r"corpus_[0-9a-z]{26}", corpus["id"])
    assert corpus == {
        "object": "corpus",
        "id": corpus["id"],
        "name": "Obst",
        "format": "text",
        "compression": None,
        "text_field": None,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "delimiter": None,
        "quoting": None,
        "encoding": "utf-8",
        "documents": 2,
        "characters": 14,
        "skipped": 0,
        "skipped_lines": [],
        "preview": ["eins", "zwei Äpfel"],
    }
    assert bytes(service.blobs.reader(f"corpora/{corpus['id']}/data").read()) == data


def test_upload_as_a_raw_body_with_query_parameters(service: Service) -> None:
    data = gzip.compress(b'{"body": "one"}\n{"body": "two"}\n')
    query = {"name": "raw", "format": "jsonl", "text_field": "body"}
    corpus = service.http.post("/v1/corpora", params=query, content=data).json()
    expected = {"name": "raw", "format": "jsonl", "compression": "gzip", "text_field": "body"}
    assert corpus.items() >= {**expected, "documents": 2, "characters": 6}.items()
    assert corpus["sha256"] == hashlib.sha256(data).hexdigest()


def test_labelled_rows_are_uploaded_as_records(service: Service) -> None:
    data = b'{"text": "one", "label": 1}\n\n{"tokens": ["two"], "tags": ["O"]}'
    corpus = upload(service, gzip.compress(data), "train.jsonl.gz", format="records").json()
    assert (corpus["format"], corpus["compression"], corpus["text_field"]) == (
        "records",
        "gzip",
        None,
    )
    assert (corpus["documents"], corpus["characters"]) == (2, len(data) - 2)


def test_fields_count_on_both_sides_of_the_file(service: Service) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="format"\r\n\r\ncsv\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx,y\n1,2\n\r\n'
        b'--b\r\nContent-Disposition: form-data; name="text_field"\r\n\r\ny\r\n--b--\r\n'
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    corpus = service.http.post("/v1/corpora", content=body, headers=headers).json()
    assert (corpus["format"], corpus["text_field"], corpus["documents"]) == ("csv", "y", 1)


@pytest.mark.parametrize(
    ("filename", "data", "format_"),
    [
        ("a.jsonl", encode(["x"], "jsonl"), "jsonl"),
        ("a.JSONL.gz", gzip.compress(encode(["x"], "jsonl")), "jsonl"),
        ("a.csv", encode(["x"], "csv"), "csv"),
        ("a.tsv", encode(["x"], "tsv"), "tsv"),
        ("anything", encode(["x"], "parquet"), "parquet"),
        ("a.md", b"x,y\n", "text"),
        ("plain.gz", b"not compressed whatever the name says", "text"),
    ],
)
def test_the_format_is_told(service: Service, filename: str, data: bytes, format_: str) -> None:
    answer = upload(service, data, filename)
    assert answer.status_code == 201, answer.text
    assert answer.json()["format"] == format_


@pytest.mark.parametrize(
    "type_", ["application/x-ndjson", "application/jsonl", "application/x-www-form-urlencoded", ""]
)
def test_json_lines_sent_raw_are_told(service: Service, type_: str) -> None:
    data = b'{"id": 1, "body": "a b"}\n{"id": 2}\n{"id": 3, "body": "c"}\n'
    answer = service.http.post("/v1/corpora", content=data, headers={"content-type": type_})
    corpus = answer.json()
    expected = {"format": "jsonl", "text_field": "body", "documents": 2, "encoding": "utf-8"}
    expected |= {"skipped": 1, "skipped_lines": [2], "preview": ["a b", "c"]}
    assert corpus.items() >= expected.items()
    assert service.http.get(f"/v1/corpora/{corpus['id']}").json() == corpus


def test_the_answer_shows_how_a_table_was_read(service: Service) -> None:
    corpus = upload(service, b'id;text\n1;"a; b"\n2;"' + b"x" * 999 + b'"\n', "a.csv").json()
    expected = {"delimiter": ";", "quoting": "doubled", "text_field": "text"}
    assert corpus.items() >= {**expected, "preview": ["a; b", "x" * 200 + "…"]}.items()
    part = {"file": ("data", b'id\ttext\n1\t"a\n2\tb\n', "text/tab-separated-values")}
    corpus = service.http.post("/v1/corpora", files=part).json()
    expected = {"delimiter": "\t", "quoting": "none", "format": "tsv"}
    assert corpus.items() >= {**expected, "preview": ['"a', "b"]}.items()


@pytest.mark.parametrize(
    ("data", "preview"),
    [
        (b"\n\none\r\ntwo\nthree\nfour", ["one", "two", "three"]),
        ("eins\rzwei".encode("utf-16"), ["eins", "zwei"]),
        ("é".encode() * MIB + b"\ntwo\n", ["é" * 200 + "…"]),
    ],
)
def test_plain_text_is_shown_too(service: Service, data: bytes, preview: list[str]) -> None:
    assert upload(service, data).json()["preview"] == preview


@pytest.fixture(scope="module")
def on_postgres(
    tmp_path_factory: pytest.TempPathFactory, valkey: str, postgres: str
) -> Iterator[Service]:
    with (
        fresh_database(postgres) as url,
        serving(tmp_path_factory.mktemp("pg"), valkey, database_url=url) as running,
    ):
        yield running


NULS: list[tuple[bytes, str, dict[str, str], int]] = [
    (b'{"text": "a\\u0000b"}\n', "a.jsonl", {}, 201),
    (b'["a\\u0000b", "c"]', "a.json", {}, 201),
    (b'{"s\\u0000": "x\\u0000", "text": "a"}\n', "a.jsonl", {}, 201),
    (b'{"te\\u0000xt": "a"}\n', "a.jsonl", {}, 422),
    (b'{"\\ud83d": "a"}\n', "a.jsonl", {}, 201),
    (b"te\0xt;b\na;b\n", "a.csv", {}, 422),
    (b"a\0b\n", "a.txt", {}, 422),
    (b"a\n", "a.txt", {"name": "a\0b"}, 422),
    (b'{"a": "b"}\n', "a.jsonl", {"text_field": "a\0b"}, 422),
    (b"a\n", "a\0.txt", {}, 201),
    (b"a\n", "a.txt", {"format": "te\0xt"}, 422),
]


@pytest.mark.parametrize("database", ["service", "on_postgres"])
def test_nul_characters_are_answered_on_every_database(
    request: pytest.FixtureRequest, database: str
) -> None:
    service: Service = request.getfixturevalue(database)
    for data, filename, fields, status in NULS:
        answer = upload(service, data, filename, **fields)
        assert answer.status_code == status, (data, answer.text)
        if status == 201:
            assert service.http.get(f"/v1/corpora/{answer.json()['id']}").json() == answer.json()
            assert "\0" not in str(answer.json()["preview"])
    for call in (service.http.get, service.http.delete):
        answer = call("/v1/corpora/a%00b")
        assert (answer.status_code, answer.json()["code"]) == (404, "corpus_not_found")
    assert service.http.get("/v1/corpora", params={"after": "a\0b"}).status_code == 400


def test_how_many_rows_may_lack_text_is_a_setting(
    tmp_path: Path, valkey: str, service: Service
) -> None:
    data = b'{"text": "a"}\n' * 3 + b"{}\n"
    assert upload(service, data).json()["skipped"] == 1
    with serving(tmp_path, valkey, max_skipped_share=0.2) as strict:
        problem = upload(strict, data).json()
        assert (problem["code"], problem["status"]) == ("too_many_rows_without_text", 422)
        assert "first on lines 4;" in problem["detail"]
        eventually_as_before(strict, [])


def test_a_large_upload_in_chunks_is_stored_whole(service: Service) -> None:
    line = ("Zeile über nichts " * 20 + "\n").encode()
    chunk, digest = line * 1000, hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for _ in range(50):
            digest.update(chunk)
            yield chunk

    corpus = service.http.post("/v1/corpora", content=chunks()).json()
    assert corpus["bytes"] == 50 * len(chunk)
    assert corpus["documents"] == 50_000
    assert corpus["characters"] == 50_000 * (len(line.decode()) - 1)
    assert corpus["sha256"] == digest.hexdigest()
    assert service.blobs.size(f"corpora/{corpus['id']}/data") == corpus["bytes"]


@pytest.mark.parametrize(
    ("data", "fields", "code", "says"),
    [
        (b"", {}, "empty_corpus", "at least one"),
        (b" \n", {}, "empty_corpus", "at least one"),
        (b"a\n\xff", {}, "not_utf8", "line 2 at byte offset 2"),
        (b"a\0", {}, "binary_corpus", "not UTF-8 text"),
        (gzip.compress(b"a" * 999)[:-9], {}, "broken_gzip", "send it again"),
        (b"\x28\xb5\x2f\xfdx", {}, "broken_zstd", "send it again"),
        (b"{}\n", {"format": "jsonl"}, "missing_text_field", "`text_field`"),
        (b'{"text":1}\n', {"format": "jsonl"}, "text_field_not_string", "line 1"),
        (b"{\n", {"format": "jsonl"}, "invalid_jsonl", "Line 1"),
        (b'a\n"b\n', {"format": "csv"}, "invalid_csv", "Quote"),
        (b"a\n", {"format": "parquet"}, "invalid_parquet", "Parquet"),
        (gzip.compress(b"a"), {"format": "parquet"}, "invalid_parquet", "gzip"),
        (gzip.compress(b"a\n" * (4 * MIB)), {}, "decompression_bomb", "200 times"),
        (b"a\n", {"text_field": "t"}, "text_field_without_fields", "`format`"),
        (b'{"a": 1}\n[2]\n', {"format": "records"}, "invalid_jsonl", "Line 2"),
        (b"{}\n", {"format": "records", "text_field": "t"}, "text_field_without_fields", "recipe"),
        (b"a\n", {"format": "xml"}, "invalid_request", "'text', 'jsonl'"),
        (b"a\n", {"name": "n" * 201}, "invalid_request", "/name"),
        (b"a\n", {"color": "red"}, "unknown_field", "`text_field`"),
    ],
)
def test_bad_uploads_are_refused_and_leave_nothing(
    service: Service, data: bytes, fields: dict[str, str], code: str, says: str
) -> None:
    before = stored(service)
    answer = upload(service, data, **fields)
    problem = answer.json()
    assert answer.status_code == problem["status"] == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["code"], says in problem["detail"]) == (code, True), problem
    eventually_as_before(service, before)


def test_bad_query_parameters_are_refused(service: Service) -> None:
    for query in ({"format": "xml"}, {"fromat": "text"}):
        answer = service.http.post("/v1/corpora", params=query, content=b"a\n")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert next(iter(query)) in answer.json()["detail"]


def test_a_form_cut_short_is_refused(service: Service) -> None:
    before = stored(service)
    body = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + b"line\n" * MIB
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = service.http.post("/v1/corpora", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_multipart")
    eventually_as_before(service, before)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, valkey: str) -> Iterator[Service]:
    """A service that takes uploads of up to 20 MiB, of 30 MiB once decompressed."""
    limits = {"max_upload_bytes": 20 * MIB, "max_corpus_bytes": 30 * MIB}
    with serving(tmp_path_factory.mktemp("small"), valkey, **limits) as running:
        yield running


def test_too_large_an_upload_is_refused(small: Service) -> None:
    chunks = (b"a line of text\n" * 70_000 for _ in range(30))
    answer = small.http.post("/v1/corpora", content=chunks)
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    answer = upload(small, b"a line of text\n" * 1_450_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    eventually_as_before(small, [])


def test_too_large_an_upload_is_refused_before_it_is_sent(small: Service) -> None:
    connection = http.client.HTTPConnection(urlsplit(str(small.http.base_url)).netloc)
    connection.putrequest("POST", "/v1/corpora")
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert b"upload_too_large" in answer.read()
    connection.close()


def test_too_large_once_decompressed(small: Service) -> None:
    seeds = (hashlib.sha256(bytes([i, j])).hexdigest() for i in range(256) for j in range(64))
    data = gzip.compress(b"".join((seed + "\n").encode() * 32 for seed in seeds), 6)
    answer = upload(small, data)
    assert (answer.status_code, answer.json()["code"]) == (422, "corpus_too_large")


def test_an_aborted_upload_leaves_nothing(service: Service) -> None:
    before = stored(service)
    base = service.http.base_url
    with socket.create_connection((base.host, base.port or 80)) as connection:
        head = "POST /v1/corpora HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
        connection.sendall(head.encode() + b"some text\n" * (2 * MIB))
        while not leftovers(service):
            time.sleep(0.01)
    eventually_as_before(service, before)


def test_list_get_and_delete(service: Service) -> None:
    ids = [service.corpus() for _ in range(3)]
    first = service.http.get("/v1/corpora", params={"limit": 2}).json()
    newest = [corpus["id"] for corpus in first["data"]]
    assert newest == sorted(newest, reverse=True)
    assert first["has_more"] is True
    after = {"limit": 100, "after": newest[-1]}
    rest = service.http.get("/v1/corpora", params=after).json()
    assert rest["has_more"] is False
    assert set(ids) <= {*newest, *(corpus["id"] for corpus in rest["data"])}
    assert service.http.get(f"/v1/corpora/{ids[0]}").json()["id"] == ids[0]
    assert service.http.delete(f"/v1/corpora/{ids[0]}").status_code == 204
    assert service.blobs.keys(f"corpora/{ids[0]}") == []
    for call in (service.http.get, service.http.delete):
        answer = call(f"/v1/corpora/{ids[0]}")
        assert (answer.status_code, answer.json()["code"]) == (404, "corpus_not_found")


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"color": "red"}])
def test_bad_pages_are_refused(service: Service, query: dict[str, Any]) -> None:
    answer = service.http.get("/v1/corpora", params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["pointer"].endswith(next(iter(query)))


def test_an_unknown_cursor_is_refused(service: Service) -> None:
    answer = service.http.get("/v1/corpora", params={"after": new_id("corpus")})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_cursor")


def test_a_corpus_in_use_stays(service: Service) -> None:
    corpus_id = service.corpus()
    job = service.submit(corpus_id=corpus_id, base_model=MODEL)
    answer = service.http.delete(f"/v1/corpora/{corpus_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "corpus_in_use")
    assert job["id"] in answer.json()["detail"]
    service.http.post(f"/v1/jobs/{job['id']}/cancel")
    assert service.http.delete(f"/v1/corpora/{corpus_id}").status_code == 204
