"""Texts are read as the model's program reads them: lower-cased, prompted, cut, padded, pooled."""

import json
import string
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from transformers import BertTokenizer

from app.contract.model_kinds import ModelKind
from tests.compression.tokenizers.bases import BASES
from tests.compression.tokenizers.bases import domain_texts as domain_texts_of_bases
from tests.support.domain import base_vocabulary
from tests.support.matrix_tokenizers import DOMAIN, domain_texts, sentences, tokenizer_pair
from tests.support.some_slow import some_slow
from tests.support.st_folders import (
    POOLED,
    Module,
    compressed,
    encoded,
    sentence_encoder,
    transformers_folder,
    write_json,
)
from worker.compression import (
    RecoveryOptions,
    export_model,
    load_model,
    load_tokenizer,
    measure_quality,
    measure_tokens,
    recover,
    save_model,
    texts_as_fed,
    train_tokenizer,
    transfer_vocabulary,
)
from worker.compression.errors import UnsupportedModelError
from worker.compression.evaluation.tasks.vectors import retrieval_scores
from worker.compression.models.encoder import Encoder
from worker.compression.models.reading import (
    TextReader,
    make_pairs,
    padding_backend,
    text_reader,
)
from worker.compression.recovery.objectives import OBJECTIVES
from worker.compression.recovery.objectives.objective import ObjectiveContext
from worker.compression.runtimes.onnx import OnnxEncoder

TEXTS = [*domain_texts(), "rash", "Ibuprofen METHOTREXATE"]
MEAN = {"pooling_mode_mean_tokens": True}
PROMPTS = {"prompts": {"query": "query: ", "passage": "passage: "}}
DEFAULT = {**PROMPTS, "default_prompt_name": "query"}

# What may stand in a folder, by name: each member of the kind is read as encode() reads it.
SETTINGS: dict[str, dict[str, Any]] = {
    "lower-case": {"settings": {"do_lower_case": True}},
    "cut": {"settings": {"max_seq_length": 7}},
    "both": {"settings": {"max_seq_length": 9, "do_lower_case": True}},
    "tokenizer's arguments": {"settings": {"tokenizer_args": {"model_max_length": 6}}},
    "padded left": {"settings": {"processor_kwargs": {"padding_side": "left"}}},
    "cut left": {"settings": {"max_seq_length": 6,
                              "processor_kwargs": {"truncation_side": "left"}}},
    "prompt": {"use": DEFAULT},
    "prompts without a default": {"use": PROMPTS},
    "prompt that is not pooled": {"use": DEFAULT, "pooling": {**MEAN, "include_prompt": False}},
    "prompt that is cut": {"use": DEFAULT, "settings": {"max_seq_length": 9}},
    "two poolings": {"pooling": {"pooling_mode_cls_token": True, **MEAN}},
    "poolings by name": {"pooling": {"pooling_mode": ["lasttoken", "max"]}},
    "root": {"pooling": {"pooling_mode_mean_sqrt_len_tokens": True},
             "modules": (*POOLED, ("2_Dense", "Dense"))},
    "dense": {"modules": (*POOLED, ("2_Dense", "Dense"))},
    "dense, then normalized": {"modules": (*POOLED, ("2_Dense", "Dense"),
                                           ("3_Normalize", "Normalize"))},
    "normalized, then dense": {"modules": (*POOLED, ("2_Normalize", "Normalize"),
                                           ("3_Dense", "Dense"))},
    "layer norm": {"modules": (*POOLED, ("2_LayerNorm", "LayerNorm"))},
}  # fmt: skip


