"""Several files as one corpus, where their format allows it."""

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from app.client.errors import UploadError

CHUNK = 1 << 20
LINE_FORMATS = {".txt": "text", ".text": "text", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def open_corpus(paths: Sequence[Path], files: ExitStack) -> BinaryIO:
    """One file to read: the only one, or the lines of all of them in turn."""
    check_joinable(paths)
    try:
        opened = [files.enter_context(path.open("rb")) for path in paths]
    except OSError as error:
        raise UploadError(f"Cannot read {error.filename}: {error.strerror}.") from error
    return opened[0] if len(opened) == 1 else io.BufferedReader(JoinedLines(opened), CHUNK)


def check_joinable(paths: Sequence[Path]) -> None:
    """Refuse files whose bytes, one after the other, are no corpus of all their documents."""
    formats = {LINE_FORMATS.get(path.suffix.lower()) for path in paths}
    if len(paths) == 1 or (len(formats) == 1 and None not in formats):
        return
    names = ", ".join(path.name for path in paths) or "none"
    raise UploadError(
        f"These files cannot be sent as one corpus: {names}. Files of lines can, all plain text "
        "(.txt) or all JSON lines (.jsonl), not compressed. Make one file, or run a job for each."
    )


class JoinedLines(io.RawIOBase):
    """Files of lines one after the other; the last line of each is ended where it is not."""

    def __init__(self, files: Sequence[BinaryIO]) -> None:
        self._chunks = _chunks(files)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._chunks, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _chunks(files: Sequence[BinaryIO]) -> Iterator[bytes]:
    for file in files:
        last = b""
        while chunk := file.read(CHUNK):
            yield chunk
            last = chunk
        if last and not last.endswith(b"\n"):
            yield b"\n"
