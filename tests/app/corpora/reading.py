"""Reading files as an upload and a job do: told from the content, then read by what was stored."""

import io

import pytest

from app.contract.errors import UserFault
from app.corpora.documents import Inspection, inspect, read_documents
from app.corpora.formats.compression import Limits
from app.corpora.formats.layout import HEAD, Hints, detect_layout

LIMITS = Limits(max_bytes=1 << 30, max_ratio=200)


def read(
    data: bytes, hints: Hints | str | None = None, limits: Limits = LIMITS
) -> tuple[Inspection, list[str]]:
    """What an upload is answered, and the documents that a job then reads; for a name or hints."""
    if not isinstance(hints, Hints):
        hints = Hints(filename=hints)
    layout = detect_layout(data[:HEAD], len(data) <= HEAD, hints)
    inspection = inspect(io.BytesIO(data), layout, limits)
    documents = list(read_documents(io.BytesIO(data), inspection.layout))
    assert inspection.documents == len(documents)
    assert inspection.characters == sum(map(len, documents))
    assert len(inspection.preview) == min(3, len(documents))
    return inspection, documents


def documents_of(data: bytes, hints: Hints | str | None = None) -> list[str]:
    return read(data, hints)[1]


def refusal(data: bytes, hints: Hints | str | None = None, limits: Limits = LIMITS) -> UserFault:
    with pytest.raises(UserFault) as raised:
        read(data, hints, limits)
    return raised.value
