from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression import UnsupportedTokenizerError, train_tokenizer
from worker.compression.tokenizers.tokenizer_json import Json, backend_json, domain_json

fast: Any = PreTrainedTokenizerFast

MODEL: Json = {"type": "WordPiece", "vocab": {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3}}
TEMPLATE: Json = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}],
    "pair": [],
    "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [101], "tokens": ["[CLS]"]}},
}
BERT: Json = {"type": "BertProcessing", "sep": ["[SEP]", 102], "cls": ["[CLS]", 101]}


def base_json(post_processor: Json | None) -> Json:
    flags = {"special": True, "normalized": False}
    padding = {"strategy": {"Fixed": 8}, "pad_id": 77, "pad_token": "[PAD]"}
    added = [{"id": 101, "content": "[CLS]", **flags}, {"id": 77, "content": "[PAD]", **flags}]
    parts = {"added_tokens": added, "post_processor": post_processor, "padding": padding}
    return {"normalizer": None, "pre_tokenizer": None, "model": {}, **parts}


def test_ids_are_moved_at_any_depth_of_a_sequence() -> None:
    nested = {
        "type": "Sequence",
        "processors": [{"type": "Sequence", "processors": [TEMPLATE]}, BERT],
    }
    moved = domain_json(base_json(nested), MODEL, [])["post_processor"]["processors"]
    template = moved[0]["processors"][0]
    assert template["special_tokens"]["[CLS]"]["ids"] == [1]
    assert template["single"] == TEMPLATE["single"]
    assert moved[1] == {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}


def test_ids_of_padding_and_added_tokens_are_moved() -> None:
    content = domain_json(base_json(None), MODEL, [])
    assert content["padding"] == {"strategy": {"Fixed": 8}, "pad_id": 0, "pad_token": "[PAD]"}
    assert [(t["id"], t["content"]) for t in content["added_tokens"]] == [
        (0, "[PAD]"),
        (1, "[CLS]"),
    ]
    assert content["post_processor"] is None


def test_a_plain_backend_without_normalizer_or_post_processor_works(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    content = backend_json(uncased)
    plain = Tokenizer(models.WordPiece(content["model"]["vocab"], unk_token="[UNK]"))
    plain.pre_tokenizer = uncased.backend_tokenizer.pre_tokenizer
    base = fast(tokenizer_object=plain, unk_token="[UNK]", pad_token="[PAD]")
    lower = [text.lower() for text in documents]
    domain = train_tokenizer(base, lambda: lower, 140)
    assert domain("the rash")["input_ids"] == domain.convert_tokens_to_ids(["the", "rash"])


def test_words_that_start_with_the_mark_are_words(
    uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    uncased.backend_tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    plain = fast(tokenizer_object=uncased.backend_tokenizer, unk_token="[UNK]", pad_token="[PAD]")
    texts = [f"##{text.lower().partition(',')[0]}" for text in documents]
    domain = train_tokenizer(plain, lambda: texts, 160)
    assert "[UNK]" not in domain.tokenize(texts[0])


def test_other_families_are_refused() -> None:
    model = models.WordLevel({"a": 0, "<unk>": 1}, "<unk>")
    with pytest.raises(UnsupportedTokenizerError, match="WordLevel"):
        train_tokenizer(fast(tokenizer_object=Tokenizer(model)), lambda: ["a"], 1)


def test_bpe_that_marks_continuations_is_refused() -> None:
    model = models.BPE({"a": 0, "##a": 1}, [], continuing_subword_prefix="##")
    with pytest.raises(UnsupportedTokenizerError, match="BPE"):
        train_tokenizer(fast(tokenizer_object=Tokenizer(model)), lambda: ["a"], 1)
