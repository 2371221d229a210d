"""Which tokens the new vocabulary has, and how each of them starts."""

from typing import Annotated, Literal

from pydantic import Field

from app.jobs.recipe.part import RecipePart


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
