"""The recipe of a compression: the contract that the front end and the worker both read."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import InitErrorDetails, PydanticCustomError, PydanticKnownError
from pydantic_core.core_schema import (
    CoreSchema,
    ValidationInfo,
    no_info_plain_validator_function,
)

from . import names
from .budgets import DEFAULT_GENERAL_SHARE, QUERY_RATE, QUERY_SHARE
from .points import MOST_POINTS
from .text import STORABLE, Printable


class RecipePart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class OneOf:
    """Validates a name of a list that extensions add to, so that it is read when it is needed."""

    choices: Callable[[], Sequence[str]]

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "enum": list(self.choices())}

    def _check(self, value: Any) -> str:
        choices = self.choices()
        if isinstance(value, str) and value in choices:
            return value
        *others, last = map(repr, choices)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})


MIN_TOKENS = 2
DEFAULT_SIZE = 0.25
MAX_SIZES = 16

Sizes = float | list[float]


def _sizes(wanted: Any) -> Sizes:
    if not isinstance(wanted, list):
        return _size(wanted)
    sizes = [_size(size) for size in wanted]
    if not 1 <= len(sizes) <= MAX_SIZES:
        raise ValueError(f"give 1 to {MAX_SIZES} sizes")
    if len(set(sizes)) < len(sizes):
        raise ValueError("give each size once")
    return sizes


def _size(size: Any) -> float:
    is_number = isinstance(size, (int, float)) and not isinstance(size, bool)
    # Compared first: an integer may be too large for a float.
    if is_number and (0 < size <= 1 or (MIN_TOKENS <= size < math.inf and size == int(size))):
        return float(size)
    raise ValueError(
        "give a fraction of the base vocabulary above 0 and up to 1, or a finite whole number of "
        "tokens"
    )


SIZE_SCHEMA: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0}
SIZES_SCHEMA: dict[str, Any] = {
    "anyOf": [
        SIZE_SCHEMA,
        {
            "type": "array",
            "items": SIZE_SCHEMA,
            "minItems": 1,
            "maxItems": MAX_SIZES,
            "uniqueItems": True,
        },
    ]
}
VocabSize = Annotated[Sizes, PlainValidator(_sizes), WithJsonSchema(SIZES_SCHEMA)]


class TokenizerRecipe(RecipePart):
    selection: Literal["usage", "frequency"] = Field(
        "usage",
        description="`usage` keeps the tokens that save the most pieces on the corpus; "
        "`frequency` keeps what the reference trainer makes.",
    )
    keep_tokens: list[Annotated[str, Field(min_length=1, max_length=200, pattern=STORABLE)]] = (
        Field(
            default_factory=list,
            max_length=10_000,
            description="Tokens of the base vocabulary to keep whatever the corpus says, as the "
            "vocabulary has them or as text that is one token there. Anything else is refused.",
        )
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


Objective = Annotated[str, OneOf(names.objective_choices)]
CORPUS = "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r"


class RecoveryRecipe(RecipePart):
    """Training on the corpus after the transfer, without labels."""

    # The fields that name a corpus each.
    data: ClassVar[tuple[str, ...]] = ("general_corpus_id", "queries_corpus_id")

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
    general_corpus_id: Printable | None = Field(
        None,
        description="Id of a corpus of general text, in the language of the domain, in place of "
        "what the service has of it. It is trained on beside the corpus: never part of the "
        "vocabulary, nor of what is measured.",
        examples=[CORPUS],
    )
    general_share: float | None = Field(
        None,
        ge=0,
        le=0.9,
        description="Share of the texts of training that are general. Left out, it is "
        f"{DEFAULT_GENERAL_SHARE} where `general_corpus_id` is given; else 0. Without such a "
        "corpus it is of the text that the service has.",
        examples=[DEFAULT_GENERAL_SHARE],
    )
    queries_corpus_id: Printable | None = Field(
        None,
        description="Id of a corpus of your users' queries, a document each. The last "
        f"{QUERY_SHARE:.0%} of the steps of a distilled sentence encoder train on them, with "
        f"{QUERY_RATE:g} of the learning rate; of few queries fewer steps. They are never part of "
        "the vocabulary. Those of an `evaluation.task` are refused.",
        examples=[CORPUS],
    )
    pseudo_queries: bool = Field(
        False,
        description="Whether the last steps train on queries made of the documents instead: "
        "headings, first sentences, rare words, questions.",
    )

    @property
    def share_of_general_text(self) -> float:
        """Return the share of general texts, as it was asked for."""
        if self.general_share is None:
            return DEFAULT_GENERAL_SHARE if self.general_corpus_id else 0.0
        return self.general_share

    @property
    def corpora(self) -> dict[str, str]:
        """The ids of the corpora that it reads, by the fields that name them."""
        given = {name: getattr(self, name) for name in self.data}
        return {name: id_ for name, id_ in given.items() if id_ is not None}

    @field_validator("general_share")
    @classmethod
    def _reads_its_corpus(cls, share: float | None, info: ValidationInfo) -> float | None:
        if share == 0 and info.data.get("general_corpus_id") is not None:
            raise ValueError("with 0 `general_corpus_id` is not read: leave one of them out")
        return share

    @field_validator("general_corpus_id", "queries_corpus_id", "pseudo_queries")
    @classmethod
    def _trains_on_what_is_given(cls, wanted: Any, info: ValidationInfo) -> Any:
        if wanted and info.data.get("objective") == "none":
            raise ValueError("with the objective `none` nothing is trained: leave this out")
        if wanted is True and info.data.get("queries_corpus_id") is not None:
            raise ValueError("with `queries_corpus_id` no queries are made: leave one of them out")
        return wanted


# The most that a corpus of a task may hold: a worker has it in memory.
MAX_ROWS, MAX_CHARACTERS = 1_000_000, 1 << 29

DataId = Annotated[
    Printable,
    Field(description="Id of a corpus of the format `records` or `jsonl`.", examples=[CORPUS]),
]
FieldName = Printable


class TaskPart(RecipePart):
    """The common part of all tasks: the corpora to read, the fields of their rows, metrics."""

    # The fields that name a corpus each, and that whose texts no training may have seen.
    data: ClassVar[tuple[str, ...]]
    measured: ClassVar[str]

    @property
    def metrics(self) -> list[str]:
        """Return the metrics that it measures, its own first."""
        return names.task_metrics(next(n for n, task in TASKS.items() if isinstance(self, task)))

    @property
    def metric(self) -> str:
        """Return its own metric: the first of the report's ``quality``."""
        return self.metrics[0]

    @property
    def corpora(self) -> dict[str, str]:
        """The ids of the corpora that it reads, by the fields that name them."""
        return {name: getattr(self, name) for name in self.data}


