"""What a model is, is decided once: from its folder, as sentence-transformers would load it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import AutoModelForSequenceClassification

from app.base_models.checks import examine
from app.contract.errors import UserFault
from app.contract.model_kinds import decide_kind
from tests.support.matrix_tokenizers import domain_texts, sentences, tokenizer_pair
from tests.support.st_folders import (
    compressed,
    cross_encoder,
    encoded,
    sentence_encoder,
    transformers_folder,
    write_json,
)
from worker.compression import (
    RecoveryOptions,
    UnsupportedModelError,
    export_model,
    load_model,
    measure_exports,
    measure_quality,
    quality_metrics,
    recover,
)
from worker.compression.evaluation.metrics.score_agreement import score_agreement
from worker.compression.evaluation.tasks.vectors import pair_scores
from worker.compression.models.encoder import Encoder
from worker.compression.models.reading import make_pairs
from worker.compression.models.traits import model_traits
from worker.compression.recovery.recover import choose_objectives
from worker.compression.runtimes.onnx import OnnxEncoder
from worker.compression.self_check import check_artifact

TEXTS = [*domain_texts(), "rash", "lithium. ibuprofen methotrexate seizures"]
PAIRS = make_pairs(TEXTS, 0)
VECTORS = ["sentence_cosine", "neighbour_overlap_10", "index_overlap_10"]
NEW = "sentence_transformers.base.modules"


def listed(*types: str) -> list[dict[str, Any]]:
    return [
        {"idx": n, "name": str(n), "path": f"{n}_M" if n else "", "type": t}
        for n, t in enumerate(types)
    ]


ENCODER = listed(f"{NEW}.transformer.Transformer", "sentence_transformers.models.Pooling")
SCORES = listed(f"{NEW}.transformer.Transformer")


@pytest.mark.parametrize(
    ("files", "role"),
    [
        ({"modules.json": ENCODER}, "sentence_encoder"),
        ({"modules.json": ENCODER, "config.json": {"architectures": ["Qwen3ForCausalLM"]}},
         "sentence_encoder"),
        ({"modules.json": ENCODER, "config_sentence_transformers.json": {"model_type": None}},
         "sentence_encoder"),
        ({"modules.json": SCORES, "config_sentence_transformers.json":
          {"model_type": "CrossEncoder"},
          "config.json": {"architectures": ["BertForSequenceClassification"]}}, "cross_encoder"),
        ({"config.json": {"architectures": ["BertForSequenceClassification"],
                          "id2label": {"0": "LABEL_0"}}}, "cross_encoder"),
        ({"config.json": {"architectures": ["RobertaForSequenceClassification"],
                          "id2label": {"0": "a", "1": "b", "2": "c"},
                          "sentence_transformers": {"activation_fn": "x"}}}, "cross_encoder"),
        ({"config.json": {"architectures": ["BertForSequenceClassification"],
                          "sbert_ce_default_activation_function": "torch.nn.Identity"}},
         "cross_encoder"),
        ({"config.json": {"architectures": ["BertForSequenceClassification"]}}, "classifier"),
        ({"config.json": {"architectures": ["BertForMaskedLM"]}}, "language_model"),
        ({"config.json": {"architectures": ["GPT2LMHeadModel"]}}, "language_model"),
        ({"config.json": {"architectures": ["BertModel"]}}, "encoder"),
        ({}, "encoder"),
    ],
)  # fmt: skip
def test_the_files_say_what_the_model_is(files: dict[str, Any], role: str) -> None:
    assert decide_kind(files.get).role == role


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        ({"modules.json": SCORES, "config_sentence_transformers.json":
          {"model_type": "SparseEncoder"}}, "unsupported_model", "SPLADE"),
        ({"modules.json": SCORES, "config_sentence_transformers.json":
          {"model_type": "MultiVectorEncoder"}}, "unsupported_model", "ColBERT"),
        ({"modules.json": SCORES, "config_sentence_transformers.json":
          {"model_type": "Oracle"}}, "unsupported_model", "Oracle"),
        ({"modules.json": listed("sentence_transformers.models.StaticEmbedding")},
         "unsupported_model", "StaticEmbedding"),
        ({"modules.json": listed("sentence_transformers.models.Router")},
         "unsupported_model", "Router"),
        ({"modules.json": listed("sentence_transformers.models.CLIPModel")},
         "unsupported_model", "CLIPModel"),
        ({"modules.json": listed("sentence_transformers.models.WordEmbeddings",
                                 "sentence_transformers.models.Pooling")},
         "unsupported_model", "WordEmbeddings"),
        ({"modules.json": listed("sentence_transformers.models.Transformer",
                                 "sentence_transformers.models.WeightedLayerPooling")},
         "unsupported_model", "WeightedLayerPooling"),
        ({"modules.json": [*ENCODER, *listed("", "sentence_transformers.models.LSTM")[1:]]},
         "unsupported_model", "LSTM"),
        ({"modules.json": listed("custom_st.Transformer")}, "remote_code_refused", "custom_st"),
        ({"modules.json": SCORES, "config_sentence_transformers.json":
          {"model_type": "CrossEncoder"}, "config.json": {"architectures": ["Qwen3ForCausalLM"]}},
         "unsupported_model", "Qwen3ForCausalLM"),
        ({"modules.json": listed(f"{NEW}.transformer.Transformer",
                                 "sentence_transformers.cross_encoder.modules.LogitScore"),
          "config_sentence_transformers.json": {"model_type": "CrossEncoder"}},
         "unsupported_model", "LogitScore"),
        ({"modules.json": ENCODER, "sentence_bert_config.json": {"transformer_task": "fill-mask"}},
         "unsupported_model", "fill-mask"),
        ({"modules.json": ENCODER, "sentence_bert_config.json":
          {"modality_config": {"text": {}, "message": {}}}}, "unsupported_model", "chat template"),
        ({"modules.json": [{"path": "../x", "type": "sentence_transformers.models.Transformer"}]},
         "invalid_model", "outside"),
        ({"modules.json": {"a": 1}}, "invalid_model", "modules.json"),
        ({"modules.json": [{"path": 3}]}, "invalid_model", "modules.json"),
        ({"modules.json": [["a"]]}, "invalid_model", "modules.json"),
        ({"modules.json": ENCODER, "sentence_bert_config.json": [1]}, "invalid_model", "object"),
        ({"modules.json": ENCODER, "sentence_bert_config.json": {"max_seq_length": "12"}},
         "invalid_model", "12"),
        ({"modules.json": ENCODER, "config_sentence_transformers.json":
          {"prompts": {}, "default_prompt_name": "query"}}, "invalid_model", "query"),
        ({"modules.json": ENCODER, "config_sentence_transformers.json":
          {"prompts": {}, "default_prompt_name": ["query"]}}, "invalid_model", "query"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_name(
    files: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(UserFault) as refused:
        decide_kind(files.get)
    assert refused.value.code == code
    assert said in refused.value.message


def test_the_refusal_is_the_same_at_submission_and_in_the_engine(tmp_path: Path) -> None:
    sentence_encoder(tmp_path, use={"model_type": "SparseEncoder"})
    with pytest.raises(UserFault, match="SPLADE"):
        examine(tmp_path, 1 << 30)
    with pytest.raises(UnsupportedModelError, match="SPLADE"):
        load_model(tmp_path)


def test_sentence_transformers_own_folders_are_what_they_are(tmp_path: Path) -> None:
    inner = transformers_folder(tmp_path / "inner")
    SentenceTransformer(str(inner), device="cpu").save_pretrained(str(tmp_path / "vectors"))
    assert model_traits(load_model(tmp_path / "vectors")).is_sentence_encoder
    saved = cross_encoder(tmp_path, "BertForSequenceClassification")
    assert model_traits(load_model(saved)).is_cross_encoder


@pytest.mark.parametrize(
    ("model_class", "labels", "activation"),
    [
        ("BertForSequenceClassification", 1, torch.nn.Identity()),
        ("BertForSequenceClassification", 1, torch.nn.Sigmoid()),
        ("BertForSequenceClassification", 3, None),
        ("ModernBertForSequenceClassification", 1, None),
        pytest.param("RobertaForSequenceClassification", 1, None, marks=pytest.mark.slow),
        pytest.param("XLMRobertaForSequenceClassification", 2, None, marks=pytest.mark.slow),
        pytest.param("Qwen3ForSequenceClassification", 1, None, marks=pytest.mark.slow),
    ],
)
def test_a_cross_encoder_is_one_everywhere(
    model_class: str, labels: int, activation: Any, tmp_path: Path
) -> None:
    base = cross_encoder(tmp_path, model_class, labels, activation_fn=activation)
    assert examine(base, 1 << 30).role == "cross_encoder"
    loaded, made = load_model(base), compressed(base, tmp_path / "made")
    assert quality_metrics(loaded) == ["score_agreement"]
    check_artifact(made.folder, TEXTS)

    logits = [CrossEncoder(str(f), device="cpu").predict(
        PAIRS, activation_fn=torch.nn.Identity(), convert_to_tensor=True
    ).reshape(len(PAIRS), -1) for f in (base, made.folder)]  # fmt: skip
    for model, expected in zip((loaded, made), logits, strict=True):
        torch.testing.assert_close(Encoder(model).scores(PAIRS), expected, rtol=0, atol=1e-4)
    (row,) = measure_quality(loaded, made, TEXTS)
    assert (row.metric, row.before) == ("score_agreement", 1.0)
    assert row.after == pytest.approx(score_agreement(*logits), abs=1e-3)

    export_model(made.folder, made.folder, ["onnx"])
    onnx = OnnxEncoder(made, made.folder / "onnx" / "model.onnx")
    torch.testing.assert_close(onnx.scores(PAIRS), logits[1], rtol=0, atol=1e-3)
    (export,) = measure_exports(loaded, made, made.folder, TEXTS)
    assert [quality.metric for quality in export.quality] == ["score_agreement"]


def test_recovery_distils_the_scores_of_a_cross_encoder(tmp_path: Path) -> None:
    base = load_model(cross_encoder(tmp_path, "BertForSequenceClassification"))
    made = compressed(base.folder, tmp_path / "made")
    texts = sentences(["ibuprofen", "lithium", "rash", "seizures"], 0)
    options = RecoveryOptions(max_steps=40, batch_size=16, learning_rate=5e-3)
    done = recover(base, made.model, made.tokenizer, lambda: texts, options, cpu=True)
    assert done.summary.used == "distill_scores"
    assert "cross-encoder" in done.summary.reason
    assert done.summary.loss[-1].train < done.summary.loss[0].train / 2


def test_with_fewer_layers_a_cross_encoder_is_told_more(tmp_path: Path) -> None:
    base = load_model(cross_encoder(tmp_path, "BertForSequenceClassification"))
    objectives, _ = choose_objectives("auto", model_traits(base), fewer_layers=True)
    assert [objective.name for objective in objectives] == ["distill", "distill_scores"]


def test_a_classifier_can_be_told_its_scores_of_texts(tmp_path: Path) -> None:
    folder = transformers_folder(tmp_path / "base", "BertForSequenceClassification", num_labels=2)
    base, made = load_model(folder), compressed(folder, tmp_path / "made")
    assert quality_metrics(base) == VECTORS[:2]
    texts = sentences(["ibuprofen", "lithium"], 0)
    options = RecoveryOptions(objective="distill_scores", max_steps=20, learning_rate=5e-3)
    done = recover(base, made.model, made.tokenizer, lambda: texts, options, cpu=True)
    assert done.summary.loss[-1].train < done.summary.loss[0].train


def test_graded_pairs_are_scored_as_a_cross_encoder_scores_them(tmp_path: Path) -> None:
    base = cross_encoder(tmp_path, "BertForSequenceClassification")
    scores = CrossEncoder(str(base), device="cpu").predict(PAIRS)
    graded = [(one, other, float(s)) for (one, other), s in zip(PAIRS, scores, strict=True)]
    assert pair_scores(Encoder(load_model(base)), graded)["spearman"] == pytest.approx(1.0)


def test_a_decoder_in_a_folder_of_vectors_is_an_encoder_everywhere(tmp_path: Path) -> None:
    base = sentence_encoder(
        tmp_path / "base", "Qwen3ForCausalLM", pooling={"pooling_mode_lasttoken": True}
    )
    settings = {"padding_side": "left", "processor_kwargs": {"padding_side": "left"}}
    write_json(base / "sentence_bert_config.json", settings)
    loaded = load_model(base)
    assert loaded.tokenizer.padding_side == "left"
    traits = model_traits(loaded)
    assert (traits.is_sentence_encoder, traits.generates) == (True, False)
    assert traits.pooling == "lasttoken"
    assert quality_metrics(loaded) == VECTORS
    assert [o.name for o in choose_objectives("auto", traits)[0]] == ["distill"]
    made = compressed(base, tmp_path / "made")
    check_artifact(made.folder, TEXTS)
    assert made.model.config.architectures == ["Qwen3ForCausalLM"]
    export_model(made.folder, made.folder, ["onnx"])
    write_json(base / "sentence_bert_config.json", {})
    write_json(made.folder / "sentence_bert_config.json", {})
    expected = encoded(base, TEXTS), encoded(made.folder, TEXTS)
    cosine = torch.cosine_similarity(*expected).mean().item()
    row, *_ = measure_quality(loaded, made, TEXTS)
    assert row.metric == "sentence_cosine"
    assert row.after == pytest.approx(cosine, abs=1e-4)
    onnx = OnnxEncoder(made, made.folder / "onnx" / "model.onnx").vectors(TEXTS)
    torch.testing.assert_close(onnx, expected[1], rtol=0, atol=1e-3)


def test_a_body_alone_under_the_class_of_its_head_is_read_as_a_body(tmp_path: Path) -> None:
    base = sentence_encoder(tmp_path / "base", "Qwen3Model")
    config = (base / "config.json").read_text("utf-8")
    (base / "config.json").write_text(config.replace("Qwen3Model", "Qwen3ForCausalLM"))
    loaded = load_model(base)
    torch.testing.assert_close(Encoder(loaded).vectors(TEXTS), encoded(base, TEXTS))


@pytest.mark.parametrize("model_class", ["BertModel", "RobertaModel", "T5EncoderModel"])
def test_the_model_in_a_folder_of_its_own_stays_there(model_class: str, tmp_path: Path) -> None:
    base = sentence_encoder(
        tmp_path / "base", model_class, inner="0_Transformer", settings={"max_seq_length": 12}
    )
    assert examine(base, 1 << 30).role == "sentence_encoder"
    made = compressed(base, tmp_path / "made")
    assert not (made.folder / "config.json").exists()
    assert not list(made.folder.glob("*.safetensors"))
    assert made.model.config.vocab_size < load_model(base).model.config.vocab_size
    check_artifact(made.folder, TEXTS)
    torch.testing.assert_close(Encoder(made).vectors(TEXTS), encoded(made.folder, TEXTS))
    assert Encoder(made).max_length == 12


def test_score_agreement_is_a_rank_correlation() -> None:
    scores = torch.tensor([[1.0, 0.0], [2.0, 5.0], [3.0, 4.0]])
    assert score_agreement(scores, 9 * scores - 3) == pytest.approx(1.0)
    assert score_agreement(scores, -scores) == pytest.approx(-1.0)
    flat = torch.zeros(3, 1)
    assert score_agreement(flat, flat) == 1.0
    assert score_agreement(scores[:, :1], flat) == 0.0


def test_old_cross_encoders_without_a_list_of_modules_keep_their_form(tmp_path: Path) -> None:
    base = transformers_folder(tmp_path / "b", "BertForSequenceClassification", num_labels=1)
    made = compressed(base, tmp_path / "made")
    assert model_traits(made).is_cross_encoder
    model = AutoModelForSequenceClassification.from_pretrained(made.folder)
    assert model.config.num_labels == 1
    assert tokenizer_pair("wordpiece")[1].get_vocab() == made.tokenizer.get_vocab()
