"""Answer the calls on corpora."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from app.blobs import Blobs
from app.contract.corpora import CorpusView
from app.contract.jobs import MODEL
from app.corpora import service
from app.corpora.formats.layout import FORMAT_MEDIA_TYPES
from app.corpora.models import Corpus
from app.corpora.schemas import CorpusOptions
from app.db import Database
from app.dependencies import BlobsDep, DatabaseDep, FindReader, FindReaderDep, SettingsDep
from app.maintenance.files import free
from app.openapi import IdempotencyKey, links, problems
from app.pagination import Page, PageDep
from app.threads import run_writing

router = APIRouter(prefix="/v1/corpora", tags=["corpora"])

CorpusId = Annotated[str, Path(description="The corpus's `id`")]

FILE = {"type": "string", "format": "binary", "description": "The corpus"}
OPTIONS = CorpusOptions.model_json_schema()["properties"]
UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": FILE, **OPTIONS},
                }
            },
            **{
                type_: {"schema": FILE}
                for type_ in ("application/octet-stream", *FORMAT_MEDIA_TYPES)
            },
        },
    }
}

CREATED: dict[int | str, dict[str, Any]] = {
    201: {
        "headers": {
            "Location": {"description": "Path of the corpus", "schema": {"type": "string"}},
            "Idempotent-Replayed": {
                "description": "`true` where this upload had made the corpus before",
                "schema": {"type": "string"},
            },
        },
        "links": {
            **links("corpus_id", ("get_corpus", "delete_corpus")),
            "submit_job": {
                "operationId": "submit_job",
                "requestBody": {"base_model": MODEL, "corpus_id": "$response.body#/id"},
            },
        },
    }
}


@router.post(
    "",
    operation_id="create_corpus",
    summary="Upload a corpus",
    status_code=201,
    response_model=CorpusView,
    responses={**problems(400, 413, 422, 507), **CREATED},
    openapi_extra=UPLOAD_BODY,
)
async def create(  # noqa: PLR0913, PLR0917
    request: Request,
    response: Response,
    db: DatabaseDep,
    blobs: BlobsDep,
    settings: SettingsDep,
    options: Annotated[CorpusOptions, Query()],
    idempotency_key: IdempotencyKey = None,
) -> Corpus:
    """Send the file as the field `file` of a form, or as the raw body with query parameters.

    Text (a document a line), JSON lines, a JSON array, CSV or TSV with a header row, or Parquet;
    plain or compressed with gzip or zstd. Labelled data for `evaluation.task` are `records`, JSON
    objects of any fields, a line each. The whole file is checked before it is accepted; the answer
    says how it was read and shows the first documents.
    """
    upload = service.received_corpus(request, blobs, settings, options=options)
    try:
        async with upload as received:
            corpus = received.row
            await run_writing(db, service.save, db, corpus, idempotency_key)
    except service.ReplayedError as earlier:
        corpus = earlier.corpus
        response.headers["Idempotent-Replayed"] = "true"
    response.headers["Location"] = f"/v1/corpora/{corpus.id}"
    return corpus


@router.get("", operation_id="list_corpora", summary="List corpora", responses=problems(400))
def list_corpora(db: DatabaseDep, page: PageDep) -> Page[CorpusView]:
    """List the newest first."""
    with db.read() as session:
        rows, has_more = service.list_page(session, page)
    return Page(data=[CorpusView.model_validate(row) for row in rows], has_more=has_more)


@router.get(
    "/{corpus_id}",
    operation_id="get_corpus",
    summary="Get a corpus",
    response_model=CorpusView,
    responses=problems(404),
)
def get(db: DatabaseDep, corpus_id: CorpusId) -> Corpus:
    """Show what is known of the file; the file itself cannot be read back."""
    with db.read() as session:
        return service.find(session, corpus_id)


@router.delete(
    "/{corpus_id}",
    operation_id="delete_corpus",
    summary="Delete a corpus",
    status_code=204,
    responses=problems(404, 409),
)
async def delete(
    db: DatabaseDep, blobs: BlobsDep, find_reader: FindReaderDep, corpus_id: CorpusId
) -> None:
    """Delete it, unless a job that is not over reads it; results of jobs stay."""
    await run_writing(db, _delete, db, blobs, find_reader, corpus_id)


def _delete(db: Database, blobs: Blobs, find_reader: FindReader, corpus_id: str) -> None:
    with db.write() as session:
        corpus = service.delete(session, corpus_id, find_reader)
    free(blobs, corpus.blob_prefix)
