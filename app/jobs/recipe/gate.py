"""What a result must reach."""

from pydantic import Field

from app.jobs.recipe.part import RecipePart


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
