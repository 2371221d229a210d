"""Calls to the HTTP API, v1."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx

from app.client.errors import ApiError, DownloadError, UnreachableError
from app.client.transfers import OnBytes, check_target, fetch, open_corpus, send_again, unpack
from app.contract.base_models import BaseModelView as BaseModelInfo
from app.contract.corpora import CorpusView as Corpus
from app.contract.jobs import ArtifactFileView as ArtifactFile
from app.contract.jobs import EventView as Event
from app.contract.jobs import JobView as Job

TIMEOUT = httpx.Timeout(60, connect=5)
PAGE = 100
PATIENCE_SECONDS = 60


class FvtClient:
    """A service at `url`; a context manager that closes its connections."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        if not self.url.startswith(("http://", "https://")):
            raise UnreachableError(f"{url!r} is not an http:// or https:// URL.")
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def upload_corpus(
        self,
        *paths: Path,
        name: str | None = None,
        format: str | None = None,  # noqa: A002  (the contract's word)
        text_field: str | None = None,
        idempotency_key: str | None = None,
    ) -> Corpus:
        """Stream a corpus up; several files become one where they are all lines of one kind.

        An upload that breaks off is sent again, with a key, so that it makes one corpus.
        """
        fields = {"name": name, "format": format, "text_field": text_field}
        data = {key: value for key, value in fields.items() if value is not None}
        headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
        # Checking the last block of a large corpus takes as long as it takes.
        timeout = httpx.Timeout(60, connect=5, read=None)

        def send() -> httpx.Response:
            with ExitStack() as files:
                upload = {"file": (paths[0].name, open_corpus(paths, files))}
                return self._http.post(
                    "/v1/corpora", data=data, files=upload, headers=headers, timeout=timeout
                )

        answer = self._answer(lambda: send_again(send))
        return Corpus.model_validate(answer, extra="allow")

    def submit(
        self,
        base_model: str,
        corpus_id: str,
        recipe: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Job:
        """Queue a job; `fields` are the contract's others: revision, name, metadata, webhook."""
        body = {"base_model": base_model, "corpus_id": corpus_id, "recipe": recipe, **fields}
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        given = {key: value for key, value in body.items() if value is not None}
        return Job.model_validate(
            self._call("POST", "/v1/jobs", json=given, headers=headers), extra="allow"
        )

    def get(self, job_id: str) -> Job:
        return Job.model_validate(self._call("GET", f"/v1/jobs/{job_id}"), extra="allow")

    def list(self, status: str | None = None) -> Iterator[Job]:
        """Every job, newest first."""
        params = {"status": status} if status else {}
        return (Job.model_validate(row, extra="allow") for row in self._pages("/v1/jobs", params))

    def wait(
        self,
        job_id: str,
        *,
        poll: float = 1.0,
        on_progress: Callable[[Job], None] = lambda _: None,
    ) -> Job:
        """Ask every `poll` seconds until the job is over, however it ended.

        A service that is away for less than a minute is waited for.
        """
        answered = time.monotonic()
        while True:
            try:
                job = self.get(job_id)
                answered = time.monotonic()
                on_progress(job)
                if job.is_over:
                    return job
            except UnreachableError:
                if time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
            time.sleep(poll)

    def cancel(self, job_id: str) -> Job:
        return Job.model_validate(self._call("POST", f"/v1/jobs/{job_id}/cancel"), extra="allow")

    def events(self, job_id: str) -> Iterator[Event]:
        """What happened to a job so far, oldest first."""
        pages = self._pages(f"/v1/jobs/{job_id}/events", {})
        return (Event.model_validate(row, extra="allow") for row in pages)

    def download(
        self, job_id: str, target: Path, *, on_bytes: OnBytes = lambda _have, _all: None
    ) -> Path:
        """Unpack the result into `target`, a folder that is not there or empty."""
        check_target(target)
        job = self.get(job_id)
        if job.artifact_expired_at:
            raise DownloadError(f"The result of {job_id} is no longer kept. Submit the job again.")
        if job.artifact is None:
            raise DownloadError(f"{job_id} is {job.status} and has no result to download.")
        target = target.absolute()
        partial = target.with_name(f".{job_id}.tar.gz.partial")
        fetch(self._http, f"/v1/jobs/{job_id}/download", job.artifact, partial, on_bytes)
        unpack(partial, target)
        partial.unlink()
        return target

    def report(self, job_id: str) -> dict[str, Any]:
        """The measurements of a job, also of one that failed at its gate."""
        answer = self._call(
            "GET", f"/v1/jobs/{job_id}/report", headers={"Accept": "application/json"}
        )
        return dict(answer)

    def artifacts(self, job_id: str) -> Iterator[ArtifactFile]:
        """The files of a result."""
        answer = self._call("GET", f"/v1/jobs/{job_id}/artifacts")
        return (ArtifactFile.model_validate(row, extra="allow") for row in answer["data"])

    def base_models(self) -> Iterator[BaseModelInfo]:
        """The base models that this service can compress."""
        return (
            BaseModelInfo.model_validate(row, extra="allow")
            for row in self._pages("/v1/base-models", {})
        )

    def _pages(self, path: str, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        after: dict[str, str] = {}
        while True:
            page = self._call("GET", path, params={"limit": PAGE, **params, **after})
            yield from page["data"]
            if not page["has_more"]:
                return
            after = {"after": str(page["data"][-1]["id"])}

    def _call(self, method: str, path: str, **request: Any) -> Any:
        return self._answer(lambda: self._http.request(method, path, **request))

    def _answer(self, send: Callable[[], httpx.Response]) -> Any:
        try:
            response = send()
        except httpx.TransportError as error:
            raise UnreachableError(
                f"No answer from {self.url}: {error or type(error).__name__}. Is the service up? "
                "`fvt up` starts one here."
            ) from error
        if response.is_error:
            raise ApiError.from_response(response)
        return response.json()
