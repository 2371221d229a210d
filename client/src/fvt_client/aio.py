"""The client for `async` code, and its jobs; `client.py` has the same that blocks."""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
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


class AsyncJob(JobView):
    """A job as it was when it was last asked for; its methods ask again."""

    _client: "AsyncClient" = PrivateAttr()

    async def refresh(self) -> Self:
        """Bring this object up to date."""
        return self._become(await self._client.get(self.id))

    async def wait(
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
            await self._client.wait(
                self.id, progress=progress, poll=poll, timeout=timeout, check=check
            )
        )

    async def events(
        self, *, follow: bool = True, after: str | None = None
    ) -> AsyncIterator[EventView]:
        """Give what happened, oldest first; with `follow` as it happens, until the job is over."""
        async for event in self._client.events(self.id, follow=follow, after=after):
            yield event

    async def report(self) -> Report:
        """Get the measurements, also of a job that failed at its gate."""
        return await self._client.report(self.id)

    async def files(self) -> list[ArtifactFileView]:
        """List the files of the result."""
        return await self._client.files(self.id)

    async def download(self, to: StrPath, *, progress: BytesProgress = None) -> Path:
        """Unpack the result into the folder `to`, which is not there or empty."""
        return await self._client.download(self.id, to, progress=progress)

    async def push(
        self,
        target: str,
        *,
        replace: bool = False,
        public: bool = False,
        progress: BytesProgress = None,
    ) -> Pushed:
        """Hand the result on to a hub, a registry or an object store, as `fvt_client.push`."""
        return await self._client.push(
            self.id, target, replace=replace, public=public, progress=progress
        )

    async def cancel(self) -> Self:
        """Cancel the job, or ask its worker to stop."""
        return self._become(await self._client.cancel(self.id))

    async def delete(self) -> None:
        """Delete the job, which must be over, with its result."""
        await self._client.delete(self.id)

    def _become(self, job: JobView) -> Self:
        for name in JobView.model_fields:
            setattr(self, name, getattr(job, name))
        return self


