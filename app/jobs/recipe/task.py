"""Tasks with labels, on which base and compressed model are compared by one protocol."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, field_validator
from pydantic_core.core_schema import ValidationInfo

from app.ids import PRINTABLE
from app.jobs.recipe.part import RecipePart

CORPUS = "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r"
MAX_ROWS, MAX_CHARACTERS = 1_000_000, 1 << 29
"""What a corpus of a task may hold: a worker has it in memory."""
PRINTABLE_NAME = StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)

DataId = Annotated[
    str,
    PRINTABLE_NAME,
    Field(description="Id of a corpus of the format `records` or `jsonl`.", examples=[CORPUS]),
]
FieldName = Annotated[str, PRINTABLE_NAME]


class TaskPart(RecipePart):
    """What every task has: the corpora it reads, the fields of their rows, a metric."""

    metric: ClassVar[str]
    data: ClassVar[tuple[str, ...]]
    """The fields that name a corpus each."""

    @property
    def corpora(self) -> dict[str, str]:
        """The ids of the corpora that it reads, by the fields that name them."""
        return {name: getattr(self, name) for name in self.data}


class FineTuning(TaskPart):
    """A task that a model is fine-tuned for, once a seed; protocol and seeds are all models'."""

    data = ("train", "test")

    train: DataId
    test: DataId
    seeds: int = Field(3, ge=1, le=20, description="How many times each model is fine-tuned.")
    epochs: int = Field(3, ge=1, le=100, description="Passes over the train part.")
    batch_size: int = Field(32, ge=1, le=1024, description="Rows a step.")
    learning_rate: float = Field(
        5e-5, gt=0, le=1, description="The highest one; it rises at first, then falls to zero."
    )
    max_length: int = Field(128, ge=8, le=8192, description="Most tokens of a row.")

    @field_validator("test")
    @classmethod
    def _is_another_part(cls, test: str, info: ValidationInfo) -> str:
        if test == info.data.get("train"):
            raise ValueError("this is the `train` part: give rows that no model was trained on")
        return test


class SequenceClassification(FineTuning):
    """Texts with a label each, measured by macro-F1."""

    metric = "macro_f1"

    type: Literal["sequence_classification"]
    text_field: FieldName = "text"
    label_field: FieldName = Field(
        "label", description="A string, an integer or a boolean in each row."
    )


class TokenClassification(FineTuning):
    """Words with a tag each, measured by the F1 of whole entities."""

    metric = "entity_f1"

    type: Literal["token_classification"]
    words_field: FieldName = Field("tokens", description="A list of strings in each row.")
    tags_field: FieldName = Field(
        "tags", description="A list as long, of tags such as `B-PER`, `I-PER` and `O`."
    )


class Retrieval(TaskPart):
    """Documents found for queries by their vectors, without training, measured by nDCG@10."""

    metric = "ndcg_at_10"
    data = ("documents", "queries", "judgements")

    type: Literal["retrieval"]
    documents: DataId
    queries: DataId
    judgements: DataId
    id_field: FieldName = Field(
        "id", description="Of documents and of queries: a string or an integer, each once."
    )
    text_field: FieldName = Field("text", description="Of documents and of queries.")
    query_field: FieldName = Field("query_id", description="Of judgements: a query's id.")
    document_field: FieldName = Field("document_id", description="Of judgements: a document's id.")
    grade_field: FieldName = Field(
        "grade", description="Of judgements: 0, not relevant, to 100; what is not judged is 0."
    )


class SentencePairs(TaskPart):
    """Pairs of texts graded for likeness, measured by Spearman's correlation with the cosine."""

    metric = "spearman"
    data = ("pairs",)

    type: Literal["sentence_pairs"]
    pairs: DataId
    text_fields: Annotated[list[FieldName], Field(min_length=2, max_length=2)] = Field(
        ["sentence1", "sentence2"], description="The two fields that hold a text each."
    )
    grade_field: FieldName = Field("score", description="A number; higher is more alike.")

    @field_validator("text_fields")
    @classmethod
    def _are_two(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("name two different fields")
        return names


Task = SequenceClassification | TokenClassification | Retrieval | SentencePairs
TASKS: dict[str, type[TaskPart]] = {
    "sequence_classification": SequenceClassification,
    "token_classification": TokenClassification,
    "retrieval": Retrieval,
    "sentence_pairs": SentencePairs,
}
TaskField = Annotated[Task, Field(discriminator="type")]


def metric_fault(metric: str | None, task: Task | None) -> str | None:
    """Why a task's metric will not be measured; None where it will, or is of no task."""
    wanted = next((name for name, each in TASKS.items() if each.metric == metric), None)
    if wanted is None or (task and task.metric == metric):
        return None
    return (
        f"`{metric}` is measured by the task `{wanted}`: give one as `evaluation.task`, or name "
        "another metric."
    )
