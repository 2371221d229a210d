"""Results arrive whole, over broken connections too, and unpack into their folder only."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fvt_client import Client
from fvt_client.contract.jobs import ArtifactView as Artifact
from fvt_client.errors import DownloadError, JobNotFound
from fvt_client.steps import Retries
from fvt_client.transfers import OnBytes, check_target, fetch, unpack

CONTENT = bytes(range(256)) * 1000
ARTIFACT = Artifact(bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest(), url="/x")


class Broken(httpx.SyncByteStream):
    """Half of what was asked for, then a broken connection."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __iter__(self) -> Iterator[bytes]:
        yield self.data[: len(self.data) // 2]
        raise httpx.ReadError("connection reset")


def serve(request: httpx.Request, breaks: list[bool]) -> httpx.Response:
    asked = request.headers.get("range")
    start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
    assert not asked or request.headers["if-range"] == f'"{ARTIFACT.sha256}"'
    status = 206 if asked else 200
    if breaks.pop(0):
        return httpx.Response(status, stream=Broken(CONTENT[start:]))
    return httpx.Response(status, stream=httpx.ByteStream(CONTENT[start:]))


def fetch_it(
    transport: httpx.MockTransport,
    partial: Path,
    on_bytes: OnBytes = lambda _have, _all: None,
) -> None:
    with Client("http://fvt", transport=transport) as client:
        client.run(fetch("/x", ARTIFACT, partial, Retries(), on_bytes))


def breaking(*breaks: bool) -> httpx.MockTransport:
    left = list(breaks)
    return httpx.MockTransport(lambda request: serve(request, left))


def test_a_broken_download_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    partial, seen = tmp_path / "part", list[int]()
    fetch_it(breaking(True, True, False), partial, lambda have, _: seen.append(have))
    assert partial.read_bytes() == CONTENT
    assert seen == sorted(seen)


def test_other_bytes_than_promised_are_thrown_away(tmp_path: Path) -> None:
    partial = tmp_path / "part"
    partial.write_bytes(b"x" * 1000)
    with pytest.raises(DownloadError, match="sha256"):
        fetch_it(breaking(False), partial)
    assert not partial.exists()


def test_a_problem_document_is_raised_as_such(tmp_path: Path) -> None:
    problem = {"code": "job_not_found", "detail": "There is none.", "request_id": "req_1"}
    transport = httpx.MockTransport(lambda _: httpx.Response(404, json=problem))
    with pytest.raises(JobNotFound, match="There is none") as caught:
        fetch_it(transport, tmp_path / "part")
    assert (caught.value.code, caught.value.request_id) == ("job_not_found", "req_1")


def archive(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 2
            tar.addfile(entry, io.BytesIO(b"ok"))
    return path


def test_unpacking_makes_the_folder_whatever_it_was_called(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    unpack(archive(tmp_path / "a.tar.gz", "job_1/config.json", "job_1/onnx/model"), target)
    assert (target / "config.json").read_bytes() == b"ok"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "out"]


@pytest.mark.parametrize("names", [("../evil",), ("a/x", "b/x"), ("file",)])
def test_an_archive_of_another_shape_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(DownloadError):
        unpack(archive(tmp_path / "a.tar.gz", *names), folder / "out")
    assert list(folder.iterdir()) == []


def test_a_folder_with_files_is_no_target(tmp_path: Path) -> None:
    check_target(tmp_path)
    (tmp_path / "mine").touch()
    with pytest.raises(DownloadError, match="not an empty folder"):
        check_target(tmp_path)
