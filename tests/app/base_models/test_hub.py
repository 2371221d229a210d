"""The hub, played by a local HTTP server that speaks the few calls that are made to it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.model_folders import make_model, write_json
from tests.support.sound_model import make_sound

COMMIT = "a" * 40
SCRIPT = """
import json, sys
from app.base_models.catalog import HubUnreachableError, check_submission, locate
from app.contract.errors import UserFault
from app.settings import Settings
try:
    if sys.argv[3:]:
        print(json.dumps(check_submission(sys.argv[1], Settings(), sys.argv[2] or None)))
        sys.exit()
    found = locate(sys.argv[1], sys.argv[2] or None, Settings())
    print(json.dumps([found.source, found.commit, sorted(p.name for p in found.path.iterdir())]))
except UserFault as fault:
    print(json.dumps(fault.code))
except HubUnreachableError as error:
    print(json.dumps(error.code))
"""


class Hub(ThreadingHTTPServer):
    """Serves each folder below `root` as `org/NAME`, and keeps the paths that were asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.root = root
        self.asked: list[str] = []


class HubHandler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        if path.startswith("/api/models/org/"):
            return self.answer_api(*path.removeprefix("/api/models/org/").split("/", 2))
        name, _, file = path.removeprefix("/org/").partition(f"/resolve/{COMMIT}/")
        target = self.server.root / name / file
        if file and target.is_file():
            return self.answer(200, target.read_bytes())
        return self.answer(404, b"", **{"X-Error-Code": "EntryNotFound"})

    def answer_api(self, name: str, call: str = "revision", revision: str = "main") -> None:
        folder = self.server.root / name
        if not folder.is_dir():
            return self.answer(404, b"{}", **{"X-Error-Code": "RepoNotFound"})
        if revision.partition("/")[0] not in {"main", COMMIT}:
            return self.answer(404, b"{}", **{"X-Error-Code": "RevisionNotFound"})
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = [path.relative_to(folder).as_posix() for path in paths]
        if call == "tree":
            tree = [
                {"type": "file", "path": file, "size": (folder / file).stat().st_size, "oid": file}
                for file in files
            ]
            return self.answer(200, json.dumps(tree).encode())
        siblings = [{"rfilename": file} for file in files]
        info = {"id": f"org/{name}", "modelId": f"org/{name}", "sha": COMMIT, "siblings": siblings}
        return self.answer(200, json.dumps(info).encode())

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {
            "ETag": f'"{hash(self.path)}"',
            "X-Repo-Commit": COMMIT,
            **headers,
        }.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub") as server:
        server.root.mkdir()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def check_on(hub: Hub, base_model: str, revision: str = "") -> object:
    """What a submission is told, None if it is accepted."""
    return locate_on(hub, base_model, revision, "check")


def locate_on(hub: Hub, base_model: str, revision: str = "", *more: str) -> object:
    """What `locate` gives in a process of its own, for the hub's address is read at import."""
    host, port = hub.server_address[:2]
    env = os.environ | {
        "HF_ENDPOINT": f"http://{host!s}:{port}",
        "HF_HOME": str(hub.root.parent / "home"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "FVT_AUTH": "off",
    }
    command = [sys.executable, "-c", SCRIPT, base_model, revision, *more]
    out = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, timeout=60).stdout
    return json.loads(out)


def test_a_model_is_fetched_at_a_commit_without_what_is_unsafe(hub: Hub) -> None:
    folder = make_model(hub.root / "model")
    write_json(folder / "tokenizer_config.json", {})
    for name in ("pytorch_model.bin", "modeling.py", "tf_model.h5"):
        (folder / name).write_bytes(b"never fetched")
    names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert locate_on(hub, "org/model") == ["hub", COMMIT, names]
    assert not any("resolve/main" in path for path in hub.asked)


def test_a_model_in_a_folder_of_its_own_is_fetched_from_there(hub: Hub) -> None:
    folder = hub.root / "model"
    make_model(folder / "0_Transformer")
    (folder / "0_Transformer" / "pytorch_model.bin").write_bytes(b"never fetched")
    write_json(folder / "0_Transformer" / "sentence_bert_config.json", {"max_seq_length": 9})
    (folder / "1_Pooling").mkdir()
    write_json(folder / "1_Pooling" / "config.json", {})
    types = {"0_Transformer": "Transformer", "1_Pooling": "Pooling"}
    modules = [{"path": p, "type": f"sentence_transformers.models.{t}"} for p, t in types.items()]
    write_json(folder / "modules.json", modules)
    assert locate_on(hub, "org/model") == ["hub", COMMIT, [*types, "modules.json"]]
    fetched = {path.rpartition(COMMIT)[2] for path in hub.asked if "/resolve/" in path}
    assert "/0_Transformer/sentence_bert_config.json" in fetched
    assert not any(path.endswith(".bin") for path in fetched)


def test_a_use_that_cannot_be_compressed_is_refused_before_a_weight_is_fetched(hub: Hub) -> None:
    folder = make_model(hub.root / "sparse")
    module = {"path": "", "type": "sentence_transformers.sparse_encoder.modules.MLMTransformer"}
    write_json(folder / "modules.json", [module])
    write_json(folder / "config_sentence_transformers.json", {"model_type": "SparseEncoder"})
    assert locate_on(hub, "org/sparse") == "unsupported_model"
    assert not any(path.endswith(".safetensors") for path in hub.asked)


def test_refused_models_are_not_fetched(hub: Hub) -> None:
    make_model(hub.root / "code", auto_map={"AutoModel": "m.M"})
    assert locate_on(hub, "org/code") == "remote_code_refused"
    folder = make_model(hub.root / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert locate_on(hub, "org/pickled") == "unsafe_weights"
    assert not any(path.endswith((".bin", ".safetensors", "tokenizer.json")) for path in hub.asked)


def test_what_is_not_on_the_hub(hub: Hub) -> None:
    make_model(hub.root / "model")
    assert locate_on(hub, "org/none") == "base_model_not_found"
    assert locate_on(hub, "org/model", "v9") == "revision_not_found"


def test_a_hub_that_does_not_answer_is_worth_a_retry(hub: Hub) -> None:
    hub.server_close()
    assert locate_on(hub, "org/model") == "hub_unreachable"


@pytest.mark.slow
def test_a_submission_asks_the_hub(hub: Hub) -> None:
    make_model(hub.root / "model")
    folder = make_model(hub.root / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    (make_model(hub.root / "slow") / "tokenizer.json").unlink()
    assert check_on(hub, "org/model") is None
    assert check_on(hub, "org/none") == "base_model_not_found"
    assert check_on(hub, "org/model", "v9") == "revision_not_found"
    assert check_on(hub, "org/pickled") == "unsafe_weights"
    assert check_on(hub, "org/slow") == "no_fast_tokenizer"
    assert not any("resolve" in path for path in hub.asked)


def test_a_hub_that_is_away_is_said_at_submission(hub: Hub) -> None:
    hub.server_close()
    assert check_on(hub, "org/model") == "hub_unreachable"


def test_a_fetched_model_of_absurd_sizes_is_refused(hub: Hub) -> None:
    make_sound(hub.root / "layers", num_hidden_layers=10**9)
    make_sound(hub.root / "positions", max_position_embeddings=10**8)
    assert locate_on(hub, "org/layers") == "invalid_model"
    assert locate_on(hub, "org/positions") == "invalid_model"
