"""`POST /v1/estimate` over HTTP, on both databases."""

import gzip
import io
import json
import random
import re
import time
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.blobs import Blobs
from app.contract.estimate import Estimate
from app.contract.results import file_key
from app.corpora.models import Corpus
from app.estimates.beginnings import READ_BYTES
from app.estimates.durations import STARTING_SECONDS
from app.jobs import transitions
from app.jobs.models import Job
from tests.support.domain import domain_documents
from tests.support.serving import MODEL, Service

TEXT = "\n".join(domain_documents(5000)).encode() + b"\n"
SECONDS = 3
SOUND = "org/sound"


@pytest.fixture(scope="module")
def corpus(service: Service) -> str:
    return service.corpus(TEXT)


def ask(service: Service, corpus: str, **fields: Any) -> Any:
    answer = service.http.post(
        "/v1/estimate", json={"base_model": MODEL, "corpus_id": corpus, **fields}
    )
    assert answer.status_code == 200, answer.text
    Estimate.model_validate(answer.json())
    return answer.json()


def send(service: Service, data: bytes, filename: str = "c.txt", **fields: Any) -> httpx.Response:
    form = {"base_model": MODEL, **fields}
    return service.http.post("/v1/estimate", files={"file": (filename, data)}, data=form)


def codes(estimate: Any) -> set[str]:
    return {warning["code"] for warning in estimate["warnings"]}


def test_everything_of_the_default_recipe(service: Service, corpus: str) -> None:
    found = ask(service, corpus)
    assert found["base"] == {
        "id": MODEL,
        "architecture": "BertModel",
        "parameters": 22_713_216,
        "bytes": found["base"]["bytes"],
        "vocab_size": 30_522,
        "layers": 6,
    }
    assert found["corpus"]["documents"] == 5000
    assert found["corpus"]["bytes"] == len(TEXT)
    [size] = found["sizes"]
    # 384 numbers a token, and nothing else changes.
    assert size["parameters"] == 22_713_216 - (30_522 - size["vocab_size"]) * 384
    assert size["bytes"] > 4 * size["parameters"]
    tokens = size["tokens_per_text"]
    assert tokens["low"] <= tokens["value"] <= tokens["high"]
    assert tokens["value"] < size["base_tokens_per_text"]
    minutes = found["minutes"]
    assert 0 < minutes["low"] < minutes["value"] < minutes["high"]
    seconds = sum(stage["seconds"] for stage in found["stages"])
    assert minutes["value"] * 60 == pytest.approx(STARTING_SECONDS + seconds, abs=1)
    assert "7,630" in " ".join(found["steps"])
    assert "no job has finished here" in found["basis"]
    assert "device_unknown" in codes(found)


def test_sizes_layers_and_exports_are_those_of_the_recipe(service: Service, corpus: str) -> None:
    recipe = {
        "vocab_size": [0.5, 1000],
        "recovery": {"keep_layers": 3},
        "export": {"int8": True, "int4": True, "static": True},
    }
    found = ask(service, corpus, recipe=recipe)
    assert [size["vocab_size"] for size in found["sizes"]] == [15_261, 1000]
    assert {size["layers"] for size in found["sizes"]} == {3}
    large, small = (size["exports"] for size in found["sizes"])
    assert [(e["runtime"], e["precision"]) for e in small] == [
        ("onnx", "float32"),
        ("onnx-int8", "int8"),
        ("onnx-int4", "int4"),
        ("static", "float32"),
    ]
    # 384 numbers of four bytes a token, and a tokenizer.
    assert small[3]["bytes"] == pytest.approx(1000 * 384 * 4, abs=400_000)
    assert small[2]["bytes"] < small[1]["bytes"] < small[0]["bytes"] < large[0]["bytes"]
    assert any("estimated" in step for step in found["steps"])


def test_nothing_is_stored(service: Service, corpus: str) -> None:
    def counts() -> list[int]:
        with service.db.read() as session:
            rows = [session.query(table).count() for table in (Corpus, Job)]
        return [*rows, len(service.blobs.keys("corpora")), len(service.blobs.keys("jobs"))]

    before = counts()
    ask(service, corpus)
    assert send(service, TEXT).status_code == 200
    assert counts() == before


