"""An uploaded file, streamed to blob storage and hashed on the way; never held nor spooled."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from app.corpora.multipart import FileForm, FormShape
from app.errors import ProblemError, TooLargeError
from app.middleware import lift_body_limit

if TYPE_CHECKING:
    from obstore import AsyncWritableFile

BATCH = 1 << 20
PIECE_OVERHEAD = 64
FORM_OVERHEAD = 2 << 20

Observer = Callable[[bytes], None]


@dataclass(frozen=True)
class Upload:
    """A file that now lies in blob storage, and what the form said around it."""

    bytes: int
    sha256: str
    filename: str | None = None
    fields: dict[str, str] = field(default_factory=dict)


async def receive_upload(
    request: Request,
    writer: "AsyncWritableFile",
    *,
    max_bytes: int,
    form: FormShape,
    observe: Observer,
) -> Upload:
    """Stream the body, or the one file of a multipart form, to `writer`, and close it.

    `observe` sees each piece of the file in order, in a thread. Where this raises, `writer` is not
    closed, so that its file never appears.
    """
    _refuse_early(request, max_bytes)
    lift_body_limit(request, max_bytes + FORM_OVERHEAD)
    sink = _Sink(writer, max_bytes, observe)
    try:
        if is_multipart(request):
            return await _receive_form(request, form, sink)
        async for chunk in _body(request):
            await sink.add([chunk])
        return Upload(*await sink.close())
    finally:
        await sink.settle()


async def _receive_form(request: Request, shape: FormShape, sink: "_Sink") -> Upload:
    form = FileForm(request.headers["content-type"], shape)
    async for chunk in _body(request):
        await sink.add(form.feed(chunk))
    form.finish()
    return Upload(*await sink.close(), form.filename, form.fields)


def _refuse_early(request: Request, max_bytes: int) -> None:
    """Spare the client the sending of what is refused in the end."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes + FORM_OVERHEAD:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> TooLargeError:
    return TooLargeError(
        "upload_too_large",
        f"The file is larger than the {max_bytes} bytes that this installation takes "
        "(FVT_MAX_UPLOAD_BYTES). Compress it with gzip or zstd, or send a sample.",
    )


def is_multipart(request: Request) -> bool:
    """Whether the body is a form, rather than the file itself."""
    content_type = request.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise ProblemError("upload_aborted", "The upload stopped before its end.") from error


class _Sink:
    """Hashes, writes and shows a batch while the next one arrives."""

    def __init__(self, writer: "AsyncWritableFile", max_bytes: int, observe: Observer) -> None:
        self._writer = writer
        self._max_bytes = max_bytes
        self._observe = observe
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._batch: list[bytes] = []
        self._held = 0
        self._passing: asyncio.Future[Any] | None = None

    async def add(self, pieces: Sequence[bytes]) -> None:
        arrived = sum(map(len, pieces))
        self._bytes += arrived
        if self._bytes > self._max_bytes:
            raise _too_large(self._max_bytes)
        self._batch += pieces
        self._held += arrived + PIECE_OVERHEAD * len(pieces)
        if self._held >= BATCH:
            await self._pass_on()

    async def close(self) -> tuple[int, str]:
        await self._pass_on()
        await self.settle()
        await self._writer.close()
        return self._bytes, self._digest.hexdigest()

    async def settle(self) -> None:
        """Wait for the batch that is being passed on."""
        passing, self._passing = self._passing, None
        if passing:
            await passing

    async def _pass_on(self) -> None:
        batch, self._batch, self._held = self._batch, [], 0
        await self.settle()
        self._passing = asyncio.gather(
            self._writer.write(b"".join(batch)),
            asyncio.to_thread(_each, self._digest.update, batch),
            asyncio.to_thread(_each, self._observe, batch),
        )


def _each(take: Observer, batch: Sequence[bytes]) -> None:
    for piece in batch:
        take(piece)
