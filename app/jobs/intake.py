"""Taking in a submission: JSON that names a corpus, or a form that brings one."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from app.corpora.models import Corpus
from app.corpora.service import received_corpus
from app.corpora.uploads import is_multipart
from app.dependencies import BellDep, BlobsDep, DatabaseDep, SettingsDep
from app.errors import ProblemError
from app.jobs import service
from app.jobs.doorbells import ring_once
from app.jobs.idempotency import Key, make_key
from app.jobs.models import Job
from app.jobs.schemas import JobFields
from app.jobs.submissions import FORM_FIELDS, read_form, read_json


class UnsupportedMediaTypeError(ProblemError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class ReplayedError(Exception):
    """The submission had been made before: the file that came with it now is not kept."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.id)
        self.job = job


@dataclass(frozen=True)
class Intake:
    """Where submissions are taken in; a dependency of the route."""

    db: DatabaseDep
    blobs: BlobsDep
    bell: BellDep
    settings: SettingsDep

    async def take(self, request: Request, key: str | None) -> tuple[Job, bool]:
        """Queue the job that a request describes, unless it was made before: it and whether."""
        if is_multipart(request):
            return await self._take_form(request, key)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            raise UnsupportedMediaTypeError(
                "unsupported_media_type",
                "Send the job as `Content-Type: application/json`, or as multipart/form-data "
                "together with its corpus.",
            )
        fields = read_json(await request.body())
        return await self._submit(fields, fields.corpus_id, make_key(key, fields, {}))

    def ring(self, job_id: str) -> None:
        """Tell the workers of a job; fails without a word, since it is told again."""
        ring_once(self.db, self.bell, job_id)

    async def _take_form(self, request: Request, key: str | None) -> tuple[Job, bool]:
        upload = received_corpus(
            request, self.blobs, self.settings, file_field="corpus", other_fields=FORM_FIELDS
        )
        try:
            async with upload as received:
                row = received.row
                fields = read_form(received.fields)
                kept = {"sha256": row.sha256, "format": row.format, "text_field": row.text_field}
                return _unless_replayed(
                    *await self._submit(fields, row, make_key(key, fields, kept))
                )
        except ReplayedError as earlier:
            return earlier.job, True

    async def _submit(
        self, fields: JobFields, corpus: Corpus | str, key: Key | None
    ) -> tuple[Job, bool]:
        return await run_in_threadpool(service.submit, self.db, self.settings, fields, corpus, key)


def _unless_replayed(job: Job, replayed: bool) -> tuple[Job, bool]:
    if replayed:
        raise ReplayedError(job)
    return job, replayed


IntakeDep = Annotated[Intake, Depends()]
