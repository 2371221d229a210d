"""The commands of `fvt` at a real service."""

import json
import signal
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.contract.errors import JobError
from app.jobs import transitions
from fvt_client import Client
from fvt_client.cli.compress import compress
from fvt_client.cli.main import cli
from fvt_client.cli.models import estimate
from fvt_client.cli.recipes import read_recipe
from fvt_client.verify import sha256_of
from tests.client.conftest import WEIGHTS, packed
from tests.support.commands import start
from tests.support.cutter import cutting
from tests.support.reports import full_report
from tests.support.scripted import Answer, scripted
from tests.support.serving import MODEL, Service, serving

CORPUS = "".join(f"The patient took {n} mg of naproxen.\n" for n in range(500))


def fvt(url: str | None, *args: object, **environment: str) -> Result:
    env = {"FVT_URL": url, "FVT_API_KEY": None, "COLUMNS": "60", **environment}
    return CliRunner().invoke(cli, [str(arg) for arg in args], env=env)


def told(result: Result) -> Any:
    """The one JSON document on standard output."""
    return json.loads(result.stdout)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text(CORPUS)
    return path


@pytest.fixture
def reported(service: Service) -> str:
    """The id of a job with a report and a whole result."""
    job_id = str(service.submit()["id"])
    files = {
        "report.json": full_report().model_dump_json().encode(),
        "report.html": b"<!doctype html><title>report</title>",
    }
    service.succeed(job_id, files, packed(WEIGHTS))
    return job_id


def test_jobs_never_cuts_an_id(url: str, finished: str) -> None:
    for width in ("20", "60"):
        listed = fvt(url, "jobs", COLUMNS=width)
        assert listed.exit_code == 0
        assert finished in listed.stdout
    assert finished in {job["id"] for job in told(fvt(url, "jobs", "--json"))}
    assert told(fvt(url, "jobs", "--json", "--status", "failed")) == []


def test_a_job_is_shown_by_the_beginning_of_its_id(url: str, finished: str) -> None:
    shown = fvt(url, "show", finished[:-1])
    assert shown.exit_code == 0, shown.stderr
    assert "succeeded" in shown.stdout
    assert told(fvt(url, "show", finished[4:-1], "--json"))["id"] == finished
    unknown = fvt(url, "show", "job_zzzz", "--json")
    assert unknown.exit_code == 1
    assert "No job's id begins with" in told(unknown)["error"]["message"]
    assert "fvt jobs" in unknown.stderr


def test_logs_and_cancel_and_delete(service: Service, url: str) -> None:
    job_id = str(service.submit()["id"])
    assert fvt(url, "delete", job_id).exit_code == 1
    assert told(fvt(url, "cancel", job_id, "--json"))["status"] == "cancelled"
    followed = fvt(url, "logs", job_id, "--follow")
    assert "job.queued" in followed.stdout
    assert "job.cancelled" in followed.stdout
    assert [event["type"] for event in told(fvt(url, "logs", job_id, "--json"))] == [
        "job.queued",
        "job.cancelled",
    ]
    watched = fvt(url, "watch", job_id)
    assert watched.exit_code == 3
    assert "was cancelled" in watched.stderr
    assert told(fvt(url, "delete", job_id, "--json")) == {"id": job_id, "deleted": True}
    assert fvt(url, "show", job_id).exit_code == 1


