"""What the command line says of an upload, so that a person sees a wrong guess."""

from datetime import UTC, datetime
from typing import Any

from app.cli.output import describe_corpus
from app.client import Corpus


def corpus(**more: Any) -> Corpus:
    fields = {
        "id": "corpus_1", "name": None, "format": "text", "compression": None, "text_field": None,
        "delimiter": None, "quoting": None, "encoding": "utf-8", "bytes": 9, "sha256": "0" * 64,
        "documents": 1200, "skipped": 0, "skipped_lines": [], "preview": ["a b c"],
        "characters": 3400, "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return Corpus.model_validate({**fields, **more})


def test_text_is_described_with_its_first_documents() -> None:
    assert describe_corpus(corpus()) == [
        "Corpus: 1,200 documents, 3,400 characters, read as text",
        "  'a b c'",
    ]


def test_a_table_names_its_delimiter_its_field_and_the_rows_without_text() -> None:
    table = corpus(
        format="csv", delimiter=";", text_field="text", skipped=2, skipped_lines=[17, 40]
    )
    assert describe_corpus(table)[:2] == [
        "Corpus: 1,200 documents, 3,400 characters, read as csv, delimiter ';', text from 'text'",
        "  2 rows without text were passed over, the first at 17, 40",
    ]