class FineTuning(TaskPart):
    """A task that a model is fine-tuned for, once a seed; protocol and seeds are all models'."""

    data = ("train", "test")
    measured = "test"

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
    """Texts with a label each, measured by macro-F1 and accuracy."""

    type: Literal["sequence_classification"]
    text_field: FieldName = "text"
    label_field: FieldName = Field(
        "label", description="A string, an integer or a boolean in each row."
    )


class TokenClassification(FineTuning):
    """Words with a tag each, measured by F1, precision and recall of whole entities."""

    type: Literal["token_classification"]
    words_field: FieldName = Field("tokens", description="A list of strings in each row.")
    tags_field: FieldName = Field(
        "tags", description="A list as long, of tags such as `B-PER`, `I-PER` and `O`."
    )


class Retrieval(TaskPart):
    """Documents found for queries by their vectors, without training.

    Measured by nDCG@10, recall@10 and the mean reciprocal rank: of each model with vectors of its
    own, and (`index_…`) of queries by the result against documents by the base.
    """

    data = ("documents", "queries", "judgements")
    measured = "queries"

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
    """Pairs of texts graded for likeness.

    Measured by Spearman's and Pearson's correlations of the grades with the cosines.
    """

    data = ("pairs",)
    measured = "pairs"

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
    """Say why a task's metric will not be measured; None where it will, or is of no task."""
    wanted = names.METRICS[metric].task if metric else None
    if wanted is None or (task and task.type == wanted):
        return None
    return (
        f"`{metric}` is measured by the task `{wanted}`: give one as `evaluation.task`, or name "
        "another metric."
    )


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
        "metrics come first in the report's `quality`.",
    )