def unit(vectors: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(vectors, dim=-1)


FAST = {
    *("both", "padded left", "cut left", "prompt that is not pooled", "prompt that is cut"),
    *("root", "normalized, then dense", "layer norm"),
}


@pytest.mark.parametrize("name", some_slow(SETTINGS, fast=FAST))
def test_vectors_are_those_of_encode(name: str, tmp_path: Path) -> None:
    base = sentence_encoder(tmp_path / "base", **SETTINGS[name])
    made = compressed(base, tmp_path / "made")
    export_model(made.folder, made.folder, ["onnx"])
    before, after = (encoded(folder, TEXTS) for folder in (base, made.folder))
    loaded = load_model(base)
    ours = Encoder(loaded).vectors(TEXTS), Encoder(made).vectors(TEXTS)
    torch.testing.assert_close(unit(ours[0]), unit(before), rtol=0, atol=1e-5)
    torch.testing.assert_close(unit(ours[1]), unit(after), rtol=0, atol=1e-5)
    onnx = OnnxEncoder(made, made.folder / "onnx" / "model.onnx").vectors(TEXTS)
    torch.testing.assert_close(unit(onnx), unit(after), rtol=0, atol=1e-3)
    row, *_ = measure_quality(loaded, made, TEXTS)
    cosine = torch.cosine_similarity(before, after).mean().item()
    assert row.after == pytest.approx(cosine, abs=1e-4)


def test_a_text_is_fed_lower_cased_prompted_and_cut(tmp_path: Path) -> None:
    base = sentence_encoder(
        tmp_path, use=DEFAULT, settings={"max_seq_length": 12, "do_lower_case": True}
    )
    loaded, text = load_model(base), "Ibuprofen " * 40
    fed = text_reader(loaded)(text)
    assert fed.startswith("query: Ibuprofen")
    assert len(loaded.tokenizer(fed)["input_ids"]) <= 12
    ids = loaded.tokenizer(text.upper())["input_ids"]
    assert ids == loaded.tokenizer(text.lower())["input_ids"]


def test_models_of_transformers_read_texts_whole(tmp_path: Path) -> None:
    loaded = load_model(transformers_folder(tmp_path, "GPT2LMHeadModel"))
    texts = ["Ibuprofen " * 400, ""]
    assert list(texts_as_fed(loaded, lambda: texts)()) == texts


@given(st.lists(st.text(max_size=300), max_size=5), st.integers(3, 30), st.booleans())
def test_what_is_cut_is_what_the_tokenizer_leaves_out(
    texts: list[str], length: int, left: bool
) -> None:
    tokenizer, _ = tokenizer_pair("byte_bpe")
    tokenizer.truncation_side = "left" if left else "right"
    reader = TextReader(tokenizer, "", length)
    for text, kept in zip(texts, reader.cut_all(texts), strict=True):
        assert (text.endswith if left else text.startswith)(kept)
        # Of a character that is cut apart the rest is kept, up to three bytes.
        assert len(tokenizer(kept)["input_ids"]) <= length + 3 or kept == text


def test_vocabulary_training_reads_texts_as_they_are_fed(tmp_path: Path) -> None:
    base = sentence_encoder(
        tmp_path, use=DEFAULT, settings={"max_seq_length": 45, "do_lower_case": True}
    )
    loaded = load_model(base)
    head = "Lithium rash seizures nausea"
    words = sentences(DOMAIN, 3)
    texts = [f"{head} {text} " + "evening window " * 30 for text in words]
    fed = list(texts_as_fed(loaded, lambda: texts)())
    assert all(text.startswith("query: Lithium") and text.count("window") < 20 for text in fed)
    made = train_tokenizer(loaded.tokenizer, texts_as_fed(loaded, lambda: texts), 250)
    assert made.tokenize("LITHIUM") == made.tokenize("lithium")
    made.save_pretrained(tmp_path / "alone")
    again = load_tokenizer(tmp_path / "alone", loaded.kind)
    assert again.tokenize("LITHIUM") == made.tokenize("lithium")


def cased_bert() -> BertTokenizer:
    return BertTokenizer(vocab=base_vocabulary(string.ascii_letters), do_lower_case=False)


MADE = {name: cache(make) for name, make in BASES.items()}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", MADE)
@settings(max_examples=25)
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_the_rust_tokenizer_alone_makes_the_same_batch(
    name: str, side: str, texts: list[str]
) -> None:
    tokenizer = MADE[name]()
    tokenizer.padding_side = tokenizer.truncation_side = side
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.convert_ids_to_tokens(0)
    whole = tokenizer(texts, padding=True, truncation=True, max_length=12)
    alone = padding_backend(tokenizer, 12).encode_batch_fast(texts)
    assert [encoding.ids for encoding in alone] == whole["input_ids"]
    assert [encoding.attention_mask for encoding in alone] == whole["attention_mask"]


LOWER_CASED: dict[str, Any] = {**BASES, "bert": cased_bert}


@pytest.mark.parametrize("name", LOWER_CASED)
def test_tokenizers_of_every_class_are_lower_cased_and_stay_so(name: str, tmp_path: Path) -> None:
    LOWER_CASED[name]().save_pretrained(tmp_path / "base")
    kind = ModelKind("sentence_encoder", lower_case=True)
    base = load_tokenizer(tmp_path / "base", kind)
    made = train_tokenizer(base, domain_texts_of_bases, int(0.9 * len(base)))
    made.save_pretrained(tmp_path / "made")
    for tokenizer in (base, made, load_tokenizer(tmp_path / "made", kind)):
        assert tokenizer.tokenize("LITHIUM Rash") == tokenizer.tokenize("lithium rash")


def test_tokens_are_counted_as_they_are_fed(tmp_path: Path) -> None:
    loaded = load_model(sentence_encoder(tmp_path, settings={"max_seq_length": 8}))
    texts = ["Ibuprofen lithium " * 30]
    fed = texts_as_fed(loaded, lambda: texts)()
    assert measure_tokens(loaded.tokenizer, loaded.tokenizer, fed).per_text_before <= 6


def test_recovery_reads_texts_as_they_are_fed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = load_model(sentence_encoder(tmp_path, use=DEFAULT, settings={"max_seq_length": 10}))
    _, domain = tokenizer_pair("wordpiece")
    student = transfer_vocabulary(base.model, base.tokenizer, domain).model
    read, build = list[str](), OBJECTIVES["distill"].build

    def recording(context: ObjectiveContext) -> Any:
        loss = build(context)
        examples = loss.examples

        def seen(texts: Any, start: int) -> Any:
            read.extend(texts)
            return examples(texts, start)

        monkeypatch.setattr(loss, "examples", seen)
        return loss

    monkeypatch.setitem(OBJECTIVES, "distill", replace(OBJECTIVES["distill"], build=recording))
    texts = [f"{text} never" for text in sentences(DOMAIN, 0)]
    recover(base, student, domain, lambda: texts, RecoveryOptions(max_steps=2), cpu=True)
    assert read
    assert all(text.startswith("query: ") and "never" not in text for text in read)


def test_recovery_is_of_the_vectors_after_a_dense_module(tmp_path: Path) -> None:
    base = load_model(sentence_encoder(tmp_path, modules=(*POOLED, ("2_Dense", "Dense"))))
    texts = sentences(DOMAIN, 0)
    made = compressed(base.folder, tmp_path / "made")
    # Far enough from the base that there is something to win back.
    rows: Any = made.model.get_input_embeddings().weight
    noise = torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))
    rows.data += 10 * rows.std().detach() * noise
    before = measure_quality(base, made, TEXTS)[0].after
    options = RecoveryOptions(max_steps=40, batch_size=16, learning_rate=2e-3)
    done = recover(base, made.model, made.tokenizer, lambda: texts, options, cpu=True)
    save_model(tmp_path / "recovered", done.model, made.tokenizer, base.folder)
    recovered = load_model(tmp_path / "recovered")
    vectors = encoded(base.folder, TEXTS), encoded(recovered.folder, TEXTS)
    cosine = torch.cosine_similarity(*vectors).mean().item()
    assert measure_quality(base, recovered, TEXTS)[0].after == pytest.approx(cosine, abs=1e-4)
    assert cosine > before


