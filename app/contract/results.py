"""The files that stages of a job leave for the next ones, and the artifact that the API serves.

Each is a JSON file of its stage's folder, written and read as the type it has here.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel
from typing_extensions import Self

from .errors import JobError
from .points import Point, SizedPoint
from .report import (
    Example,
    Export,
    Latency,
    Memory,
    ModelSize,
    Quality,
    Recovery,
    TaskQuality,
    TokenUsage,
    TransferCounts,
    VocabularyCoverage,
)


class StageResult(BaseModel):
    """A JSON file that a stage leaves."""

    model_config = ConfigDict(frozen=True)

    def write(self, path: Path) -> None:
        """Write the file that `load` reads."""
        path.write_text(self.model_dump_json(indent=2) + "\n", "utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that `write` wrote; raises FileNotFoundError."""
        return cls.model_validate_json(path.read_bytes())


class ResolvedBase(StageResult):
    """The base model of a job, pinned, and the vocabularies to reach, each a number of tokens.

    With a target they are planned: `candidates` are all the points that it may choose from.
    """

    id: str
    source: Literal["local", "packaged", "hub"]
    commit: str | None
    target_vocab_sizes: list[int]
    keep_tokens: list[str]
    candidates: list[SizedPoint] = []


class PlannedPoints(StageResult, RootModel[list[SizedPoint]]):
    """The points of a target that are made, those left out whose vocabulary cannot be."""


class CorpusSplit(StageResult):
    """The number of documents on each side of the split."""

    documents: int
    training_documents: int
    held_out: int


class HeldOutSample(StageResult, RootModel[list[str]]):
    """The held-out documents that the evaluation reads."""


class TokenizerResult(StageResult, RootModel[dict[int, VocabularyCoverage]]):
    """The coverage of the vocabulary of each size, by vocabulary size."""


class TransferResult(StageResult, RootModel[dict[int, TransferCounts]]):
    """The sources of the tokens' embeddings, by vocabulary size."""


class RecoveryResult(StageResult, RootModel[dict[str, Recovery]]):
    """The course of each recovery, by the key of its point: the vocabulary size, as a rule."""


class ExportResult(StageResult, RootModel[dict[str, dict[str, str]]]):
    """Why files were left out that a target would have weighed, by point and runtime."""


class CheckedModels(StageResult):
    """The models that loaded and ran as their user will load and run them."""

    import_seconds: float
    """Seconds of the process that checked them beside the checks, above all its imports."""
    seconds: dict[str, float]
    """Seconds of each check, by the model's folder."""


class EvaluatedSize(StageResult):
    """The measurements of the model of one point; `layers` are those that a target chose.

    `unscored` says, by runtime, why the task has no score of a file.
    """

    compressed: ModelSize
    tokens: TokenUsage
    examples: list[Example]
    quality: list[Quality]
    exports: list[Export]
    latency: list[Latency]
    memory: list[Memory]
    task: TaskQuality | None = None
    layers: int | None = None
    unscored: dict[str, str] = {}

    @property
    def vocab_size(self) -> int:
        """The number of tokens of its vocabulary."""
        return self.compressed.vocab_size

    @property
    def point(self) -> Point:
        """The point that the model is of."""
        return Point(vocab_size=self.vocab_size, layers=self.layers)


class Evaluation(StageResult):
    """The measurements of the base, and of every size in the order of the recipe."""

    base: ModelSize
    sizes: list[EvaluatedSize]


class Headline(StageResult):
    """The figures that a job itself shows as its `result`."""

    vocab_size_before: int
    vocab_size_after: int
    parameters_before: int
    parameters_after: int
    bytes_before: int
    bytes_after: int
    size_ratio: float
    tokens_per_text_before: float
    tokens_per_text_after: float
    speedup: dict[str, float] = Field(description="In PyTorch, by batch size")
    quality: dict[str, float] = Field(description="The share of the base's that is kept, by metric")
    verdict: str | None = Field(None, description="What it comes to, in a sentence")


class ArtifactFile(BaseModel):
    """A file of the result, by its path in the result."""

    path: str
    bytes: int
    sha256: str


class Artifact(BaseModel):
    """The content of `Job.artifact`: the archive's size and hash, and the files in it."""

    prefix: str
    bytes: int
    sha256: str
    files: list[ArtifactFile]

    @property
    def archive_key(self) -> str:
        """The key of the whole result in blob storage, one `.tar.gz`."""
        return f"{self.prefix}/artifact.tar.gz"

    def file_key(self, path: str) -> str:
        """Return the key of one file of the result in blob storage."""
        return file_key(self.prefix, path)


class PackagedResult(StageResult):
    """The end of a job: its figures, its artifact, and the error where it misses what was asked."""

    result: Headline
    artifact: Artifact
    error: JobError | None


def file_key(prefix: str, path: str) -> str:
    """Return where one file of a result lies in blob storage."""
    return f"{prefix}/artifact/{path}"
