"""The model card: what a hub reads of it, and that its code runs."""

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard_data import model_index_to_eval_results
from sentence_transformers import CrossEncoder, SentenceTransformer

from app.contract.report import BaseModelInfo, Export, Quality, Report
from tests.support.domain import domain_documents
from tests.support.hub import faults_of_card
from tests.support.reports import full_report, index_rows, quality, with_task
from tests.support.st_folders import (
    compressed,
    cross_encoder,
    sentence_encoder,
    transformers_folder,
)
from worker.compression import Teaching, export_model, load_model, write_model_card
from worker.compression.models.reading import longest_input

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
# What only some blocks need, and is not installed everywhere: optimum for a backend.
OPTIONAL = {'backend="onnx"': "optimum", 'backend="openvino"': "optimum"}
BASES: dict[str, Any] = {
    "sentence encoder": sentence_encoder,
    "normalized": lambda folder: sentence_encoder(
        folder, modules=(("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    ),
    "cross-encoder": lambda folder: cross_encoder(folder, "BertForSequenceClassification"),
    "encoder": transformers_folder,
    "masked": lambda folder: transformers_folder(folder, "BertForMaskedLM"),
    "without a token for padding": lambda folder: transformers_folder(folder, "GPT2LMHeadModel"),
    "encoder-decoder": lambda folder: transformers_folder(folder, "T5ForConditionalGeneration"),
    "half of one": lambda folder: sentence_encoder(folder, "T5EncoderModel"),
    "from the left": lambda folder: sentence_encoder(
        folder,
        settings={
            "max_seq_length": 6,
            "processor_kwargs": {"padding_side": "left", "truncation_side": "left"},
        },
    ),
    "prompt": lambda folder: sentence_encoder(
        folder, use={"prompts": {"query": "ask: "}, "default_prompt_name": "query"}
    ),
    "subfolder": lambda folder: sentence_encoder(folder, inner="0_Transformer"),
}
# sentence-transformers does not look for files beside a model in a subfolder.
BY_LIBRARY = (
    "sentence encoder",
    "normalized",
    "cross-encoder",
    "half of one",
    "from the left",
    "prompt",
)
WITH_VECTORS = ("sentence encoder", "normalized", "half of one", "from the left")


def report_of(folder: Path, *, exported: bool) -> Report:
    whole = full_report()
    read = {"longest_input": longest_input(load_model(folder))}
    tokens = whole.tokens.model_copy(update=read)
    report = whole.model_copy(update={"exports": [], "tokens": tokens})
    if not exported:
        return report
    export_model(folder, folder, ["onnx"])
    size = (folder / "onnx/model.onnx").stat().st_size
    row = Export(runtime="onnx", path="onnx/model.onnx", bytes=size, quality=quality(0.9))
    return report.model_copy(update={"exports": [row]})


def blocks_that_run_here(card: str) -> list[str]:
    def runs(block: str) -> bool:
        needs = (module for mark, module in OPTIONAL.items() if mark in block)
        return all(importlib.util.find_spec(module) for module in needs)

    return [block for block in BLOCK.findall(card) if runs(block)]


@pytest.mark.slow
@pytest.mark.parametrize("name", BASES)
def test_the_code_of_a_card_runs(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "result"
    compressed(BASES[name](tmp_path / "base"), folder)
    report = report_of(folder, exported=name != "encoder-decoder")
    card = write_model_card(folder, report).read_text()
    blocks = blocks_that_run_here(card)
    assert len(blocks) >= (2 if report.exports else 1)
    found: dict[str, Any] = {}
    made: list[Any] = []
    for block in blocks:
        exec(block.replace("path/to/this/folder", str(folder)), found)
        made.append(found.pop("vectors", None))
        if "outputs" in found:
            assert np.isfinite(np.asarray(found.pop("outputs")[0])).all()
    vectors = [np.asarray(each) for each in made if each is not None]
    if name in WITH_VECTORS:
        by_library, *by_hand = vectors
        assert len(by_hand) == 2  # in PyTorch and in ONNX Runtime
        for one in by_hand:
            np.testing.assert_allclose(one, by_library, atol=1e-5)
    if name == "prompt":
        fed = load_model(folder).tokenizer(["ask: A sentence.", "ask: Another one."], padding=True)
        assert found["batch"]["input_ids"].tolist() == fed["input_ids"]
    if name == "cross-encoder":
        pairs = [("A question?", "A text that may answer it.")]
        expected = CrossEncoder(str(folder)).predict(pairs, activation_fn=torch.nn.Identity())
        np.testing.assert_allclose(found["scores"][:, 0], expected, atol=1e-5)
    assert ('backend="onnx"' in card) == (name in BY_LIBRARY)
    assert not re.search(r"{[{%]|[%}]}", card)


def test_a_file_without_a_score_of_the_task_has_an_empty_cell(tmp_path: Path) -> None:
    base, folder = BASES["encoder"](tmp_path / "base"), tmp_path / "result"
    compressed(base, folder)
    task = Quality(metric="macro_f1", before=0.8, after=0.72, retention=0.9)
    report = full_report()
    whole, lacking = report.exports
    whole = whole.model_copy(update={"quality": [task, *whole.quality]})
    report = report.model_copy(update={"exports": [lacking, whole]})
    table = [
        line for line in write_model_card(folder, report).read_text().splitlines() if "|" in line
    ]
    head = next(line for line in table if line.startswith("| file"))
    columns = [cell.strip() for cell in head.split("|")]
    at = columns.index("macro_f1, kept"), columns.index("sentence_cosine, kept")
    rows = {
        cells[1].strip("`"): tuple(cells[place] for place in at)
        for line in table
        if line.startswith("| `onnx/")
        for cells in [[cell.strip() for cell in line.split("|")]]
    }
    assert rows == {
        "onnx/model_int8.onnx": ("", "0.9200"),
        "onnx/model.onnx": ("0.9000", "0.9300"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sentence encoder", "cross-encoder", "encoder"])
def test_the_code_for_openvino_runs(tmp_path: Path, name: str) -> None:
    base, folder = load_model(BASES[name](tmp_path / "base")), tmp_path / "result"
    compressed(base.folder, folder)
    teaching = Teaching(base, lambda: domain_documents(8))
    files = export_model(folder, folder, ["onnx", "openvino", "openvino-int8"], teaching=teaching)
    exports = [
        Export(runtime=one.runtime, path=one.path, bytes=one.bytes, quality=quality(0.9))
        for one in files
    ]
    report = full_report().model_copy(update={"exports": exports})
    blocks = BLOCK.findall(write_model_card(folder, report).read_text())
    # Of its own files alone, the smallest of them.
    [block] = [block for block in blocks if "import openvino" in block]
    assert "openvino/openvino_model_qint8_quantized.xml" in block
    found: dict[str, Any] = {}
    exec(block.replace("path/to/this/folder", str(folder)), found)
    assert np.isfinite(np.asarray(found["outputs"][0])).all()
    by_library = [block for block in blocks if 'backend="openvino"' in block]
    assert len(by_library) == (name != "encoder")


@pytest.mark.slow
def test_the_code_for_static_vectors_runs(tmp_path: Path) -> None:
    base, folder = load_model(sentence_encoder(tmp_path / "base")), tmp_path / "result"
    compressed(base.folder, folder)
    teaching = Teaching(base, lambda: domain_documents(60))
    [file] = export_model(folder, folder, ["static"], teaching=teaching)
    row = Export(runtime="static", path=file.path, bytes=file.bytes, quality=quality(0.9))
    report = full_report().model_copy(update={"exports": [row]})
    blocks = BLOCK.findall(write_model_card(folder, report).read_text())
    by_library, by_model2vec = (block for block in blocks if "folder/static" in block)
    found: dict[str, Any] = {}
    exec(by_library.replace("path/to/this/folder", str(folder)), found)
    assert found["vectors"].shape == (2, base.model.config.hidden_size)
    assert 'StaticModel.from_pretrained("path/to/this/folder/static")' in by_model2vec


def test_a_pooling_that_is_no_mean_is_left_to_its_library(tmp_path: Path) -> None:
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    folder = sentence_encoder(tmp_path / "model", pooling=pooling)
    card = write_model_card(folder, full_report()).read_text()
    assert "SentenceTransformer(" in card
    assert "transformers alone" not in card


BASE_CARD = """---
license: other
license_name: some-license
license_link: https://example.org/license
language: [de, "no"]
datasets:
- acme/pairs
pipeline_tag: image-classification
---
# Base
"""


def test_a_hub_reads_what_the_card_is_of(tmp_path: Path) -> None:
    base, folder = tmp_path / "base", sentence_encoder(tmp_path / "model")
    base.mkdir()
    (base / "README.md").write_text(BASE_CARD)
    report = with_task(full_report())
    path = write_model_card(folder, report, base)
    text = path.read_text()
    assert faults_of_card(text) == []
    data: Any = ModelCard.load(path).data
    assert (data.license, data.license_name) == ("other", "some-license")
    assert (data.language, data.datasets) == (["de", "no"], ["acme/pairs"])
    assert data.base_model == report.base_model.id
    assert data.base_model_relation == "finetune"
    assert (data.library_name, data.pipeline_tag) == (
        "sentence-transformers",
        "sentence-similarity",
    )
    figures = {row.metric_type: row for row in data.eval_results}
    assert {row.metric: round(row.after, 4) for row in report.quality} == {
        name: row.metric_value for name, row in figures.items()
    }
    assert figures["macro_f1"].task_type == "text-classification"
    # Read and written by the hub's library, nothing is lost.
    front = yaml.safe_load(text.split("---")[1])
    assert yaml.safe_load(ModelCardData(**front).to_yaml()) == front
    model_index_to_eval_results(front["model-index"])
    assert "Its licence is the base's: other" in text


@pytest.mark.parametrize(
    "card",
    [
        "",
        "# no front matter",
        "---\n{\n---\n",
        "---\n- a\n---\n",
        "---\nlicense: [1]\nlanguage: {}\n---\n",
    ],
)
def test_the_card_of_a_base_may_be_anything(tmp_path: Path, card: str) -> None:
    base, folder = tmp_path / "base", transformers_folder(tmp_path / "model", "BertForMaskedLM")
    base.mkdir()
    (base / "README.md").write_text(card)
    text = write_model_card(folder, full_report(), base).read_text()
    assert faults_of_card(text) == []
    front = yaml.safe_load(text.split("---")[1])
    assert "license" not in front
    assert front["pipeline_tag"] == "fill-mask"
    assert "names no licence that is known here" in text


def test_other_bytes_as_a_card_do_not_end_a_job(tmp_path: Path) -> None:
    base, folder = tmp_path / "base", transformers_folder(tmp_path / "model")
    base.mkdir()
    (base / "README.md").write_bytes(b"---\nlicense: \xff\n---\n")
    write_model_card(folder, full_report(), base)
    shutil.rmtree(base)
    write_model_card(folder, full_report(), base)


def with_index(rows: list[Quality], base: str = "some/model") -> Report:
    whole = full_report()
    named = BaseModelInfo(id=base, commit=None)
    return whole.model_copy(update={"quality": [*rows, *whole.quality], "base_model": named})


@pytest.mark.slow
def test_the_code_for_an_index_that_stays_runs(tmp_path: Path) -> None:
    prompts = {"query": "ask: ", "document": "read: "}
    base = sentence_encoder(tmp_path / 'the "base"', use={"prompts": prompts})
    folder = tmp_path / "result"
    compressed(base, folder)
    report = with_index(index_rows("index_overlap_10"), str(base))
    card = write_model_card(folder, report).read_text()
    (block,) = [block for block in BLOCK.findall(card) if "index =" in block]
    found: dict[str, Any] = {}
    exec(block.replace("path/to/this/folder", str(folder)), found)
    index = SentenceTransformer(str(base)).encode(["A document.", "Another one."], prompt="read: ")
    query = SentenceTransformer(str(folder)).encode(["A question?"], prompt="ask: ")
    lengths = np.linalg.norm(index, axis=1) * np.linalg.norm(query)
    np.testing.assert_allclose(found["found"], query @ index.T / lengths, atol=1e-5)


def test_the_card_says_by_what_measure_the_index_stays(tmp_path: Path) -> None:
    folder = sentence_encoder(tmp_path / "model")
    plain = write_model_card(folder, with_index(index_rows("index_overlap_10"))).read_text()
    assert "## Your index stays" in plain
    assert (
        "98.7 % of the ten nearest texts that the base finds are found (96.0 to 101.0 % in 95 of "
        "100 resamples; 30 texts)."
    ) in plain
    # Of labels one knows what was looked for: their row comes first.
    task = index_rows("index_ndcg_at_10", "index_mrr", "index_overlap_10")
    labelled = write_model_card(folder, with_index(task)).read_text()
    assert (
        "98.7 % of the base's nDCG@10 of the task is kept (96.0 to 101.0 % in 95 of 100 "
        "resamples; 30 queries)."
    ) in labelled
    assert faults_of_card(labelled) == []


@pytest.mark.parametrize(
    ("rows", "make"),
    [
        ([], sentence_encoder),
        (index_rows("index_overlap_10", low=0.89), sentence_encoder),
        (index_rows("index_overlap_10", low=None), sentence_encoder),
        (
            [*index_rows("index_ndcg_at_10", low=0.7), *index_rows("index_overlap_10")],
            sentence_encoder,
        ),
        (index_rows("index_ndcg_at_10"), transformers_folder),
    ],
    ids=["not measured", "too little", "not sure", "the task says less", "no sentence encoder"],
)
def test_an_index_that_may_not_stay_is_not_advised(
    tmp_path: Path, rows: list[Quality], make: Any
) -> None:
    card = write_model_card(make(tmp_path / "model"), with_index(rows)).read_text()
    assert "Your index stays\n" not in card
    assert "encode_query" not in card


def test_the_card_names_job_and_date(tmp_path: Path) -> None:
    made = {"job_id": "job_1", "made_at": "2026-11-26T10:00:00+00:00"}
    folder = transformers_folder(tmp_path / "model")
    card = write_model_card(folder, full_report().model_copy(update=made)).read_text()
    assert "`job_1` on 2026-11-26" in card