def test_retrieval_puts_the_prompts_of_queries_and_documents(tmp_path: Path) -> None:
    prompts = {"query": "Which window? ", "document": "evening "}
    base = sentence_encoder(tmp_path, use={"prompts": prompts})
    encoder, model = Encoder(load_model(base)), SentenceTransformer(str(base), device="cpu")
    queries, documents = TEXTS[:3], TEXTS[3:]
    found = model.encode_query(queries), model.encode_document(documents)
    similar = unit(torch.tensor(found[0])) @ unit(torch.tensor(found[1])).T
    judgements = {str(n): {str(int(row.argmax())): 1} for n, row in enumerate(similar)}
    named = {str(n): text for n, text in enumerate(documents)}
    asked = {str(n): text for n, text in enumerate(queries)}
    assert retrieval_scores(encoder, named, asked, judgements)["mrr"] == pytest.approx(1.0)


def test_padding_and_truncation_sides_reach_the_artifact(tmp_path: Path) -> None:
    base = sentence_encoder(tmp_path / "base", "Qwen3ForCausalLM")
    config = json.loads((base / "tokenizer_config.json").read_text("utf-8"))
    sides = {"padding_side": "left", "truncation_side": "left"}
    write_json(base / "tokenizer_config.json", {**config, **sides})
    loaded = load_model(base)
    made = train_tokenizer(loaded.tokenizer, lambda: sentences(DOMAIN, 0), 420)
    assert (made.padding_side, made.truncation_side) == ("left", "left")
    student = transfer_vocabulary(loaded.model, loaded.tokenizer, made).model
    save_model(tmp_path / "made", student, made, base)
    again = load_tokenizer(tmp_path / "made")
    assert (again.padding_side, again.truncation_side) == ("left", "left")


@pytest.mark.parametrize(
    ("module", "changes", "said"),
    [
        (("2_Dense", "Dense"), {"activation_function": "os.system"}, "os.system"),
        (("2_Dense", "Dense"), {"activation_function": "torch.nn.Modules"}, "torch.nn.Modules"),
        (("2_Dense", "Dense"), {"module_input_name": "token_embeddings"}, "token_embeddings"),
        (("1_Pooling", "Pooling"), {"pooling_mode": "median"}, "median"),
    ],
)
def test_modules_that_cannot_be_computed_are_refused(
    module: Module, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    modules = (*POOLED, module) if module not in POOLED else POOLED
    base = sentence_encoder(tmp_path, modules=modules)
    write_json(base / module[0] / "config.json", {"in_features": 16, "out_features": 8, **changes})
    with pytest.raises(UnsupportedModelError, match=said):
        Encoder(load_model(base))


@given(st.lists(st.text(max_size=80), max_size=12), st.integers(0, 9))
def test_pairs_are_one_a_text_and_always_the_same(texts: list[str], seed: int) -> None:
    pairs = make_pairs(texts, seed)
    assert [second for _, second in pairs] == texts
    assert pairs == make_pairs(texts, seed)
