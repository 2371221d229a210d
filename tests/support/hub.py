"""A stand-in for the Hugging Face hub: repositories in memory, by the API of its library."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

TOKEN, READ_TOKEN = "hf_write", "hf_read"
# The hub keeps larger files, and those of weights, apart from git.
LARGE, LARGE_NAMES = 1 << 20, (".safetensors", ".onnx")
ATTRIBUTES = {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}
RELATIONS = {"adapter", "merge", "quantized", "finetune"}


@dataclass
class Repo:
    """A repository: its files at its head, and how many commits it has."""

    private: bool
    files: dict[str, bytes] = field(default_factory=lambda: dict(ATTRIBUTES))
    commits: int = 0

    @property
    def sha(self) -> str:
        return hashlib.sha1(f"{self.commits} {sorted(self.files)}".encode()).hexdigest()


@dataclass
class Hub:
    """A running stand-in; `damage` changes what is uploaded as a large file."""

    url: str
    repos: dict[str, Repo] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    damage: bool = False


def is_large(path: str, size: int) -> bool:
    return size > LARGE or path.endswith(LARGE_NAMES)


def entry(path: str, content: bytes) -> dict[str, Any]:
    """A file as the hub lists it."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    listed: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if is_large(path, len(content)):
        sha256 = hashlib.sha256(content).hexdigest()
        listed["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
    return listed


def faults_of_card(card: str) -> list[str]:
    """Return what the hub says about the front matter of a card, as far as it is known."""
    found = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    if not found:
        return ["there is no front matter"]
    try:
        data = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        return [str(error)]
    faults = [
        f'"{name}" must be an array'
        for name in ("tags", "datasets")
        if not isinstance(data.get(name, []), list)
    ]
    if data.get("base_model_relation", "finetune") not in RELATIONS:
        faults.append('"base_model_relation" is none of the known ones')
    results = [row for model in data.get("model-index", []) for row in model["results"]]
    if not all(row["task"].get("type") and row["dataset"].get("type") for row in results):
        faults.append('"model-index" has a result without a type')
    return faults


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def handle_any(self) -> None:
        body = self._body()
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        for method, pattern, answer in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and method == self.command:
                answer(self, body, *found.groups())
                return
        self._json(404, {"error": "no such route"})

    do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _json(self, status: int, content: Any, **headers: str) -> None:
        self._send(status, json.dumps(content).encode(), **headers)

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        sent = {"Content-Length": str(len(body)), "Content-Type": "application/json", **headers}
        for name, value in sent.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    @property
    def _token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def _may_write(self) -> bool:
        if self._token != TOKEN:
            self._json(403, {"error": "You don't have the rights to write here."})
        return self._token == TOKEN

    def whoami(self, _body: bytes) -> None:
        if self._token not in {TOKEN, READ_TOKEN}:
            return self._json(401, {"error": "Invalid user token."})
        return self._json(200, {"type": "user", "name": "ann", "orgs": [{"name": "acme"}]})

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'ann'}/{asked['name']}"
        if not self._may_write():
            return None
        private = asked.get("private") or asked.get("visibility") == "private"
        self.hub.repos[name] = Repo(bool(private))
        return self._json(200, {"url": f"{self.hub.url}/{name}", "name": name})

    def _repo(self, name: str) -> Repo | None:
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and self._token not in {TOKEN, READ_TOKEN}):
            headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            self._json(404, {"error": "Repository not found"}, **headers)
            return None
        return repo

    def info(self, _body: bytes, name: str, _revision: str | None = None) -> None:
        if repo := self._repo(name):
            siblings = [{"rfilename": path} for path in repo.files]
            listed = {"id": name, "sha": repo.sha, "private": repo.private, "siblings": siblings}
            self._json(200, listed)

    def tree(self, _body: bytes, name: str) -> None:
        if repo := self._repo(name):
            self._json(200, [entry(*file) for file in repo.files.items()])

    def validate(self, body: bytes) -> None:
        faults = faults_of_card(json.loads(body)["content"])
        told = {"errors": [{"message": fault} for fault in faults], "warnings": []}
        self._json(400 if faults else 200, told)

    def preupload(self, body: bytes, name: str) -> None:
        repo = self._repo(name)
        if repo is None or not self._may_write():
            return
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if is_large(file["path"], file["size"]) else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(body)["files"]
        ]
        self._json(200, {"files": files})

    def batch(self, body: bytes, _name: str) -> None:
        objects = []
        for wanted in json.loads(body)["objects"]:
            upload = {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}
            told: dict[str, Any] = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.hub.blobs:
                told["actions"] = {"upload": upload}
            objects.append(told)
        self._json(200, {"transfer": "basic", "objects": objects})

    def put(self, body: bytes, oid: str) -> None:
        self.hub.blobs[oid] = body[:-1] + b"x" if self.hub.damage else body
        self._json(200, {})

    def commit(self, body: bytes, name: str) -> None:
        repo = self._repo(name)
        if repo is None or not self._may_write():
            return
        for line in body.splitlines():
            row = json.loads(line)
            value = row["value"]
            if row["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                repo.files[value["path"]] = self.hub.blobs[value["oid"]]
            elif row["key"] == "deletedFile":
                del repo.files[value["path"]]
        repo.commits += 1
        url = f"{self.hub.url}/{name}/commit/{repo.sha}"
        self._json(200, {"success": True, "commitOid": repo.sha, "commitUrl": url})

    def resolve(self, _body: bytes, name: str, path: str) -> None:
        if repo := self._repo(name):
            content = repo.files.get(path)
            if content is None:
                return self._json(404, {}, **{"X-Error-Code": "EntryNotFound"})
            headers = {"X-Repo-Commit": repo.sha, "ETag": f'"{entry(path, content)["oid"]}"'}
            return self._send(200, content, **headers)
        return None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


REPO = r"([\w.-]+/[\w.-]+)"
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/api/whoami-v2", _Handler.whoami),
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.validate),
    ("GET", rf"/api/models/{REPO}/tree/\w+/?", _Handler.tree),
    ("POST", rf"/api/models/{REPO}/preupload/main", _Handler.preupload),
    ("POST", rf"/api/models/{REPO}/commit/main", _Handler.commit),
    ("GET", rf"/api/models/{REPO}(?:/revision/(\w+))?", _Handler.info),
    ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", r"/lfs/(\w+)", _Handler.put),
    ("GET", rf"/{REPO}/resolve/\w+/(.+)", _Handler.resolve),
    ("HEAD", rf"/{REPO}/resolve/\w+/(.+)", _Handler.resolve),
]


@contextmanager
def hub_server() -> Iterator[Hub]:
    """Run a stand-in without repositories while the block runs."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.hub = Hub(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield handler.hub  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
