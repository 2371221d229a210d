"""Results handed on: to a stand-in for the model hub, and to a real S3 server."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner, Result

from fvt_client.cli.main import cli
from fvt_client.verify import sha256_of, verify
from tests.support.hub import READ_TOKEN, TOKEN, Hub, hub_server
from tests.support.s3 import BUCKET, ObjectStore, s3_server
from tests.support.serving import Service

CARD = "---\nlibrary_name: transformers\ntags: [model-compression]\n---\n# A model\n"
FILES = {
    "README.md": CARD.encode(),
    "config.json": b"{}",
    "model.safetensors": bytes(range(256)) * 8000,
    "onnx/model.onnx": b"onnx" * 100,
}


def make_result(folder: Path, **changed: bytes) -> Path:
    """The folder of a result, with its manifest."""
    for name, content in {**FILES, **changed}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    listed = [
        {"path": name, "bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
        for name in {**FILES, **changed}
    ]
    (folder / "manifest.json").write_text(json.dumps({"base_model": "a/b", "files": listed}))
    return folder


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return make_result(tmp_path / "result")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    # The library reads these when it is imported. Its other way of uploading is its own code's.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    with hub_server() as running:
        yield running


def push(*args: object, **environment: str) -> Result:
    return CliRunner().invoke(cli, ["push", *map(str, args)], env=environment)


def to_hub(hub: Hub, *args: object, token: str = TOKEN, **more: str) -> Result:
    return push(*args, HF_ENDPOINT=hub.url, HF_TOKEN=token, **more)


def test_a_job_goes_to_a_new_private_repository(
    hub: Hub, service: Service, url: str, result: Path, tmp_path: Path
) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        tar.add(result, "model-fvt")
    job_id = str(service.submit()["id"])
    listed = {path.name: path.read_bytes() for path in result.iterdir() if path.is_file()}
    service.succeed(job_id, listed, sink.getvalue())
    done = to_hub(hub, job_id[:-1], "hf://acme/small", "--json", FVT_URL=url)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    repo = hub.repos["acme/small"]
    assert told == {
        "uri": "hf://acme/small",
        "files": 5,
        "version": repo.sha,
        "page": f"{hub.url}/acme/small",
    }
    assert repo.private
    assert repo.commits == 1
    # What the hub's own library gets from there is the result.
    back = tmp_path / "back"
    read = (
        "import sys; from huggingface_hub import snapshot_download as d; "
        "d('acme/small', local_dir=sys.argv[1])"
    )
    where = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_TOKEN": READ_TOKEN}
    command = [sys.executable, "-c", read, str(back)]
    subprocess.run(command, check=True, env={**os.environ, **where}, timeout=120)
    assert not verify(back).faults


def test_again_nothing_is_sent_and_other_content_is_kept(hub: Hub, result: Path) -> None:
    assert to_hub(hub, result, "hf://acme/small", "--public").exit_code == 0
    repo = hub.repos["acme/small"]
    assert not repo.private
    again = to_hub(hub, result, "hf://acme/small")
    assert again.exit_code == 0, again.stderr
    assert repo.commits == 1
    repo.files |= {"pytorch_model.bin": b"of another model", "config.json": b"[]"}
    refused = to_hub(hub, result, "hf://acme/small")
    assert refused.exit_code == 1
    assert "holds other files: config.json, pytorch_model.bin" in refused.stderr
    assert "--replace" in refused.stderr
    replaced = to_hub(hub, result, "hf://acme/small", "--replace")
    assert replaced.exit_code == 0, replaced.stderr
    assert set(repo.files) == {*FILES, "manifest.json", ".gitattributes"}
    assert repo.files["config.json"] == b"{}"


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("", "There is no token for the hub"),
        ("hf_unknown", "does not know this token"),
        (READ_TOKEN, "may not write hf://acme/small"),
    ],
)
def test_a_token_that_does_not_do(hub: Hub, result: Path, token: str, says: str) -> None:
    refused = to_hub(hub, result, "hf://acme/small", token=token)
    assert refused.exit_code == 1
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not hub.blobs


def test_what_arrives_damaged_is_told(hub: Hub, result: Path) -> None:
    hub.damage = True
    damaged = to_hub(hub, result, "hf://acme/small")
    assert damaged.exit_code == 1
    assert "arrived in hf://acme/small as other bytes" in damaged.stderr


def test_a_card_that_the_hub_refuses(hub: Hub, tmp_path: Path) -> None:
    card = b"---\nbase_model_relation: cousin\n---\n"
    bad = make_result(tmp_path / "bad", **{"README.md": card})
    refused = to_hub(hub, bad, "hf://acme/small")
    assert refused.exit_code == 1
    assert "base_model_relation" in refused.stderr


def test_a_damaged_result_is_not_sent(hub: Hub, result: Path) -> None:
    (result / "config.json").write_bytes(b"[]")
    refused = to_hub(hub, result, "hf://acme/small")
    assert refused.exit_code == 1
    assert "config.json has other content" in refused.stderr
    assert not hub.repos


def test_a_hub_that_is_away(hub: Hub, result: Path) -> None:
    hub.url = "http://127.0.0.1:9"
    refused = to_hub(hub, result, "hf://acme/small")
    assert refused.exit_code == 1
    assert "The hub at http://127.0.0.1:9 does not answer" in refused.stderr


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("acme/small", "is no target"),
        ("hf://small", "Whose repository"),
        ("hf://a/b/c", "is no name of a repository"),
        ("s3://", "names no bucket"),
    ],
)
def test_a_target_that_is_none(result: Path, target: str, says: str) -> None:
    refused = push(result, target, HF_TOKEN=TOKEN)
    assert refused.exit_code == 1
    assert says in refused.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


def to_s3(store: ObjectStore, *args: object, **more: str) -> Result:
    return push(*args, **{**store.environment, "AWS_MAX_ATTEMPTS": "1", **more})


def objects(store: ObjectStore, prefix: str) -> dict[str, bytes]:
    client = store.client()
    listed: Any = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {
        row["Key"].removeprefix(prefix): client.get_object(Bucket=BUCKET, Key=row["Key"])[
            "Body"
        ].read()
        for row in listed
    }


def test_a_result_goes_to_s3_and_again_nothing_is_sent(store: ObjectStore, result: Path) -> None:
    done = to_s3(store, result, f"s3://{BUCKET}/models/small/", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["uri"] == f"s3://{BUCKET}/models/small"
    manifest = {"manifest.json": (result / "manifest.json").read_bytes()}
    assert objects(store, "models/small/") == FILES | manifest
    sent = store.requests("PUT")
    again = to_s3(store, result, f"s3://{BUCKET}/models/small")
    assert again.exit_code == 0, again.stderr
    assert store.requests("PUT") == sent


@pytest.mark.slow
def test_another_result_replaces_only_where_that_is_asked(
    store: ObjectStore, result: Path, tmp_path: Path
) -> None:
    target, prefix = f"s3://{BUCKET}/replaced", "replaced/"
    assert to_s3(store, result, target).exit_code == 0
    store.client().put_object(Bucket=BUCKET, Key=f"{prefix}mine.txt", Body=b"mine")
    other = make_result(tmp_path / "other", **{"config.json": b"[1]"})
    (other / "onnx/model.onnx").unlink()
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["files"] = [row for row in manifest["files"] if row["path"] != "onnx/model.onnx"]
    (other / "manifest.json").write_text(json.dumps(manifest))
    refused = to_s3(store, other, target)
    assert refused.exit_code == 1
    assert "holds other files: config.json" in refused.stderr
    assert objects(store, prefix)["config.json"] == b"{}"
    assert to_s3(store, other, target, "--replace").exit_code == 0
    there = objects(store, prefix)
    assert there["config.json"] == b"[1]"
    # The file of the earlier result went, the one of another owner stayed.
    assert set(there) == {*FILES, "manifest.json", "mine.txt"} - {"onnx/model.onnx"}


@pytest.mark.parametrize(
    ("bucket", "environment", "says"),
    [
        ("none-such", {}, "There is no bucket 'none-such'"),
        (BUCKET, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "could not be reached"),
        (
            BUCKET,
            {
                "AWS_ACCESS_KEY_ID": "",
                "AWS_SECRET_ACCESS_KEY": "",
                "AWS_EC2_METADATA_DISABLED": "true",
            },
            "There are no credentials for S3",
        ),
    ],
)
def test_an_s3_that_does_not_do(
    store: ObjectStore, result: Path, bucket: str, environment: dict[str, str], says: str
) -> None:
    refused = to_s3(store, result, f"s3://{bucket}/x", **environment)
    assert refused.exit_code == 1
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
