"""Connections that break in the middle, between the client and a real service."""

from pathlib import Path

import anyio
import httpx
import pytest

from fvt_client import AsyncClient, Client
from fvt_client.errors import DownloadError, UnreachableError
from tests.client.conftest import ARCHIVE, WEIGHTS
from tests.support.cutter import Cut, cutting
from tests.support.serving import MODEL, Service

MEGABYTE = 1_000_000


def test_a_download_goes_on_where_it_was_cut(
    service: Service, finished: str, tmp_path: Path
) -> None:
    # The first connection also asks for the job and the list of files.
    cuts = (Cut("down", MEGABYTE), Cut("down", MEGABYTE))
    seen: list[int] = []
    with cutting(service.http.base_url, *cuts) as proxy, Client(proxy.url) as client:
        folder = client.download(
            finished, tmp_path / "out", progress=lambda have, _: seen.append(have)
        )
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert seen == sorted(seen)
    assert proxy.connections == 3
    # Nothing came twice but what lay in buffers when the connection was cut.
    assert proxy.bytes["down"] < len(ARCHIVE) + 200_000
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_download_that_breaks_off_for_good_is_kept(
    service: Service, finished: str, tmp_path: Path
) -> None:
    # The second and the third connection bring nothing.
    cuts = (Cut("down", MEGABYTE), Cut("down", 0), Cut("down", 0))
    with cutting(service.http.base_url, *cuts) as proxy:
        with (
            Client(proxy.url, retries=1) as client,
            pytest.raises(UnreachableError, match="the same download goes on"),
        ):
            client.download(finished, tmp_path / "out")
        [partial] = tmp_path.iterdir()
        assert 0 < partial.stat().st_size < len(ARCHIVE)
        before = proxy.bytes["down"]
        with Client(proxy.url) as client:
            client.download(finished, tmp_path / "out")
        assert proxy.bytes["down"] - before < len(ARCHIVE) - partial_size(before)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == WEIGHTS


def partial_size(passed: int) -> int:
    """The bytes of the file among those that passed: all but the two small answers before it."""
    return passed - 20_000


def test_an_upload_that_was_cut_is_sent_again_and_stays_one(
    service: Service, corpus_file: Path
) -> None:
    cuts = (Cut("up", 500_000), Cut("up", MEGABYTE))
    with cutting(service.http.base_url, *cuts) as proxy, Client(proxy.url) as client:
        corpus = client.upload(corpus_file)
        same = [row for row in client.corpora() if row.sha256 == corpus.sha256]
    assert corpus.bytes == corpus_file.stat().st_size
    assert corpus.documents == 50_000
    assert len(same) == 1


def test_an_upload_whose_answer_was_lost_is_found(service: Service, corpus_file: Path) -> None:
    size = corpus_file.stat().st_size
    with (
        cutting(service.http.base_url, Cut("down", 0)) as proxy,
        Client(proxy.url) as client,
    ):
        corpus = client.upload(corpus_file, reuse=False)
        same = [row for row in client.corpora() if row.sha256 == corpus.sha256]
    assert len(same) == 1
    assert proxy.bytes["up"] < 1.5 * size


def test_what_the_service_has_is_not_sent_again(service: Service, corpus_file: Path) -> None:
    with cutting(service.http.base_url) as proxy, Client(proxy.url) as client:
        first = client.upload(corpus_file)
        sent = proxy.bytes["up"]
        assert client.upload(corpus_file).id == first.id
        assert proxy.bytes["up"] - sent < 2000
        # Read in another way it is another corpus.
        assert client.upload(corpus_file, format="text").id != first.id
        assert client.upload(corpus_file, reuse=False).id != first.id


def test_a_submission_whose_answer_was_lost_makes_one_job(service: Service) -> None:
    corpus_id = service.corpus()
    with Client(str(service.http.base_url)) as client:
        corpus, before = client.corpus(corpus_id), len(client.jobs())
    with cutting(service.http.base_url, Cut("down", 0)) as proxy, Client(proxy.url) as client:
        job = client.compress(MODEL, corpus)
    jobs = service.http.get("/v1/jobs", params={"limit": 100}).json()["data"]
    assert len(jobs) == before + 1
    assert jobs[0]["id"] == job.id


def test_events_go_on_after_a_cut_without_a_gap(service: Service) -> None:
    job_id = str(service.submit()["id"])
    service.http.post(f"/v1/jobs/{job_id}/cancel")
    whole = [event.id for event in Client(str(service.http.base_url)).events(job_id, follow=False)]
    with cutting(service.http.base_url, Cut("down", 450)) as proxy, Client(proxy.url) as client:
        events = list(client.events(job_id))
    assert [event.id for event in events] == whole
    assert events[-1].type == "job.cancelled"
    assert proxy.connections == 2


def test_the_same_for_async_code(service: Service, finished: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("a text\n" * 100_000)

    async def main() -> None:
        cuts = (Cut("up", 300_000), Cut("down", MEGABYTE))
        with cutting(service.http.base_url, *cuts) as proxy:
            async with AsyncClient(proxy.url) as client:
                sent = await client.upload(corpus)
                assert sent.bytes == corpus.stat().st_size
                job = await client.get(finished)
                folder = await job.download(tmp_path / "out")
                assert (folder / "model.safetensors").read_bytes() == WEIGHTS
                assert [event.type async for event in job.events()][-1] == "job.succeeded"
            assert proxy.connections >= 3

    anyio.run(main)


def test_a_full_disk_is_said_so_and_the_download_goes_on(
    service: Service, finished: str, tmp_path: Path
) -> None:
    partial = tmp_path / f".{finished}.tar.gz.partial"
    partial.symlink_to("/dev/full")
    with Client(str(service.http.base_url)) as client:
        with pytest.raises(DownloadError, match=r"is full\. Make room there"):
            client.download(finished, tmp_path / "out")
        partial.unlink()
        assert client.download(finished, tmp_path / "out").is_dir()


def test_a_service_that_is_away_is_waited_for(finished: str, service: Service) -> None:
    port = httpx.URL(service.http.base_url).port
    assert port
    with cutting(service.http.base_url, *[Cut("down", 0)] * 3) as proxy, Client(proxy.url) as c:
        assert c.wait(finished, poll=0.01).status == "succeeded"
        assert proxy.connections == 4
