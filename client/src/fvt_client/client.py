"""The client that blocks, and its jobs."""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import PrivateAttr
from typing_extensions import Self

from . import calls, steps, submission, transfers
from ._errors import ProblemError
from .contract.base_models import BaseModelView
from .contract.corpora import CorpusView
from .contract.estimate import Estimate
from .contract.jobs import ArtifactFileView, EventView, JobView
from .contract.report import Report
from .progress import BytesProgress, JobProgress, show_bytes, show_job
from .pushing import Options, Pushed, push_job
from .steps import EventStream, Fetch, Retries, Send, Sleep, Steps
from .submission import Files, RecipeLike, StrPath

T = TypeVar("T")
TIMEOUT = httpx.Timeout(60, connect=5)


class Job(JobView):
    """A job as it was when it was last asked for; its methods ask again."""

    _client: "Client" = PrivateAttr()

    def refresh(self) -> Self:
        """Bring this object up to date."""
        return self._become(self._client.get(self.id))

    def wait(
        self,
        *,
        progress: JobProgress = None,
        poll: float = 1.0,
        timeout: float | None = None,
        check: bool = True,
    ) -> Self:
        """Ask every `poll` seconds until the job is over, and bring this object up to date.

        Raises JobFailure where it did not succeed, unless `check` is False, and TimeoutError.
        """
        return self._become(
            self._client.wait(self.id, progress=progress, poll=poll, timeout=timeout, check=check)
        )

    def events(self, *, follow: bool = True, after: str | None = None) -> Iterator[EventView]:
        """Give what happened, oldest first; with `follow` as it happens, until the job is over."""
        return self._client.events(self.id, follow=follow, after=after)

    def report(self) -> Report:
        """Get the measurements, also of a job that failed at its gate."""
        return self._client.report(self.id)

    def files(self) -> list[ArtifactFileView]:
        """List the files of the result."""
        return self._client.files(self.id)

    def download(self, to: StrPath, *, progress: BytesProgress = None) -> Path:
        """Unpack the result into the folder `to`, which is not there or empty."""
        return self._client.download(self.id, to, progress=progress)

    def push(
        self,
        target: str,
        *,
        replace: bool = False,
        public: bool = False,
        progress: BytesProgress = None,
    ) -> Pushed:
        """Hand the result on to a hub, a registry or an object store, as `fvt_client.push`."""
        return self._client.push(self.id, target, replace=replace, public=public, progress=progress)

    def cancel(self) -> Self:
        """Cancel the job, or ask its worker to stop."""
        return self._become(self._client.cancel(self.id))

    def delete(self) -> None:
        """Delete the job, which must be over, with its result."""
        self._client.delete(self.id)

    def _become(self, job: JobView) -> Self:
        for name in JobView.model_fields:
            setattr(self, name, getattr(job, name))
        return self


