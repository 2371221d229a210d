"""List the names that people choose from and read: metrics, runtimes, objectives, presets.

Rows are data alone. The API validates and documents by them, the report page and the command line
label by them, and the engine has an entry for each: how it is measured, exported or trained. A
row is added here, or by an extension (see ``app.extensions``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True)
class MetricName:
    """Names a metric of the report's ``quality``.

    ``label`` stands in tables, ``short`` at the head of a column. ``task`` is the type of the task
    that measures it, None where no labels are needed. ``of_index`` is true of a search by the
    result in the vectors that the base made of the documents: in an index that stays as it is.
    """

    name: str
    label: str
    short: str
    unit: str = ""
    higher_is_better: bool = True
    task: str | None = None
    in_gate: bool = True
    of_index: bool = False

    def retention(self, before: float, after: float) -> float | None:
        """Return the share of the base's quality that is left; None where the base has none."""
        share, whole = (after, before) if self.higher_is_better else (before, after)
        return share / whole if whole > 0 else None


@dataclass(frozen=True)
class RuntimeName:
    """Names a runtime that a model is measured in, and its files in the result.

    ``paths`` are under the model's folder, the one to open first. ``field`` is the switch in the
    recipe's ``export``, None for what every result has; ``requires`` are runtimes whose files this
    one is made from. ``bits`` are those of a number where ``is_quantized``, with what a block of
    numbers shares. ``graph_bytes`` and ``layer_bytes`` are those of a file beside its
    weights, of the whole and of a layer. ``extra`` of fvt-service brings the libraries that it
    needs, None where every worker has them. ``is_static`` marks a vector a token in place of the
    model, which only a sentence encoder has. ``training_seconds`` are those that training or
    calibrating its file may take, 0 where it is made of the model as it is. ``usage`` is the
    section of the model card that says how to run it.
    """

    name: str
    label: str
    paths: tuple[str, ...]
    dtype: str
    field: str | None
    is_quantized: bool = False
    bits: float = 8
    graph_bytes: int = 15_000
    layer_bytes: int = 22_000
    extra: str | None = None
    takes_encoder_decoders: bool = False
    is_static: bool = False
    training_seconds: float = 0.0
    requires: tuple[str, ...] = ()
    usage: str | None = None
    description: str = ""

    @property
    def path(self) -> str:
        """Return the file to open."""
        return self.paths[0]


@dataclass(frozen=True)
class ObjectiveName:
    """Names an objective of recovery; ``with_distill`` where it can be added to distillation."""

    name: str
    label: str
    with_distill: bool = False


@dataclass(frozen=True)
class PresetName:
    """Names how much a recovery may spend."""

    name: str
    label: str


Row = TypeVar("Row", MetricName, RuntimeName, ObjectiveName, PresetName)


def _by_name(*rows: Row) -> dict[str, Row]:
    return {row.name: row for row in rows}


def register(rows: dict[str, Row], row: Row) -> Row:
    """Add a row of an extension; raises ValueError where the name is taken."""
    if rows.setdefault(row.name, row) != row:
        raise ValueError(f"the name {row.name!r} is taken")
    return row


_BITS = "bits a character"

