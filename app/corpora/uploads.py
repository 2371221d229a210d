"""Stream an uploaded file to blob storage, hashed on the way; it is never held nor spooled.

A multipart/form-data body with one file is taken apart as it arrives (RFC 7578).
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from app.bodies import lift_body_limit
from app.corpora.formats.layout import HEAD
from app.errors import ProblemError, TooLargeError, UnprocessableError

if TYPE_CHECKING:
    from obstore import AsyncWritableFile

BATCH = 1 << 20
PIECE_OVERHEAD = 64
FORM_OVERHEAD = 2 << 20
MAX_FIELDS_BYTES = 1 << 20
PLAIN_ENCODINGS = {"", "binary", "7bit", "8bit"}

Observer = Callable[[bytes], None]

Room = Callable[[int], None]
"""Called with how many more bytes are to be stored; raises where there is no room for them."""


@dataclass(frozen=True)
class FormShape:
    """Say what a form may hold: one file, and small fields around it."""

    file_field: str
    other_fields: frozenset[str]


@dataclass(frozen=True)
class Upload:
    """Describe a file that now lies in blob storage, and what the form said around it."""

    size: int
    sha256: str
    head: bytes
    """The first `HEAD` bytes."""
    filename: str | None = None
    media_type: str = ""
    fields: dict[str, str] = field(default_factory=dict)


async def receive_upload(  # noqa: PLR0913
    request: Request,
    writer: "AsyncWritableFile",
    *,
    max_bytes: int,
    form: FormShape,
    observe: Observer,
    room: Room,
) -> Upload:
    """Stream the body, or the one file of a multipart form, to `writer`, and close it.

    `observe` sees each piece of the file in order, in a thread. Where this raises, `writer` is not
    closed, so that its file never appears.
    """
    _refuse_early(request, max_bytes, room)
    lift_body_limit(request, max_bytes + FORM_OVERHEAD)
    sink = _Sink(writer, max_bytes, observe, room)
    try:
        if is_multipart(request):
            return await _receive_form(request, form, sink)
        async for chunk in body_of(request):
            await sink.add([chunk])
        return Upload(*await sink.close(), media_type=media_type_of(request))
    finally:
        await sink.settle()


async def _receive_form(request: Request, shape: FormShape, sink: "_Sink") -> Upload:
    form = FileForm(request.headers["content-type"], shape)
    async for chunk in body_of(request):
        await sink.add(form.feed(chunk))
    form.finish()
    return Upload(*await sink.close(), form.filename, form.media_type, form.fields)


def _refuse_early(request: Request, max_bytes: int, room: Room) -> None:
    """Spare the client the sending of what is refused in the end."""
    length = announced_bytes(request)
    if length > max_bytes + FORM_OVERHEAD:
        raise _too_large(max_bytes)
    room(length)


def announced_bytes(request: Request) -> int:
    """Return the length that a request gives its body; 0 where it gives none."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() else 0


def _too_large(max_bytes: int) -> TooLargeError:
    return TooLargeError(
        "upload_too_large",
        f"The file is larger than the {max_bytes} bytes that this installation takes "
        "(FVT_MAX_UPLOAD_BYTES). Compress it with gzip or zstd, or send a sample.",
    )


def is_multipart(request: Request) -> bool:
    """Tell a form from a body that is the file itself."""
    return media_type_of(request) == "multipart/form-data"


def media_type_of(request: Request) -> str:
    """Return the media type of the body, without its parameters."""
    return _bare(request.headers.get("content-type", ""))


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


