"""OpenVINO files of small models, run beside the models they were made of."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers.backend.utils import backend_should_export
from torch.nn.functional import cosine_similarity

from tests.support.domain import domain_documents
from tests.support.matrix_models import KINDS, Kind, every_class
from tests.support.matrix_tokenizers import tokenizer_pair
from tests.support.st_folders import compressed, cross_encoder, sentence_encoder
from worker.compression import (
    ExportFailedError,
    ExportUnsupportedError,
    LoadedModel,
    Teaching,
    check_installed,
    export_model,
    load_model,
    measure_exports,
    measure_latency,
    measure_memory,
    save_model,
)
from worker.compression.evaluation import latency as timing
from worker.compression.models.encoder import Encoder
from worker.compression.models.layers import drop_layers
from worker.compression.runtimes import RUNTIMES, openvino

BOTH = ("openvino", "openvino-int8")
PATHS = [f"openvino/openvino_model{end}" for end in (".xml", "_qint8_quantized.xml")]
CLASSES = (
    *("BertModel", "BertForSequenceClassification", "RobertaForTokenClassification"),
    *("ModernBertForMaskedLM", "GPT2LMHeadModel", "LlamaForCausalLM"),
)
CASES = [
    pytest.param(kind, name, id=name)
    for name, kind in {name: kind for kind, name in every_class()}.items()
    if name in CLASSES
]
TEXTS = domain_documents(12, seed=3)


def teaching(base: LoadedModel) -> Teaching:
    return Teaching(base, lambda: domain_documents(8))


def exported(loaded: LoadedModel, into: Path) -> dict[str, Any]:
    """The files of both runtimes, by its name; each in the place where others look for it."""
    found = export_model(loaded.folder, into, BOTH, teaching=teaching(loaded))
    assert [(file.runtime, file.path) for file in found] == list(zip(BOTH, PATHS, strict=True))
    for file in found:
        paths = [into / file.path, (into / file.path).with_suffix(".bin")]
        assert file.bytes == sum(path.stat().st_size for path in paths)
    assert not list(into.rglob("*.onnx"))
    return {file.runtime: into / file.path for file in found}


def tiny(folder: Path, kind: Kind, name: str, **config: Any) -> LoadedModel:
    base, _ = tokenizer_pair(kind.family)
    save_model(folder, kind.make(name, base, **config), base)
    return load_model(folder)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_both_files_are_the_model(kind: Kind, name: str, tmp_path: Path) -> None:
    loaded = tiny(tmp_path / "model", kind, name)
    files = exported(loaded, tmp_path)
    # Once more, apart from the check that is in the export: other lengths, other padding.
    expected = Encoder(loaded).run_whole(TEXTS)
    run = RUNTIMES["openvino"].encoder(loaded, files["openvino"]).run_whole
    # In bfloat16, where the processor has AMX.
    torch.testing.assert_close(run(TEXTS), expected, rtol=0.05, atol=0.05)
    int8 = RUNTIMES["openvino-int8"].encoder(loaded, files["openvino-int8"]).run_whole(TEXTS)
    assert int8.shape == expected.shape
    assert cosine_similarity(int8.flatten(), expected.flatten(), dim=0) > 0.9


@pytest.mark.slow
def test_eight_bits_are_smaller(tmp_path: Path) -> None:
    wide = {"num_hidden_layers": 1, "hidden_size": 256, "intermediate_size": 1024}
    files = exported(tiny(tmp_path / "model", KINDS[0], "BertModel", **wide), tmp_path)
    plain, int8 = (file.with_suffix(".bin").stat().st_size for file in files.values())
    assert plain / int8 > 3.5


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadedModel, LoadedModel]:
    """A sentence encoder and its result with both files in it."""
    folder: Path = tmp_path_factory.mktemp("sentences")
    base = load_model(sentence_encoder(folder / "base"))
    result = compressed(base.folder, folder / "result")
    exported(result, result.folder)
    return base, result


@pytest.mark.slow
def test_a_sentence_encoder_is_measured_in_both(
    sentences: tuple[LoadedModel, LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_FEWEST_BATCHES", 1), ("_REPEATS", 1), ("_SETTLE", 0), ("_TEXTS", 1)):
        monkeypatch.setattr(timing, name, value)
    base, result = sentences
    rows = measure_exports(base, result, result.folder, TEXTS)
    assert [row.runtime for row in rows] == list(BOTH)
    plain, int8 = ({one.metric: one.after for one in row.quality} for row in rows)
    assert "index_overlap_10" in plain
    assert plain["sentence_cosine"] == pytest.approx(int8["sentence_cosine"], abs=0.1)
    files = {row.runtime: result.folder / row.path for row in rows}
    latency = measure_latency(base, result, TEXTS, files=files, batch_sizes=(1, 2))
    assert [row.runtime for row in latency[2::2]] == list(BOTH)
    encoder = RUNTIMES["openvino"].encoder(result, files["openvino"])
    assert isinstance(encoder, openvino.OpenVinoEncoder)
    # The report says what was computed in, which the processor decides.
    assert encoder.precision in {"f32", "bf16", "f16"}
    assert (latency[2].dtype == "float32") == (encoder.precision == "f32")
    assert latency[4].dtype == "int8"


def test_sentence_transformers_looks_for_them_there(
    sentences: tuple[LoadedModel, LoadedModel],
) -> None:
    folder, names = sentences[1].folder, ("openvino_model.xml", "openvino*.xml", "OpenVINO")
    # As `backend="openvino"` asks, before optimum-intel loads what was found.
    assert backend_should_export(folder, True, {}, *names) == (
        False,
        {"subfolder": "openvino", "file_name": "openvino_model.xml"},
    )
    for path in PATHS:
        found = backend_should_export(folder, True, {"file_name": path}, *names)
        assert found == (False, {"subfolder": "openvino", "file_name": Path(path).name})


@pytest.mark.slow
def test_memory_is_that_of_a_program_without_pytorch(
    sentences: tuple[LoadedModel, LoadedModel],
) -> None:
    base, result = sentences
    files = {name: result.folder / path for name, path in zip(BOTH, PATHS, strict=True)}
    in_torch, plain, int8 = measure_memory(base.folder, result.folder, files, TEXTS)
    assert 1e7 < plain.after_bytes < in_torch.after_bytes
    assert 1e7 < int8.after_bytes < in_torch.after_bytes


@pytest.mark.slow
def test_a_cross_encoder_is_calibrated_on_pairs(tmp_path: Path) -> None:
    loaded = load_model(cross_encoder(tmp_path / "model", "BertForSequenceClassification"))
    files = exported(loaded, tmp_path)
    inputs = openvino.calibration_inputs(loaded, teaching(loaded), lambda *_: None)
    separators = [(one["input_ids"] == loaded.tokenizer.sep_token_id).sum() for one in inputs]
    assert set(separators) == {2}
    pairs = list(pairwise(TEXTS))
    expected = Encoder(loaded).scores(pairs)
    for name, file in files.items():
        found = RUNTIMES[name].encoder(loaded, file).scores(pairs)
        torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1)


def test_texts_of_calibration_are_a_sample_that_the_seed_decides(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, KINDS[0], "BertModel")
    many = domain_documents(2 * openvino._CALIBRATION)

    def ids(seed: int) -> list[Any]:
        given = openvino.calibration_inputs(
            loaded, Teaching(loaded, lambda: many, seed), lambda *_: None
        )
        assert len(given) == openvino._CALIBRATION
        return [one["input_ids"].tolist() for one in given]

    assert ids(1) == ids(1) != ids(2)


@pytest.mark.slow
def test_a_file_of_another_model_fails_the_check(tmp_path: Path) -> None:
    loaded = tiny(tmp_path / "model", KINDS[0], "BertModel")
    file = exported(loaded, tmp_path)["openvino"]
    check = RUNTIMES["openvino"].check
    assert check
    check(loaded, file)
    table: Any = loaded.model.get_input_embeddings()
    table.weight.data.neg_()
    with pytest.raises(
        ExportFailedError, match=r"OpenVINO file is not the model.*export.openvino`"
    ):
        check(loaded, file)


@pytest.mark.slow
def test_an_int8_file_with_infinite_numbers_fails_the_check(tmp_path: Path) -> None:
    loaded = tiny(tmp_path / "model", KINDS[0], "BertModel")
    file = exported(loaded, tmp_path)["openvino-int8"]
    library = openvino.import_library("openvino")
    model = library.Core().read_model(str(file))
    result = model.get_results()[0]
    divided = library.opset13.divide(result.input_value(0), np.float32(0))
    result.input(0).replace_source_output(divided.output(0))
    library.save_model(model, str(tmp_path / "broken.xml"), compress_to_fp16=False)
    check = RUNTIMES["openvino-int8"].check
    assert check
    with pytest.raises(ExportFailedError, match=r"int8 file is not sound.*export.openvino_int8`"):
        check(loaded, tmp_path / "broken.xml")


@pytest.mark.parametrize("kind", [k for k in KINDS if k.config == "T5Config"])
def test_an_encoder_decoder_is_refused(kind: Kind, tmp_path: Path) -> None:
    tiny(tmp_path / "model", kind, kind.classes[0])
    with pytest.raises(ExportUnsupportedError, match="OpenVINO"):
        export_model(tmp_path / "model", tmp_path, ["openvino"])


# What a worker without one of the packages has, and says.
WITHOUT = """
import json, sys
from importlib import util
real = util.find_spec
util.find_spec = lambda name, *rest: None if name == sys.argv[1] else real(name, *rest)
from worker.compression import ExportUnsupportedError, check_installed
from worker.compression.runtimes import RUNTIMES
try:
    check_installed(["onnx", "openvino-int8"])
