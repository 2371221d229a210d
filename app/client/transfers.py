"""Uploads sent until they are answered; results fetched in pieces, checked, and unpacked."""

import hashlib
import io
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from app.client.errors import ApiError, DownloadError, UnreachableError, UploadError
from app.contract.jobs import ArtifactView as Artifact

TRIES = 5
CHUNK = 1 << 20

OnBytes = Callable[[int, int], None]
"""Called with the bytes that have arrived and with all of them."""


def check_target(target: Path) -> None:
    """Refuse to unpack over something that is there."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DownloadError(f"{target} exists and is not an empty folder. Name another one.")


def fetch(
    http: httpx.Client, url: str, artifact: Artifact, partial: Path, on_bytes: OnBytes
) -> None:
    """Bring `partial` to the whole artifact, going on where an earlier try ended."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(TRIES):
        try:
            _fetch_rest(http, url, artifact, partial, on_bytes)
        except httpx.RequestError as error:
            if attempt == TRIES - 1:
                raise UnreachableError(
                    f"The download broke off {TRIES} times ({error}). What has arrived is kept in "
                    f"{partial}; the same download goes on from there."
                ) from error
            time.sleep(2**attempt)
        else:
            break
    if _sha256(partial) != artifact.sha256:
        partial.unlink()
        raise DownloadError("The download does not have the sha256 that the job names. Try again.")


def _fetch_rest(
    http: httpx.Client, url: str, artifact: Artifact, partial: Path, on_bytes: OnBytes
) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    if have >= artifact.bytes:
        return
    etag = f'"{artifact.sha256}"'
    headers = {"Range": f"bytes={have}-", "If-Range": etag} if have else {}
    with _open(http, url, headers, etag) as response:
        if response.is_error:
            response.read()
            raise ApiError.from_response(response)
        is_rest = response.status_code == httpx.codes.PARTIAL_CONTENT
        with partial.open("ab" if is_rest else "wb") as sink:
            for chunk in response.iter_raw(CHUNK):
                sink.write(chunk)
                on_bytes(sink.tell(), artifact.bytes)


@contextmanager
def _open(
    http: httpx.Client, url: str, headers: dict[str, str], etag: str
) -> Iterator[httpx.Response]:
    """Ask for a file, and follow the service's redirect to its object store."""
    response = http.send(http.build_request("GET", url, headers=headers), stream=True)
    if onward := response.next_request:
        response.close()
        if response.headers.get("etag") == etag:
            # The service has compared If-Range, and the store has an ETag of its own. The URL is
            # signed: stores refuse a key beside it, and it is not theirs to see.
            onward.headers.pop("If-Range", None)
            onward.headers.pop("Authorization", None)
        response = http.send(onward, stream=True, follow_redirects=True)
    try:
        yield response
    finally:
        response.close()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(archive: Path, target: Path) -> None:
    """Make `target` the one folder in `archive`; it appears whole, or not at all."""
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data")
        roots = list(scratch.iterdir())
        if len(roots) != 1 or not roots[0].is_dir():
            raise DownloadError("The result does not hold exactly one folder.")
        roots[0].rename(target)
    except tarfile.TarError as error:
        raise DownloadError(f"The result cannot be unpacked: {error}.") from error
    finally:
        shutil.rmtree(scratch)


def send_again(send: Callable[[], httpx.Response]) -> httpx.Response:
    """Send an upload until it is answered; `send` sends all of it, with the same key each time.

    A service that does not answer at all is not waited for.
    """
    for attempt in range(TRIES - 1):
        try:
            return send()
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if attempt == 0:
                raise
        except httpx.TransportError:
            pass
        time.sleep(2**attempt)
    return send()


LINE_FORMATS = {".txt": "text", ".text": "text", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def open_corpus(paths: Sequence[Path], files: ExitStack) -> BinaryIO:
    """One file to read: the only one, or the lines of all of them in turn."""
    check_joinable(paths)
    try:
        opened = [files.enter_context(path.open("rb")) for path in paths]
    except OSError as error:
        raise UploadError(f"Cannot read {error.filename}: {error.strerror}.") from error
    return opened[0] if len(opened) == 1 else io.BufferedReader(JoinedLines(opened), CHUNK)


def check_joinable(paths: Sequence[Path]) -> None:
    """Refuse files whose bytes, one after the other, are no corpus of all their documents."""
    formats = {LINE_FORMATS.get(path.suffix.lower()) for path in paths}
    if len(paths) == 1 or (len(formats) == 1 and None not in formats):
        return
    names = ", ".join(path.name for path in paths) or "none"
    raise UploadError(
        f"These files cannot be sent as one corpus: {names}. Files of lines can, all plain text "
        "(.txt) or all JSON lines (.jsonl), not compressed. Make one file, or run a job for each."
    )


class JoinedLines(io.RawIOBase):
    """Files of lines one after the other; the last line of each is ended where it is not."""

    def __init__(self, files: Sequence[BinaryIO]) -> None:
        self._chunks = _chunks(files)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._chunks, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _chunks(files: Sequence[BinaryIO]) -> Iterator[bytes]:
    for file in files:
        last = b""
        while chunk := file.read(CHUNK):
            yield chunk
            last = chunk
        if last and not last.endswith(b"\n"):
            yield b"\n"
