"""Tiny models of every supported type, with random weights, biases too."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

PADDING_ROWS = 5
"""Rows that a base table has without a token."""

ENCODER: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 70,
}
DECODER = {**ENCODER, "num_key_value_heads": 1, "head_dim": 8}
GPT2: dict[str, Any] = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 70}
DISTIL: dict[str, Any] = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24}
T5: dict[str, Any] = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
BART: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": 70,
}
CLASSIFIERS = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
FEWER = CLASSIFIERS[:2]
COUNTS = (
    *("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers"),
    *("encoder_layers", "decoder_layers"),
)
DEEP = 5
"""Layers of a model of which some are dropped."""


@dataclass(frozen=True)
class Kind:
    """A model type: the family its own tokenizers have, and the classes that share its body."""

    config: str
    family: str
    shape: dict[str, Any]
    heads: tuple[str, ...]
    prefix: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def model_type(self) -> str:
        return str(getattr(transformers, self.config).model_type)

    @property
    def classes(self) -> list[str]:
        prefix = self.prefix or self.config.removesuffix("Config")
        return [prefix + head for head in self.heads]

    def make(self, model_class: str, tokenizer: PreTrainedTokenizerFast, **more: Any) -> Any:
        """A model in evaluation mode whose table is longer than the tokenizer."""
        torch.manual_seed(0)
        names = ("bos", "pad", "eos", "cls", "sep")
        roles = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in names}
        size = len(tokenizer) + PADDING_ROWS
        settings = {**self.shape, **roles, **self.settings, "vocab_size": size, **more}
        if "decoder_start_token_id" in settings or self.shape is T5:
            settings |= {"decoder_start_token_id": tokenizer.pad_token_id}
        config = getattr(transformers, self.config)(**settings)
        model: PreTrainedModel = getattr(transformers, model_class)(config)
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith(("bias", "final_logits_bias")):
                torch.nn.init.normal_(tensor)
        return model.train(mode=False)


def deep(kind: Kind) -> dict[str, Any]:
    """The settings of a kind that give it so many layers."""
    return {name: DEEP for name in COUNTS if name in kind.shape}


def masked(config: str, family: str, shape: dict[str, Any] | None = None, **more: Any) -> Kind:
    heads = ("Model", "ForMaskedLM", *CLASSIFIERS)
    return Kind(config, family, {**(shape or ENCODER), **more}, heads)


def causal(config: str, family: str, *heads: str, lm: str = "ForCausalLM", **settings: Any) -> Kind:
    shape = GPT2 if config == "GPT2Config" else DECODER
    return Kind(config, family, shape, (lm, "Model", *heads), settings=settings)


GEMMA3 = ("ForCausalLM", "TextModel", "TextForSequenceClassification")
SMALL: dict[str, Any] = {"embedding_size": 8}
SEQ2SEQ = ("ForConditionalGeneration", "Model")
KINDS = [
    masked("BertConfig", "wordpiece"),
    masked("DistilBertConfig", "wordpiece", DISTIL),
    masked("RobertaConfig", "byte_bpe"),
    masked("XLMRobertaConfig", "unigram"),
    masked("AlbertConfig", "unigram", **SMALL),
    masked("ElectraConfig", "wordpiece", **SMALL),
    masked("MPNetConfig", "wordpiece"),
    masked("DebertaConfig", "byte_bpe"),
    masked("DebertaV2Config", "unigram"),
    masked("ModernBertConfig", "byte_bpe"),
    causal("GPT2Config", "byte_bpe", *CLASSIFIERS, lm="LMHeadModel"),
    causal("GPTNeoXConfig", "byte_bpe", *CLASSIFIERS),
    causal("LlamaConfig", "bpe", *CLASSIFIERS),
    causal("LlamaConfig", "byte_bpe", tie_word_embeddings=True),
    causal("MistralConfig", "bpe", *CLASSIFIERS),
    causal("Qwen2Config", "byte_bpe", *CLASSIFIERS, tie_word_embeddings=True),
    causal("Qwen3Config", "byte_bpe", *CLASSIFIERS),
    causal("GemmaConfig", "bpe", *FEWER),
    causal("Gemma2Config", "bpe", *FEWER),
    Kind("Gemma3TextConfig", "bpe", DECODER, GEMMA3, "Gemma3"),
    causal("Phi3Config", "bpe", *FEWER),
    Kind("T5Config", "unigram", T5, (*SEQ2SEQ, "EncoderModel", *CLASSIFIERS)),
    Kind("T5Config", "unigram", T5, SEQ2SEQ, settings={"tie_word_embeddings": False}),
    Kind("MT5Config", "unigram", T5, (*SEQ2SEQ, *FEWER)),
    Kind("BartConfig", "byte_bpe", BART, (*SEQ2SEQ, *CLASSIFIERS[::2], "ForCausalLM")),
    Kind("MBartConfig", "unigram", BART, (*SEQ2SEQ, *CLASSIFIERS[::2])),
]


def every_class() -> Iterator[tuple[Kind, str]]:
    return ((kind, name) for kind in KINDS for name in kind.classes)


# Of each way to hold layers one, and T5 twice: tied and not.
FAST_KINDS = {"Bert", "Albert", "ModernBert", "GPT2", "Llama", "Gemma3Text", "T5", "Bart"}


def kind_cases() -> list[Any]:
    """Return the cases of a test of ``kind``; most of them are slow."""
    return [
        _case(
            kind,
            name=f"{kind.config}-{number}",
            is_fast=kind.config.removesuffix("Config") in FAST_KINDS,
        )
        for number, kind in enumerate(KINDS)
    ]


def class_cases() -> list[Any]:
    """Return the cases of a test of ``kind`` and ``model_class``.

    The fast suite has the first class of each kind and each head once.
    """
    heads, cases = set[str](), list[Any]()
    for number, (kind, model_class) in enumerate(every_class()):
        place = kind.classes.index(model_class)
        is_fast = place == 0 or kind.heads[place] not in heads
        heads.add(kind.heads[place])
        cases.append(_case(kind, model_class, name=f"{model_class}-{number}", is_fast=is_fast))
    return cases


def _case(*values: Any, name: str, is_fast: bool) -> Any:
    return pytest.param(*values, id=name, marks=[] if is_fast else pytest.mark.slow)
