"""A runtime and a metric of an extension go all the way, with no other code touched."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console

from app.contract import names
from app.contract.recipe import ExportRecipe, GateRecipe, Recipe
from app.contract.report import Report
from app.extensions import import_engine
from app.main import create_app
from app.settings import Settings
from fvt_client import Report as ReportRead
from fvt_client.cli.output import before_after
from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import domain_texts, tokenizer_pair
from tests.support.reports import full_report, row
from worker.compression import (
    LoadedModel,
    export_model,
    exported_files,
    load_model,
    measure_exports,
    measure_latency,
    measure_memory,
    measure_quality,
    quality_metrics,
    save_model,
    write_model_card,
    write_report,
)
from worker.compression.evaluation import latency as timing
from worker.compression.evaluation.metrics import METRICS, Metric, register_metric
from worker.compression.recovery.objectives import OBJECTIVES
from worker.compression.runtimes import RUNTIMES

EXTENSION = "tests.toy_extension"
SETTINGS = Settings(auth="off", extensions=[EXTENSION])


@pytest.fixture
def toys() -> Iterator[None]:
    """The extension, imported as a worker imports it, and forgotten afterwards."""
    registries: list[dict[str, Any]] = [
        *(names.METRICS, names.RUNTIMES, names.OBJECTIVES),
        *(METRICS, RUNTIMES, OBJECTIVES),
    ]
    before = [dict(registry) for registry in registries]
    import_engine(SETTINGS)
    yield
    for registry, entries in zip(registries, before, strict=True):
        registry.clear()
        registry.update(entries)
    for module in [name for name in sys.modules if name.startswith(EXTENSION)]:
        del sys.modules[module]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp("tiny")
    tokenizer, _ = tokenizer_pair(KINDS[0].family)
    save_model(folder, KINDS[0].make("BertModel", tokenizer), tokenizer)
    return load_model(folder)


@pytest.fixture
def exported(toys: None, tiny: LoadedModel, tmp_path: Path) -> Path:  # noqa: ARG001
    folder = tmp_path / "exported"
    runtimes = ExportRecipe.model_validate({"toy": True, "onnx": True}).runtimes
    assert runtimes == ["onnx", "toy-table"]
    export_model(tiny.folder, folder, runtimes)
    return folder


def test_the_runtime_is_exported_and_measured_by_the_metric(
    tiny: LoadedModel, exported: Path
) -> None:
    plain, toy = exported_files(exported)
    assert (plain.runtime, toy.runtime, toy.path) == ("onnx", "toy-table", "toy/table.npy")
    sizes = [(exported / "toy" / name).stat().st_size for name in ("table.npy", "table.json")]
    assert toy.bytes == sum(sizes)
    assert quality_metrics(tiny)[-1] == "toy_vector_length"
    same = measure_quality(tiny, tiny, domain_texts())[-1]
    assert same.metric == "toy_vector_length"
    assert same.retention == pytest.approx(1)
    of_onnx, of_table = measure_exports(tiny, tiny, exported, domain_texts())
    assert of_onnx.quality[-1].after == pytest.approx(1, abs=1e-3)
    assert of_table.quality[-1].metric == "toy_vector_length"
    assert 0 < of_table.quality[-1].after < 0.99


def measured(tiny: LoadedModel, exported: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    for name, value in (("_FEWEST_BATCHES", 1), ("_REPEATS", 1), ("_SETTLE", 0), ("_TEXTS", 1)):
        monkeypatch.setattr(timing, name, value)
    files = {file.runtime: exported / file.path for file in exported_files(exported)}
    texts = domain_texts()
    latency = measure_latency(tiny, tiny, texts, files=files, batch_sizes=(1, 2))
    return full_report().model_copy(
        update={
            "quality": measure_quality(tiny, tiny, texts),
            "exports": measure_exports(tiny, tiny, exported, texts),
            "latency": latency,
            "memory": [],
        }
    )


def test_both_are_in_every_report(
    tiny: LoadedModel, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = measured(tiny, exported, monkeypatch)
    sizes = [
        row(path, 7630, 0.9, 1.1).model_copy(
            update={name: getattr(report, name) for name in ("quality", "exports", "latency")}
        )
        for path in (".", "sizes/240")
    ]
    write_report(tmp_path, report.model_copy(update={"sweep": sizes}))
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["exports"][-1]["runtime"] == "toy-table"
    assert content["quality"][-1]["metric"] == "toy_vector_length"
    assert [r["dtype"] for r in content["latency"] if r["runtime"] == "toy-table"] == [
        "float16"
    ] * 2
    page = (tmp_path / "report.html").read_text()
    for text in ("Same lengths of vectors", "Toy table", "lengths, kept", "7,630 float16"):
        assert text in page, text
    card = write_model_card(tmp_path, report).read_text()
    assert "| `toy/table.npy` |" in card
    assert "toy_vector_length, kept" in card
    # How the last file for ONNX Runtime is run; the toy says nothing of how it is.
    assert 'InferenceSession("path/to/this/folder/onnx/model.onnx")' in card
    console = Console(width=120)
    with console.capture() as capture:
        console.print(before_after(ReportRead.model_validate(content)))
    table = capture.get()
    # A client elsewhere has no extension: it says the names.
    for text in ("toy_vector_length", "bytes, toy-table", "ms a batch of 1, toy-table, cpu"):
        assert text in table, text


def test_memory_is_that_of_the_runtimes_own_probe(tiny: LoadedModel, exported: Path) -> None:
    command = RUNTIMES["toy-table"].probe(exported / "toy" / "table.npy", tiny.folder)
    done = subprocess.run(
        [sys.executable, "-P", *command, "texts.json"], capture_output=True, check=True
    )
    assert 1e6 < int(done.stdout.split()[-1]) < 2e8


@pytest.mark.slow
def test_memory_is_measured_in_every_runtime(tiny: LoadedModel, exported: Path) -> None:
    files = {file.runtime: exported / file.path for file in exported_files(exported)}
    in_torch, _, toy = measure_memory(tiny.folder, tiny.folder, files, ["a rash", "seizures"])
    assert toy.runtime == "toy-table"
    assert toy.after_bytes < in_torch.after_bytes / 2


@pytest.mark.usefixtures("toys")
def test_a_recipe_and_the_documents_know_both() -> None:
    gate = {"min_quality": 0.5, "metric": "toy_vector_length"}
    recipe = Recipe.model_validate({"gate": gate, "export": {"toy": True}})
    assert recipe.export.runtimes == ["toy-table"]
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    document = json.dumps(create_app(SETTINGS).openapi())
    assert "Whether to write `toy/table.npy`" in document
    assert '"toy_vector_length"' in document
    with pytest.raises(ValidationError, match="valid boolean"):
        ExportRecipe.model_validate({"toy": "much"})


def test_without_the_extension_both_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        ExportRecipe.model_validate({"toy": True})
    with pytest.raises(ValidationError, match="Input should be 'macro_f1'"):
        GateRecipe(min_quality=0.5, metric="toy_vector_length")
    assert "toy" not in json.dumps(create_app(Settings(auth="off")).openapi())


def test_a_name_is_taken_once_and_has_a_row() -> None:
    with pytest.raises(ValueError, match="is taken"):
        names.register(names.METRICS, names.MetricName("mrr", "Another", "other"))
    another = METRICS["sentence_cosine"]
    with pytest.raises(ValueError, match="is taken"):
        register_metric(Metric(another.name, another.applies, another.measure))
    with pytest.raises(ValueError, match="no row"):
        register_metric(Metric("unnamed", another.applies, another.measure))
