"""Files on their way: a corpus up, a result down, each compared by its sha256."""

import errno
import hashlib
import io
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import httpx

from . import calls
from ._errors import DownloadError, ProblemError, UploadError
from .contract.corpora import CorpusView
from .contract.jobs import ArtifactView, JobView
from .responses import failure, raise_for_problem
from .steps import Fetch, Retries, Sleep, Steps, Work, request, request_once, unreachable
from .verify import sha256_of

CHUNK = 1 << 20

OnBytes = Callable[[int, int], None]
"""Called with the bytes that are over there and with all of them."""

LINE_FORMATS = {".txt": "text", ".text": "text", ".jsonl": "jsonl", ".ndjson": "jsonl"}


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


def open_corpus(paths: Sequence[Path], files: ExitStack) -> BinaryIO:
    """Open one file to read: the only one, or the lines of all of them in turn."""
    check_joinable(paths)
    try:
        opened = [files.enter_context(path.open("rb")) for path in paths]
    except OSError as error:
        raise UploadError(f"Cannot read {error.filename}: {error.strerror}.") from error
    return opened[0] if len(opened) == 1 else io.BufferedReader(JoinedLines(opened), CHUNK)


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


class Watched(io.RawIOBase):
    """A file that tells how much of it was read; httpx reads it in small chunks."""

    def __init__(self, file: BinaryIO, size: int, on_bytes: OnBytes) -> None:
        self._file, self._size, self._on_bytes = file, size, on_bytes
        self._sent = 0

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._sent += len(data)
        self._on_bytes(self._sent, self._size)
        return data


class Corpus:
    """Files of this machine that are sent as one corpus."""

    def __init__(self, paths: Sequence[Path], fields: dict[str, str]) -> None:
        check_joinable(paths)
        self.paths = paths
        self.fields = fields
        self.sha256 = ""
        self.bytes = 0

    @property
    def label(self) -> str:
        """Return a name for people, that is another one where the file is read in another way."""
        options = ", ".join(f"{name} {value}" for name, value in sorted(self.fields.items()))
        name = self.paths[0].name + (f" and {len(self.paths) - 1} more" if self.paths[1:] else "")
        name += f" ({options})" if options else ""
        return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "?", name)[:200]

    def hash(self) -> None:
        """Read everything once, to know its sha256 and its size."""
        digest, size = hashlib.sha256(), 0
        with ExitStack() as files:
            file = open_corpus(self.paths, files)
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
        self.sha256, self.bytes = digest.hexdigest(), size

    def beginning(self, size: int) -> bytes:
        """Return the first bytes."""
        with ExitStack() as files:
            return open_corpus(self.paths, files).read(size)


def upload(
    corpus: Corpus, name: str | None, reuse: bool, retries: Retries, on_bytes: OnBytes
) -> Steps[CorpusView]:
    """Send a corpus, from its beginning after each broken connection.

    Where the service has it already, read in the same way, nothing is sent: an upload whose answer
    was lost is found so too. Raises UploadError where other bytes arrived than are here.
    """
    yield Work(corpus.hash)
    label = name or corpus.label
    found = (yield from _find(corpus, label, retries)) if reuse else None
    attempt, key = 0, f"fvt-{uuid4().hex}"
    while found is None:
        with ExitStack() as files:
            call = calls.create_corpus(
                {**corpus.fields, "name": label},
                lambda: (
                    corpus.paths[0].name,
                    Watched(open_corpus(corpus.paths, files), corpus.bytes, on_bytes),
                ),
                key,
            )
            try:
                found = yield from request_once(call)
            except (httpx.RequestError, ProblemError) as error:
                pause = _pause(attempt, error, retries)
                if pause is None:
                    raise unreachable(error) from error
                yield Sleep(pause)
                found = yield from _find(corpus, label, retries)
        attempt += 1
    if found.sha256 != corpus.sha256:
        raise UploadError(
            f"Other bytes arrived than are in {corpus.paths[0]}: the file changed while it was "
            f"sent, or was damaged on its way. {found.id} holds what arrived. Send it again."
        )
    return found


def _pause(attempt: int, error: Exception, retries: Retries) -> float | None:
    # What stood between cut the body off: to the service it looks as if the client had done that.
    if isinstance(error, ProblemError) and error.code == "upload_aborted":
        return retries.pause(attempt, httpx.WriteError(""))
    return retries.pause(attempt, error)


def _find(corpus: Corpus, label: str, retries: Retries) -> Steps[CorpusView | None]:
    """Look among the newest corpora for this one."""
    page = yield from request(calls.list_corpora(None), retries)
    same = (row for row in page.data if (row.sha256, row.name) == (corpus.sha256, label))
    return next(same, None)


