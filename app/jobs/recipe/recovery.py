"""How a transferred model is trained."""

from typing import Literal

from pydantic import Field

from app.jobs.recipe.part import RecipePart

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