@pytest.mark.parametrize("command", ["watch", "compress"])
def test_ctrl_c_leaves_a_job_of_a_running_service(
    service: Service, url: str, corpus: Path, command: str
) -> None:
    if command == "watch":
        args = ["watch", str(service.submit()["id"])]
    else:
        out = str(corpus.with_name("out"))
        args = ["compress", "--model", MODEL, "--corpus", str(corpus), "--out", out]
    process = start(*args, FVT_URL=url)
    assert process.stderr is not None
    while not process.stderr.readline().startswith("queued"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    job_id = said.split(" goes on without this command")[0].split()[-1]
    assert f"`fvt watch {job_id}`" in said
    assert service.http.get(f"/v1/jobs/{job_id}").json()["status"] == "queued"


def test_the_report(url: str, reported: str, tmp_path: Path) -> None:
    assert "parameters" in fvt(url, "report", reported).stdout
    assert told(fvt(url, "report", reported, "--json"))["schema_version"] == "1"
    fvt(url, "report", reported, "--html", tmp_path / "report.html")
    assert "<title>report" in (tmp_path / "report.html").read_text()
    watched = fvt(url, "watch", reported)
    assert watched.exit_code == 0, watched.stderr
    assert f"fvt download {reported}" in watched.stderr


def test_the_printed_link_of_open_works(url: str, reported: str) -> None:
    # `true` stands for a browser: it opens anything.
    opened = fvt(url, "open", reported, "--json", BROWSER="true %s")
    page = told(opened)["page"]
    assert "<title>report" in Path(page).read_text()


def test_a_download_and_what_is_wrong_with_it_later(
    url: str, finished: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert told(fvt(url, "download", finished, "--out", out, "--json")) == {"folder": str(out)}
    again = fvt(url, "download", finished, "--out", out)
    assert again.exit_code == 2
    assert "not an empty folder" in again.stderr.replace("\n", " ")
    assert "has no manifest.json" in fvt(url, "verify", out).stderr
    weights = out / "model.safetensors"
    listed = {"path": weights.name, "bytes": len(WEIGHTS), "sha256": sha256_of(weights)}
    (out / "manifest.json").write_text(json.dumps({"seed": 0, "files": [listed]}))
    assert fvt(url, "verify", out).exit_code == 0
    (out / "mine.txt").touch()
    assert told(fvt(url, "verify", out, "--json")) == {
        "files": 1,
        "faults": [],
        "unlisted": ["mine.txt"],
    }
    for damaged, says in ((b"x" + WEIGHTS[1:], "other content"), (b"x", "bytes in place of")):
        weights.write_bytes(damaged)
        found = fvt(url, "verify", out)
        assert found.exit_code == 1
        assert says in found.stdout
    weights.unlink()
    assert "is missing" in fvt(url, "verify", out).stdout


def compressing(url: str, corpus: Path, *more: object) -> Result:
    return fvt(url, "compress", "--model", MODEL, "--corpus", corpus, *more)


def test_a_detached_job_has_what_the_flags_say(url: str, corpus: Path, service: Service) -> None:
    flags = (
        "--sweep",
        "0.5,0.25",
        "--preset",
        "fast",
        "--layers",
        "3",
        "--int8",
        "--int4",
        "--openvino-int8",
        "--static",
    )
    gate = ("--min-quality", "0.9", "--method", "wvt", "--seed", "7", "--max-minutes", "2")
    made = compressing(url, corpus, *flags, *gate, "--detach", "--json")
    assert made.exit_code == 0, made.stderr
    recipe = told(made)["recipe"]
    assert recipe["vocab_size"] == [0.5, 0.25]
    assert recipe["recovery"]["preset"] == "fast"
    assert recipe["recovery"]["keep_layers"] == 3
    assert recipe["export"] == {
        "onnx": False,
        "int8": True,
        "int4": True,
        "openvino": False,
        "openvino_int8": True,
        "static": True,
    }
    assert recipe["gate"]["min_quality"] == 0.9
    assert (recipe["transfer"]["method"], recipe["seed"]) == ("wvt", 7)
    again = compressing(url, corpus, *flags, *gate, "--detach")
    assert again.stdout.strip() == told(made)["id"]
    assert "was made by this same command before" in again.stderr
    new = compressing(url, corpus, *flags, *gate, "--detach", "--again")
    assert new.stdout.strip() != told(made)["id"]
    service.http.post(f"/v1/jobs/{told(made)['id']}/cancel")
    # What was cancelled is made anew.
    third = compressing(url, corpus, *flags, *gate, "--detach")
    assert third.stdout.strip() not in {told(made)["id"], new.stdout.strip()}


def test_general_text_is_sent_too(url: str, corpus: Path, service: Service) -> None:
    general = corpus.with_name("general.txt")
    general.write_text("It rained all day.\nThe river rose by a foot.\n")
    flags = ("--general-text", general, "--general-share", "0.2")
    made = compressing(url, corpus, *flags, "--detach", "--json")
    assert made.exit_code == 0, made.stderr
    recovery = told(made)["recipe"]["recovery"]
    assert recovery["general_share"] == 0.2
    found = service.http.get(f"/v1/corpora/{recovery['general_corpus_id']}").json()
    assert (found["format"], found["documents"]) == ("text", 2)
    file = corpus.with_name("recipe.json")
    file.write_text(json.dumps({"recovery": {"general_corpus_id": "absent.txt"}}))
    refused = compressing(url, corpus, "--recipe", file, "--detach")
    assert refused.exit_code == 2
    assert "absent.txt for `recovery.general_corpus_id`" in " ".join(
        refused.stderr.replace("│", " ").split()
    )


def test_queries_are_sent_too(url: str, corpus: Path, service: Service) -> None:
    queries = corpus.with_name("queries.txt")
    queries.write_text("how much rain fell\nriver level\nflood\n")
    made = compressing(url, corpus, "--queries", queries, "--detach", "--json")
    assert made.exit_code == 0, made.stderr
    recovery = told(made)["recipe"]["recovery"]
    found = service.http.get(f"/v1/corpora/{recovery['queries_corpus_id']}").json()
    assert (found["format"], found["documents"]) == ("text", 3)
    pseudo = compressing(url, corpus, "--pseudo-queries", "--detach", "--json")
    assert told(pseudo)["recipe"]["recovery"]["pseudo_queries"] is True
    both = compressing(url, corpus, "--queries", queries, "--pseudo-queries", "--detach")
    assert both.exit_code == 2
    assert "no queries are made" in " ".join(both.stderr.replace("│", " ").split())


def test_a_task_sends_its_files(url: str, corpus: Path, service: Service) -> None:
    files = {name: corpus.with_name(f"{name}.jsonl") for name in ("train", "test")}
    for name, file in files.items():
        file.write_text(f'{{"text": "{name}", "label": 1}}\n' * 3)
    task = "sequence_classification:" + ",".join(f"{k}={v}" for k, v in files.items())
    made = compressing(url, corpus, "--task", f"{task},seeds=1", "--detach", "--json")
    assert made.exit_code == 0, made.stderr
    sent = told(made)["recipe"]["evaluation"]["task"]
    assert sent["seeds"] == 1
    assert service.http.get(f"/v1/corpora/{sent['train']}").json()["format"] == "records"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--vocab-size", "-1"), "vocab_size: give a fraction"),
        (("--sweep", "a,b"), "is no list of numbers"),
        (("--sweep", "0.5", "--vocab-size", "0.5"), "give one size"),
        (("--task", "magic"), "is no task"),
        (("--task", "sentence_pairs:pairs=absent.jsonl"), "there is no file absent.jsonl"),
        (("--min-quality", "2"), "gate.min_quality"),
        (("--layers", "0"), "recovery.keep_layers"),
        (("--general-share", "1"), "recovery.general_share"),
    ],
)
def test_a_recipe_is_checked_before_anything_is_sent(
    service: Service, corpus: Path, options: tuple[str, ...], says: str
) -> None:
    with cutting(service.http.base_url) as proxy:
        refused = compressing(proxy.url, corpus, "--detach", *options)
        assert proxy.connections == 0
    assert refused.exit_code == 2
    assert says in " ".join(refused.stderr.replace("│", " ").split())


