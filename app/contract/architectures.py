"""Keep one row for each model type that can be compressed: all that differs between them.

A new model family is a row here and a line of the test matrix (tests/compression). Names are those
of transformers: `model_type`, the fields of a config, the endings of class names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TokenizerModel = Literal["WordPiece", "BPE", "Unigram"]
TOKENIZER_MODELS: tuple[TokenizerModel, ...] = ("WordPiece", "BPE", "Unigram")
"""The values of `model.type` in a `tokenizer.json` that can be trained anew."""

LAYERS = ("num_hidden_layers",)


@dataclass(frozen=True)
class LanguageModelHead:
    """Tell which classes an objective can train, by the endings of their names."""

    endings: tuple[str, ...]
    needs: str
    """Says what such a model is, for people."""


LANGUAGE_MODEL_HEADS: dict[str, LanguageModelHead] = {
    "mlm": LanguageModelHead(
        ("ForMaskedLM", "ForPreTraining", "WithLMHead"),
        "a model with a mask token and a masked-language-model head",
    ),
    "clm": LanguageModelHead(
        ("ForCausalLM", "LMHeadModel"), "a decoder with its language-model head"
    ),
    "denoise": LanguageModelHead(
        ("ForConditionalGeneration", "WithLMHeadModel"), "an encoder-decoder with its head"
    ),
    "distill_scores": LanguageModelHead(
        ("ForSequenceClassification",), "a cross-encoder or a classifier"
    ),
}
"""Heads by the objective that trains them; an objective that is not here needs none."""


@dataclass(frozen=True)
class Architecture:
    """Describe a model type."""

    model_type: str
    kind: Literal["encoder", "decoder", "encoder-decoder"]
    classifier_pooling: Literal["cls", "lasttoken", "mean", "config"]
    """The vector of a text where the model has a head for sequence classification: what that
    head reads; `config`: the field `classifier_pooling` of the config says it."""
    layer_counts: tuple[str, ...] = LAYERS
    """Fields of its config that hold a number of layers, the encoder's where it has two stacks.
    Both names of a number that has two."""
    decoder_layer_counts: tuple[str, ...] = ()
    """The same of the decoder of an encoder-decoder."""
    tokenizer_models: tuple[TokenizerModel, ...] = TOKENIZER_MODELS
    """Tokenizers that it is tested with."""
    classifier_reads_end: bool = False
    """True where the head for sequences reads the end token, so that a text must have just one."""
    has_token_classifier: bool = True
    """True where transformers has a class for token classification with it."""
    heads: Mapping[str, LanguageModelHead] = field(default_factory=lambda: LANGUAGE_MODEL_HEADS)


def _seq2seq(model_type: str, encoder: str, decoder: str, *, tags_tokens: bool) -> Architecture:
    return Architecture(
        model_type,
        "encoder-decoder",
        "mean",
        (encoder, *LAYERS),
        (decoder,),
        classifier_reads_end=True,
        has_token_classifier=tags_tokens,
    )


_ROWS = (
    Architecture("bert", "encoder", "cls"),
    Architecture("distilbert", "encoder", "cls", ("n_layers", *LAYERS)),
    Architecture("roberta", "encoder", "cls"),
    Architecture("xlm-roberta", "encoder", "cls"),
    Architecture("albert", "encoder", "cls"),
    Architecture("electra", "encoder", "cls"),
    Architecture("mpnet", "encoder", "cls"),
    Architecture("deberta", "encoder", "cls"),
    Architecture("deberta-v2", "encoder", "cls"),
    Architecture("modernbert", "encoder", "config"),
    Architecture("gpt2", "decoder", "lasttoken", ("n_layer", *LAYERS)),
    Architecture("gpt_neox", "decoder", "lasttoken"),
    Architecture("llama", "decoder", "lasttoken"),
    Architecture("mistral", "decoder", "lasttoken"),
    # transformers reads whatever tokenizer is saved with a Qwen2 as a byte-level BPE.
    Architecture("qwen2", "decoder", "lasttoken", tokenizer_models=("BPE",)),
    Architecture("qwen3", "decoder", "lasttoken"),
    Architecture("gemma", "decoder", "lasttoken"),
    Architecture("gemma2", "decoder", "lasttoken"),
    Architecture("gemma3_text", "decoder", "lasttoken", has_token_classifier=False),
    Architecture("phi3", "decoder", "lasttoken"),
    _seq2seq("t5", "num_layers", "num_decoder_layers", tags_tokens=True),
    _seq2seq("mt5", "num_layers", "num_decoder_layers", tags_tokens=True),
    _seq2seq("bart", "encoder_layers", "decoder_layers", tags_tokens=False),
    _seq2seq("mbart", "encoder_layers", "decoder_layers", tags_tokens=False),
)

ARCHITECTURES: dict[str, Architecture] = {row.model_type: row for row in _ROWS}
"""The rows by `model_type`."""


def evenly_spaced(total: int, keep: int) -> list[int]:
    """Return the numbers of ``keep`` of ``total`` layers, evenly from the first to the last."""
    if keep == 1:
        return [0]
    return [round(i * (total - 1) / (keep - 1)) for i in range(keep)]
