"""Files that are sent as one corpus."""

import json
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.client import FvtClient, UploadError
from app.client.transfers import open_corpus


def files(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def test_lines_of_several_files_stay_lines(tmp_path: Path) -> None:
    paths = files(tmp_path, {"a.txt": b"one\ntwo", "empty.txt": b"", "b.TXT": b"three\n"})
    with ExitStack() as stack:
        assert open_corpus(paths, stack).read() == b"one\ntwo\nthree\n"


@pytest.mark.parametrize(
    "names",
    [("a.csv", "b.csv"), ("a.txt", "b.jsonl"), ("a.txt.gz", "b.txt.gz"), ("a.parquet",) * 2, ()],
)
def test_what_cannot_be_joined_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    paths = files(tmp_path, dict.fromkeys(names, b"x")) * (2 if len({*names}) == 1 else 1)
    with ExitStack() as stack, pytest.raises(UploadError, match="cannot be sent as one corpus"):
        open_corpus(paths, stack)


def test_one_file_of_any_kind_is_sent_as_it_is(tmp_path: Path) -> None:
    paths = files(tmp_path, {"a.csv.zst": b"\x28\xb5"})
    with ExitStack() as stack:
        assert open_corpus(paths, stack).read() == b"\x28\xb5"


def test_a_file_that_is_gone_is_said_so(tmp_path: Path) -> None:
    with ExitStack() as stack, pytest.raises(UploadError, match="Cannot read"):
        open_corpus([tmp_path / "gone.txt"], stack)


class Breaking(BaseHTTPRequestHandler):
    """A service that hangs up amid the first uploads, and says what it received of the last."""

    breaks = 2
    seen: ClassVar[list[tuple[str | None, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.headers["Idempotency-Key"], body))
        if len(self.seen) <= self.breaks:
            self.close_connection = True
            return
        answer = json.dumps(CORPUS).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


CORPUS: dict[str, Any] = {
    "id": "corpus_1",
    "name": None,
    "format": "text",
    "compression": None,
    "text_field": None,
    "delimiter": None,
    "quoting": None,
    "encoding": "utf-8",
    "bytes": 3,
    "sha256": "0",
    "documents": 1,
    "characters": 3,
    "skipped": 0,
    "skipped_lines": [],
    "preview": [],
    "created_at": "2026-01-01T00:00:00Z",
}


def test_an_upload_that_breaks_off_comes_again_whole_with_the_same_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    [path] = files(tmp_path, {"a.txt": b"one\ntwo\n"})
    with ThreadingHTTPServer(("127.0.0.1", 0), Breaking) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with FvtClient(f"http://127.0.0.1:{server.server_port}") as client:
            assert client.upload_corpus(path).id == "corpus_1"
            keys = {key for key, _ in Breaking.seen}
            assert len(Breaking.seen) == 3
            assert len(keys) == 1
            assert None not in keys
            assert all(b"one\ntwo\n" in body for _, body in Breaking.seen)
            client.upload_corpus(path, idempotency_key="mine")
            assert Breaking.seen[-1][0] == "mine"
        server.shutdown()
