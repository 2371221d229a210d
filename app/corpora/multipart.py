"""A multipart/form-data body with one file, taken apart as it arrives (RFC 7578)."""

from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import ProblemError, TooLargeError, UnprocessableError

MAX_FIELDS_BYTES = 1 << 20
PLAIN_ENCODINGS = {"", "binary", "7bit", "8bit"}


@dataclass(frozen=True)
class FormShape:
    """What a form may hold: one file, and small fields around it."""

    file_field: str
    other_fields: frozenset[str]


class FileForm:
    """Gives the bytes of the one file as they come and keeps the small fields around it."""

    def __init__(self, content_type: str, shape: FormShape) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
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
        """Take the next bytes of the body; returns the bytes of the file among them."""
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
    """The part of the form that is being read: a header's or a field's bytes so far."""

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
