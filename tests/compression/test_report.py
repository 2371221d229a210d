import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from worker.compression import (
    BaseModel,
    CorpusSummary,
    Latency,
    ModelSize,
    Quality,
    Report,
    Scores,
    StageTime,
    TaskQuality,
    Tokens,
    quality_row,
    write_model_card,
    write_report,
)

REPORT = Report(
    base_model=BaseModel("some/model", "c0ffee"),
    corpus=CorpusSummary("a" * 64, 1000, 50),
    base=ModelSize(30522, 22_713_216, 11_720_448, 90_868_376),
    compressed=ModelSize(7630, 13_922_688, 2_929_920, 55_702_080),
    tokens=Tokens(4008, 3622, 0, 0, 0, 50, 2, 30.4, 25.3, 0.0, 0.0),
    quality=[Quality("sentence_cosine", 1.0, 0.79, 0.79)],
    latency=[Latency("torch", "cpu", "float32", 2, 32, 8, True, 270.0, 250.0, 1.08)],
    stages=[StageTime("tokenizer", 6.5)],
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
    assert set(report["quality"][0]) == {"metric", "before", "after", "retention"}
    latency = {"runtime", "device", "batch_size", "before_ms", "after_ms", "speedup"}
    assert latency <= set(report["latency"][0])
    assert report["stages"] == [{"name": "tokenizer", "seconds": 6.5}]
    assert report["recovery"]["objective"] == "auto"
    assert report["recovery"]["used"] == "none"


def test_numbers_that_are_not_finite_are_no_json(tmp_path: Path) -> None:
    broken = replace(REPORT, quality=[Quality("x", 1.0, float("nan"), float("nan"))])
    with pytest.raises(ValueError, match="nan"):
        write_report(tmp_path, broken)


def test_the_page_needs_no_other_file_and_escapes_names(tmp_path: Path) -> None:
    write_report(tmp_path, replace(REPORT, base_model=BaseModel("<script>alert(1)</script>", None)))
    page = (tmp_path / "report.html").read_text()
    tags: list[tuple[str, dict[str, str | None]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append((tag, dict(attrs)))  # type: ignore[method-assign]
    parser.feed(page)
    assert not [tag for tag, attrs in tags if tag in {"script", "img", "link"} or "src" in attrs]
    assert "1.6 times smaller" in page
    assert "<td>30,522</td><td>7,630</td><td>-75.0 %</td>" in page


def test_without_quality_and_latency_there_is_a_report_too(tmp_path: Path) -> None:
    write_report(tmp_path, replace(REPORT, quality=[], latency=[]))
    assert "Latency" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("library", ["transformers", "sentence-transformers"])
def test_the_model_card_says_how_to_load_the_model(tmp_path: Path, library: str) -> None:
    if library == "sentence-transformers":
        (tmp_path / "modules.json").write_text("[]")
    name = 'a "quoted": model'
    card = write_model_card(tmp_path, replace(REPORT, base_model=BaseModel(name, None))).read_text()
    content: Any = ModelCard(card).data
    data = content.to_dict()
    assert (data["base_model"], data["library_name"]) == (name, library)
    assert "from_pretrained" in card or "SentenceTransformer(" in card
    assert "| vocabulary, tokens | 30,522 | 7,630 |" in card


def test_the_model_card_has_the_task_with_its_spread(tmp_path: Path) -> None:
    scores = Scores([0.5, 0.7], 0.6, 0.1)
    task = TaskQuality("token_classification", "entity_f1", 2, scores, scores, 1.0)
    rows = [*quality_row(task), *REPORT.quality]
    card = write_model_card(tmp_path, replace(REPORT, task=task, quality=rows)).read_text()
    assert "| token classification, on labelled data | base | compressed |" in card
    assert "of 2 seeds | 0.6000 ± 0.1000 | 0.6000 ± 0.1000 |" in card
    assert card.count("entity_f1") == 1
    assert card.startswith("---\nbase_model:")
    write_report(tmp_path, REPORT)
    assert json.loads((tmp_path / "report.json").read_text())["task"] is None
