"""What a result must reach."""

from typing import Literal

from pydantic import Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from app.jobs.recipe.part import RecipePart

# fmt: off
Metric = Literal[
    "macro_f1", "entity_f1", "ndcg_at_10", "spearman",
    "sentence_cosine", "neighbour_overlap_10", "masked_lm_bits_per_character",
    "causal_lm_bits_per_character", "denoising_bits_per_character",
]
# fmt: on


class GateRecipe(RecipePart):
    """What a result must reach; one that does not fails the job, and can be downloaded still."""

    min_quality: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Least `retention` of a row of the report's `quality`: the share of the base's "
        "quality that is left.",
        examples=[0.9],
    )
    metric: Metric | None = Field(
        None,
        description="Which row `min_quality` is about; when left out, that of the task, else the "
        "first. A metric that the job will not measure fails it at its start.",
        examples=["sentence_cosine"],
    )
    max_bytes: int | None = Field(
        None, gt=0, description="Most bytes of the weights, `compressed.bytes` of the report."
    )

    @field_validator("metric")
    @classmethod
    def _is_asked_something(cls, metric: Metric | None, info: ValidationInfo) -> Metric | None:
        if metric and info.data.get("min_quality", 1) is None:
            raise ValueError("without `min_quality` nothing is asked of it: give both, or neither")
        return metric
