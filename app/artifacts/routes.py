"""The results of jobs over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from app.artifacts import service
from app.artifacts.responses import file_response
from app.contract.jobs import ArtifactFileView
from app.contract.report import Report
from app.dependencies import BlobsDep, DatabaseDep
from app.jobs.routes import choose_media_type
from app.openapi import problems, schema_of
from app.pagination import Page
from app.settings import Settings

BINARY = {"schema": {"type": "string", "format": "binary"}}
BYTES_HEADERS = {
    name: {"description": description, "schema": {"type": "string"}}
    for name, description in {
        "ETag": "The file's sha256, in quotes",
        "Accept-Ranges": "`bytes`",
        "Content-Length": "Bytes that follow",
        "Location": "A signed URL; send no key there",
    }.items()
}

SENT_HEADERS = {name: text for name, text in BYTES_HEADERS.items() if name != "Location"}


def _file_responses(*media_types: str) -> dict[int | str, dict[str, Any]]:
    # A JSON file of a result may hold anything.
    content = {type_: {} if type_ == "application/json" else BINARY for type_ in media_types}
    return {
        200: {"description": "The file", "content": content, "headers": SENT_HEADERS},
        206: {"description": "The part asked for", "content": content},
        304: {"description": "The client has it already"},
        307: {
            "description": "The file is in the object store, under a URL for the next 15 minutes",
            "headers": {name: BYTES_HEADERS[name] for name in ("ETag", "Location")},
        },
    }


ARCHIVE = _file_responses("application/gzip")
NAMED = (type_.partition(";")[0] for type_ in service.MEDIA_TYPES.values())
FILE = _file_responses("application/octet-stream", *NAMED)
REPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report",
        "content": {
            "application/json": {"schema": schema_of(Report)},
            "text/html": {"schema": {"type": "string"}},
        },
    }
}
RANGE_HEADERS: dict[str, Any] = {
    "parameters": [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": description,
            "schema": {"type": "string"},
        }
        for name, description in {
            "Range": "One range of bytes, as `bytes=1000-`",
            "If-Range": "The `ETag` of the part that the client has",
            "If-None-Match": "The `ETag` of the file that the client has",
        }.items()
    ]
}


REPORTS = {"application/json": "report.json", "text/html": "report.html"}


def _may_redirect(request: Request) -> bool:
    settings: Settings = request.app.state.settings
    return settings.download_redirect != "off"


router = APIRouter(prefix="/v1/jobs", tags=["results"])

FilePath = Annotated[str, Path(description="A `path` of the list", examples=["model.safetensors"])]


@router.get(
    "/{job_id}/download",
    operation_id="download_result",
    summary="Download the result",
    responses={**problems(404, 409, 410, 416), **ARCHIVE},
    response_class=Response,
    openapi_extra=RANGE_HEADERS,
)
@router.head(
    "/{job_id}/download",
    operation_id="describe_result",
    summary="Size and hash of the result",
    responses=problems(404, 409, 410),
    response_class=Response,
)
async def download(job_id: str, request: Request, db: DatabaseDep, blobs: BlobsDep) -> Response:
    """Send the whole result as one `.tar.gz`; `from_pretrained` loads the folder in it.

    The strong `ETag` is the file's sha256; `Range` and `If-Range` resume a download. On an object
    store the answer is a redirect to it: follow it (`curl -L`) without the key.
    """
    archive, name = await run_in_threadpool(service.find_archive, db, job_id)
    disposition = {"content-disposition": f'attachment; filename="{name}"'}
    redirect = _may_redirect(request)
    return await file_response(request, blobs, archive, disposition, redirect=redirect)


@router.get(
    "/{job_id}/artifacts",
    operation_id="list_artifacts",
    summary="List the files of the result",
    responses=problems(404, 409, 410),
)
def list_artifacts(job_id: str, db: DatabaseDep) -> Page[ArtifactFileView]:
    """Every file of the result, each to be had on its own."""
    files = service.list_files(db, job_id)
    return Page(data=[service.file_view(job_id, file) for file in files], has_more=False)


@router.get(
    "/{job_id}/artifacts/{path:path}",
    operation_id="get_artifact",
    summary="Download one file of the result",
    responses={**problems(404, 409, 410, 416), **FILE},
    response_class=Response,
    openapi_extra=RANGE_HEADERS,
)
@router.head(
    "/{job_id}/artifacts/{path:path}",
    operation_id="describe_artifact",
    summary="Size and hash of one file",
    responses=problems(404, 409, 410),
    response_class=Response,
)
async def get_artifact(
    job_id: str, path: FilePath, request: Request, db: DatabaseDep, blobs: BlobsDep
) -> Response:
    """Send one file, or redirect to it; `ETag` and `Range` work as in the download."""
    file = await run_in_threadpool(service.find_file, db, job_id, path)
    return await file_response(request, blobs, file, redirect=_may_redirect(request))


@router.get(
    "/{job_id}/report",
    operation_id="get_report",
    summary="The report",
    responses={**problems(404, 406, 409, 410), **REPORT},
    response_class=Response,
)
async def get_report(job_id: str, request: Request, db: DatabaseDep, blobs: BlobsDep) -> Response:
    """Get the measurements, as JSON or as a page, by `Accept`."""
    form = choose_media_type(request.headers.get("accept"), tuple(REPORTS))
    file = await run_in_threadpool(service.find_file, db, job_id, REPORTS[form])
    return await file_response(request, blobs, file, {"vary": "accept"})
