"""Files of any size under keys, on S3, GCS, Azure or a local folder."""

import re
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import obstore
from obstore.exceptions import GenericError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store, from_url

from app.disk import free_bytes
from app.partial_files import (
    OpenUploads,
    changed_at,
    remove_empty_folders,
    remove_if_empty,
    remove_staged,
    staged_files,
)

if TYPE_CHECKING:
    from obstore import AsyncWritableFile
    from obstore.store import RetryConfig

CHUNK = 1 << 20
SENT_CHUNK = 1 << 17
"""A slow client holds two of these: one that is being sent, and one that was read."""
WRITE_BUFFER = 8 << 20
WRITES_AT_ONCE = 2
FOLDER_TRIES = 5
# A request takes 30 s at most by itself. Options of the client, which could say less, would take
# the place of those of the environment, `AWS_ALLOW_HTTP` among them.
BRIEF: "RetryConfig" = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {
        "init_backoff": timedelta(seconds=0.1),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    },
}
"""Retries of a request to the store while somebody waits for an answer."""

# A bucket's own rule, or a restart of the store, may drop an upload that is being sent.
_AWAY = re.compile(r"^Generic (S3|GCS|MicrosoftAzure) error|<Code>NoSuchUpload</Code>")


def is_store_away(error: Exception) -> bool:
    """Tell whether an object store did not answer, or not as one does: `obstore` has no class."""
    return bool(_AWAY.search(str(error)))


class Blobs:
    """A thin room around `obstore`: keys are made by us, never by a client.

    With `is_answering` an object store that is away is waited for as long as somebody waits for an
    answer; else for minutes.
    """

    def __init__(self, url: str, *, is_answering: bool = False) -> None:
        self.url = url
        how: dict[str, Any] = {"retry_config": BRIEF if is_answering else None}
        if url.startswith("file:"):
            # With `automatic_cleanup` a folder goes with the last file in it.
            how = {"mkdir": True, "automatic_cleanup": True}
        self.store: ObjectStore = from_url(url, **how)

    @property
    def folder(self) -> Path | None:
        """The folder that is the storage; None for an object store."""
        return self.store.prefix if isinstance(self.store, LocalStore) else None

    @property
    def free_bytes(self) -> int | None:
        """The bytes that may still be written; None where there is no such limit."""
        return free_bytes(self.folder) if self.folder else None

    @cached_property
    def _open_uploads(self) -> OpenUploads | None:
        return OpenUploads(self.store) if isinstance(self.store, S3Store) else None

    def writer(self, key: str) -> "AsyncWritableFile":
        """A file that exists, whole, once it is closed; abandoned unclosed it never does."""
        return obstore.open_writer_async(
            self.store, key, buffer_size=WRITE_BUFFER, max_concurrency=WRITES_AT_ONCE
        )

    def reader(self, key: str) -> BinaryIO:
        """A seekable file; raises FileNotFoundError."""
        return cast(BinaryIO, obstore.open_reader(self.store, key, buffer_size=CHUNK))

    def put(self, key: str, data: bytes | Path) -> None:
        """Store bytes or a local file, replacing what was there at once."""
        for _ in range(FOLDER_TRIES if self.folder else 0):
            # A folder is made, and may go with its last file before ours is in it.
            with suppress(GenericError):
                obstore.put(self.store, key, data)
                return
        obstore.put(self.store, key, data)

    def copy(self, key: str, target: str) -> None:
        """Copy within the storage, without the bytes; raises FileNotFoundError."""
        obstore.copy(self.store, key, target)

    def fetch(self, key: str, target: Path) -> None:
        """Copy to a local file, which appears whole."""
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        with closing(self.reader(key)) as source, partial.open("wb") as sink:
            shutil.copyfileobj(source, sink, CHUNK)
        partial.replace(target)

    def stream(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes in [start, end), in chunks of at most 1 MiB."""
        for offset in range(start, end, CHUNK):
            stop = min(offset + CHUNK, end)
            yield bytes(obstore.get_range(self.store, key, start=offset, end=stop))

    async def stream_async(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes in [start, end), in chunks that many clients at once may hold."""
        for offset in range(start, end, SENT_CHUNK):
            stop = min(offset + SENT_CHUNK, end)
            yield bytes(await obstore.get_range_async(self.store, key, start=offset, end=stop))

    async def signed_url(self, key: str, expires_in: timedelta) -> str | None:
        """Sign a URL under which anyone can GET `key`; None where the store has no such URLs.

        Raises `obstore.exceptions.BaseError` where the credentials do not allow signing.
        """
        if not isinstance(self.store, S3Store | GCSStore | AzureStore):
            return None
        return await obstore.sign_async(self.store, "GET", key, expires_in)

    def size(self, key: str) -> int | None:
        """Bytes under `key`, or None where there is nothing."""
        try:
            return obstore.head(self.store, key)["size"]
        except FileNotFoundError:
            return None

    def keys(self, prefix: str) -> list[str]:
        """Every key below `prefix/`."""
        pages = obstore.list(self.store, prefix=prefix)
        return [entry["path"] for page in pages for entry in page]

    def has_files(self, prefix: str) -> bool:
        """Tell whether anything lies below `prefix/`; some stores show folders that are empty."""
        return any(page for page in obstore.list(self.store, prefix=prefix))

    def children(self, prefix: str) -> list[str]:
        """Return the names right below `prefix/` that have something below them."""
        found = obstore.list_with_delimiter(self.store, prefix)
        return [path.rpartition("/")[2] for path in found["common_prefixes"]]

    def changed_at(self, prefix: str) -> datetime | None:
        """Return when something below `prefix/` last changed; None where nothing is there."""
        pages = obstore.list(self.store, prefix=prefix)
        times = [entry["last_modified"] for page in pages for entry in page]
        if self.folder:
            times += filter(None, map(changed_at, staged_files(self.folder / prefix)))
        return max(times, default=None)

    def delete_all(self, prefix: str) -> None:
        """Delete everything below `prefix/`; nothing there is no error."""
        self.delete(self.keys(prefix))
        if self.folder:
            # What the listing hides: files of writers that were killed, and empty folders.
            shutil.rmtree(self.folder / prefix, ignore_errors=True)
            for parent in (self.folder / prefix).parents:
                if parent == self.folder or not remove_if_empty(parent):
                    break

    def discard_upload(self, prefix: str) -> None:
        """Delete what an upload left below `prefix/`, also where it ended halfway."""
        self.delete_all(prefix)
        if self._open_uploads:
            self._open_uploads.abort(f"{prefix}/")

    def delete_partial(self, before: datetime) -> int:
        """Free the files that were begun and never became whole, and have not grown since.

        Returns how many.
        """
        if self._open_uploads:
            return self._open_uploads.abort("", before)
        if self.folder is None:
            return 0
        removed = remove_staged(self.folder, before)
        remove_empty_folders(self.folder)
        return removed

    def delete(self, keys: Sequence[str]) -> None:
        """Delete what lies under these keys; what another process deleted first is no error."""
        if not keys:
            return
        try:
            obstore.delete(self.store, keys)
        except FileNotFoundError:
            for key in keys:
                with suppress(FileNotFoundError):
                    obstore.delete(self.store, key)
