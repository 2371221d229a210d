"""The report of a compression: what was asked, what came out, measured on held-out text."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from worker.compression.evaluation.latency import Latency
from worker.compression.evaluation.memory import Memory
from worker.compression.evaluation.quality import Export, Quality
from worker.compression.evaluation.size import ModelSize
from worker.compression.evaluation.tasks.scores import TaskQuality
from worker.compression.evaluation.tokens import Example, Histogram
from worker.compression.recovery.options import Recovery

SCHEMA_VERSION = "1"


@dataclass(frozen=True)
class BaseModel:
    """Which model was compressed; ``commit`` is None where it has none."""

    id: str
    commit: str | None


@dataclass(frozen=True)
class CorpusSummary:
    """The corpus and its split, in documents."""

    sha256: str
    documents: int
    held_out: int


@dataclass(frozen=True)
class Tokens:
    """``TransferCounts`` and ``TokenUsage`` side by side."""

    copied: int
    averaged: int
    fallback: int
    random: int
    unk_pieces: int
    texts: int
    special_per_text: int
    per_text_before: float
    per_text_after: float
    unk_rate_before: float
    unk_rate_after: float
    histogram: Histogram | None = None


@dataclass(frozen=True)
class StageTime:
    name: str
    seconds: float


@dataclass(frozen=True)
class Gate:
    """What was asked of the result; ``misses`` says what it does not reach.

    ``metric`` is the one that ``min_quality`` is about, where it was named.
    """

    min_quality: float | None
    max_bytes: int | None
    misses: list[str]
    metric: str | None = None


@dataclass(frozen=True)
class SweepRow:
    """One of the sizes that were made; ``path`` is its folder in the artifact."""

    path: str
    vocab_size: int
    parameters: int
    embedding_parameters: int
    bytes: int
    per_text: float
    unk_rate: float
    quality: list[Quality]
    latency: list[Latency]
    meets_gate: bool
    exports: list[Export] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    task: TaskQuality | None = None


@dataclass(frozen=True)
class Report:
    """Everything ``report.json`` says; the sections are the service's contract.

    ``task`` is there where one was asked for; its row comes first in ``quality``.
    ``sweep`` has a row a size where there are several, and the rest is of the one at the root.
    """

    base_model: BaseModel
    corpus: CorpusSummary
    base: ModelSize
    compressed: ModelSize
    tokens: Tokens
    quality: list[Quality]
    latency: list[Latency]
    stages: list[StageTime]
    selection: str
    transfer_method: str
    seed: int
    recovery: Recovery = field(default_factory=Recovery)
    multiword: int = 0
    gate: Gate | None = None
    sweep: list[SweepRow] = field(default_factory=list)
    exports: list[Export] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    task: TaskQuality | None = None
    schema_version: str = SCHEMA_VERSION


Point = tuple[float, float]
"""A cost, of which less is better, and a value, of which more is."""


def pareto_front(points: Sequence[Point]) -> list[int]:
    """Return the places of the points that no other dominates, from the cheapest on.

    A point dominates another that costs no less and is worth no more, unless they are equal.
    """
    best, front = float("-inf"), list[int]()
    for place in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        equal = bool(front) and points[place] == points[front[-1]]
        if points[place][1] > best or equal:
            front.append(place)
            best = points[place][1]
    return front