class Client:
    """A service at `url`; a context manager that closes its connections.

    Without `url` and `api_key`, FVT_URL and FVT_API_KEY say where and as whom. A request that can
    be made again without harm is made again up to `retries` times, as `Retry-After` asks.
    `transport` is one of httpx, for proxies and certificates of one's own.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        retries: int = 4,
        timeout: httpx.Timeout | float = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = submission.base_url(url)
        self.retries = Retries(retries)
        self._http = httpx.Client(
            base_url=self.url,
            headers=submission.headers(api_key),
            timeout=timeout,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def compress(
        self,
        model: str,
        corpus: Files | CorpusView,
        *,
        vocab_size: float | Sequence[float] | None = None,
        target: Mapping[str, Any] | None = None,
        recipe: RecipeLike | None = None,
        revision: str | None = None,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        format: str | None = None,  # noqa: A002  (the contract's word)
        text_field: str | None = None,
        idempotency_key: str | None = None,
        progress: BytesProgress = None,
    ) -> Job:
        """Send a corpus and submit a job on it; returns at once, and `Job.wait` waits.

        `corpus` is a file, several of lines, or one that was uploaded before. A task of the recipe
        may name files. `target` says what the result must reach in place of a size, as
        `{"max_bytes": 5_000_000, "min_quality": 0.95}`. With the same `idempotency_key` the same
        call makes no second job.
        """
        fields = {"base_model": model, "revision": revision, "name": name, "metadata": metadata}
        job, _ = self.run(
            submission.compress(
                fields,
                submission.id_or_files(corpus, format, text_field),
                submission.recipe_of(recipe, vocab_size, target),
                key=idempotency_key,
                retries=self.retries,
                on_bytes=show_bytes(progress),
            )
        )
        return self._job(job)

    def estimate(
        self,
        model: str,
        corpus: Files | CorpusView,
        *,
        vocab_size: float | Sequence[float] | None = None,
        target: Mapping[str, Any] | None = None,
        recipe: RecipeLike | None = None,
        revision: str | None = None,
        format: str | None = None,  # noqa: A002
        text_field: str | None = None,
    ) -> Estimate:
        """Ask what `compress` would make and how long it would take; nothing is stored."""
        return self.run(
            submission.estimate(
                {"base_model": model, "revision": revision},
                submission.id_or_files(corpus, format, text_field),
                submission.recipe_of(recipe, vocab_size, target),
                self.retries,
            )
        )

    def upload(
        self,
        corpus: Files,
        *,
        name: str | None = None,
        format: str | None = None,  # noqa: A002
        text_field: str | None = None,
        reuse: bool = True,
        progress: BytesProgress = None,
    ) -> CorpusView:
        """Send a corpus; with `reuse` one that the service has already is not sent again."""
        sent = submission.corpus_of(corpus, format, text_field)
        return self.run(transfers.upload(sent, name, reuse, self.retries, show_bytes(progress)))

    def corpora(self) -> list[CorpusView]:
        """List the corpora, newest first."""
        return self.run(steps.every_page(calls.list_corpora, self.retries))

    def corpus(self, corpus_id: str) -> CorpusView:
        """Get a corpus."""
        return self._ask(calls.get_corpus(corpus_id))

    def delete_corpus(self, corpus_id: str) -> None:
        """Delete a corpus that no running job reads."""
        self._ask(calls.delete_corpus(corpus_id))

    def models(self) -> list[BaseModelView]:
        """List the base models of the installation, also those that cannot be compressed."""
        return self._ask(calls.list_models()).data

    def jobs(self, status: str | None = None, *, limit: int | None = None) -> list[Job]:
        """List the jobs, newest first."""
        rows: list[JobView] = self.run(
            steps.every_page(lambda after: calls.list_jobs(status, after), self.retries, limit)
        )
        return [self._job(row) for row in rows]

    def job(self, job_id: str) -> Job:
        """Get a job by its id, or by a beginning of it that no other job's id has."""
        return self._job(self.run(submission.find_job(job_id, self.retries)))

    def get(self, job_id: str) -> Job:
        """Get a job by its whole id."""
        return self._job(self._ask(calls.get_job(job_id)))

    def wait(
        self,
        job_id: str,
        *,
        progress: JobProgress = None,
        poll: float = 1.0,
        timeout: float | None = None,
        check: bool = True,
    ) -> Job:
        """Wait for the end of a job, as `Job.wait`."""
        job = self.run(steps.wait(job_id, self.retries, poll, timeout, show_job(progress)))
        return self._job(steps.succeeded(job) if check else job)

    def events(
        self, job_id: str, *, follow: bool = True, after: str | None = None
    ) -> Iterator[EventView]:
        """Give the events of a job, as `Job.events`."""
        if not follow:
            ask = partial(calls.list_events, job_id, after)
            yield from self.run(steps.every_page(ask, self.retries))
            return
        yield from self._follow(EventStream(job_id, after))

    def report(self, job_id: str) -> Report:
        """Get the measurements of a job."""
        return self._ask(calls.get_report(job_id))

    def report_page(self, job_id: str) -> str:
        """Get `report.html` of a job."""
        return self._ask(calls.get_report_page(job_id))

    def files(self, job_id: str) -> list[ArtifactFileView]:
        """List the files of the result of a job."""
        return self._ask(calls.list_files(job_id)).data

    def download(self, job_id: str, to: StrPath, *, progress: BytesProgress = None) -> Path:
        """Unpack the result of a job, as `Job.download`."""
        on_bytes = show_bytes(progress)
        return self.run(transfers.download(job_id, Path(to), self.retries, on_bytes))

    def push(
        self,
        job_id: str,
        target: str,
        *,
        replace: bool = False,
        public: bool = False,
        progress: BytesProgress = None,
    ) -> Pushed:
        """Hand the result of a job on, as `Job.push`; nothing of it is kept here."""
        options = Options(replace, public, show_bytes(progress))
        return self.run(push_job(job_id, target, options, self.retries))

    def cancel(self, job_id: str) -> Job:
        """Cancel a job."""
        return self._job(self._ask(calls.cancel_job(job_id)))

    def delete(self, job_id: str) -> None:
        """Delete a job that is over, with its result; its corpus stays."""
        self._ask(calls.delete_job(job_id))

    def _follow(self, stream: EventStream) -> Iterator[EventView]:
        while not stream.ended:
            error: Exception | None = None
            try:
                with self._http.stream("GET", stream.path, headers=stream.headers) as response:
                    if response.is_error:
                        response.read()
                    stream.opened(response)
                    for line in response.iter_lines():
                        if event := stream.feed(line):
                            yield event
            except (httpx.RequestError, ProblemError) as caught:
                error = caught
            if not stream.ended:
                time.sleep(stream.broken(error, self.retries))

    def _job(self, view: JobView) -> Job:
        job = Job.model_construct(**{n: getattr(view, n) for n in JobView.model_fields})
        job._client = self
        return job

    def _ask(self, call: calls.Call[T]) -> T:
        return self.run(steps.request(call, self.retries))

    def run(self, operation: Steps[T]) -> T:
        """Do the effects of an operation one after the other; returns its result."""
        try:
            effect = next(operation)
            while True:
                try:
                    outcome = self._do(effect)
                except Exception as error:  # noqa: PERF203  (the operation decides)
                    effect = operation.throw(error)
                else:
                    effect = operation.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            operation.close()

    def _do(self, effect: steps.Effect) -> Any:
        if isinstance(effect, Send):
            call = effect.call
            return self._http.request(
                call.method, call.path, params=call.params, headers=call.headers, **call.body()
            )
        if isinstance(effect, Fetch):
            return self._fetch(effect)
        if isinstance(effect, Sleep):
            return time.sleep(effect.seconds)
        return effect.do()

    def _fetch(self, fetch: Fetch) -> httpx.Response:
        request = self._http.build_request("GET", fetch.path, headers=fetch.headers)
        response = self._http.send(request, stream=True)
        try:
            if onward := transfers.onward(response, fetch.etag):
                response.close()
                response = self._http.send(onward, stream=True, follow_redirects=True)
            if response.is_error:
                response.read()
                return response
            fetch.sink.open(response)
            # As it comes: what a larger chunk has gathered is lost with the connection.
            for chunk in response.iter_raw():
                fetch.sink.write(chunk)
        finally:
            fetch.sink.close()
            response.close()
        return response
