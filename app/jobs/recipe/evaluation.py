"""What is measured, and on what."""

from pydantic import Field

from app.jobs.recipe.part import RecipePart
from app.jobs.recipe.task import TaskField


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
    task: TaskField | None = Field(
        None,
        description="A task with labels that base and compressed model are both measured on. Its "
        "metric comes first in the report's `quality`.",
    )