# In the order of tables. The first of a task is the task's own: it comes first in a report, and a
# gate that names no metric is about it.
METRICS = _by_name(
    MetricName(
        "macro_f1",
        "Macro-F1 of the task, fine-tuned",
        "macro-F1",
        task="sequence_classification",
    ),
    MetricName(
        "accuracy",
        "Accuracy of the task, fine-tuned",
        "accuracy",
        task="sequence_classification",
    ),
    MetricName(
        "entity_f1",
        "F1 of the task's entities, fine-tuned",
        "entity F1",
        task="token_classification",
    ),
    MetricName(
        "entity_precision",
        "Precision of the task's entities, fine-tuned",
        "precision",
        task="token_classification",
    ),
    MetricName(
        "entity_recall",
        "Recall of the task's entities, fine-tuned",
        "recall",
        task="token_classification",
    ),
    MetricName("ndcg_at_10", "nDCG@10 of the task", "nDCG@10", task="retrieval"),
    MetricName("recall_at_10", "Recall@10 of the task", "recall@10", task="retrieval"),
    MetricName("mrr", "Mean reciprocal rank of the task", "MRR", task="retrieval"),
    MetricName(
        "index_ndcg_at_10",
        "Your index stays: nDCG@10 of the task",
        "index nDCG@10",
        task="retrieval",
        of_index=True,
    ),
    MetricName(
        "index_recall_at_10",
        "Your index stays: recall@10 of the task",
        "index recall@10",
        task="retrieval",
        of_index=True,
    ),
    MetricName(
        "index_mrr",
        "Your index stays: mean reciprocal rank of the task",
        "index MRR",
        task="retrieval",
        of_index=True,
    ),
    MetricName("spearman", "Spearman's correlation of the task", "Spearman", task="sentence_pairs"),
    MetricName("pearson", "Pearson's correlation of the task", "Pearson", task="sentence_pairs"),
    MetricName("sentence_cosine", "Same sentence vectors as the base (cosine)", "vectors"),
    MetricName("neighbour_overlap_10", "Same ten nearest texts as the base", "neighbours"),
    MetricName(
        "index_overlap_10", "Your index stays: same ten nearest texts", "index", of_index=True
    ),
    MetricName("score_agreement", "Same order of scored pairs as the base (Spearman)", "scores"),
    MetricName(
        "masked_lm_bits_per_character",
        "Prediction of hidden words, bits a character",
        "hidden words",
        unit=_BITS,
        higher_is_better=False,
    ),
    MetricName(
        "causal_lm_bits_per_character",
        "Prediction of the next word, bits a character",
        "next word",
        unit=_BITS,
        higher_is_better=False,
    ),
    MetricName(
        "denoising_bits_per_character",
        "Restoring of hidden words, bits a character",
        "hidden words",
        unit=_BITS,
        higher_is_better=False,
    ),
)

BASELINE = "torch"

# The baseline first; what another requires stands before it.
RUNTIMES = _by_name(
    RuntimeName(
        BASELINE,
        "PyTorch",
        ("model.safetensors",),
        "float32",
        field=None,
        takes_encoder_decoders=True,
    ),
    RuntimeName(
        "onnx",
        "ONNX",
        ("onnx/model.onnx",),
        "float32",
        field="onnx",
        usage="onnx",
        description="Whether to write `onnx/model.onnx`, in float32.",
    ),
    RuntimeName(
        "onnx-int8",
        "ONNX int8",
        ("onnx/model_int8.onnx",),
        "int8",
        field="int8",
        is_quantized=True,
        layer_bytes=40_000,
        requires=("onnx",),
        usage="onnx",
        description="Whether to write `onnx/model_int8.onnx` too, its weights in eight bits: about "
        "a quarter of the bytes. Implies `onnx`.",
    ),
    RuntimeName(
        "onnx-int4",
        "ONNX int4",
        ("onnx/model_int4.onnx",),
        "int4",
        field="int4",
        is_quantized=True,
        bits=4.25,
        layer_bytes=40_000,
        requires=("onnx",),
        usage="onnx",
        description="Whether to write `onnx/model_int4.onnx` too, its weights in four bits: about "
        "55 % of the bytes in int8, and as fast. The last steps of a recovery then train with "
        "weights in four bits, and so do those of a fine-tuning for a task. Implies `onnx`.",
    ),
    RuntimeName(
        "openvino",
        "OpenVINO",
        ("openvino/openvino_model.xml", "openvino/openvino_model.bin"),
        "float32",
        field="openvino",
        graph_bytes=54_000,
        layer_bytes=65_000,
        extra="openvino",
        usage="openvino",
        description="Whether to write `openvino/openvino_model.xml`, in float32, which Intel's "
        "processors with AMX compute in bfloat16. The worker needs the extra `openvino`.",
    ),
    RuntimeName(
        "openvino-int8",
        "OpenVINO int8",
        (
            "openvino/openvino_model_qint8_quantized.xml",
            "openvino/openvino_model_qint8_quantized.bin",
        ),
        "int8",
        field="openvino_int8",
        is_quantized=True,
        graph_bytes=58_000,
        layer_bytes=96_500,
        extra="openvino",
        requires=("openvino",),
        training_seconds=20.0,
        usage="openvino",
        description="Whether to write `openvino/openvino_model_qint8_quantized.xml` too, weights "
        "and activations in eight bits, calibrated on texts of the corpus. Implies `openvino`.",
    ),
    RuntimeName(
        "static",
        "Static vectors",
        (
            "static/model.safetensors",
            "static/tokenizer.json",
            "static/config.json",
            "static/modules.json",
        ),
        "float32",
        field="static",
        takes_encoder_decoders=True,
        is_static=True,
        training_seconds=60.0,
        usage="static",
        description="Whether to train a static encoder too, under `static/`: a vector a token in "
        "the base's own space, no layers, for sentence-transformers and model2vec. Of a sentence "
        "encoder only.",
    ),
)

