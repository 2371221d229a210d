"""A stored file as a response: bytes that are never held in memory, or the store's URL of them."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from obstore.exceptions import BaseError

from app.artifacts.service import StoredFile
from app.blobs import Blobs
from app.errors import NotFoundError, RangeNotSatisfiableError

log = logging.getLogger(__name__)

ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,30})-([0-9]{0,30})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True)
class Selection:
    """The bytes [start, end) of a file of `size` bytes, and the status that says so."""

    status: HTTPStatus
    start: int
    end: int
    size: int

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell a client which bytes these are."""
        if self.status == HTTPStatus.NOT_MODIFIED:
            return {}
        headers = {"content-length": str(self.end - self.start)}
        if self.status == HTTPStatus.PARTIAL_CONTENT:
            headers["content-range"] = f"bytes {self.start}-{self.end - 1}/{self.size}"
        return headers


def select_bytes(method: str, headers: Mapping[str, str], etag: str, size: int) -> Selection:
    """Choose the bytes to answer with; `headers` has lower-case names.

    Raises `RangeNotSatisfiableError` where the range begins behind the last byte.
    """
    if _names(headers.get("if-none-match", ""), etag):
        return Selection(HTTPStatus.NOT_MODIFIED, 0, 0, size)
    # A date in If-Range never holds: these files have no Last-Modified, only a strong ETag.
    ranged = method == "GET" and headers.get("if-range", etag).strip() == etag
    wanted = parse_range(headers.get("range", ""), size) if ranged else None
    if wanted is None:
        return Selection(HTTPStatus.OK, 0, size, size)
    return Selection(HTTPStatus.PARTIAL_CONTENT, *wanted, size)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """The range as [start, end); None where the whole file is the answer.

    That is so without a header, with one that makes no sense, and with several ranges.
    """
    match = ONE_RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return _suffix(int(last), size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise _unsatisfiable(size)
    return start, min(int(last) + 1, size) if last else size


def _suffix(length: int, size: int) -> tuple[int, int] | None:
    if length == 0:
        raise _unsatisfiable(size)
    return (max(size - length, 0), size) if size else None


def _names(if_none_match: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags


def _unsatisfiable(size: int) -> RangeNotSatisfiableError:
    return RangeNotSatisfiableError(
        "range_not_satisfiable",
        f"The file has {size} bytes; ask for a range within them.",
        headers={"content-range": f"bytes */{size}"},
    )


NOTHING_RUNS = "default-src 'none'; sandbox; frame-ancestors 'self'"
REPORT_RUNS = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "script-src 'unsafe-inline'; sandbox allow-scripts; frame-ancestors 'self'"
)
# A download may take longer: the store looks at the clock only when a request begins.
URL_LIFETIME = timedelta(minutes=15)


async def file_response(
    request: Request,
    blobs: Blobs,
    file: StoredFile,
    headers: dict[str, str] | None = None,
    *,
    redirect: bool = False,
) -> Response:
    """Answer with the bytes that the request's headers ask for.

    With `redirect`, answer with 307 and a signed URL of the object store, where that can be.
    """
    described = {**_description(file), **(headers or {})}
    selection = select_bytes(request.method, request.headers, described["etag"], file.bytes)
    described.update(selection.headers)
    if selection.status == HTTPStatus.NOT_MODIFIED:
        return Response(status_code=selection.status, headers=described)
    if await run_in_threadpool(blobs.size, file.key) is None:
        raise NotFoundError("artifact_not_found", f"{file.path} is no longer in storage.")
    if request.method == "HEAD":
        return Response(None, selection.status, described, file.media_type)
    if redirect and (url := await _signed_url(request, blobs, file, selection)):
        # A cache that kept this would send clients to a URL that has expired.
        kept = {"cache-control": "no-store", "etag": described["etag"], "location": url}
        return Response(None, HTTPStatus.TEMPORARY_REDIRECT, kept)
    body = blobs.stream_async(file.key, selection.start, selection.end)
    return StreamingResponse(body, selection.status, described, file.media_type)


async def _signed_url(
    request: Request, blobs: Blobs, file: StoredFile, selection: Selection
) -> str | None:
    """Sign a URL for a file; None where the bytes must come from here."""
    # A page from the store would run its scripts there, without our Content-Security-Policy.
    if file.media_type.startswith("text/html"):
        return None
    # The store does not know our ETag: it would send a part that If-Range forbids.
    if "range" in request.headers and selection.status != HTTPStatus.PARTIAL_CONTENT:
        return None
    try:
        return await blobs.signed_url(file.key, URL_LIFETIME)
    except BaseError as error:
        reason = str(error).partition("\n")[0]
        log.warning("The store's credentials cannot sign URLs; the API sends the bytes: %s", reason)
        return None


def _description(file: StoredFile) -> dict[str, str]:
    is_html = file.media_type.startswith("text/html")
    return {
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-security-policy": REPORT_RUNS if is_html else NOTHING_RUNS,
        "etag": f'"{file.sha256}"',
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
    }