def test_a_model_that_is_none_is_refused(url: str, corpus: Path) -> None:
    refused = fvt(url, "compress", "--model", "acme/none", "--corpus", corpus, "--detach")
    assert refused.exit_code == 1
    assert "base_model_not_found" in refused.stderr


@pytest.mark.parametrize("code", ["gate_not_met", "target_not_met"])
def test_a_gate_or_a_target_that_is_missed(service: Service, url: str, code: str) -> None:
    job_id = str(service.submit()["id"])
    error = JobError(type="user", code=code, message="Too little.", retryable=False)
    transitions.fail(service.db, service.claim(job_id), error)
    missed = fvt(url, "watch", job_id, "--json")
    assert missed.exit_code == 4
    assert told(missed)["error"]["code"] == code


def test_models(url: str) -> None:
    assert MODEL in fvt(url, "models").stdout.split()
    assert MODEL in {model["id"] for model in told(fvt(url, "models", "--json"))}


def test_an_estimate(corpus: Path) -> None:
    interval = {"value": 4.2, "low": 3.0, "high": 6.0}
    document = {
        "base": {"id": MODEL, "architecture": "BertModel", "parameters": 22713216,
                 "bytes": 90864192, "vocab_size": 30522, "layers": 6},
        "corpus": {"documents": 500, "bytes": 1, "is_sample": False, "language": None},
        "sizes": [{"vocab_size": 7630, "layers": 6, "parameters": 13922688, "bytes": 55702080,
                   "exports": [{"runtime": "onnx-int8", "precision": "int8", "bytes": 14000000}],
                   "weighed": ["onnx-int8"], "tokens_per_text": interval,
                   "base_tokens_per_text": 28.0}],
        "minutes": interval, "stages": [{"stage": "recover", "seconds": 100.0}],
        "basis": "a table", "steps": ["Trains a tokenizer."],
        "warnings": [{"code": "few_texts", "message": "Few texts."}],
    }  # fmt: skip
    with scripted(Answer(200, json.dumps(document))) as server:
        said = fvt(server.url, "estimate", "--model", MODEL, "--corpus", corpus)
        assert server.requests == [("POST", "/v1/estimate")]
        as_json = fvt(server.url, "estimate", "--model", MODEL, "--corpus", corpus, "--json")
    assert "about 4 minutes (3 to 6)" in said.stdout
    assert "ONNX int8: 14.0 MB" in said.stdout
    assert "Note: Few texts." in said.stderr
    assert told(as_json) == document


