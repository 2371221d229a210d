"""Files that never became whole, because who wrote them was killed: found and freed.

In a folder `obstore` writes `name#1` and renames it at the end; a listing does not show it. On S3
it is a multipart upload that stays open, and is paid for. Azure drops such blocks after a week by
itself; on GCS a lifecycle rule of the bucket does (`AbortIncompleteMultipartUpload`).
"""

import logging
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from obstore.store import S3Store

log = logging.getLogger(__name__)

STAGED = re.compile(r".+#[0-9]+")


def staged_files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that are being written, or were."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if STAGED.fullmatch(name))


def changed_at(path: Path) -> datetime | None:
    """Return when a file was last written to; None where it is gone."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def remove_staged(folder: Path, before: datetime) -> int:
    """Remove the files below a folder that nobody has written to since; returns how many."""
    removed = 0
    for path in staged_files(folder):
        changed = changed_at(path)
        if changed and changed < before:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def remove_empty_folders(folder: Path) -> None:
    """Remove the empty folders below a folder, which stays.

    Whoever is about to write into one makes it again: `obstore` does.
    """
    for parent, _, _ in os.walk(folder, topdown=False):
        if Path(parent) != folder:
            remove_if_empty(Path(parent))


def remove_if_empty(folder: Path) -> bool:
    """Remove a folder unless something is in it."""
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


class OpenUploads:
    """The multipart uploads of an S3 bucket, which `obstore` cannot list."""

    def __init__(self, store: S3Store) -> None:
        self._bucket = str(store.config["bucket"])
        self._prefix = f"{store.prefix}/" if store.prefix else ""
        self._client = _s3_client()

    def abort(self, prefix: str, before: datetime | None = None) -> int:
        """Abort those of keys that begin with `prefix`, begun before a time; returns how many."""
        wanted, aborted = self._prefix + prefix, 0
        pages = self._client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self._bucket, Prefix=wanted):
            for upload in page.get("Uploads", ()):
                # Some stores pay no heed to `Prefix`.
                is_old = before is None or upload["Initiated"] < before
                if is_old and upload["Key"].startswith(wanted):
                    self._client.abort_multipart_upload(
                        Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                    aborted += 1
        return aborted


def _s3_client() -> Any:
    """Return a client with the endpoint, region and credentials that `obstore` reads."""
    import botocore.session  # noqa: PLC0415  (half a second that only S3 needs)
    from botocore.config import Config  # noqa: PLC0415

    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT")
    config = Config(
        s3={"addressing_style": "path"},
        connect_timeout=5,
        read_timeout=30,
        retries={"total_max_attempts": 3},
    )
    return botocore.session.get_session().create_client(
        "s3", region_name=region or "us-east-1", endpoint_url=endpoint, config=config
    )
