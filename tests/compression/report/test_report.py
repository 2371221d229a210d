import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from jsonschema import Draft202012Validator

from app.contract.report import (
    SCHEMA_VERSION,
    BaseModelInfo,
    CorpusSummary,
    Latency,
    ModelSize,
    Quality,
    Recovery,
    Report,
    Scores,
    StageTime,
    TaskQuality,
    Tokens,
)
from tests.support.reports import sweep_report
from worker.compression import quality_rows, write_model_card, write_report

ROOT = Path(__file__).parents[3]
REPORT = Report(
    base_model=BaseModelInfo(id="some/model", commit="c0ffee"),
    corpus=CorpusSummary(sha256="a" * 64, documents=1000, held_out=50),
    base=ModelSize(
        vocab_size=30522, parameters=22_713_216, embedding_parameters=11_720_448, bytes=90_868_376
    ),
    compressed=ModelSize(
        vocab_size=7630, parameters=13_922_688, embedding_parameters=2_929_920, bytes=55_702_080
    ),
    tokens=Tokens(
        copied=4008,
        averaged=3622,
        fallback=0,
        random=0,
        unk_pieces=0,
        texts=50,
        special_per_text=2,
        per_text_before=30.4,
        per_text_after=25.3,
        unk_rate_before=0.0,
        unk_rate_after=0.0,
    ),
    quality=[Quality(metric="sentence_cosine", before=1.0, after=0.79, retention=0.79)],
    latency=[
        Latency(
            runtime="torch",
            device="cpu",
            dtype="float32",
            threads=2,
            batch_size=32,
            batches=8,
            includes_tokenization=True,
            before_ms=270.0,
            after_ms=250.0,
            speedup=1.08,
        )
    ],
    stages=[StageTime(name="tokenizer", seconds=6.5)],
    selection="usage",
    transfer_method="fvt",
    seed=0,
)


def test_the_json_holds_the_fields_of_the_contract(tmp_path: Path) -> None:
    write_report(tmp_path, REPORT)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["schema_version"] == "1"
    for model in ("base", "compressed"):
        assert set(report[model]) == {"vocab_size", "parameters", "embedding_parameters", "bytes"}
    tokens = {"copied", "averaged", "fallback", "per_text_before", "per_text_after"}
    assert tokens | {"unk_rate_before", "unk_rate_after"} <= set(report["tokens"])
    assert {"metric", "before", "after", "retention"} <= set(report["quality"][0])
    latency = {"runtime", "device", "batch_size", "before_ms", "after_ms", "speedup"}
    assert latency <= set(report["latency"][0])
    assert report["stages"] == [{"name": "tokenizer", "seconds": 6.5}]
    assert report["recovery"]["objective"] == "auto"
    assert report["recovery"]["used"] == "none"


def test_numbers_that_are_not_finite_are_no_json(tmp_path: Path) -> None:
    broken = REPORT.model_copy(
        update={
            "quality": [Quality(metric="x", before=1.0, after=float("nan"), retention=float("nan"))]
        }
    )
    with pytest.raises(ValueError, match="nan"):
        write_report(tmp_path, broken)


def test_the_page_needs_no_other_file_and_escapes_names(tmp_path: Path) -> None:
    write_report(
        tmp_path,
        REPORT.model_copy(
            update={"base_model": BaseModelInfo(id="<script>alert(1)</script>", commit=None)}
        ),
    )
    page = (tmp_path / "report.html").read_text()
    tags: list[tuple[str, dict[str, str | None]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append((tag, dict(attrs)))  # type: ignore[method-assign]
    parser.feed(page)
    assert not [tag for tag, attrs in tags if tag in {"script", "img", "link"} or "src" in attrs]
    assert "1.6 times smaller" in page
    assert "<td>30,522</td><td>7,630</td><td>-75.0 %</td>" in page


def test_without_quality_and_latency_there_is_a_report_too(tmp_path: Path) -> None:
    write_report(tmp_path, REPORT.model_copy(update={"quality": [], "latency": []}))
    assert "Latency" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("library", ["transformers", "sentence-transformers"])
def test_the_model_card_says_how_to_load_the_model(tmp_path: Path, library: str) -> None:
    if library == "sentence-transformers":
        (tmp_path / "modules.json").write_text("[]")
    name = 'a "quoted": model'
    card = write_model_card(
        tmp_path, REPORT.model_copy(update={"base_model": BaseModelInfo(id=name, commit=None)})
    ).read_text()
    content: Any = ModelCard(card).data
    data = content.to_dict()
    assert (data["base_model"], data["library_name"]) == (name, library)
    assert "from_pretrained" in card or "SentenceTransformer(" in card
    assert "| vocabulary, tokens | 30,522 | 7,630 |" in card


def test_the_model_card_has_the_verdict_the_steps_and_the_warnings(tmp_path: Path) -> None:
    recovery = Recovery(used="distill", steps=13, planned_steps=93, stopped_by="max_minutes")
    update = {"verdict": "1.6x smaller.", "warnings": ["Few texts."], "recovery": recovery}
    card = write_model_card(tmp_path, REPORT.model_copy(update=update)).read_text()
    assert "\n**1.6x smaller.**\n" in card
    assert "\n- Few texts.\n" in card
    assert "distill, 13 of 93 planned steps: its time was used up" in card


def test_the_model_card_has_the_task_with_its_spread(tmp_path: Path) -> None:
    scores = Scores(values=[0.5, 0.7], mean=0.6, spread=0.1)
    task = TaskQuality(
        type="token_classification",
        metric="entity_f1",
        seeds=2,
        before=scores,
        after=scores,
        retention=1.0,
    )
    rows = [*quality_rows(task), *REPORT.quality]
    card = write_model_card(
        tmp_path, REPORT.model_copy(update={"task": task, "quality": rows})
    ).read_text()
    assert "| token classification, on labelled data | base | compressed |" in card
    assert "of 2 seeds | 0.6000 ± 0.1000 | 0.6000 ± 0.1000 |" in card
    assert ModelCard(card).text.count("entity_f1") == 1
    assert card.startswith("---\nbase_model:")
    write_report(tmp_path, REPORT)
    assert json.loads((tmp_path / "report.json").read_text())["task"] is None


def test_the_report_is_of_the_schema_in_the_openapi_document(tmp_path: Path) -> None:
    write_report(tmp_path, sweep_report())
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    schema = {"$ref": "#/components/schemas/Report", "components": document["components"]}
    report = json.loads((tmp_path / "report.json").read_text())
    validator = Draft202012Validator(schema)
    validator.validate(report)
    assert report["schema_version"] == SCHEMA_VERSION
    broken = {**report, "compressed": {**report["compressed"], "bytes": "many"}}
    assert [list(error.path) for error in validator.iter_errors(broken)] == [
        ["compressed", "bytes"]
    ]
