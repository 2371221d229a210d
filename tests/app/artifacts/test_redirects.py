"""Downloads from an object store: redirected to a signed URL, followed without the key."""

import asyncio
import hashlib
import io
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request
from pydantic import SecretStr

from app.artifacts.responses import file_response
from app.artifacts.service import StoredFile
from app.blobs import Blobs
from fvt_client import Client
from fvt_client.contract.jobs import ArtifactView as Artifact
from fvt_client.errors import DownloadError, ProblemError, UnreachableError
from fvt_client.steps import Retries
from fvt_client.transfers import fetch
from tests.support.results import FILES
from tests.support.s3 import ObjectStore, s3_server
from tests.support.serving import Service, serving

KEY = "a-key-of-the-service"


def tar_gz() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz", compresslevel=0) as tar:
        entry = tarfile.TarInfo("job_1/model.safetensors")
        entry.size = 300_000
        tar.addfile(entry, io.BytesIO(bytes(range(250)) * 1200))
    return sink.getvalue()


ARCHIVE = tar_gz()
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
ETAG = f'"{SHA256}"'


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, valkey: str, store: ObjectStore
) -> Iterator[Service]:
    """Serve results from the object store, to those who have the key."""
    folder = tmp_path_factory.mktemp("service")
    keys: dict[str, Any] = {"auth": "on", "api_keys": [SecretStr(KEY)]}
    with serving(folder, valkey, blobs_url=store.url, **keys) as running:
        running.http.headers["Authorization"] = f"Bearer {KEY}"
        yield running


@pytest.fixture(scope="module")
def job_id(service: Service) -> str:
    job_id = str(service.submit()["id"])
    service.succeed(job_id, FILES, ARCHIVE)
    return job_id


@pytest.fixture(scope="module")
def job(job_id: str) -> str:
    return f"/v1/jobs/{job_id}"


def without_key(answer: httpx.Response, **headers: str) -> httpx.Response:
    """Follow a redirect as a stranger, with nothing but its URL."""
    assert answer.status_code == 307
    return httpx.get(answer.headers["location"], headers=headers)


def test_a_download_is_redirected_to_a_url_that_expires(
    service: Service, store: ObjectStore, job: str
) -> None:
    answer = service.http.get(f"{job}/download")
    assert (answer.status_code, answer.content) == (307, b"")
    assert answer.headers["etag"] == ETAG
    assert answer.headers["cache-control"] == "no-store"
    url = httpx.URL(answer.headers["location"])
    assert str(url).startswith(f"{store.endpoint}/results/fvt/jobs/")
    assert url.params["X-Amz-Expires"] == "900"
    assert url.params["X-Amz-Signature"]
    assert httpx.get(url).content == ARCHIVE


def test_every_file_but_a_page_is_redirected(service: Service, job: str) -> None:
    for path, content in FILES.items():
        answer = service.http.get(f"{job}/artifacts/{path}")
        if path.endswith(".html"):
            assert answer.status_code == 200
            assert "sandbox" in answer.headers["content-security-policy"]
        else:
            answer = without_key(answer)
        assert answer.content == content


def test_the_report_stays_here(service: Service, job: str) -> None:
    for form in ("application/json", "text/html"):
        assert service.http.get(f"{job}/report", headers={"accept": form}).status_code == 200