def _describe_switches(schema: JsonSchemaValue) -> None:
    """Add the switches of runtimes that are no field of the class; nothing else is taken."""
    schema["additionalProperties"] = False
    for row in names.RUNTIMES.values():
        if row.field and row.field not in schema["properties"]:
            schema["properties"][row.field] = {
                "type": "boolean",
                "title": row.field.capitalize(),
                "default": False,
                "description": row.description,
            }


def _check_switch(field: str) -> str:
    if field not in {row.field for row in names.RUNTIMES.values()}:
        raise PydanticKnownError("extra_forbidden")
    return field


class ExportRecipe(RecipePart):
    """Files for other runtimes beside the model, checked and measured in the report."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_describe_switches)

    # The switch of a runtime that an extension adds needs no field here.
    __pydantic_extra__: dict[Annotated[str, AfterValidator(_check_switch)], bool]

    onnx: bool = Field(False, description=names.RUNTIMES["onnx"].description)
    int8: bool = Field(False, description=names.RUNTIMES["onnx-int8"].description)
    int4: bool = Field(False, description=names.RUNTIMES["onnx-int4"].description)
    openvino: bool = Field(False, description=names.RUNTIMES["openvino"].description)
    openvino_int8: bool = Field(False, description=names.RUNTIMES["openvino-int8"].description)
    static: bool = Field(False, description=names.RUNTIMES["static"].description)

    @property
    def runtimes(self) -> list[str]:
        """Return the names of the runtimes to export for, each after what it is made from."""
        return names.exported_runtimes(self.model_dump())

    @property
    def wanted(self) -> bool:
        """True where anything is to be exported."""
        return bool(self.runtimes)


Metric = Annotated[str, OneOf(names.gate_metrics)]


class GateRecipe(RecipePart):
    """The least that a result must reach; a miss fails the job and keeps the result."""

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
        description="Which row `min_quality` is about; when left out, the first of the task, else "
        "the first. A metric that the job will not measure fails it at its start.",
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


Runtime = Annotated[str, OneOf(names.runtime_choices)]
FOUND_BY_TARGET = "a target finds the sizes itself: leave out"


class TargetRecipe(RecipePart):
    """Ask what the result must reach, in place of a size; the job makes several and picks one.

    All is asked of one file: that of `runtime`, or with `any` one of several. A job whose models
    all miss it fails and keeps them.
    """

    max_bytes: int | None = Field(
        None, gt=0, description="Most bytes of the file of `runtime`.", examples=[5_000_000]
    )
    max_ms: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="Most milliseconds of a batch in `runtime` on the worker's machine.",
        examples=[2.5],
    )
    min_quality: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Least share of the base's quality that is left, measured on the file of "
        "`runtime`; of a task that fine-tunes, on a file made of the fine-tuned model.",
        examples=[0.95],
    )
    metric: Metric | None = Field(
        None,
        description="Which quality is judged; when left out, the first of the task, else the "
        "first of the report. A metric that the job will not measure fails it at its start.",
    )
    runtime: Runtime = Field(
        "onnx-int4",
        description="The runtime that the result is for. Its file is written and measured without "
        "being asked for in `export`. With `any` each model is weighed in all runtimes in which "
        "its file fits, static vectors among them.",
    )
    batch_size: int = Field(1, ge=1, le=256, description="Texts of a batch that `max_ms` is about.")

    @property
    def only_quality(self) -> bool:
        """True where nothing bounds the size or the time, so that the smallest is wanted."""
        return self.max_bytes is None and self.max_ms is None

    def weighed(self, known: Sequence[str]) -> list[str]:
        """Return the runtimes to weigh, where `known` are those of the base."""
        return list(known) if self.runtime == names.ANY else [self.runtime]


def _target_fault(target: TargetRecipe, others: Mapping[str, Any]) -> str | None:
    """Say what of a recipe contradicts its target; `others` are the fields that were sound."""
    if target.only_quality and target.min_quality is None:
        return "give at least one of `max_bytes`, `max_ms` and `min_quality`"
    if (recovery := others.get("recovery")) and recovery.keep_layers is not None:
        return f"{FOUND_BY_TARGET} `recovery.keep_layers`"
    if (gate := others.get("gate")) and any(gate.model_dump().values()):
        return "a target is a gate of its own: give `target` or `gate`, not both"
    evaluation = others.get("evaluation")
    if target.max_ms is not None and evaluation and not evaluation.latency:
        return "`max_ms` needs the time to be measured: leave out `evaluation.latency`"
    return _headless_fault(target, evaluation.task) if evaluation else None


def _headless_fault(target: TargetRecipe, task: Task | None) -> str | None:
    """Say that what is judged is fine-tuned for, and the runtime has no head to fine-tune."""
    row = names.RUNTIMES.get(target.runtime)
    if not (row and row.is_static and isinstance(task, FineTuning)):
        return None
    if target.metric and target.metric not in task.metrics:
        return None
    return (
        f"`{target.runtime}` has no head to fine-tune, so `{task.type}` is not measured on its "
        "file: name another runtime, or in `metric` what is measured without the task"
    )


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
    "TargetRecipe",
    "Task",
    "TokenClassification",
    "TokenizerRecipe",
    "TransferRecipe",
]


class Recipe(RecipePart):
    """The way to compress; every field is optional and defaults to the good choice."""

    vocab_size: VocabSize = Field(
        DEFAULT_SIZE,
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
    # After all that it may contradict, which its check reads.
    target: TargetRecipe | None = Field(
        None,
        description="What the result must reach, in place of `vocab_size`, "
        "`recovery.keep_layers` and `gate`.",
    )
    seed: int = Field(0, ge=0, lt=2**32)

    @field_validator("target")
    @classmethod
    def _contradicts_nothing(
        cls, target: TargetRecipe | None, info: ValidationInfo
    ) -> TargetRecipe | None:
        if target and (fault := _target_fault(target, info.data)):
            raise ValueError(fault)
        return target

    @model_validator(mode="after")
    def _names_no_size_beside_a_target(self) -> Self:
        """Refuse a size, be it the default one; that of a recipe with all fields was not asked."""
        given = self.model_fields_set
        is_complete = given >= type(self).model_fields.keys()
        is_asked = "vocab_size" in given and not (is_complete and self.vocab_size == DEFAULT_SIZE)
        if self.target and is_asked:
            said = PydanticCustomError("value_error", f"{FOUND_BY_TARGET} `vocab_size`")
            fault = InitErrorDetails(type=said, loc=("target",), input=self.target)
            raise ValidationError.from_exception_data(type(self).__name__, [fault])
        return self

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """Return a recipe that was stored complete, if by a version that had fewer fields."""
        return cls.model_validate({**cls().model_dump(), **document})

    @property
    def sizes(self) -> list[float]:
        """The vocabularies asked for, each a fraction or a number of tokens."""
        return self.vocab_size if isinstance(self.vocab_size, list) else [self.vocab_size]

    @property
    def most_models(self) -> int:
        """Return how many models a job makes at most."""
        return MOST_POINTS if self.target else len(self.sizes)

    @property
    def runtimes(self) -> list[str]:
        """Return the runtimes to export for, each after what it is made from.

        That of a target is among them, but for `any`: there it is told of each model.
        """
        return self.runtimes_with(self.target.weighed(()) if self.target else ())

    @property
    def most_runtimes(self) -> list[str]:
        """Return the runtimes that any base may be exported for."""
        return self.runtimes_with(self.target.weighed(list(names.RUNTIMES)) if self.target else ())

    def runtimes_with(self, weighed: Iterable[str]) -> list[str]:
        """Return the runtimes to export a model for that a target weighs in some."""
        switches = self.export.model_dump()
        rows = (names.RUNTIMES[name] for name in weighed)
        return names.exported_runtimes(switches | {row.field: True for row in rows if row.field})

    @property
    def corpora(self) -> list[str]:
        """The ids of the corpora that it reads beside the one to compress for."""
        task = self.evaluation.task
        return [*self.recovery.corpora.values(), *(task.corpora.values() if task else ())]
