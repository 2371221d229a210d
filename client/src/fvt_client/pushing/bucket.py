"""An object store that speaks S3: a result as objects under a prefix."""

import hashlib
import os
import threading
from typing import Any

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from .._errors import PushError
from ..verify import CHUNK, MANIFEST, Manifest, ManifestFile
from .target import Options, Pushed, Result

_FORBIDDEN = {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
# Stores other than AWS's refuse the checksums that boto3 adds; what arrived is read anyway.
_CONFIG = Config(
    retries={"mode": "standard"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


def target(name: str) -> "Bucket":
    """Return the target of `s3://name`."""
    bucket, _, prefix = name.partition("/")
    if not bucket:
        raise PushError("The target names no bucket. Give s3://BUCKET/PREFIX.")
    return Bucket(bucket, prefix)


class Bucket:
    """A prefix of a bucket; credentials and endpoint are those of AWS's tools, by boto3."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.name = f"s3://{bucket}/{prefix}".rstrip("/")

    def check(self) -> None:
        """Ask for the bucket."""
        self._call(lambda s3: s3.head_bucket(Bucket=self.bucket))

    def send(self, result: Result, options: Options) -> Pushed:
        """Send what is not there, the manifest last, and read everything back."""
        pushed: Pushed = self._call(lambda s3: self._send(s3, result, options))
        return pushed

    def _send(self, s3: Any, result: Result, options: Options) -> Pushed:
        there = self._listed(s3)
        wanted = {file.path for file in result.files}
        before = self._manifest(s3) if MANIFEST in there else None
        changed = [file for file in result.files if not self._is_there(s3, file, there)]
        foreign = sorted(there - wanted)
        in_the_way = sorted({*foreign, *(file.path for file in changed if file.path in there)})
        if in_the_way and not options.replace:
            raise PushError(
                f"{self.name} holds other files: {', '.join(in_the_way[:3])}. Give a prefix of "
                "its own, or replace what is there (`--replace`)."
            )
        progress = _Progress(result.bytes - sum(file.bytes for file in changed), result, options)
        # A reader that finds the manifest finds what it names: it goes first and comes last.
        if changed and MANIFEST in there:
            s3.delete_object(Bucket=self.bucket, Key=self._key(MANIFEST))
            changed = [*(f for f in changed if f.path != MANIFEST), result.files[-1]]
        for file in changed:
            path = str(result.folder / file.path)
            s3.upload_file(path, self.bucket, self._key(file.path), Callback=progress.add)
            if not self._is_there(s3, file, {file.path}):
                raise PushError(f"{file.path} arrived in {self.name} as other bytes. Try again.")
        # What an earlier result left there; files that no manifest names are not ours to delete.
        stale = {file.path for file in before.files} & set(foreign) if before else set()
        for path in sorted(stale):
            s3.delete_object(Bucket=self.bucket, Key=self._key(path))
        return Pushed(self.name, len(result.files))

    def _listed(self, s3: Any) -> set[str]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        keys = (row["Key"] for page in pages for row in page.get("Contents", ()))
        # Consoles leave an empty object where someone made a folder.
        return {key.removeprefix(self.prefix) for key in keys if not key.endswith("/")}

    def _manifest(self, s3: Any) -> Manifest | None:
        body = s3.get_object(Bucket=self.bucket, Key=self._key(MANIFEST))["Body"].read()
        try:
            return Manifest.model_validate_json(body)
        except ValueError:
            return None

    def _is_there(self, s3: Any, file: ManifestFile, there: set[str]) -> bool:
        """Tell whether the object has the file's bytes: it is read, since no store has to hash."""
        if file.path not in there:
            return False
        answer = s3.get_object(Bucket=self.bucket, Key=self._key(file.path))
        if answer["ContentLength"] != file.bytes:
            return False
        digest = hashlib.sha256()
        for chunk in answer["Body"].iter_chunks(CHUNK):
            digest.update(chunk)
        return digest.hexdigest() == file.sha256

    def _key(self, path: str) -> str:
        return self.prefix + path

    def _call(self, do: Any) -> Any:
        """Do something with a client of S3; raises PushError in words."""
        try:
            # AWS's other tools read AWS_REGION, boto3 does not.
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
            return do(boto3.Session().client("s3", region_name=region, config=_CONFIG))
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise PushError(
                "There are no credentials for S3. Set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run `aws configure`."
            ) from error
        except (ClientError, S3UploadFailedError) as error:
            raise PushError(self._in_words(error)) from error
        except BotoCoreError as error:
            raise PushError(
                f"{self.name} could not be reached: {error}. Is AWS_ENDPOINT_URL right, and is "
                "the store up?"
            ) from error

    def _in_words(self, error: Exception) -> str:
        response = error.response if isinstance(error, ClientError) else {}
        code = str(response.get("Error", {}).get("Code", ""))
        if code in {"404", "NoSuchBucket"}:
            return f"There is no bucket {self.bucket!r}. Make it, or name one that is there."
        if code in _FORBIDDEN:
            return (
                f"S3 refuses {self.name} to these credentials ({code}). They need to list, read, "
                "write and delete there."
            )
        return f"S3 refused {self.name}: {error}."


class _Progress:
    """Adds up what several threads of an upload report."""

    def __init__(self, done: int, result: Result, options: Options) -> None:
        self._done, self._all, self._on_bytes = done, result.bytes, options.on_bytes
        self._lock = threading.Lock()

    def add(self, sent: int) -> None:
        with self._lock:
            self._done += sent
            self._on_bytes(self._done, self._all)
