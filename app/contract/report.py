"""The report of a compression: ``report.json``, and its JSON Schema in the OpenAPI document.

A part of it is made where it is measured, in the engine, and stays the same object on its way
through the stages, into ``report.json`` and out of the client.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Literal["1"] = "1"


class ReportPart(BaseModel):
    """A part of the report; a reader passes over fields that a later version adds."""

    model_config = ConfigDict(frozen=True)


class BaseModelInfo(ReportPart):
    """The model that was compressed."""

    id: str
    commit: str | None = Field(description="The hub's commit, or a hash of the model's files")


class CorpusSummary(ReportPart):
    """The corpus and its split, in documents."""

    sha256: str
    documents: int
    held_out: int


class ModelSize(ReportPart):
    """The size of a model; a tied tensor counts once."""

    vocab_size: int
    parameters: int
    embedding_parameters: int
    bytes: int = Field(description="Of its safetensors files")


class Histogram(ReportPart):
    """Texts by their tokens: entry n counts those of n * width to (n + 1) * width - 1 tokens.

    The last entry counts all longer texts as well.
    """

    width: int
    before: list[int]
    after: list[int]


Reason = Literal[
    "special",
    "added",
    "kept",
    "alphabet",
    "fallback-character",
    "used",
    "multiword",
    "base-word",
    "part",
    "step",
]


class TokenReason(ReportPart):
    """Why a token stands, and how often text as long as the corpus is expected to use it.

    A ``fallback-character`` is one that the corpus does not have and that nothing else spells. Of
    what the corpus does not use, a ``base-word`` is a token of the base, a ``part`` is there for
    words that were not seen, and other tokens are merged from a ``step``. ``expected_uses`` is
    what the corpus has, or an estimate for characters that it does not have; None where nothing
    was counted.
    """

    reason: Reason
    expected_uses: float | None = None


class VocabularyCoverage(ReportPart):
    """Why each token stands, in the order of ids, and which unknown tokens are to be expected.

    Rates are shares of all tokens, ``base_unk_rate`` of the base's on the same corpus and
    ``new_unk_rate`` of characters that only the base reads. ``lost_characters`` counts these,
    ``lost_familiar`` those whose script the corpus has.
    """

    reasons: list[TokenReason]
    expected_unk_rate: float
    base_unk_rate: float
    new_unk_rate: float
    lost_characters: int
    lost_familiar: int


class TransferCounts(ReportPart):
    """The number of tokens by source, and the unknown pieces that were left out of a mean."""

    copied: int
    averaged: int
    fallback: int
    random: int
    unk_pieces: int


class TokenUsage(ReportPart):
    """Tokens that stand for text: means over ``texts`` held-out texts, neither padded nor cut.

    ``special_per_text`` more, such as [CLS] and [SEP], surround each text before and after. An
    unknown rate is the share of unknown tokens. ``cut_before`` and ``cut_after`` are the shares of
    the texts that are longer than ``longest_input``, the tokens that the model reads at a time:
    the rest of such a text is not seen.
    """

    texts: int
    special_per_text: int
    per_text_before: float
    per_text_after: float
    unk_rate_before: float
    unk_rate_after: float
    histogram: Histogram | None = None
    longest_input: int | None = None
    cut_before: float | None = None
    cut_after: float | None = None


class Tokens(TokenUsage, TransferCounts):
    """``TransferCounts`` and ``TokenUsage`` side by side.

    ``expected_unk_rate`` is the unknown rate to be expected of unseen text like the corpus's, by
    Good-Turing; it counts characters that no held-out text happens to have.
    """

    expected_unk_rate: float | None = None


class Slice(ReportPart):
    """The share of the base's metric that is kept on some of the texts, with its interval.

    ``name`` is ``short`` or ``long``, a quarter of the held-out texts each; ``rare_words``, the
    quarter with most words that no other of the texts has; or ``out_of_domain``, sentences of
    general English that stand for text of no domain.
    """

    name: str
    texts: int
    retention: float
    low: float | None = None
    high: float | None = None


class Quality(ReportPart):
    """A metric of the base model and of the compressed model.

    ``retention`` is the share of the base's quality that is left: after / before, or before /
    after where less is better. ``low`` to ``high`` holds it in 95 of 100 resamples of the texts,
    queries or pairs, ``items`` in number; ``after_low`` to ``after_high`` holds ``after``. They are
    None where the items are too few. ``slices`` are of one metric of a model.
    """

    metric: str
    before: float
    after: float
    retention: float
    low: float | None = None
    high: float | None = None
    after_low: float | None = None
    after_high: float | None = None
    items: int | None = None
    slices: list[Slice] = Field(default_factory=list)


class Latency(ReportPart):
    """Median milliseconds a batch, tokenization included, each model with its own tokenizer.

    Of an exported file, what was before is the base in PyTorch and float32 on the same CPU. The
    models take turns, ``rounds`` of them. ``low`` to ``high`` holds ``speedup`` in 95 of 100
    resamples of the batches; ``stable`` tells whether that became narrow in the time there was.
    """

    runtime: str
    device: str
    dtype: str
    threads: int
    batch_size: int
    batches: int
    includes_tokenization: bool
    before_ms: float
    after_ms: float
    speedup: float
    low: float | None = None
    high: float | None = None
    rounds: int | None = None
    stable: bool | None = None


class Memory(ReportPart):
    """Most resident bytes of a process that loads a model and runs 32 texts, libraries included.

    What was before is the base in PyTorch and float32, whatever the runtime.
    """

    runtime: str
    before_bytes: int
    after_bytes: int


class Export(ReportPart):
    """A file for another runtime: its path in the result, and its quality against the base's."""

    runtime: str
    path: str
    bytes: int
    quality: list[Quality]


