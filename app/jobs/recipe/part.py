"""What every part of a recipe is."""

from pydantic import BaseModel, ConfigDict


class RecipePart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