def test_a_refusal_of_the_beginning_alone_does_not_end_a_job(tmp_path: Path) -> None:
    large, small = tmp_path / "large.csv", tmp_path / "small.csv"
    large.write_text("text\n" + "a text of the domain\n" * 100_000)
    small.write_text("text\n")
    cut = Answer(422, '{"code": "invalid_csv", "detail": "Cut off."}')
    for corpus, requests in ((large, 2), (small, 1)):
        # Behind the estimate comes the look whether the corpus is there.
        with scripted(cut) as server:
            refused = compressing(server.url, corpus, "--detach")
        assert refused.exit_code == 1
        assert len(server.requests) == requests
        assert len(server.bodies[0]) < 1_100_000
    assert server.requests == [("POST", "/v1/estimate")]


def test_a_target_from_the_command_line_and_from_python(url: str, corpus: Path) -> None:
    fixed = ("estimate", "--model", MODEL, "--corpus", corpus)
    said = fvt(url, *fixed, "--target-bytes", "9MB", "--min-quality", "0.9")
    assert said.stdout.count("Result: ") == 4
    assert "15,261 tokens, 2 layers" in said.stdout
    with Client(url) as client:
        found = client.estimate(MODEL, corpus, target={"max_bytes": 9_000_000})
        assert [size.layers for size in found.sizes] == [1, 2, 3, 6]
        job = client.compress(MODEL, corpus, target={"max_bytes": 9_000_000})
        assert job.recipe["target"]["max_bytes"] == 9_000_000
        job.cancel()
    refused = fvt(url, *fixed, "--target-bytes", "1KB")
    assert refused.exit_code == 1
    assert "target_out_of_reach" in refused.stderr


@pytest.mark.parametrize("command", [compress, estimate])
def test_each_command_takes_all_options_of_a_recipe(command: Callable[..., None]) -> None:
    options = {*signature(read_recipe).parameters} - {"file"}
    assert options <= {*signature(command).parameters}


def test_an_estimate_leaves_out_what_is_not_sent_yet(tmp_path: Path, corpus: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}\n")
    recipe = tmp_path / "recipe.json"
    task = {"type": "sentence_pairs", "pairs": str(rows)}
    gate = {"min_quality": 0.9, "metric": "spearman"}
    recipe.write_text(json.dumps({"evaluation": {"task": task}, "gate": gate}))
    with scripted(Answer(422)) as server:
        fvt(server.url, "estimate", "--model", MODEL, "--corpus", corpus, "--recipe", recipe)
    [body] = server.bodies
    assert b"rows.jsonl" not in body
    assert b"spearman" not in body
    assert b"min_quality" in body
    assert b"naproxen" in body


@pytest.mark.slow
def test_doctor_says_what_is_wrong(url: str, tmp_path: Path, valkey: str) -> None:
    good = fvt(url, "doctor", "--json", FVT_BROKER_URL=valkey)
    states = {check["name"]: check["state"] for check in told(good)}
    assert states["service"] == "ok"
    assert states["broker"] == "ok"
    with serving(tmp_path, valkey, auth="on", api_keys=["a-key-of-the-service"]) as running:
        keyless = fvt(str(running.http.base_url), "doctor", FVT_BROKER_URL="redis://127.0.0.1:9/0")
    assert keyless.exit_code == 1
    assert "export FVT_API_KEY" in keyless.stdout
    assert "FVT_BROKER_URL does not answer" in keyless.stdout
    away = fvt("http://127.0.0.1:9", "doctor")
    assert away.exit_code == 1
    assert "fault  service: No answer from http://127.0.0.1:9" in away.stdout


def test_help_version_and_nothing_at_all(url: str) -> None:
    assert fvt(url, "-h").exit_code == 0
    assert "Exit codes" in fvt(url, "-h").stdout
    assert fvt(url, "--version").stdout.startswith("fvt 0.")
    refused = fvt("http://127.0.0.1:9", "jobs", "--json")
    assert refused.exit_code == 1
    assert told(refused)["error"]["message"].startswith("No answer from")


def test_detaching_needs_a_service(corpus: Path) -> None:
    refused = fvt(None, "compress", "--model", MODEL, "--corpus", corpus, "--detach")
    assert refused.exit_code == 2
    assert "fvt up" in refused.stderr