class Example(ReportPart):
    """A text cut into tokens; ``saved`` says where it stands among texts by what they save."""

    saved: str
    before: list[str]
    after: list[str]


class Scores(ReportPart):
    """A score a seed; ``spread`` is their standard deviation, 0 where there is one."""

    values: list[float]
    mean: float
    spread: float


class TaskScores(ReportPart):
    """A metric of a task, of both models.

    ``retention`` is after / before of the means; None where the base scores nothing, or less.
    Intervals are as in ``Quality``: over the queries, pairs or texts of the test part, the seeds
    as they are.
    """

    metric: str
    before: Scores
    after: Scores
    retention: float | None
    low: float | None = None
    high: float | None = None
    after_low: float | None = None
    after_high: float | None = None
    items: int | None = None


class TaskQuality(ReportPart):
    """A task's own metric of both models, over ``seeds`` seeds, the same for both.

    ``others`` are its other metrics, of the same runs.
    """

    type: str
    metric: str
    seeds: int
    before: Scores
    after: Scores
    retention: float | None
    low: float | None = None
    high: float | None = None
    after_low: float | None = None
    after_high: float | None = None
    items: int | None = None
    others: list[TaskScores] = Field(default_factory=list)

    @property
    def scores(self) -> dict[str, TaskScores]:
        """Return all its metrics by name, its own first."""
        first = TaskScores(**{name: getattr(self, name) for name in TaskScores.model_fields})
        return {row.metric: row for row in (first, *self.others)}


class LossPoint(ReportPart):
    """Losses after a step: of training, since the point before; of texts kept from it, or None.

    Both are of queries where ``queries``, else of documents.
    """

    step: int
    train: float
    held_out: float | None
    queries: bool = False


class Recovery(ReportPart):
    """The objective that was asked for, the one that was used and why, and how it went.

    ``seconds`` counts training alone, over all attempts; ``tokens_per_second`` are the student's,
    without padding. ``stopped_by`` is ``steps``, ``max_minutes``, ``held_out_loss`` or
    ``non_finite_loss``; ``kept_step`` is the step whose weights were kept. ``keep_layers`` is the
    number of layers that were kept, None where all were. ``processes`` trained together, each on a
    GPU of its own. ``general_share`` of the texts were drawn from ``general_texts`` general ones,
    which are no documents of the corpus; ``general_source`` says where these are from, or why
    there were none, and ``general_warning`` what speaks against them. ``epochs`` are of the corpus
    alone. The last ``query_steps`` of the ``steps`` were on queries, ``planned_query_steps`` of
    those planned; they were drawn from ``queries`` different ones, ``query_source`` says where
    these are from, and ``query_warning`` what of it was not done as asked. In the last
    ``four_bit_steps`` weights were rounded to four bits as they were used.
    """

    objective: str = "auto"
    used: str = "none"
    reason: str = ""
    preset: str = "balanced"
    steps: int = 0
    planned_steps: int = 0
    kept_step: int = 0
    epochs: float = 0.0
    batch_size: int = 0
    learning_rate: float = 0.0
    seconds: float = 0.0
    tokens: int = 0
    tokens_per_second: float = 0.0
    device: str = ""
    processes: int = 1
    stopped_by: str | None = None
    warning: str | None = None
    keep_layers: int | None = None
    general_share: float = 0.0
    general_texts: int = 0
    general_source: str | None = None
    general_warning: str | None = None
    query_steps: int = 0
    planned_query_steps: int = 0
    queries: int = 0
    query_source: str | None = None
    query_warning: str | None = None
    four_bit_steps: int = 0
    loss: list[LossPoint] = Field(default_factory=list)