async def body_of(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it comes; raises `ProblemError` where the client goes away."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise ProblemError("upload_aborted", "The upload stopped before its end.") from error


class _Sink:
    """Hashes, writes and shows a batch while the next one arrives."""

    def __init__(
        self, writer: "AsyncWritableFile", max_bytes: int, observe: Observer, room: Room
    ) -> None:
        self._writer = writer
        self._max_bytes = max_bytes
        self._observe = observe
        self._room = room
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._head = b""
        self._batch: list[bytes] = []
        self._held = 0
        self._passing: asyncio.Future[Any] | None = None

    async def add(self, pieces: Sequence[bytes]) -> None:
        arrived = sum(map(len, pieces))
        self._bytes += arrived
        if self._bytes > self._max_bytes:
            raise _too_large(self._max_bytes)
        for piece in pieces:
            if len(self._head) < HEAD:
                self._head += piece[: HEAD - len(self._head)]
        self._batch += pieces
        self._held += arrived + PIECE_OVERHEAD * len(pieces)
        if self._held >= BATCH:
            await self._pass_on()

    async def close(self) -> tuple[int, str, bytes]:
        await self._pass_on()
        await self.settle()
        await self._writer.close()
        return self._bytes, self._digest.hexdigest(), self._head

    async def settle(self) -> None:
        """Wait for the batch that is being passed on."""
        passing, self._passing = self._passing, None
        if passing:
            await passing

    async def _pass_on(self) -> None:
        batch, self._batch = self._batch, []
        # Others write to the disk too, and not every request says how long it is.
        self._room(self._held)
        self._held = 0
        await self.settle()
        self._passing = asyncio.gather(
            self._writer.write(b"".join(batch)),
            asyncio.to_thread(_each, self._digest.update, batch),
            asyncio.to_thread(_each, self._observe, batch),
        )


def _each(take: Observer, batch: Sequence[bytes]) -> None:
    for piece in batch:
        take(piece)


class FileForm:
    """Gives the bytes of the one file as they come and keeps the small fields around it."""

    def __init__(self, content_type: str, shape: FormShape) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.media_type = ""
        self.has_file = False
        self._shape = shape
        self._fields_bytes = 0
        self._part = _Part()
        self._ended = False
        self._file_data: list[bytes] = []
        _, options = parse_options_header(content_type)
        if not options.get(b"boundary"):
            raise _malformed("its Content-Type names no boundary")
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise _malformed("its boundary is too long") from error

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the body; return the bytes of the file among them."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _malformed(str(error)) from error
        file_data, self._file_data = self._file_data, []
        return file_data

    def finish(self) -> None:
        """Refuse a body that ends early or holds no file."""
        if not self._ended:
            raise _malformed("it ends before its closing boundary")
        if not self.has_file:
            raise UnprocessableError(
                "missing_file",
                f"The form has no file. Send it in the field `{self._shape.file_field}`, as with "
                f"`curl -F {self._shape.file_field}=@corpus.txt`.",
            )

    def _on_part_begin(self) -> None:
        self._part = _Part()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._part.header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._part.value += data[start:end]

    def _on_header_end(self) -> None:
        self._part.end_header()

    def _on_headers_finished(self) -> None:
        name, filename = self._part.name_and_filename()
        if name == self._shape.file_field and self.has_file:
            raise UnprocessableError(
                "more_than_one_file", "The form has more than one file. Send one corpus a request."
            )
        if name == self._shape.file_field:
            self._part.is_file = self.has_file = True
            self.filename = filename
            self.media_type = self._part.media_type
        elif name not in self._shape.other_fields or name in self.fields:
            known = ", ".join(f"`{field}`" for field in sorted(self._shape.other_fields))
            raise UnprocessableError(
                "unknown_field",
                f"The form field {name[:100]!r} is not known or is given twice. Beside the file in "
                f"`{self._shape.file_field}` the form may hold, once each: {known}.",
            )
        self._part.name = name

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file:
            self._file_data.append(data[start:end])
            return
        self._fields_bytes += end - start
        if self._fields_bytes > MAX_FIELDS_BYTES:
            raise TooLargeError(
                "fields_too_large",
                f"The form fields beside the file hold more than {MAX_FIELDS_BYTES} bytes.",
            )
        self._part.value += data[start:end]

    def _on_part_end(self) -> None:
        if self._part.is_file:
            return
        try:
            self.fields[self._part.name] = self._part.value.decode()
        except UnicodeDecodeError as error:
            raise _malformed(f"the field {self._part.name!r} is not UTF-8") from error

    def _on_end(self) -> None:
        self._ended = True


class _Part:
    """Hold the part of the form that is being read: a header's or a field's bytes so far."""

    def __init__(self) -> None:
        self.name = ""
        self.is_file = False
        self.header = bytearray()
        self.value = bytearray()
        self._headers: dict[str, str] = {}

    def end_header(self) -> None:
        self._headers[self.header.decode("latin-1").lower()] = self.value.decode("utf-8", "replace")
        self.header.clear()
        self.value.clear()

    @property
    def media_type(self) -> str:
        return _bare(self._headers.get("content-type", ""))

    def name_and_filename(self) -> tuple[str, str | None]:
        if self._headers.get("content-transfer-encoding", "").lower() not in PLAIN_ENCODINGS:
            raise _malformed("a part is encoded; send each as plain bytes")
        disposition = self._headers.get("content-disposition", "").encode().decode("latin-1")
        _, options = parse_options_header(disposition)
        name, filename = options.get(b"name"), options.get(b"filename")
        if not name:
            raise _malformed("a part has no name")
        shown = None if filename is None else filename.decode("utf-8", "replace")
        return name.decode("utf-8", "replace"), shown


def _malformed(why: str) -> ProblemError:
    return ProblemError("malformed_multipart", f"The multipart/form-data body is malformed: {why}.")
