"""Take in corpora, find, list and delete them."""

import hashlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from traceback import clear_frames

import orjson
from anyio import CancelScope
from fastapi import Request
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.blobs import Blobs
from app.corpora.documents import Inspection, Layout, checked, preview_of_text
from app.corpora.formats.compression import Limits
from app.corpora.formats.layout import Hints, detect_layout
from app.corpora.formats.text import TextCounter
from app.corpora.inspection import inspect_upload
from app.corpora.models import Corpus, CorpusKey
from app.corpora.schemas import CorpusOptions
from app.corpora.uploads import FormShape, Upload, announced_bytes, receive_upload
from app.db import Database
from app.dependencies import FindReader
from app.disk import is_full
from app.errors import (
    ConflictError,
    InsufficientStorageError,
    NotFoundError,
    ProblemError,
    UnprocessableError,
    field_errors,
)
from app.ids import is_id, new_id
from app.pagination import PageQuery, fetch_page
from app.room import Shortage, upload_shortage
from app.settings import Settings
from app.subprocesses import Subprocesses
from app.threads import DETECTIONS, INSPECTIONS
from app.waits import CommitUnknownError, retried


@dataclass(frozen=True)
class ReceivedCorpus:
    """Hold a corpus whose file lies in blob storage; `row` is still to be added to the database."""

    row: Corpus
    fields: dict[str, str]
    """The other form fields, as sent."""


@asynccontextmanager
async def received_corpus(  # noqa: PLR0913
    request: Request,
    blobs: Blobs,
    settings: Settings,
    *,
    options: CorpusOptions | None = None,
    file_field: str = "file",
    other_fields: Collection[str] = (),
) -> AsyncIterator[ReceivedCorpus]:
    """Take in an upload, checked and counted; its file is deleted if the block raises.

    It stays where a commit's end is unknown: whoever frees files without a row finds it.

    A form may give `name`, `format` and `text_field`, which go before `options`, and
    `other_fields`. Raises `UserFault` and `ProblemError`.
    """
    row = Corpus(id=new_id("corpus"))

    def room(needed: int) -> None:
        if lacks := upload_shortage(needed, settings, blobs):
            raise _no_room(lacks)

    limits = Limits.of(settings)
    counter = TextCounter()
    try:
        upload = await receive_upload(
            request,
            blobs.writer(row.blob_key),
            max_bytes=settings.max_upload_bytes,
            form=FormShape(file_field, frozenset({*CorpusOptions.model_fields, *other_fields})),
            observe=counter.feed,
            room=room,
        )
        options = read_options(options or CorpusOptions(), upload.fields)
        hints = Hints(options.format, options.text_field, upload.filename, upload.media_type)
        whole = upload.size == len(upload.head)
        layout = await DETECTIONS.run(detect_layout, upload.head, whole, hints)
        if layout == Layout("text"):
            held = await DETECTIONS.run(_counted, counter, upload, limits)
        else:
            subprocesses: Subprocesses = request.app.state.subprocesses
            place = blobs, row.blob_key, upload.size
            held = await INSPECTIONS.run(inspect_upload, subprocesses, *place, layout, limits)
        _fill(row, options.name, upload, held)
        yield ReceivedCorpus(row, {k: v for k, v in upload.fields.items() if k in other_fields})
    except CommitUnknownError:
        # Its row may be there, and without its file it would be half a corpus.
        raise
    except BaseException as error:
        # The writer is in the frames that the error came from, and holds the space of its file.
        clear_frames(error.__traceback__)
        with CancelScope(shield=True):
            await run_in_threadpool(blobs.discard_upload, row.blob_prefix)
        if not isinstance(error, ProblemError) and is_full(error):
            needed = announced_bytes(request) + settings.min_free_bytes
            raise _no_room(Shortage(needed, blobs.free_bytes or 0)) from error
        raise


def _no_room(lacks: Shortage) -> InsufficientStorageError:
    return InsufficientStorageError(
        "insufficient_storage",
        f"The disk of the files has no room for this upload: {lacks}. Delete corpora and jobs that "
        "are not needed, or have the disk made larger.",
        needed_bytes=lacks.needed,
        free_bytes=lacks.free,
    )