def test_a_whole_file_and_an_upload_give_the_same(service: Service, corpus: str) -> None:
    sent = send(service, TEXT).json()
    assert sent["sizes"] == ask(service, corpus)["sizes"]
    assert sent["corpus"]["documents"] == 5000
    assert not sent["corpus"]["is_sample"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_beginning_stands_for_the_whole(service: Service, pack: Any) -> None:
    whole = pack("\n".join(domain_documents(40_000)).encode())
    began = time.monotonic()
    answer = send(service, whole[: len(whole) // 5], corpus_bytes=str(len(whole)))
    assert time.monotonic() - began < SECONDS
    found = answer.json()["corpus"]
    assert found["is_sample"]
    assert found["bytes"] == len(whole)
    assert found["documents"] == pytest.approx(40_000, rel=0.1)


def rows(name: str) -> bytes:
    texts = domain_documents(2000)
    if name == "jsonl":
        return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)
    if name == "json":
        return json.dumps([{"text": text} for text in texts]).encode()
    if name == "csv":
        return b"id,text\n" + b"".join(f'{n},"{t}"\n'.encode() for n, t in enumerate(texts))
    file = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), file)
    return file.getvalue()


@pytest.mark.parametrize("name", ["jsonl", "json", "csv", "parquet"])
def test_every_format(service: Service, name: str) -> None:
    data = rows(name)
    whole = send(service, data, f"c.{name}")
    assert whole.json()["corpus"]["documents"] == 2000
    cut = send(service, data[: len(data) // 2], f"c.{name}", corpus_bytes=str(len(data)))
    if name == "parquet":
        assert cut.json()["code"] == "sample_unreadable"
    else:
        assert cut.json()["corpus"]["documents"] == pytest.approx(2000, rel=0.1)
    uploaded = service.http.post("/v1/corpora", files={"file": (f"c.{name}", data)}).json()
    assert ask(service, uploaded["id"])["sizes"] == whole.json()["sizes"]


def test_more_than_is_read_is_refused(service: Service) -> None:
    answer = send(service, b"a line\n" * (READ_BYTES // 7 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "sample_too_large")


@pytest.mark.parametrize("said", ["-1", "3", "1e9", "9" * 30, "x", "٣"])
def test_a_size_that_is_none_is_refused(service: Service, said: str) -> None:
    answer = send(service, TEXT, corpus_bytes=said)
    assert answer.json()["code"] == "invalid_request"
    assert answer.json()["errors"][0]["pointer"] == "/corpus_bytes"


REFUSED: list[dict[str, Any]] = [
    {"base_model": "org/none"},
    {"base_model": "../etc"},
    {"recipe": {"vocab_size": 10**6}},
    {"recipe": {"vocab_size": 0}},
    {"recipe": {"recovery": {"keep_layers": 7}}},
    {"recipe": {"recovery": {"objective": "clm"}}},
    {"recipe": {"gate": {"metric": "accuracy", "min_quality": 0.9}}},
    {"recipe": {"evaluation": {"task": {"type": "sentence_pairs", "pairs": "corpus_x"}}}},
    {"corpus_id": "corpus_none"},
    {"revision": "of-yesterday"},
    {"nothing": 1},
]


@pytest.mark.parametrize("change", REFUSED, ids=str)
def test_what_a_job_refuses_is_refused_alike(
    service: Service, corpus: str, change: dict[str, Any]
) -> None:
    body = {"base_model": MODEL, "corpus_id": corpus, **change}
    estimate, job = (service.http.post(path, json=body) for path in ("/v1/estimate", "/v1/jobs"))
    assert estimate.status_code == job.status_code >= 400
    for problem in (estimate.json(), job.json()):
        del problem["request_id"]
    assert {**estimate.json(), "request_id": 0} == {**job.json(), "request_id": 0}


def test_labelled_data_is_no_corpus(service: Service) -> None:
    sent = {"file": ("rows.jsonl", b'{"a": 1}\n')}
    stored = service.http.post("/v1/corpora", files=sent, data={"format": "records"}).json()
    body = {"base_model": MODEL, "corpus_id": stored["id"]}
    assert service.http.post("/v1/estimate", json=body).json()["code"] == "corpus_without_text"
    answer = send(service, b'{"a": 1}\n', "rows.jsonl", format="records")
    assert answer.json()["code"] == "corpus_without_text"


def test_what_speaks_against_a_job(service: Service) -> None:
    few = send(service, b"one text\nanother\nand a third\n")
    assert {"few_texts", "size_out_of_reach"} <= codes(few.json())
    table = b"".join(b"%d,a,b c d\n" % n for n in range(100))
    assert "other_format" in codes(send(service, table).json())
    long = (b"word " * 400 + b"\n") * 50
    assert "long_texts" in codes(send(service, long).json())
    gate = json.dumps({"vocab_size": [0.5, 0.25], "gate": {"max_bytes": 10**6}})
    assert "gate_out_of_reach" in codes(send(service, TEXT, recipe=gate).json())
    tiny = json.dumps({"vocab_size": 60})
    found = codes(send(service, TEXT, recipe=tiny).json())
    assert {"more_tokens", "size_below_floor"} <= found
    assert "gets smaller and not faster. Ask for more." in more_tokens(service, {"vocab_size": 60})
    fewer = {"vocab_size": 60, "recovery": {"keep_layers": 1, "max_steps": 5}}
    assert re.search(r"in place of \d+\.$", more_tokens(service, fewer))
    steps = send(service, TEXT, recipe=json.dumps(fewer)).json()["steps"]
    assert any("about 5 steps of 16 texts." in step for step in steps)
    assert "other_format" not in found


def more_tokens(service: Service, recipe: dict[str, Any]) -> str:
    warnings = send(service, TEXT, recipe=json.dumps(recipe)).json()["warnings"]
    return next(str(one["message"]) for one in warnings if one["code"] == "more_tokens")


def test_queries_that_would_not_be_trained_on_are_told(service: Service, corpus: str) -> None:
    plain = ask(service, corpus)
    for recovery, model, why in (
        ({"queries_corpus_id": corpus}, SOUND, "only a sentence encoder"),
        ({"pseudo_queries": True}, SOUND, "only a sentence encoder"),
        ({"queries_corpus_id": corpus, "max_steps": 1}, MODEL, "of 1 step 20% are less than one"),
        ({"queries_corpus_id": corpus, "max_steps": 5}, MODEL, None),
        ({"pseudo_queries": True}, MODEL, None),
    ):
        found = ask(service, corpus, base_model=model, recipe={"recovery": recovery})
        said = [w["message"] for w in found["warnings"] if w["code"] == "queries_not_used"]
        assert ("of the steps are on" in " ".join(found["steps"])) == (why is None)
        assert len(said) == (why is not None)
        assert why is None or why in said[0]
    assert "queries_not_used" not in codes(plain)


def test_signs_of_all_kinds(service: Service) -> None:
    draw = random.Random(0)
    signs = "".join(chr(draw.choice([draw.randrange(33, 0xD800), 0x1F600])) for _ in range(50_000))
    data = "\n".join(signs[n : n + 100] for n in range(0, len(signs), 100)).encode()
    began = time.monotonic()
    for model in (MODEL, SOUND):
        assert send(service, data, base_model=model).status_code == 200
    assert time.monotonic() - began < 2 * SECONDS


def test_minutes_come_from_finished_jobs(service: Service, corpus: str) -> None:
    before = ask(service, corpus)
    report = json.dumps({"recovery": {"device": "cuda"}}).encode()
    for _ in range(3):
        finish(service, corpus, before, report)
    after = ask(service, corpus)
    assert "3 finished jobs" in after["basis"]
    assert not codes(after) & {"device_unknown", "cpu_only"}
    took = {stage["stage"]: stage["seconds"] for stage in after["stages"]}
    assert took["evaluate"] == pytest.approx(400, rel=0.35)
    spread = [found["minutes"]["high"] / found["minutes"]["low"] for found in (after, before)]
    assert spread[0] < spread[1]


def finish(service: Service, corpus: str, estimate: Any, report: bytes) -> None:
    """End a job well whose evaluation took 400 seconds."""
    job = service.http.post("/v1/jobs", json={"base_model": MODEL, "corpus_id": corpus}).json()
    claim, blobs = service.claim(job["id"]), Blobs(service.settings.blobs_url)
    for stage in estimate["stages"]:
        seconds = 400.0 if stage["stage"] == "evaluate" else stage["seconds"]
        transitions.start_stage(service.db, claim, stage["stage"], 0.0)
        transitions.finish_stage(service.db, claim, stage["stage"], seconds, {})
    [size], base = estimate["sizes"], estimate["base"]
    result = {
        "parameters_before": base["parameters"],
        "parameters_after": size["parameters"],
        "vocab_size_before": base["vocab_size"],
        "vocab_size_after": size["vocab_size"],
        "tokens_per_text_after": size["tokens_per_text"]["value"],
    }
    prefix = f"jobs/{job['id']}/results/1"
    blobs.put(file_key(prefix, "report.json"), report)
    transitions.succeed(service.db, claim, result, {"prefix": prefix, "bytes": 1, "sha256": ""})


def test_the_points_of_a_target_are_listed(service: Service, corpus: str) -> None:
    target = {"max_bytes": 9_000_000, "min_quality": 0.9, "runtime": "onnx-int8"}
    found = ask(service, corpus, recipe={"target": target})
    points = [(size["vocab_size"], size["layers"]) for size in found["sizes"]]
    # Each number of layers has the largest vocabulary that fits.
    assert points == [(15_261, 1), (12_209, 2), (7_630, 3)]
    for size in found["sizes"]:
        int8 = next(file for file in size["exports"] if file["runtime"] == "onnx-int8")
        assert int8["bytes"] <= 9_000_000
    steps = " ".join(found["steps"])
    assert "15,261 tokens and 1 layer, 12,209 tokens and 2 layers" in steps
    assert "target" in steps
    plain = ask(service, corpus, recipe={"export": {"int8": True}})
    assert plain["minutes"]["value"] < found["minutes"]["value"] < 4 * plain["minutes"]["value"]


def test_in_any_runtime_each_point_is_listed_with_those_in_which_it_fits(
    service: Service, corpus: str
) -> None:
    target = {"max_bytes": 9_000_000, "runtime": "any"}
    found = ask(service, corpus, recipe={"target": target})
    asked = {"max_bytes": 9_000_000, "runtime": "onnx-int8"}
    int8 = ask(service, corpus, recipe={"target": asked})
    assert len(found["sizes"]) <= 4
    for size in found["sizes"]:
        files = {file["runtime"]: file["bytes"] for file in size["exports"]}
        files["torch"] = size["bytes"]
        assert size["weighed"]
        assert all(files[runtime] <= 9_000_000 for runtime in size["weighed"])
    # Four bits hold more words of three layers in as many bytes; vectors are weighed once.
    words = [
        max(size["vocab_size"] for size in one["sizes"] if size["layers"] == 3)
        for one in (found, int8)
    ]
    assert words == [15_261, 7_630]
    weighed = [runtime for size in found["sizes"] for runtime in size["weighed"]]
    assert weighed.count("static") == 1
    steps = " ".join(found["steps"])
    assert "tokens and 1 layer (" in steps
    assert "Static vectors)" in steps
    assert int8["minutes"]["value"] < found["minutes"]["value"] < 3 * int8["minutes"]["value"]


def test_a_target_out_of_reach_is_refused_as_a_job_is(service: Service, corpus: str) -> None:
    recipe = {"target": {"max_bytes": 1000}}
    body = {"base_model": MODEL, "corpus_id": corpus, "recipe": recipe}
    for path in ("/v1/estimate", "/v1/jobs"):
        refused = service.http.post(path, json=body)
        assert refused.status_code == 422
        assert refused.json()["code"] == "target_out_of_reach"
        assert refused.json()["errors"][0]["pointer"] == "/recipe/target/max_bytes"
