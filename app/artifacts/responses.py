"""A stored file as a response: whole, in part, or only its headers; never held in memory."""

from http import HTTPStatus

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from app.artifacts.ranges import select_bytes
from app.artifacts.service import StoredFile
from app.blobs import Blobs
from app.errors import NotFoundError

NOTHING_RUNS = "default-src 'none'; sandbox"
REPORT_RUNS = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "script-src 'unsafe-inline'; sandbox allow-scripts"
)


async def file_response(
    request: Request, blobs: Blobs, file: StoredFile, headers: dict[str, str] | None = None
) -> Response:
    """Answer with the bytes that the request's headers ask for."""
    described = {**_description(file), **(headers or {})}
    selection = select_bytes(request.method, request.headers, described["etag"], file.bytes)
    described.update(selection.headers)
    if selection.status == HTTPStatus.NOT_MODIFIED:
        return Response(status_code=selection.status, headers=described)
    if await run_in_threadpool(blobs.size, file.key) is None:
        raise NotFoundError("artifact_not_found", f"{file.path} is no longer in storage.")
    if request.method == "HEAD":
        return Response(None, selection.status, described, file.media_type)
    body = blobs.stream_async(file.key, selection.start, selection.end)
    return StreamingResponse(body, selection.status, described, file.media_type)


def _description(file: StoredFile) -> dict[str, str]:
    is_html = file.media_type.startswith("text/html")
    return {
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-security-policy": REPORT_RUNS if is_html else NOTHING_RUNS,
        "etag": f'"{file.sha256}"',
        "x-content-type-options": "nosniff",
    }