class AsyncClient:
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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = submission.base_url(url)
        self.retries = Retries(retries)
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers=submission.headers(api_key),
            timeout=timeout,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def compress(
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
    ) -> AsyncJob:
        """Send a corpus and submit a job on it; `AsyncJob.wait` waits for its end.

        `corpus` is a file, several of lines, or one that was uploaded before. A task of the recipe
        may name files. With the same `idempotency_key` the same call makes no second job.
        """
        fields = {"base_model": model, "revision": revision, "name": name, "metadata": metadata}
        job, _ = await self.run(
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

    async def estimate(
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
        return await self.run(
            submission.estimate(
                {"base_model": model, "revision": revision},
                submission.id_or_files(corpus, format, text_field),
                submission.recipe_of(recipe, vocab_size, target),
                self.retries,
            )
        )

    async def upload(
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
        return await self.run(
            transfers.upload(sent, name, reuse, self.retries, show_bytes(progress))
        )

    async def corpora(self) -> list[CorpusView]:
        """List the corpora, newest first."""
        return await self.run(steps.every_page(calls.list_corpora, self.retries))

    async def corpus(self, corpus_id: str) -> CorpusView:
        """Get a corpus."""
        return await self._ask(calls.get_corpus(corpus_id))

    async def delete_corpus(self, corpus_id: str) -> None:
        """Delete a corpus that no running job reads."""
        await self._ask(calls.delete_corpus(corpus_id))

    async def models(self) -> list[BaseModelView]:
        """List the base models of the installation, also those that cannot be compressed."""
        return (await self._ask(calls.list_models())).data

    async def jobs(self, status: str | None = None, *, limit: int | None = None) -> list[AsyncJob]:
        """List the jobs, newest first."""
        rows: list[JobView] = await self.run(
            steps.every_page(lambda after: calls.list_jobs(status, after), self.retries, limit)
        )
        return [self._job(row) for row in rows]

    async def job(self, job_id: str) -> AsyncJob:
        """Get a job by its id, or by a beginning of it that no other job's id has."""
        return self._job(await self.run(submission.find_job(job_id, self.retries)))

    async def get(self, job_id: str) -> AsyncJob:
        """Get a job by its whole id."""
        return self._job(await self._ask(calls.get_job(job_id)))

    async def wait(
        self,
        job_id: str,
        *,
        progress: JobProgress = None,
        poll: float = 1.0,
        timeout: float | None = None,
        check: bool = True,
    ) -> AsyncJob:
        """Wait for the end of a job, as `AsyncJob.wait`."""
        job = await self.run(steps.wait(job_id, self.retries, poll, timeout, show_job(progress)))
        return self._job(steps.succeeded(job) if check else job)

    async def events(
        self, job_id: str, *, follow: bool = True, after: str | None = None
    ) -> AsyncIterator[EventView]:
        """Give the events of a job, as `AsyncJob.events`."""
        if not follow:
            ask = partial(calls.list_events, job_id, after)
            for event in await self.run(steps.every_page(ask, self.retries)):
                yield event
            return
        async for event in self._follow(EventStream(job_id, after)):
            yield event

    async def report(self, job_id: str) -> Report:
        """Get the measurements of a job."""
        return await self._ask(calls.get_report(job_id))

    async def report_page(self, job_id: str) -> str:
        """Get `report.html` of a job."""
        return await self._ask(calls.get_report_page(job_id))

    async def files(self, job_id: str) -> list[ArtifactFileView]:
        """List the files of the result of a job."""
        return (await self._ask(calls.list_files(job_id))).data

    async def download(self, job_id: str, to: StrPath, *, progress: BytesProgress = None) -> Path:
        """Unpack the result of a job, as `AsyncJob.download`."""
        on_bytes = show_bytes(progress)
        return await self.run(transfers.download(job_id, Path(to), self.retries, on_bytes))

    async def push(
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
        return await self.run(push_job(job_id, target, options, self.retries))

    async def cancel(self, job_id: str) -> AsyncJob:
        """Cancel a job."""
        return self._job(await self._ask(calls.cancel_job(job_id)))

    async def delete(self, job_id: str) -> None:
        """Delete a job that is over, with its result; its corpus stays."""
        await self._ask(calls.delete_job(job_id))

    async def _follow(self, stream: EventStream) -> AsyncIterator[EventView]:
        while not stream.ended:
            error: Exception | None = None
            try:
                async with self._http.stream(
                    "GET", stream.path, headers=stream.headers
                ) as response:
                    if response.is_error:
                        await response.aread()
                    stream.opened(response)
                    async for line in response.aiter_lines():
                        if found := stream.feed(line):
                            yield found
            except (httpx.RequestError, ProblemError) as caught:
                error = caught
            if not stream.ended:
                await anyio.sleep(stream.broken(error, self.retries))

    def _job(self, view: JobView) -> AsyncJob:
        job = AsyncJob.model_construct(**{n: getattr(view, n) for n in JobView.model_fields})
        job._client = self
        return job

    async def _ask(self, call: calls.Call[T]) -> T:
        return await self.run(steps.request(call, self.retries))

    async def run(self, operation: Steps[T]) -> T:
        """Do the effects of an operation one after the other; returns its result."""
        try:
            effect = next(operation)
            while True:
                try:
                    outcome = await self._do(effect)
                except Exception as error:  # noqa: PERF203  (the operation decides)
                    effect = operation.throw(error)
                else:
                    effect = operation.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            operation.close()

    async def _do(self, effect: steps.Effect) -> Any:
        if isinstance(effect, Send):
            call = effect.call
            return await self._http.request(
                call.method, call.path, params=call.params, headers=call.headers, **call.body()
            )
        if isinstance(effect, Fetch):
            return await self._fetch(effect)
        if isinstance(effect, Sleep):
            return await anyio.sleep(effect.seconds)
        return await anyio.to_thread.run_sync(effect.do)

    async def _fetch(self, fetch: Fetch) -> httpx.Response:
        request = self._http.build_request("GET", fetch.path, headers=fetch.headers)
        response = await self._http.send(request, stream=True)
        try:
            if onward := transfers.onward(response, fetch.etag):
                await response.aclose()
                response = await self._http.send(onward, stream=True, follow_redirects=True)
            if response.is_error:
                await response.aread()
                return response
            fetch.sink.open(response)
            # As it comes: what a larger chunk has gathered is lost with the connection.
            async for chunk in response.aiter_raw():
                fetch.sink.write(chunk)
        finally:
            fetch.sink.close()
            await response.aclose()
        return response