def check_target(target: Path) -> None:
    """Refuse to unpack over something that is there."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DownloadError(f"{target} exists and is not an empty folder. Name another one.")


def download(job_id: str, target: Path, retries: Retries, on_bytes: OnBytes) -> Steps[Path]:
    """Unpack the result of a job into `target`, a folder that is not there or empty.

    What has arrived stays beside it until the whole is there, so that the same call goes on.
    """
    check_target(target)
    job = yield from request(calls.get_job(job_id), retries)
    if job.artifact_expired_at:
        raise DownloadError(f"The result of {job_id} is no longer kept. Submit the job again.")
    if job.artifact is None:
        if job.is_over:
            raise failure(job)
        raise DownloadError(f"{job_id} is {job.status}: wait for its end, then download it.")
    target = target.absolute()
    partial = target.with_name(f".{job_id}.tar.gz.partial")
    try:
        yield Work(lambda: target.parent.mkdir(parents=True, exist_ok=True))
        yield from _check_space(job, job.artifact, partial, retries)
        yield from fetch(f"/v1/jobs/{job_id}/download", job.artifact, partial, retries, on_bytes)
        yield Work(lambda: unpack(partial, target))
        yield Work(partial.unlink)
    except OSError as error:
        raise _disk_error(error, target, partial) from error
    return target


def _check_space(
    job: JobView, artifact: ArtifactView, partial: Path, retries: Retries
) -> Steps[None]:
    """Refuse a download that the disk has no room for, before it begins."""
    files = yield from request(calls.list_files(job.id), retries)
    have = _size(partial)
    needed = max(artifact.bytes - have, 0) + sum(file.bytes for file in files.data)
    free = shutil.disk_usage(partial.parent).free
    if needed > free:
        raise DownloadError(
            f"The result needs {needed / 1e6:,.0f} MB on the disk of {partial.parent}, which has "
            f"{free / 1e6:,.0f} MB left. Make room there, or name a folder on another disk."
        )


def _disk_error(error: OSError, target: Path, partial: Path) -> DownloadError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        why = f"The disk of {target.parent} is full. Make room there"
    else:
        why = f"Cannot write {error.filename or target}: {error.strerror or error}. Mend that"
    kept = f" What has arrived is kept in {partial}." if _size(partial) else ""
    return DownloadError(
        f"{why}, or name a folder on another disk; the same download goes on.{kept}"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


class PartialFile:
    """The file that a download grows in; an answer with the whole file starts it anew."""

    def __init__(self, path: Path, size: int, on_bytes: OnBytes) -> None:
        self._path, self._size, self._on_bytes = path, size, on_bytes
        self._file: BinaryIO | None = None

    def open(self, response: httpx.Response) -> None:
        is_rest = response.status_code == httpx.codes.PARTIAL_CONTENT
        self._file = self._path.open("ab" if is_rest else "wb")

    def write(self, chunk: bytes) -> None:
        assert self._file
        self._file.write(chunk)
        self._on_bytes(self._file.tell(), self._size)

    def close(self) -> None:
        file, self._file = self._file, None
        if file:
            file.close()


def fetch(
    path: str, artifact: ArtifactView, partial: Path, retries: Retries, on_bytes: OnBytes
) -> Steps[None]:
    """Bring `partial` to the whole artifact, going on where an earlier try ended."""
    etag, attempt, most = f'"{artifact.sha256}"', 0, -1
    while (have := _size(partial)) < artifact.bytes:
        # A connection that brought something is worth another try, however often it broke.
        attempt, most = (0, have) if have > most else (attempt, most)
        headers = {"Range": f"bytes={have}-", "If-Range": etag} if have else {}
        try:
            sink = PartialFile(partial, artifact.bytes, on_bytes)
            response: httpx.Response = yield Fetch(path, headers, etag, sink)
            raise_for_problem(response)
        except (httpx.RequestError, ProblemError) as error:
            pause = retries.pause(attempt, error)
            if pause is None:
                raise _broken_off(error, partial) from error
            yield Sleep(pause)
        attempt += 1
        if attempt > retries.times + 1:
            break
    if (yield Work(lambda: sha256_of(partial))) != artifact.sha256:
        partial.unlink()
        raise DownloadError("The download does not have the sha256 that the job names. Try again.")


def _broken_off(error: Exception, partial: Path) -> Exception:
    said = unreachable(error)
    if said is error or not _size(partial):
        return said
    return type(said)(f"{said} What has arrived is kept in {partial}; the same download goes on.")


def onward(response: httpx.Response, etag: str) -> httpx.Request | None:
    """Return the request that a redirect to an object store asks for; None where there is none."""
    request_ = response.next_request
    if request_ and response.headers.get("etag") == etag:
        # The service has compared If-Range, and the store has an ETag of its own. The URL is
        # signed: stores refuse a key beside it, and it is not theirs to see.
        request_.headers.pop("If-Range", None)
        request_.headers.pop("Authorization", None)
    return request_


def unpack(archive: Path, target: Path) -> None:
    """Make `target` the one folder in `archive`; it appears whole, or not at all."""
    if not hasattr(tarfile, "data_filter"):
        raise DownloadError("This Python unpacks archives unsafely: update it to its last patch.")
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