class ReplayedError(Exception):
    """The upload had come before with its key: the file that came now is not kept."""

    def __init__(self, corpus: Corpus) -> None:
        super().__init__(corpus.id)
        self.corpus = corpus


def save(db: Database, corpus: Corpus, key: str | None) -> None:
    """Add a corpus to the database, under the key that its client gave.

    Raises `ReplayedError` where the same upload came with this key before, and
    `UnprocessableError` where another one did.
    """
    try:
        _insert(db, corpus, key)
    except IntegrityError:
        if key is None:
            raise
        # The same key came twice at once, and the other request was faster.
        _insert(db, corpus, key)


@retried
def _insert(db: Database, corpus: Corpus, key: str | None) -> None:
    with db.write() as session:
        known = session.get(CorpusKey, key) if key else None
        if known is None:
            session.add(corpus)
            if key:
                session.flush()
                digest = _digest(corpus)
                session.add(CorpusKey(key=key, request_sha256=digest, corpus_id=corpus.id))
                session.flush()
            return
        if known.request_sha256 != _digest(corpus):
            raise UnprocessableError(
                "idempotency_key_reused",
                f"This Idempotency-Key came before with another upload, which made "
                f"{known.corpus_id}. Take a new key for a new corpus.",
            )
        raise ReplayedError(session.get_one(Corpus, known.corpus_id))


def _digest(corpus: Corpus) -> str:
    """Digest what an upload is, and how it was asked to be read."""
    read = [getattr(corpus, name) for name in ("format", "compression", "text_field")]
    return hashlib.sha256(orjson.dumps([corpus.sha256, corpus.name, *read])).hexdigest()


def find(session: Session, corpus_id: str, *, lock: bool = False) -> Corpus:
    """Find the corpus of this id, or raise a 404 problem. Locked, it takes no new job."""
    corpus = session.get(Corpus, corpus_id, with_for_update=lock) if is_id(corpus_id) else None
    if corpus is None:
        raise NotFoundError(
            "corpus_not_found",
            f"There is no corpus {corpus_id!r}. `GET /v1/corpora` lists those there are.",
        )
    return corpus


def list_page(session: Session, page: PageQuery) -> tuple[Sequence[Corpus], bool]:
    """Return a page of the corpora, newest first, and whether more follow."""
    return fetch_page(session, select(Corpus), Corpus.id, page)


def delete(session: Session, corpus_id: str, find_reader: FindReader) -> Corpus:
    """Delete the row of a corpus that no active job reads; then its file is the caller's to free.

    Rows go before files everywhere (docs/decisions/0014): a row never names a file that is gone.
    """
    corpus = find(session, corpus_id, lock=True)
    if job_id := find_reader(session, corpus_id):
        raise ConflictError(
            "corpus_in_use",
            f"The job {job_id!r} still reads this corpus. Wait for its end, or cancel it.",
        )
    session.delete(corpus)
    return corpus


def read_options(options: CorpusOptions, fields: Mapping[str, str]) -> CorpusOptions:
    """Return the options with those that a form gives in their place."""
    said = {name: fields[name] for name in CorpusOptions.model_fields if name in fields}
    try:
        return CorpusOptions.model_validate({**options.model_dump(), **said})
    except ValidationError as error:
        errors = field_errors(error.errors())
        detail = "; ".join(f"{e.pointer}: {e.detail}" for e in errors)
        raise UnprocessableError("invalid_request", detail, errors=errors) from error


def _counted(counter: TextCounter, upload: Upload, limits: Limits) -> Inspection:
    """Return what was counted while plain text arrived, so that it is not read again."""
    limits.check(upload.size, upload.size)
    counter.finish()
    return checked(
        Inspection(
            Layout("text"),
            counter.documents,
            counter.characters,
            counter.encoding,
            preview=preview_of_text(upload.head),
        )
    )


def _fill(row: Corpus, name: str | None, upload: Upload, held: Inspection) -> None:
    row.name, row.bytes, row.sha256 = name, upload.size, upload.sha256
    row.format, row.compression = held.layout.format, held.layout.compression
    row.text_field = held.layout.text_field
    row.delimiter, row.quoting = held.layout.delimiter, held.layout.quoting
    row.encoding, row.preview = held.encoding, held.preview
    row.skipped, row.skipped_lines = held.skipped, held.skipped_lines
    row.documents, row.characters = held.documents, held.characters