@pytest.mark.parametrize("suffix", ["download", "artifacts/model.safetensors"])
def test_no_url_without_a_key(service: Service, job: str, suffix: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = httpx.get(f"{service.http.base_url}{job}/{suffix}", headers=headers)
        assert answer.status_code == 401
        assert "location" not in answer.headers


def test_what_the_client_has_is_not_sent_again(service: Service, job: str) -> None:
    answer = service.http.get(f"{job}/download", headers={"if-none-match": ETAG})
    assert (answer.status_code, answer.headers["etag"]) == (304, ETAG)
    assert "location" not in answer.headers


def test_head_answers_itself(service: Service, job: str) -> None:
    answer = service.http.head(f"{job}/download")
    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(len(ARCHIVE))
    assert answer.headers["etag"] == ETAG


def test_a_part_comes_from_the_store(service: Service, job: str) -> None:
    headers = {"range": "bytes=100-", "if-range": ETAG}
    part = without_key(service.http.get(f"{job}/download", headers=headers), range="bytes=100-")
    assert (part.status_code, part.content) == (206, ARCHIVE[100:])


@pytest.mark.parametrize(
    "headers",
    [
        {"range": "bytes=100-", "if-range": '"of another result"'},
        {"range": "bytes=0-1,5-6"},
    ],
)
def test_a_part_that_must_not_be_sent_is_not_left_to_the_store(
    service: Service, job: str, headers: dict[str, str]
) -> None:
    answer = service.http.get(f"{job}/download", headers=headers)
    assert (answer.status_code, answer.content) == (200, ARCHIVE)


def test_a_part_behind_the_end(service: Service, job: str) -> None:
    answer = service.http.get(f"{job}/download", headers={"range": "bytes=99999999-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")


def test_a_file_that_left_the_store(service: Service) -> None:
    job_id = service.submit()["id"]
    service.succeed(job_id, {}, b"archive")
    service.blobs.delete_all(f"jobs/{job_id}")
    answer = service.http.get(f"/v1/jobs/{job_id}/download")
    assert (answer.status_code, answer.json()["code"]) == (404, "artifact_not_found")


def test_the_client_downloads_from_the_store(
    service: Service, store: ObjectStore, job_id: str, tmp_path: Path
) -> None:
    before = store.requests("GET")
    with Client(str(service.http.base_url), KEY) as client:
        client.download(job_id, tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").stat().st_size == 300_000
    assert store.requests("GET") == before + 1


def test_the_client_goes_on_where_it_stopped(service: Service, job_id: str, tmp_path: Path) -> None:
    partial = tmp_path / f".{job_id}.tar.gz.partial"
    partial.write_bytes(ARCHIVE[:1000])
    first: list[int] = []
    with Client(str(service.http.base_url), KEY) as client:
        client.download(job_id, tmp_path / "x", progress=lambda have, _: first.append(have))
    assert first[0] > 1000
    assert (tmp_path / "x" / "model.safetensors").is_file()


def test_the_client_does_not_believe_the_store(service: Service, tmp_path: Path) -> None:
    job_id = str(service.submit()["id"])
    service.succeed(job_id, {}, ARCHIVE)
    key = next(key for key in service.blobs.keys(f"jobs/{job_id}") if key.endswith(".tar.gz"))
    service.blobs.put(key, ARCHIVE[:-1] + b"x")
    with (
        Client(str(service.http.base_url), KEY) as client,
        pytest.raises(DownloadError, match="sha256"),
    ):
        client.download(job_id, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def serve(
    status: int, seen: list[httpx.Request], location: str, etag: str = ETAG
) -> httpx.MockTransport:
    """Answer as a service that redirects, and as its store."""

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if "sig=" in str(request.url):
            content = ARCHIVE[100:] if "range" in request.headers else b"<Error/>"
            return httpx.Response(status, stream=httpx.ByteStream(content))
        return httpx.Response(307, headers={"location": location, "etag": etag})

    return httpx.MockTransport(answer)


def fetch_the_rest(partial: Path, transport: httpx.MockTransport) -> None:
    """Go on with a download of which 100 bytes have arrived."""
    partial.write_bytes(ARCHIVE[:100])
    artifact = Artifact(bytes=len(ARCHIVE), sha256=SHA256, url="/x")
    with Client("http://fvt", KEY, transport=transport) as client:
        client.run(fetch("/x", artifact, partial, Retries(), lambda _have, _all: None))


@pytest.mark.parametrize("location", ["http://store/x?sig=secret", "/store/x?sig=secret"])
def test_the_key_does_not_travel_on(tmp_path: Path, location: str) -> None:
    seen: list[httpx.Request] = []
    fetch_the_rest(tmp_path / "part", serve(206, seen, location))
    assert [KEY in str(request.headers.get("authorization")) for request in seen] == [True, False]
    assert [request.headers["range"] for request in seen] == ["bytes=100-"] * 2
    assert "if-range" not in seen[1].headers


def test_a_redirect_of_a_proxy_is_followed_without_the_key_and_with_the_condition(
    tmp_path: Path,
) -> None:
    seen: list[httpx.Request] = []
    fetch_the_rest(tmp_path / "part", serve(206, seen, "http://other/x?sig=1", etag=""))
    assert "authorization" not in seen[1].headers
    assert seen[1].headers["if-range"] == ETAG


def test_redirects_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(UnreachableError, match="redirects"):
        fetch_the_rest(tmp_path / "part", serve(206, [], "/x"))


def test_an_error_of_the_store_does_not_show_the_signature(tmp_path: Path) -> None:
    transport = serve(403, [], "http://store/x?sig=secret")
    artifact = Artifact(bytes=len(ARCHIVE), sha256=SHA256, url="/x")
    steps = fetch("/x", artifact, tmp_path / "part", Retries(), lambda _have, _all: None)
    with (
        Client("http://fvt", transport=transport) as client,
        pytest.raises(ProblemError, match="HTTP 403 from http://store/x") as caught,
    ):
        client.run(steps)
    assert "secret" not in str(caught.value)


def test_off_sends_the_bytes_itself(tmp_path: Path, valkey: str, store: ObjectStore) -> None:
    with serving(tmp_path, valkey, blobs_url=store.url, download_redirect="off") as service:
        job_id = service.submit()["id"]
        service.succeed(job_id, FILES, ARCHIVE)
        for suffix in ("download", "artifacts/model.safetensors"):
            assert service.http.get(f"/v1/jobs/{job_id}/{suffix}").status_code == 200


def test_credentials_that_cannot_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "acme")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sv=2020&sig=c2VjcmV0")
    azure = Blobs("az://results")

    class WithAzuresKeys(Blobs):
        async def signed_url(self, key: str, expires_in: timedelta) -> str | None:
            return await azure.signed_url(key, expires_in)

    blobs = WithAzuresKeys(tmp_path.as_uri())
    blobs.put("key", ARCHIVE)
    request = Request({"type": "http", "method": "GET", "headers": []})
    file = StoredFile("artifact.tar.gz", len(ARCHIVE), SHA256, "key")
    answer = asyncio.run(file_response(request, blobs, file, redirect=True))
    assert (answer.status_code, answer.headers["content-length"]) == (200, str(len(ARCHIVE)))
    assert "cannot sign URLs" in caplog.text
    assert "c2VjcmV0" not in caplog.text
