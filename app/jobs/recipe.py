"""The recipe of a compression: the contract that the front end and the worker both read."""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

MIN_TOKENS = 2
MAX_SIZES = 16

Sizes = float | list[float]


class RecipePart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _sizes(wanted: Any) -> Sizes:
    if not isinstance(wanted, list):
        return _size(wanted)
    sizes = [_size(size) for size in wanted]
    if not 1 <= len(sizes) <= MAX_SIZES:
        raise ValueError(f"give 1 to {MAX_SIZES} sizes")
    if len(set(sizes)) < len(sizes):
        raise ValueError("give each size once")
    return sizes


def _size(size: Any) -> float:
    is_number = isinstance(size, (int, float)) and not isinstance(size, bool)
    # Compared first: an integer may be too large for a float.
    if is_number and (0 < size <= 1 or (MIN_TOKENS <= size < math.inf and size == int(size))):
        return float(size)
    raise ValueError(
        "give a fraction of the base vocabulary above 0 and up to 1, or a finite whole number of "
        "tokens"
    )


SIZE_SCHEMA: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0}
SIZES_SCHEMA: dict[str, Any] = {
    "anyOf": [
        SIZE_SCHEMA,
        {
            "type": "array",
            "items": SIZE_SCHEMA,
            "minItems": 1,
            "maxItems": MAX_SIZES,
            "uniqueItems": True,
        },
    ]
}
VocabSize = Annotated[Sizes, PlainValidator(_sizes), WithJsonSchema(SIZES_SCHEMA)]


class TokenizerRecipe(RecipePart):
    selection: Literal["usage", "frequency"] = Field(
        "usage",
        description="`usage` keeps the tokens that save the most pieces on the corpus; "
        "`frequency` keeps what the reference trainer makes.",
    )
    keep_tokens: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default_factory=list,
        max_length=10_000,
        description="Tokens of the base vocabulary to keep whatever the corpus says, as the "
        "vocabulary has them or as text that is one token there. Anything else is refused.",
    )
    multiword: int = Field(
        0,
        ge=0,
        le=100_000,
        description="How many tokens stand for groups of 2 to 4 words: those that save the most "
        "tokens on the corpus. They count as part of `vocab_size`.",
        examples=[500],
    )


class TransferRecipe(RecipePart):
    method: Literal["fvt", "pvt", "wvt"] = Field(
        "fvt",
        description="A new token starts as the mean of its pieces (`fvt`), at random (`pvt`) or "
        "as their mean weighted by length (`wvt`).",
    )


# fmt: off
Objective = Literal[
    "auto", "none", "mlm", "clm", "denoise", "distill",
    "mlm+distill", "clm+distill", "denoise+distill",
]
# fmt: on


class RecoveryRecipe(RecipePart):
    """Training on the corpus after the transfer, without labels."""

    preset: Literal["fast", "balanced", "max"] = Field(
        "balanced",
        description="How much may be spent, where nothing else is said: about one, a few, or many "
        "minutes on a GPU; on a CPU fewer steps.",
    )
    objective: Objective = Field(
        "auto",
        description="`mlm`, `clm` and `denoise` are pre-training objectives; `distill` makes the "
        "model agree with its base on texts and their words. `auto` picks by what the model is, "
        "and the report says why.",
    )
    epochs: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="Passes over the documents, in place of the preset's steps and time.",
    )
    max_steps: int | None = Field(
        None, ge=1, le=1_000_000, description="Most steps, in place of the preset's steps and time."
    )
    batch_size: int | None = Field(None, ge=1, le=4096, description="Texts a step.")
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="The highest one; it rises at first, then falls to zero."
    )
    max_length: int | None = Field(
        None, ge=8, le=8192, description="Most tokens of a text in training."
    )
    keep_layers: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Keep so many layers, evenly from the first to the last, and drop the others.",
        examples=[3],
    )
    max_minutes: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="Time to train for; the schedule is made to fit. Of each size, in a sweep.",
    )
    embedding_steps: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="How many of the first steps train the embeddings alone.",
    )


class EvaluationRecipe(RecipePart):
    holdout_fraction: float = Field(
        0.05, gt=0, le=0.5, description="Share of the documents kept from all training."
    )
    latency: bool = Field(
        True,
        description="Whether to time both models, and what is exported against the base in "
        "PyTorch.",
    )
    memory: bool = Field(
        False,
        description="Whether to measure the peak memory of both models, and of what is exported, "
        "each in a process of its own.",
    )


class ExportRecipe(RecipePart):
    """Files for ONNX Runtime beside the model, checked against it and measured in the report."""

    onnx: bool = Field(False, description="Whether to write `onnx/model.onnx`, in float32.")
    int8: bool = Field(
        False,
        description="Whether to write `onnx/model_int8.onnx` too, its weights in eight bits: about "
        "a quarter of the bytes. Implies `onnx`.",
    )

    @property
    def wanted(self) -> bool:
        """Whether anything is to be exported."""
        return self.onnx or self.int8


class GateRecipe(RecipePart):
    """What a result must reach; one that does not fails the job, and can be downloaded still."""

    min_quality: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Least `retention` of the first row of the report's `quality`: the share of "
        "the base's quality that is left.",
        examples=[0.9],
    )
    max_bytes: int | None = Field(
        None, gt=0, description="Most bytes of the weights, `compressed.bytes` of the report."
    )


class Recipe(RecipePart):
    """How to compress; every field is optional and defaults to the good choice."""

    vocab_size: VocabSize = Field(
        0.25,
        description="Fraction of the base vocabulary, up to 1, or a number of tokens; or a list of "
        f"up to {MAX_SIZES} of them, a sweep. Of a sweep the smallest that passes the `gate` is at "
        "the root of the result; without a gate, or where none passes, the first of the list. The "
        "others are beside it under `sizes/`, by their number of tokens.",
        examples=[0.25, 8000, [0.5, 0.25, 0.1]],
    )
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    transfer: TransferRecipe = TransferRecipe()
    recovery: RecoveryRecipe = RecoveryRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()
    export: ExportRecipe = ExportRecipe()
    gate: GateRecipe = GateRecipe()
    seed: int = Field(0, ge=0, lt=2**32)

    @property
    def sizes(self) -> list[float]:
        """The vocabularies asked for, each a fraction or a number of tokens."""
        return self.vocab_size if isinstance(self.vocab_size, list) else [self.vocab_size]