except ExportUnsupportedError as error:
    print(json.dumps({"said": str(error), "has": list(RUNTIMES)}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lacks", "has"), [("openvino", set[str]()), ("nncf", {"openvino"})], ids=["all", "nncf"]
)
def test_a_worker_without_the_libraries_says_how_to_add_them(lacks: str, has: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, lacks], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert set(found["has"]) & {*BOTH} == has
    assert "This worker has no OpenVINO int8" in found["said"]
    assert "pip install 'fvt-service[worker,openvino]'" in found["said"]
    check_installed(["onnx", *BOTH])


# Whether anything is written or sent: both libraries would, when they are imported.
SILENT = """
import sys
sent = []
def told(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        sent.append((event, str(arguments)))
sys.addaudithook(told)
from pathlib import Path
from worker.compression.runtimes.openvino import import_library
import_library("openvino"), import_library("nncf")
import nncf
nncf.telemetry.wrapper.telemetry.send_event("a", "b", "c", 1)
import time; time.sleep(1)
# Others keep a cache there.
print(sent, sorted({path.name for path in Path.home().iterdir()} - {".cache"}))
"""


@pytest.mark.slow
def test_nobody_else_is_told_that_openvino_is_used(tmp_path: Path) -> None:
    hidden = {"CI", "NNCF_CI", "TF_BUILD", "JENKINS_URL"}
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    done = subprocess.run(
        [sys.executable, "-c", SILENT],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[-2] == "[] []"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "onnx-int8", "onnx-int4"])
def test_onnx_files_are_read_alike(name: str, minilm: LoadedModel, tmp_path: Path) -> None:
    smaller = replace(minilm, model=drop_layers(minilm.model, 1))
    save_model(tmp_path, smaller.model, smaller.tokenizer, minilm.folder)
    export_model(tmp_path, tmp_path, ["onnx", *([] if name == "onnx" else [name])])
    file = tmp_path / RUNTIMES[name].row.path
    by_onnx = RUNTIMES[name].encoder(smaller, file).vectors(TEXTS)
    by_openvino = openvino.OpenVinoEncoder(smaller, file).vectors(TEXTS)
    assert cosine_similarity(by_onnx, by_openvino).min() > 0.999