ANY = "any"
"""In place of a runtime, of a target that weighs all that there are."""

AUTO, NONE = "auto", "none"

OBJECTIVES = _by_name(
    ObjectiveName("mlm", "masked language modeling", with_distill=True),
    ObjectiveName("clm", "causal language modeling", with_distill=True),
    ObjectiveName("denoise", "denoising", with_distill=True),
    ObjectiveName("distill", "distillation from the base"),
    ObjectiveName("distill_scores", "distillation of the base's scores", with_distill=True),
)

PRESETS = _by_name(
    PresetName("fast", "about a minute on a GPU"),
    PresetName("balanced", "a few minutes on a GPU"),
    PresetName("max", "many minutes on a GPU"),
)


def gate_metrics() -> list[str]:
    """Return the metrics that a gate can name."""
    return [name for name, row in METRICS.items() if row.in_gate]


def task_metrics(task: str) -> list[str]:
    """Return the metrics of a type of task, its own first."""
    return [name for name, row in METRICS.items() if row.task == task]


def runtime_choices() -> list[str]:
    """Return what a target can name as its runtime."""
    return [*RUNTIMES, ANY]


def runtimes_of_kind(*, encoder_decoder: bool, sentence_encoder: bool) -> list[str]:
    """Return the runtimes that have a form of such a model, as far as their rows say."""
    return [
        row.name
        for row in RUNTIMES.values()
        if (row.takes_encoder_decoders or not encoder_decoder)
        and (sentence_encoder or not row.is_static)
    ]


def metric_label(name: str) -> str:
    """Return the label of a metric; of one that is not in the list, its name."""
    return METRICS[name].label if name in METRICS else name


def objective_choices() -> list[str]:
    """Return what a recipe can name as its objective."""
    both = [f"{name}+distill" for name, row in OBJECTIVES.items() if row.with_distill]
    return [AUTO, NONE, *OBJECTIVES, *both]


def exported_runtimes(switches: Mapping[str, bool]) -> list[str]:
    """Return the runtimes that the recipe's ``export`` asks for, each after what it requires."""
    wanted = {row.name for row in RUNTIMES.values() if row.field and switches.get(row.field)}
    for row in reversed(RUNTIMES.values()):
        wanted |= set(row.requires) if row.name in wanted else set()
    return [name for name in RUNTIMES if name in wanted]


def runtime_name(shown: str) -> str:
    """Return the name in a ``runtime`` of the report, where the version of PyTorch is behind it."""
    return shown.partition(" ")[0]


def runtime_label(shown: str) -> str:
    """Return the label for a ``runtime`` of the report; where there is none, its name."""
    name = runtime_name(shown)
    return RUNTIMES[name].label if name in RUNTIMES else name


def counted(number: int, one: str) -> str:
    """Return a number of things in words: "1 layer", "2,000 layers"."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def is_static(runtime: str) -> bool:
    """Tell whether a runtime is a vector a token in place of the model."""
    return runtime in RUNTIMES and RUNTIMES[runtime].is_static


def runtime_in_words(runtime: str) -> str:
    """Return the label of a runtime within a sentence: "ONNX int8", "static vectors"."""
    label = runtime_label(runtime)
    return f"{label[0].lower()}{label[1:]}" if is_static(runtime) else label


def in_runtime(runtime: str) -> str:
    """Return how to say that a model is in a runtime: "in ONNX int8", "as static vectors"."""
    return f"{'as' if is_static(runtime) else 'in'} {runtime_in_words(runtime)}"
