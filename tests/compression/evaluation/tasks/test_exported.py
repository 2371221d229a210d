"""Fine-tuned models, exported: their files are scored, and score as the models do."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from transformers import BertForSequenceClassification

from tests.compression.recovery.test_four_bit_steps import is_rounded
from tests.support.tiny_models import make_base_model
from worker.compression import ExportFailedError, LoadedModel, four_bits, load_model
from worker.compression.evaluation.tasks.exported import score_files
from worker.compression.evaluation.tasks.fine_tuning import FineTuned, FineTuningConfig
from worker.compression.evaluation.tasks.sequence_classification import fine_tuned_classifier
from worker.compression.evaluation.tasks.token_classification import fine_tuned_tagger
from worker.compression.progress import silent
from worker.compression.runtimes import RUNTIMES

QUICK = FineTuningConfig(epochs=20, batch_size=8, learning_rate=5e-3, max_length=32)
TEXTS = [("no effect was seen", "good"), ("a severe rash", "bad"), ("nausea", "bad")] * 8
TAGGED = [(["Anna", "met", "Bo"], ["B-PER", "O", "B-PER"]), (["it", "is", "a", "rash"], ["O"] * 4)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(make_base_model(tmp_path_factory.mktemp("base")))


def classifier(base: LoadedModel) -> FineTuned:
    return fine_tuned_classifier(base, TEXTS, TEXTS, protocol=QUICK)


def tagger(base: LoadedModel) -> FineTuned:
    return fine_tuned_tagger(base, TAGGED * 12, TAGGED, protocol=QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("tune", [classifier, tagger])
def test_files_of_a_fine_tuned_model_score_as_it_does(
    base: LoadedModel, tune: Callable[[LoadedModel], FineTuned], tmp_path: Path
) -> None:
    tuned = tune(base)
    own = tuned.score(tuned.logits, silent)
    assert min(own.values()) > 0.9
    scored = score_files(tuned, ["onnx", "onnx-int8", "onnx-int4"], tmp_path)
    assert list(scored) == ["onnx", "onnx-int8", "onnx-int4"]
    assert scored["onnx"].figures == own
    assert scored["onnx-int8"].figures == pytest.approx(own, abs=0.1)
    assert scored["onnx-int8"].bytes < scored["onnx"].bytes
    assert (tmp_path / "onnx/model.onnx").stat().st_size == scored["onnx"].bytes


@pytest.mark.slow
def test_it_is_the_file_that_is_scored(base: LoadedModel, tmp_path: Path) -> None:
    tuned = classifier(base)
    broken = FineTuned(tuned.model, tuned.tokenizer, tuned.score)
    head = broken.model.classifier
    head.weight.data.neg_()
    head.bias.data.neg_()
    scored = score_files(broken, ["onnx-int8"], tmp_path)
    assert list(scored) == ["onnx-int8"]
    assert scored["onnx-int8"].figures["accuracy"] < 0.1
    outputs = {output.name for output in onnx.load(tmp_path / "onnx/model.onnx").graph.output}
    assert "logits" in outputs


@pytest.mark.slow
def test_a_file_that_fails_is_left_out_with_its_reason(
    base: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: LoadedModel, __: Path) -> None:
        raise ExportFailedError("not sound")

    monkeypatch.setitem(RUNTIMES, "onnx-int8", replace(RUNTIMES["onnx-int8"], check=fail))
    tuned, left_out, told = classifier(base), dict[str, str](), list[tuple[float, str]]()
    scored = score_files(
        *(tuned, ["onnx", "onnx-int8"], tmp_path / "some"),
        lambda *what: told.append(what),
        left_out=left_out,
    )
    assert list(scored) == ["onnx"]
    assert left_out == {"onnx-int8": "not sound"}
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert told[-1][1].startswith("onnx/model.onnx: ")
    with pytest.raises(ExportFailedError, match="not sound"):
        score_files(tuned, ["onnx-int8"], tmp_path / "all")


def test_the_last_fifth_of_a_fine_tuning_for_four_bits_computes_with_rounded_weights(
    base: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(four_bits, "FEWEST", 64)
    seen, forward = list[bool](), BertForSequenceClassification.forward

    def watched(model: Any, **inputs: Any) -> Any:
        seen.append(is_rounded(model))
        return forward(model, **inputs)

    monkeypatch.setattr(BertForSequenceClassification, "forward", watched)
    protocol = replace(QUICK, epochs=5)
    tuned = {
        runtime: fine_tuned_classifier(base, TEXTS, TEXTS, protocol=protocol.for_files([runtime]))
        for runtime in ("onnx-int8", "onnx-int4")
    }
    # 24 texts in batches of eight, five times.
    assert seen == [False] * 15 + [False] * 12 + [True] * 3
    exact, foreseen = (one.model for one in tuned.values())
    assert not is_rounded(foreseen)
    assert not exact.classifier.weight.equal(foreseen.classifier.weight)
