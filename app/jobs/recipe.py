"""The recipe of a compression: the contract that the front end and the worker both read."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MIN_TOKENS = 2


class RecipePart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _fraction_or_count(size: float) -> float:
    if 0 < size <= 1 or (size >= MIN_TOKENS and size == int(size)):
        return size
    raise ValueError(
        "give a fraction of the base vocabulary above 0 and up to 1, or a whole number of tokens"
    )


VocabSize = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_fraction_or_count)]


class TokenizerRecipe(RecipePart):
    selection: Literal["usage", "frequency"] = Field(
        "usage",
        description="`usage` keeps the tokens that save the most pieces on the corpus; "
        "`frequency` keeps what the reference trainer makes.",
    )
    keep_tokens: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default_factory=list,
        max_length=10_000,
        description="Tokens of the base vocabulary to keep whatever the corpus says.",
    )


class TransferRecipe(RecipePart):
    method: Literal["fvt", "pvt", "wvt"] = Field(
        "fvt",
        description="A new token starts as the mean of its pieces (`fvt`), at random (`pvt`) or "
        "as their mean weighted by length (`wvt`).",
    )


class RecoveryRecipe(RecipePart):
    objective: Literal["auto", "none"] = Field(
        "auto", description="Training after the transfer. `auto` is `none` in this version."
    )


class EvaluationRecipe(RecipePart):
    holdout_fraction: float = Field(
        0.05, gt=0, le=0.5, description="Share of the documents kept from all training."
    )
    latency: bool = Field(True, description="Whether to time both models.")


class Recipe(RecipePart):
    """How to compress; every field is optional and defaults to the good choice."""

    vocab_size: VocabSize = Field(
        0.25,
        description="Fraction of the base vocabulary, up to 1, or a number of tokens.",
        examples=[0.25, 8000],
    )
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    transfer: TransferRecipe = TransferRecipe()
    recovery: RecoveryRecipe = RecoveryRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()
    seed: int = Field(0, ge=0, lt=2**32)

    def target_size(self, base_size: int) -> int:
        """The vocabulary asked for, in tokens."""
        if self.vocab_size > 1:
            return int(self.vocab_size)
        return round(self.vocab_size * base_size)