class StageTime(ReportPart):
    """The time that a stage of the job took."""

    name: str
    seconds: float


class Gate(ReportPart):
    """The least that was asked of the result; ``misses`` says what it does not reach.

    ``metric`` is the one that ``min_quality`` is about, where it was named.
    """

    min_quality: float | None
    max_bytes: int | None
    misses: list[str]
    metric: str | None = None


class TargetPoint(ReportPart):
    """A model as a target judges it: by its file for a runtime.

    ``layers`` is None where it has all of the base's, ``ms`` the median of a batch, ``kept`` the
    share of the base's ``metric``; they are None where they were not measured. ``misses`` says
    what of the target it does not reach.
    """

    vocab_size: int
    layers: int | None
    bytes: int
    ms: float | None
    metric: str | None
    kept: float | None
    misses: list[str]
    runtime: str | None = None


class Target(ReportPart):
    """The target that was asked, and the model that was picked for it, in a sentence.

    ``picked`` is at the root of the result. Where no model meets the target it is None, and
    ``nearest``, the one that misses it least, is there. ``front`` has all that were weighed: a
    model once for each runtime.
    """

    max_bytes: int | None
    max_ms: float | None
    min_quality: float | None
    metric: str | None
    runtime: str
    batch_size: int
    picked: TargetPoint | None
    nearest: TargetPoint | None
    reason: str
    front: list[TargetPoint] = Field(default_factory=list)

    @property
    def at_root(self) -> TargetPoint | None:
        """Return the model at the root of the result, as the target judged it."""
        return self.picked or self.nearest

    @property
    def judged_runtime(self) -> str:
        """Return the runtime whose file of that model was judged."""
        # Reports of before a target weighed several runtimes have that of the target alone.
        return (self.at_root and self.at_root.runtime) or self.runtime


class SweepRow(ModelSize):
    """One of the sizes that were made; ``path`` is its folder in the artifact.

    ``layers`` is the number that was kept, None where all were; ``meets_target`` is None where
    none was asked.
    """

    path: str
    per_text: float
    unk_rate: float
    quality: list[Quality]
    latency: list[Latency]
    meets_gate: bool
    exports: list[Export] = Field(default_factory=list)
    memory: list[Memory] = Field(default_factory=list)
    task: TaskQuality | None = None
    layers: int | None = None
    meets_target: bool | None = None


class Report(ReportPart):
    """Everything ``report.json`` says.

    ``task`` is there where one was asked for; its metrics come first in ``quality``. ``sweep`` has
    a row a size where there are several, and with a ``target``; the rest is of the one at the root
    of the result.
    ``verdict`` is what it comes to in one sentence, of figures that stand outside their own noise;
    a recovery that was cut short comes first in it. ``warnings`` are sentences about what the
    result does worse than its user may think, and about figures that rest on little.
    ``recipe`` is the whole of it, ``made_at`` the time in ISO 8601, in UTC.
    """

    base_model: BaseModelInfo
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
    recovery: Recovery = Field(default_factory=Recovery)
    multiword: int = 0
    gate: Gate | None = None
    target: Target | None = None
    sweep: list[SweepRow] = Field(default_factory=list)
    exports: list[Export] = Field(default_factory=list)
    memory: list[Memory] = Field(default_factory=list)
    examples: list[Example] = Field(default_factory=list)
    task: TaskQuality | None = None
    warnings: list[str] = Field(default_factory=list)
    verdict: str | None = None
    job_id: str | None = None
    made_at: str | None = None
    recipe: dict[str, Any] | None = None
    schema_version: Literal["1"] = SCHEMA_VERSION
