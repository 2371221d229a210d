"""Sweeps, gates, multi-word tokens and tokens to keep, in whole jobs."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModel, AutoTokenizer

from app.artifacts import service
from app.blobs import Blobs
from app.contract.report import TokenUsage, VocabularyCoverage
from app.contract.states import Status
from app.db import Database
from app.jobs.models import Job
from app.settings import Settings
from tests.support.in_process import report_of, run, unpack
from worker import runner
from worker.report import unknown_warnings
from worker.stages import STAGES

FIGURES = ("parameters", "embedding_parameters", "bytes", "vocab_size")


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the stage that starts a process a model."""
    monkeypatch.setattr(runner, "STAGES", [s for s in STAGES if s.name != "check"])


def failure(job: Job) -> tuple[str, str]:
    assert (job.status, (job.error or {})["type"]) == (Status.FAILED, "user")
    assert job.error
    return job.error["code"], job.error["message"]


@pytest.mark.usefixtures("unchecked")
def test_a_sweep_makes_every_size(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    job = run(settings, db, blobs, vocab_size=[0.5, 240, 0.4, 300])
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    report = report_of(folder)
    paths = {row["vocab_size"]: row["path"] for row in report["sweep"]}
    # Half of 600 is 300, and 0.4 of it is 240.
    assert paths == {300: ".", 240: "sizes/240"}
    for size, path in paths.items():
        tokenizer = AutoTokenizer.from_pretrained(folder / path)
        model = AutoModel.from_pretrained(folder / path)
        assert len(tokenizer) == model.config.vocab_size == size
    root, other = report["sweep"]
    assert {name: root[name] for name in FIGURES} == report["compressed"]
    assert (root["quality"], root["latency"]) == (report["quality"], [])
    assert root["per_text"] == report["tokens"]["per_text_after"] < other["per_text"]
    assert other["bytes"] == (folder / "sizes/240/model.safetensors").stat().st_size
    assert (report["gate"], [row["meets_gate"] for row in report["sweep"]]) == (None, [True] * 2)
    assert job.result
    assert job.result["vocab_size_after"] == 300
    assert "sizes/240" in (folder / "report.html").read_text()
    assert "| `sizes/240` | 240 |" in (folder / "README.md").read_text()
    hashed = {file["path"] for file in json.loads((folder / "manifest.json").read_text())["files"]}
    assert "sizes/240/model.safetensors" in hashed


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_a_sweep_of_one_is_the_plain_job_and_each_size_is_its_own_job(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    folders = {}
    for name, size in {"number": 240, "list": [240], "sweep": [300, 240]}.items():
        (tmp_path / name).mkdir()
        folders[name] = unpack(run(settings, db, blobs, vocab_size=size), blobs, tmp_path / name)
    reports = {name: report_of(folder) for name, folder in folders.items()}
    timeless = dict.fromkeys(("stages", "made_at", "job_id", "recipe"))
    assert reports["number"] | timeless == reports["list"] | timeless
    for file in ("model.safetensors", "tokenizer.json", "vocabulary.jsonl"):
        plain = (folders["number"] / file).read_bytes()
        assert (folders["list"] / file).read_bytes() == plain
        assert (folders["sweep"] / "sizes/240" / file).read_bytes() == plain
    row = reports["sweep"]["sweep"][1]
    assert row["quality"] == reports["number"]["quality"]


@pytest.mark.usefixtures("unchecked")
def test_the_smallest_that_passes_the_gate_is_the_result(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    job = run(settings, db, blobs, vocab_size=[500, 240, 300], gate={"max_bytes": 10**9})
    assert job.status == Status.SUCCEEDED, job.error
    report = report_of(unpack(job, blobs, tmp_path))
    assert report["compressed"]["vocab_size"] == 240
    assert {row["path"] for row in report["sweep"]} == {".", "sizes/300", "sizes/500"}
    assert report["gate"] == {
        "min_quality": None,
        "max_bytes": 10**9,
        "misses": [],
        "metric": None,
    }


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("gate", [{"max_bytes": 1}, {"min_quality": 1.0}])
def test_an_unmet_gate_fails_the_job_and_keeps_its_result(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path, gate: dict[str, Any]
) -> None:
    job = run(settings, db, blobs, vocab_size=[300, 240], gate=gate)
    code, message = failure(job)
    assert code == "gate_not_met"
    assert "with 300 tokens" in message
    assert "with 240 tokens" in message
    assert job.result
    assert job.result["vocab_size_after"] == 300
    report = report_of(unpack(job, blobs, tmp_path))
    assert len(report["gate"]["misses"]) == 1
    assert not any(row["meets_gate"] for row in report["sweep"])
    assert service.find_file(db, job.id, "report.html").bytes
    assert service.find_archive(db, job.id)[0].bytes
    assert blobs.keys(f"{job.blob_prefix}/stages") == []


@pytest.mark.slow
def test_multiword_tokens_are_part_of_the_vocabulary(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    job = run(settings, db, blobs, vocab_size=300, tokenizer={"multiword": 30})
    assert job.status == Status.SUCCEEDED, job.error
    folder = unpack(job, blobs, tmp_path)
    lines = [json.loads(line) for line in (folder / "vocabulary.jsonl").open(encoding="utf-8")]
    groups = [line for line in lines if " " in line["token"]]
    assert (len(lines), len(groups)) == (300, 30)
    for line in groups:
        assert line["source"] == "averaged"
        assert "".join(line["pieces"]).replace("##", "") == line["token"].replace(" ", "")
        assert sum(not piece.startswith("##") for piece in line["pieces"]) == (
            len(line["token"].split())
        )
    assert report_of(folder)["multiword"] == 30


@pytest.mark.usefixtures("unchecked")
def test_each_token_has_a_reason_and_the_report_says_what_stays_unknown(
    settings: Settings, db: Database, blobs: Blobs, tmp_path: Path
) -> None:
    tokenizer = {"keep_tokens": ["[MASK]"]}
    folder = unpack(run(settings, db, blobs, vocab_size=300, tokenizer=tokenizer), blobs, tmp_path)
    lines = [json.loads(line) for line in (folder / "vocabulary.jsonl").open(encoding="utf-8")]
    reasons = {line["token"]: line["reason"] for line in lines}
    assert reasons["[MASK]"] == "special"
    assert {"special", "alphabet", "used"} <= set(reasons.values())
    assert all(line["expected_uses"] > 0 for line in lines if line["reason"] == "used")
    report = report_of(folder)
    assert report["tokens"]["expected_unk_rate"] >= 0
    assert not [warning for warning in report["warnings"] if "nknown" in warning]


@pytest.mark.parametrize(
    ("unk_rate", "new_unk_rate", "words"),
    [(0.0, 0.0, []), (0.01, 0.0, ["Unknown tokens rise: 1.00%"]), (0.0, 0.002, ["Of 500 tokens"])],
)
def test_a_report_warns_where_unknown_tokens_rise(
    unk_rate: float, new_unk_rate: float, words: list[str]
) -> None:
    tokens = TokenUsage(
        texts=10,
        special_per_text=2,
        per_text_before=20.0,
        per_text_after=16.0,
        unk_rate_before=0.0,
        unk_rate_after=unk_rate,
    )
    coverage = VocabularyCoverage(
        reasons=[],
        expected_unk_rate=new_unk_rate,
        base_unk_rate=0.0,
        new_unk_rate=new_unk_rate,
        lost_characters=90,
        lost_familiar=80,
    )
    warnings = list(unknown_warnings(tokens, coverage))
    assert [text[: len(word)] for text, word in zip(warnings, words, strict=True)] == words


@pytest.mark.usefixtures("unchecked")
def test_more_groups_of_words_than_tokens_are_refused(
    settings: Settings, db: Database, blobs: Blobs
) -> None:
    code, message = failure(run(settings, db, blobs, vocab_size=300, tokenizer={"multiword": 300}))
    assert (code, "no room" in message) == ("vocab_size_below_floor", True)


def test_tokens_to_keep_that_the_base_lacks_are_named(
    settings: Settings, db: Database, blobs: Blobs
) -> None:
    keep = ["[MASK]", "hepatotoxicity", "b"]
    code, message = failure(run(settings, db, blobs, tokenizer={"keep_tokens": keep}))
    assert code == "unknown_keep_tokens"
    assert "'hepatotoxicity'" in message
    assert "[MASK]" not in message
