"""Uploads, submissions and models whose parsing would hold the interpreter or take its memory."""

import io
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.base_models.examination import Examiner, KeepingExaminer
from app.contract.errors import UserFault
from app.jobs.submission import MAX_VALUES
from app.subprocesses import Subprocesses
from tests.support.serving import MODEL, Service
from tests.support.sound_model import make_sound

JSON_LINES = {"content-type": "application/x-ndjson"}
MOST = 1 << 30


def wide_line(keys: int) -> bytes:
    """One JSON object of so many keys, and a text."""
    return json.dumps({f"k{n}": n for n in range(keys)} | {"text": "a text"}).encode() + b"\n"


@contextmanager
def slowest_health(service: Service) -> Iterator[list[float]]:
    """The times of `/healthz`, asked again and again."""
    times, stop = list[float](), threading.Event()

    def watch() -> None:
        with httpx.Client(base_url=service.http.base_url, timeout=60) as http:
            while not stop.wait(0.02):
                begun = time.monotonic()
                http.get("/healthz")
                times.append(time.monotonic() - begun)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield times
    finally:
        stop.set()
        thread.join()


@pytest.mark.slow
def test_wide_rows_in_many_uploads_stall_nobody(service: Service) -> None:
    data = wide_line(200_000)
    before = psutil.Process().memory_info().rss

    def upload(_: int) -> int:
        http = httpx.Client(base_url=service.http.base_url, timeout=120)
        with http:
            return http.post("/v1/corpora", content=data, headers=JSON_LINES).status_code

    with slowest_health(service) as times, ThreadPoolExecutor(16) as pool:
        assert set(pool.map(upload, range(16))) == {201}
    assert max(times) < 2
    # Parsed here, each of the bodies of 3 MB took another 30 MB.
    assert psutil.Process().memory_info().rss - before < 250 << 20


def parquet_of_one_page(mebibytes: int) -> bytes:
    """A Parquet file whose one row group holds a text of so many MiB in each of 16 rows."""
    texts = [chr(ord("a") + n) * (mebibytes << 20) for n in range(16)]
    file = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), file, compression="zstd", use_dictionary=False)
    return file.getvalue()


@pytest.mark.slow
def test_what_needs_too_much_memory_is_refused_and_the_service_lives(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.corpora.inspection.MEMORY_BYTES", 256 << 20)
    answer = service.http.post("/v1/corpora", content=parquet_of_one_page(20))
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] in {"corpus_needs_memory", "decompression_bomb"}
    assert service.http.post("/v1/corpora", content=wide_line(20_000)).status_code == 201
    assert not [key for key in service.blobs.keys("corpora") if "partial" in key]


def bodies() -> dict[str, Any]:
    return {
        "a million keys": {f"k{n}": 1 for n in range(80_000)},
        "keys in the recipe": {"recipe": {f"k{n}": 1 for n in range(80_000)}},
        "labels": {"metadata": {f"k{n}": "v" for n in range(70_000)}},
        "sizes": {"recipe": {"vocab_size": [0.5] * 100_000}},
        "tokens that are none": {"recipe": {"tokenizer": {"keep_tokens": [1] * 300_000}}},
        "lists in lists": {"recipe": {"tokenizer": {"keep_tokens": [[[1]]] * 100_000}}},
    }


@pytest.mark.parametrize("name", bodies())
def test_a_submission_of_very_many_values_is_refused_shortly(service: Service, name: str) -> None:
    body = {"base_model": MODEL, "corpus_id": "c", **bodies()[name]}
    with slowest_health(service) as times:
        answer = service.http.post("/v1/jobs", json=body)
    assert answer.status_code in {413, 422}
    assert len(answer.content) < 20_000
    assert max(times, default=0) < 2


def test_many_faults_are_told_in_part(service: Service) -> None:
    wrong = {f"key{n}": n for n in range(MAX_VALUES // 2)}
    answer = service.http.post("/v1/jobs", json={"base_model": MODEL, "corpus_id": "c", **wrong})
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 20)


def test_a_long_name_is_told_in_part(service: Service) -> None:
    answer = service.http.post("/v1/jobs", json={"k" * 500_000: 1})
    assert answer.status_code == 422
    assert len(answer.content) < 20_000


@pytest.fixture
def examiner() -> Iterator[KeepingExaminer]:
    subprocesses = Subprocesses(1)
    yield KeepingExaminer(subprocesses)
    subprocesses.close()


def test_a_model_is_examined_once_for_each_state_of_its_files(
    examiner: KeepingExaminer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_sound(tmp_path / "m")
    read: list[Path] = []
    examine = Examiner.facts

    def counting(self: Any, folder: Path, most: int) -> Any:
        read.append(folder)
        return examine(self, folder, most)

    monkeypatch.setattr(Examiner, "facts", counting)
    counting.__name__ = "facts"
    facts = [examiner.facts(folder, MOST) for _ in range(3)]
    assert (len(read), len(set(map(repr, facts)))) == (1, 1)
    (folder / "config.json").write_text("{")
    for _ in range(2):
        with pytest.raises(UserFault):
            examiner.facts(folder, MOST)
    assert len(read) == 2


def test_a_large_tokenizer_is_read_in_a_process_apart(
    examiner: KeepingExaminer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_sound(tmp_path / "m")
    small = examiner.facts(folder, MOST)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer) + " " * (2 << 20))
    assert examiner.facts(folder, MOST) == small
    assert any("app.subprocesses" in child.cmdline() for child in psutil.Process().children())
    nested = '{"a":[' + "[1]," * (30 << 20 >> 2) + "1]}"
    (folder / "tokenizer_config.json").write_text(nested[: 15 << 20] + "1]}")
    monkeypatch.setattr("app.base_models.examination.MEMORY_BYTES", 128 << 20)
    with pytest.raises(UserFault) as fault:
        examiner.facts(folder, MOST)
    assert fault.value.code == "invalid_model"
    assert "memory" in fault.value.message
