"""Files for other runtimes."""

from pydantic import Field

from app.jobs.recipe.part import RecipePart


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
