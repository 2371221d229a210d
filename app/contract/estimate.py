"""The estimate of a job, before it is submitted: the answer of `POST /v1/estimate`."""

from pydantic import BaseModel, Field

from .report import ReportPart


class Interval(ReportPart):
    """An estimated number with the interval that is likely to hold it."""

    value: float
    low: float
    high: float


class EstimatedBase(ReportPart):
    """The base model, from its files."""

    id: str
    architecture: str = Field(description="The class that the config names")
    parameters: int
    bytes: int = Field(description="Of its weights")
    vocab_size: int
    layers: int


class EstimatedCorpus(ReportPart):
    """The corpus as far as it was read."""

    documents: int
    bytes: int = Field(description="Of the whole file")
    is_sample: bool = Field(description="Whether only the beginning of the file was read")
    language: str | None = Field(description="ISO 639-1, where it could be told")


class EstimatedExport(ReportPart):
    """A file for another runtime."""

    runtime: str
    precision: str
    bytes: int


class EstimatedSize(ReportPart):
    """One of the sizes that the recipe asks for."""

    vocab_size: int
    layers: int
    parameters: int
    bytes: int = Field(description="Of its weights, in the type of the base's")
    exports: list[EstimatedExport]
    weighed: list[str] = Field(
        default_factory=list, description="The runtimes in which a target weighs it"
    )
    tokens_per_text: Interval
    base_tokens_per_text: float


class EstimatedStage(ReportPart):
    """The time that a stage is likely to take."""

    stage: str
    seconds: float


class EstimateWarning(ReportPart):
    """A reason to think again before the job is submitted."""

    code: str
    message: str = Field(description="For people")


class Estimate(BaseModel):
    """Tells what a job will make, how long it will take and what speaks against it."""

    base: EstimatedBase
    corpus: EstimatedCorpus
    sizes: list[EstimatedSize] = Field(description="In the order of the recipe")
    minutes: Interval = Field(description="Of the whole job, without its place in the queue")
    stages: list[EstimatedStage]
    basis: str = Field(description="What the minutes rest on, for people")
    steps: list[str] = Field(description="What the recipe will do, in sentences")
    warnings: list[EstimateWarning]
