"""Results over HTTP, through the real application."""

import hashlib
import re

import httpx
import pytest

from app.jobs import transitions
from tests.support.results import ARCHIVE, FILES
from tests.support.serving import Service

ETAG = f'"{hashlib.sha256(ARCHIVE).hexdigest()}"'
CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "script-src 'unsafe-inline'; sandbox allow-scripts; frame-ancestors 'self'"
)


def test_the_whole_archive(service: Service, job: str) -> None:
    answer = service.http.get(f"{job}/download")
    assert answer.status_code == 200
    assert answer.content == ARCHIVE
    expected = {
        "accept-ranges": "bytes",
        "content-disposition": 'attachment; filename="a-b-c.tar.gz"',
        "content-length": str(len(ARCHIVE)),
        "content-type": "application/gzip",
        "etag": ETAG,
        "x-content-type-options": "nosniff",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    listed = service.http.get(job).json()["artifact"]
    assert listed == {"bytes": len(ARCHIVE), "sha256": ETAG.strip('"'), "url": f"{job}/download"}


@pytest.mark.parametrize(
    ("asked", "sent", "named"),
    [
        ("bytes=10-19", ARCHIVE[10:20], f"bytes 10-19/{len(ARCHIVE)}"),
        ("bytes=3000000-", ARCHIVE[3_000_000:], f"bytes 3000000-3071999/{len(ARCHIVE)}"),
        ("bytes=-5", ARCHIVE[-5:], f"bytes 3071995-3071999/{len(ARCHIVE)}"),
        ("bytes=0-9999999", ARCHIVE, f"bytes 0-3071999/{len(ARCHIVE)}"),
    ],
)
def test_a_part_of_the_archive(
    service: Service, job: str, asked: str, sent: bytes, named: str
) -> None:
    answer = service.http.get(f"{job}/download", headers={"range": asked, "if-range": ETAG})
    assert answer.status_code == 206
    assert answer.content == sent
    assert answer.headers["content-range"] == named
    assert answer.headers["content-length"] == str(len(sent))
    assert answer.headers["etag"] == ETAG


def test_several_parts_are_the_whole(service: Service, job: str) -> None:
    answer = service.http.get(f"{job}/download", headers={"range": "bytes=0-1,5-6"})
    assert (answer.status_code, answer.content) == (200, ARCHIVE)


def test_a_part_of_what_was_before_is_the_whole(service: Service, job: str) -> None:
    headers = {"range": "bytes=5-", "if-range": '"old"'}
    assert service.http.get(f"{job}/download", headers=headers).status_code == 200


def test_a_part_behind_the_end(service: Service, job: str) -> None:
    answer = service.http.get(f"{job}/download", headers={"range": "bytes=3072000-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(ARCHIVE)}"


def test_what_the_client_has_is_not_sent_again(service: Service, job: str) -> None:
    for method in ("GET", "HEAD"):
        headers = {"if-none-match": f'"x", {ETAG}'}
        answer = service.http.request(method, f"{job}/download", headers=headers)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == ETAG
        assert "content-type" not in answer.headers


@pytest.mark.parametrize("suffix", ["download", "artifacts/model.safetensors"])
def test_head_is_get_without_the_body(service: Service, job: str, suffix: str) -> None:
    head = service.http.head(f"{job}/{suffix}", headers={"range": "bytes=0-3"})
    whole = service.http.get(f"{job}/{suffix}")
    assert (head.status_code, head.content) == (200, b"")
    varying = {"date", "x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in varying} == {
        k: v for k, v in whole.headers.items() if k not in varying
    }


def test_the_files_are_listed_and_served(service: Service, job: str) -> None:
    page = service.http.get(f"{job}/artifacts").json()
    assert (page["object"], page["has_more"]) == ("list", False)
    assert [file["path"] for file in page["data"]] == list(FILES)
    for file in page["data"]:
        answer = service.http.get(file["url"])
        assert answer.content == FILES[file["path"]]
        assert len(answer.content) == file["bytes"]
        assert answer.headers["etag"] == f'"{file["sha256"]}"'
        assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("model.safetensors", "application/octet-stream"),
        ("1_Pooling/config.json", "application/json"),
        ("vocabulary.jsonl", "application/jsonl"),
        ("README.md", "text/markdown; charset=utf-8"),
        ("report.html", "text/html; charset=utf-8"),
    ],
)
def test_a_file_has_its_type(service: Service, job: str, path: str, media_type: str) -> None:
    answer = service.http.get(f"{job}/artifacts/{path}")
    assert answer.headers["content-type"] == media_type


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "1_Pooling",
        "..%2fartifact.tar.gz",
        "%2e%2e/%2e%2e/%2e%2e/fvt.db",
        "/etc/passwd",
        "model.safetensors/",
        "%2e/model.safetensors",
        "model.safetensors%00",
    ],
)
def test_only_what_is_listed_is_served(service: Service, job: str, path: str) -> None:
    url = httpx.URL(service.http.base_url).copy_with(raw_path=f"{job}/artifacts/{path}".encode())
    answer = service.http.get(url)
    assert answer.status_code == 404
    assert answer.json()["code"] == "artifact_not_found"


def test_a_file_that_left_the_storage(service: Service) -> None:
    job_id = service.submit()["id"]
    service.succeed(job_id, {}, b"archive")
    service.blobs.delete_all(f"jobs/{job_id}")
    answer = service.http.get(f"/v1/jobs/{job_id}/download")
    assert (answer.status_code, answer.json()["code"]) == (404, "artifact_not_found")


def test_the_report_as_asked_for(service: Service, job: str) -> None:
    assert service.http.get(f"{job}/report").json() == {"schema_version": 1}
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    page = service.http.get(f"{job}/report", headers={"accept": browser})
    assert page.content == FILES["report.html"]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == CSP
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["vary"] == "accept"
    answer = service.http.get(f"{job}/report", headers={"accept": "text/csv"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize("suffix", ["download", "artifacts", "artifacts/x", "report"])
def test_there_is_no_result_before_the_end(service: Service, suffix: str) -> None:
    def code() -> str:
        answer = service.http.get(f"/v1/jobs/{job_id}/{suffix}")
        assert answer.status_code == 409
        return str(answer.json()["code"])

    job_id = service.submit()["id"]
    assert code() == "job_not_finished"
    claim = service.claim(job_id)
    assert code() == "job_not_finished"
    transitions.fail(service.db, claim, transitions.WORKER_LOST)
    assert code() == "job_failed"
    job_id = service.submit()["id"]
    service.http.post(f"/v1/jobs/{job_id}/cancel")
    assert code() == "job_cancelled"


def test_the_name_of_the_model_where_the_job_has_none(service: Service) -> None:
    for name, expected in (
        (None, "all-MiniLM-L6-v2"),
        ("✓", "job_[0-9a-z]+"),
        ("x" * 200, "x{100}"),
    ):
        job_id = service.submit(name=name)["id"]
        service.succeed(job_id, {}, b"archive")
        disposition = service.http.head(f"/v1/jobs/{job_id}/download").headers[
            "content-disposition"
        ]
        assert re.fullmatch(f'attachment; filename="{expected}.tar.gz"', disposition)
