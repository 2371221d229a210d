"""The recipe of a compression: the contract that the front end and the worker both read."""

from pydantic import Field

from app.jobs.recipe.evaluation import EvaluationRecipe
from app.jobs.recipe.export import ExportRecipe
from app.jobs.recipe.gate import GateRecipe
from app.jobs.recipe.part import RecipePart
from app.jobs.recipe.recovery import RecoveryRecipe
from app.jobs.recipe.sizes import MAX_SIZES, VocabSize
from app.jobs.recipe.task import (
    FineTuning,
    Retrieval,
    SentencePairs,
    SequenceClassification,
    Task,
    TokenClassification,
)
from app.jobs.recipe.vocabulary import TokenizerRecipe, TransferRecipe

__all__ = [
    "EvaluationRecipe",
    "ExportRecipe",
    "FineTuning",
    "GateRecipe",
    "Recipe",
    "RecoveryRecipe",
    "Retrieval",
    "SentencePairs",
    "SequenceClassification",
    "Task",
    "TokenClassification",
    "TokenizerRecipe",
    "TransferRecipe",
]


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
