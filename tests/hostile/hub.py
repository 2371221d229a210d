"""A hub of models that answers as it should not, by the name that is asked for."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LATE_SECONDS = 6
FILES = ("config.json", "tokenizer.json", "model.safetensors")


class HostileHub(ThreadingHTTPServer):
    """Plays huggingface.co: `org/silent` never answers, `org/garbage` says nothing of sense."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        model, _, revision = self.path.partition("?")[0].partition("/revision/")
        name = model.rpartition("/")[2]
        if revision not in {"", "main"}:
            self._answer(404, b"{}", **{"X-Error-Code": "RevisionNotFound"})
        elif name == "silent":
            time.sleep(LATE_SECONDS)
        elif name == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            self.close_connection = True
        elif name == "loop":
            self._answer(302, b"", Location=self.path)
        elif name in ANSWERS:
            status, body = ANSWERS[name]
            self._answer(status, body)
        else:
            self._answer(404, b"{}", **{"X-Error-Code": "RepoNotFound"})

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for header, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def _listing(*names: str) -> bytes:
    siblings = [{"rfilename": name} for name in names]
    return json.dumps({"id": "org/model", "sha": "a" * 40, "siblings": siblings}).encode()


ANSWERS = {
    "broken": (500, b"oops"),
    "busy": (429, b"{}"),
    "closed": (403, b"{}"),
    "garbage": (200, b"<html>no JSON"),
    "list": (200, b"[1, 2]"),
    "empty": (200, b""),
    "nothing": (200, b"{}"),
    "null": (200, b"null"),
    "no-files": (200, _listing()),
    "odd-files": (200, b'{"id": "org/odd-files", "sha": null, "siblings": 5}'),
    "odd-sibling": (200, b'{"id": "org/odd-sibling", "siblings": [{"size": 1}]}'),
    "pickled": (200, _listing("config.json", "tokenizer.json", "pytorch_model.bin")),
    "slow-tokenizer": (200, _listing("config.json", "model.safetensors", "vocab.txt")),
    "whole": (200, _listing(*FILES)),
    "traversal": (200, _listing(*FILES, "../../etc/cron.d/x")),
}
