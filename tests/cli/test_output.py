"""What people see in a terminal: how an upload was read, and the figures of a report."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fvt_client import CorpusView as Corpus
from fvt_client import Report
from fvt_client.cli.output import describe_corpus, describe_estimate, print_report
from fvt_client.contract.estimate import (
    Estimate,
    EstimatedBase,
    EstimatedCorpus,
    EstimatedSize,
    Interval,
)
from tests.support.reports import full_report, target_report


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


def test_expected_unknown_tokens_and_warnings_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    report = full_report()
    tokens = report.tokens.model_copy(update={"expected_unk_rate": 0.0123})
    warned = report.model_copy(update={"tokens": tokens, "warnings": ["Unknown tokens [rise]."]})
    print_report(Report.model_validate_json(warned.model_dump_json()))
    shown = capsys.readouterr()
    assert "1.230%" in shown.out
    assert "Note: Unknown tokens [rise]." in shown.err
    print_report(Report.model_validate_json(report.model_dump_json()))
    assert "Note" not in capsys.readouterr().err


def test_one_layer_is_no_layers_in_an_estimate() -> None:
    some = Interval(value=9.0, low=8.0, high=10.0)
    base = EstimatedBase(
        id="a/b", architecture="BertModel", parameters=9, bytes=9, vocab_size=9, layers=1
    )
    size = EstimatedSize(
        **base.model_dump(exclude={"id", "architecture"}),
        exports=[],
        tokens_per_text=some,
        base_tokens_per_text=9.0,
    )
    corpus = EstimatedCorpus(documents=9, bytes=9, is_sample=False, language=None)
    told = describe_estimate(
        Estimate(
            base=base,
            corpus=corpus,
            sizes=[size],
            minutes=some,
            stages=[],
            basis="a guess",
            steps=[],
            warnings=[],
        )
    )
    assert told[1].endswith(" 9 tokens, 1 layer")
    assert "9 tokens, 1 layer; 9.0 tokens a text (8.0 to 10.0) in place of 9.0" in told[2]


def test_what_came_of_a_target_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(Report.model_validate_json(target_report().model_dump_json()))
    assert "Of the 4 models that were made 1 meets the target." in capsys.readouterr().out


def test_the_files_have_rows_of_the_first_metric(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(Report.model_validate_json(full_report().model_dump_json()))
    shown = capsys.readouterr().out
    assert "(cosine), ONNX int8" in shown
    lines = [line for line in shown.splitlines() if "% kept" in line]
    for line, kept in zip(lines[:3], (93, 93, 92), strict=True):
        assert f"{kept}.0% kept" in line
    assert len(lines) == len(full_report().quality) + 2
