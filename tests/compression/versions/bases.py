"""Bases that transformers 4 itself makes and saves: keys that version 5 renamed or moved."""

from dataclasses import dataclass, field
from typing import Any

from tests.support.matrix_models import BART, DECODER, DISTIL, ENCODER, GPT2, T5

LAYERS = {"num_hidden_layers": 7}
SMALL = {**ENCODER, "embedding_size": 8}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 32,
}
LONG = {"type": "longrope", "short_factor": [1.1, 1.2], "long_factor": [2.0, 3.0]}
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
CASED = {"do_lower_case": False}
CHAT = "{% for m in messages %}<s>{{ m['content'] }}{% endfor %}"


@dataclass(frozen=True)
class Base:
    """A model and a tokenizer, by the names and settings that transformers 4 has for them."""

    family: str
    model: str
    shape: dict[str, Any]
    tokenizer_class: str = "PreTrainedTokenizerFast"
    tokenizer: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    config: str = ""

    @property
    def config_class(self) -> str:
        heads = ("ForMaskedLM", "ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
        name = self.model
        for head in heads:
            name = name.removesuffix(head)
        return self.config or f"{name}Config"


BASES = {
    "llama3 scaling, tied, bfloat16, chat template": Base(
        "bpe",
        "LlamaForCausalLM",
        {**DECODER, "rope_theta": 5e5, "rope_scaling": LLAMA3, "tie_word_embeddings": True},
        tokenizer={"chat_template": CHAT, "additional_special_tokens": ["<extra_id_0>"]},
        dtype="bfloat16",
    ),
    "llama linear scaling": Base(
        "bpe",
        "LlamaForCausalLM",
        {**DECODER, "rope_scaling": {"type": "linear", "factor": 2.0}},
        tokenizer={"padding_side": "left"},
    ),
    "qwen2 yarn, named extra tokens": Base(
        "byte_bpe",
        "Qwen2ForCausalLM",
        {**DECODER, "rope_theta": 1e6, "rope_scaling": YARN},
        "Qwen2TokenizerFast",
        {"extra_special_tokens": {"image_token": "<extra_id_1>"}},
    ),
    "qwen3": Base(
        "byte_bpe",
        "Qwen3ForCausalLM",
        {**DECODER, "tie_word_embeddings": True, "rope_theta": 3e6},
        "Qwen2TokenizerFast",
    ),
    "gemma3, two thetas": Base(
        "bpe",
        "Gemma3ForCausalLM",
        {
            **DECODER,
            **LAYERS,
            "rope_local_base_freq": 1234.0,
            "rope_theta": 777777.0,
            "sliding_window": 8,
            "sliding_window_pattern": 3,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        },
        "GemmaTokenizerFast",
        config="Gemma3TextConfig",
    ),
    "gemma": Base("bpe", "GemmaForCausalLM", DECODER, "GemmaTokenizerFast"),
    "gemma2": Base("bpe", "Gemma2ForCausalLM", DECODER, "GemmaTokenizerFast"),
    "mistral": Base(
        "bpe", "MistralForCausalLM", {**DECODER, "rope_theta": 2e6}, "LlamaTokenizerFast"
    ),
    "gpt_neox, partial rotary": Base(
        "byte_bpe",
        "GPTNeoXForCausalLM",
        {**ENCODER, "rotary_pct": 0.5, "rotary_emb_base": 5000},
        "GPTNeoXTokenizerFast",
    ),
    "phi3, partial rotary, longrope": Base(
        "bpe",
        "Phi3ForCausalLM",
        {
            **ENCODER,
            "num_key_value_heads": 1,
            "partial_rotary_factor": 0.5,
            "original_max_position_embeddings": 32,
            "max_position_embeddings": 64,
            "rope_scaling": LONG,
        },
        "LlamaTokenizerFast",
        {"extra_special_tokens": {}},
    ),
    "modernbert, two thetas": Base(
        "byte_bpe",
        "ModernBertForMaskedLM",
        {
            **ENCODER,
            **LAYERS,
            "global_rope_theta": 80000.0,
            "local_rope_theta": 3000.0,
            "global_attn_every_n_layers": 2,
            "local_attention": 8,
        },
    ),
    "bert, float16": Base(
        "wordpiece", "BertForMaskedLM", ENCODER, "BertTokenizerFast", CASED, dtype="float16"
    ),
    "distilbert": Base(
        "wordpiece", "DistilBertForMaskedLM", DISTIL, "DistilBertTokenizerFast", CASED
    ),
    "electra": Base("wordpiece", "ElectraForMaskedLM", SMALL, "ElectraTokenizerFast", CASED),
    "mpnet": Base("wordpiece", "MPNetForMaskedLM", ENCODER, "MPNetTokenizerFast", CASED),
    "roberta": Base("byte_bpe", "RobertaForMaskedLM", ENCODER, "RobertaTokenizerFast"),
    "xlm-roberta": Base("unigram", "XLMRobertaForMaskedLM", ENCODER, "XLMRobertaTokenizerFast"),
    "albert": Base("unigram", "AlbertForMaskedLM", SMALL, "AlbertTokenizerFast"),
    "deberta": Base("byte_bpe", "DebertaForMaskedLM", ENCODER, "DebertaTokenizerFast"),
    "deberta-v2": Base("unigram", "DebertaV2ForMaskedLM", ENCODER, "DebertaV2TokenizerFast"),
    "gpt2": Base("byte_bpe", "GPT2LMHeadModel", GPT2, "GPT2TokenizerFast"),
    "t5": Base("unigram", "T5ForConditionalGeneration", T5, "T5TokenizerFast", {"extra_ids": 0}),
    "t5 1.1, a head of its own": Base(
        "unigram",
        "T5ForConditionalGeneration",
        {**T5, "tie_word_embeddings": False, "feed_forward_proj": "gated-gelu"},
        "T5TokenizerFast",
        {"extra_ids": 0},
    ),
    "mt5": Base("unigram", "MT5ForConditionalGeneration", T5, "T5TokenizerFast", {"extra_ids": 0}),
    "bart": Base(
        "byte_bpe",
        "BartForConditionalGeneration",
        {**BART, "forced_eos_token_id": 2, "num_beams": 2},
        "BartTokenizerFast",
    ),
    "mbart": Base("unigram", "MBartForConditionalGeneration", BART),
}
