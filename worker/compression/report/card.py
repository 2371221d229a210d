"""The model card of a result: what a model hub reads of it, and how to use the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from huggingface_hub.repocard import metadata_load

from app.contract.model_kinds import ModelKind, join
from app.contract.names import METRICS, RUNTIMES
from app.contract.report import Quality, Report
from app.contract.verdict import last_steps_done, steps_done
from worker.compression.models.folders import kind_of_folder, read_json
from worker.compression.report.page import index_rows, render, task_scores

# What is true of the base's text and terms is true of the result's.
_INHERITED = ("license", "license_name", "license_link", "language", "datasets")
# The least that queries by the result must keep of the base's own, with the worst luck in the texts
# drawn: what is less, a card does not advise.
_INDEX_STAYS = 0.9
_TAGS = ("fast-vocabulary-transfer", "model-compression")
# The ending of a model's class, what loads it and, where the hub has a name for it, its use.
_CLASSES: dict[str, tuple[str, str | None]] = {
    "EncoderModel": ("AutoModelForTextEncoding", None),
    "ForMaskedLM": ("AutoModelForMaskedLM", "fill-mask"),
    "ForPreTraining": ("AutoModelForMaskedLM", "fill-mask"),
    "ForCausalLM": ("AutoModelForCausalLM", "text-generation"),
    "LMHeadModel": ("AutoModelForCausalLM", "text-generation"),
    "ForConditionalGeneration": ("AutoModelForSeq2SeqLM", None),
    "ForSequenceClassification": ("AutoModelForSequenceClassification", None),
}


def write_model_card(folder: Path, report: Report, base: Path | None = None) -> Path:
    """Write the card of the model in ``folder``, with front matter for a model hub.

    ``base`` is the folder of the base model, whose card says its license and languages.
    """
    kind = kind_of_folder(folder)
    inherited = read_base_card(base) if base else {}
    index_row = _index_row(report, kind)
    card = render(
        "README.md",
        report=report,
        front_matter=front_matter(folder, report, kind, inherited),
        license=inherited.get("license"),
        library=kind.library,
        kind=kind,
        usages=_usages(report),
        reading=_reading(folder, kind, report.tokens.longest_input),
        # Not every file has a score of the task.
        export_metrics=list(dict.fromkeys(q.metric for e in report.exports for q in e.quality)),
        mean_pooling=_mean_pooling(folder, kind),
        index_row=index_row,
        index_measure=index_row and METRICS[index_row.metric].label.partition(": ")[2],
        task_scores=task_scores(report),
        steps_done=steps_done(report.recovery),
        last_steps_done=last_steps_done(report.recovery),
        loss=[point for point in report.recovery.loss if not point.queries],
    )
    path = folder / "README.md"
    path.write_text(card, encoding="utf-8")
    return path


def read_base_card(base: Path) -> dict[str, Any]:
    """Read what the card of a base model says of its license, languages and data."""
    path = base / "README.md"
    if not path.is_file():
        return {}
    try:
        data = metadata_load(path) or {}
    except (OSError, ValueError):
        return {}
    except Exception as error:
        # A card is written by anyone; PyYAML's errors have no base among the built-in ones.
        if type(error).__module__.partition(".")[0] != "yaml":
            raise
        return {}
    return {name: data[name] for name in _INHERITED if _is_plain(data.get(name))}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, str) for item in value)
    return isinstance(value, str) and bool(value)


def front_matter(
    folder: Path, report: Report, kind: ModelKind, inherited: Mapping[str, Any]
) -> str:
    """Return the YAML that a hub reads, with a figure a metric in ``model-index``."""
    pipeline = kind.pipeline or _pipeline_of(folder, kind)
    data = ModelCardData(
        **inherited,
        base_model=report.base_model.id,
        # The hub knows adapters, merges, quantized models and this; int8 files are beside it.
        base_model_relation="finetune",
        library_name=kind.library,
        pipeline_tag=pipeline,
        tags=list(_TAGS),
        model_name=f"{report.base_model.id}, compressed",
        eval_results=[_figure(row, report, pipeline) for row in report.quality] or None,
    )
    return data.to_yaml()


def _figure(row: Quality, report: Report, pipeline: str | None) -> EvalResult:
    on_task = report.task is not None and row.metric in report.task.scores
    return EvalResult(
        task_type=_task_type(report, pipeline) if on_task else pipeline or "feature-extraction",
        dataset_type="custom",
        dataset_name="labelled data" if on_task else "held-out texts of the corpus",
        dataset_split="test",
        dataset_revision=report.corpus.sha256,
        metric_type=row.metric,
        metric_name=METRICS[row.metric].label if row.metric in METRICS else row.metric,
        metric_value=round(row.after, 4),
        metric_args={"base": round(row.before, 4), "kept": round(row.retention, 4)},
    )


def _task_type(report: Report, pipeline: str | None) -> str:
    assert report.task is not None
    types = {
        "sequence_classification": "text-classification",
        "token_classification": "token-classification",
        "sentence_pairs": "sentence-similarity",
    }
    return types.get(report.task.type, pipeline or report.task.type)


def _pipeline_of(folder: Path, kind: ModelKind) -> str | None:
    if kind.role == "encoder":
        return "feature-extraction"
    return _class_of(folder, kind)[1]


def _class_of(folder: Path, kind: ModelKind) -> tuple[str, str | None]:
    """Return what loads a model and its use, by the class that its config names."""
    config = read_json(folder, join(kind.transformer, "config.json")) or {}
    name = str((config.get("architectures") or [""])[0])
    found = (row for end, row in _CLASSES.items() if name.endswith(end))
    return next(found, ("AutoModel", None))


def _index_row(report: Report, kind: ModelKind) -> Quality | None:
    """Return what a search in the base's vectors keeps, where that is enough to advise it.

    The task's row counts where there is one: of labels one knows what was looked for.
    """
    if kind.role != "sentence_encoder":
        return None
    row = next(iter(index_rows(report)), None)
    return row if row and row.low is not None and row.low >= _INDEX_STAYS else None


def _usages(report: Report) -> dict[str, str]:
    """Return the file that each section on how to run one names.

    It is the one that a target picked, or the last that the section is for.
    """
    picked = report.target and report.target.picked and report.target.picked.runtime
    exports = sorted(report.exports, key=lambda export: export.runtime == picked)
    usages = ((RUNTIMES[export.runtime].usage, export.path) for export in exports)
    return {usage: path for usage, path in usages if usage}


@dataclass(frozen=True)
class _Reading:
    """Holds what a card's code needs to load a model and read texts as its own program does.

    ``cut_side``, ``padding``, ``sides`` and ``prompt`` are pieces of code, "" where none is needed.
    """

    auto_class: str
    file: str
    longest: int | None
    cut_side: str
    padding: str
    sides: str
    prompt: str


def _reading(folder: Path, kind: ModelKind, longest: int | None) -> _Reading:
    file = join(kind.transformer, "tokenizer.json")
    written = read_json(folder, join(kind.transformer, "tokenizer_config.json")) or {}
    settings: dict[str, Any] = {**written, **kind.tokenizer_settings}
    token = settings.get("pad_token")
    name = token.get("content") if isinstance(token, dict) else token
    padding = []
    if name:
        padding = [f"pad_id=tokenizer.token_to_id({name!r})", f"pad_token={name!r}"]
    if settings.get("padding_side") == "left":
        padding.append('direction="left"')
    cut_side = ', direction="left"' if settings.get("truncation_side") == "left" else ""
    sides = (name for name in ("padding_side", "truncation_side") if settings.get(name) == "left")
    return _Reading(
        auto_class=_auto_class(folder, kind),
        file=file,
        longest=longest,
        cut_side=cut_side,
        padding=", ".join(padding),
        sides="".join(f', {name}="left"' for name in sides),
        prompt=f"{kind.default_prompt!r} + " if kind.default_prompt else "",
    )


def _auto_class(folder: Path, kind: ModelKind) -> str:
    """Return the class of transformers that loads a model; a sentence encoder without a head."""
    name, _ = _class_of(folder, kind)
    has_vectors = name in ("AutoModel", "AutoModelForTextEncoding")
    return name if has_vectors or kind.role != "sentence_encoder" else "AutoModel"


def _mean_pooling(folder: Path, kind: ModelKind) -> str | None:
    """Return how to make a vector without sentence-transformers: "mean", or that and "normalize".

    None where it takes more than a plain mean.
    """
    if kind.role != "sentence_encoder" or kind.transformer or kind.default_prompt:
        return None
    names = [module.name for module in kind.modules]
    if names not in (["Pooling"], ["Pooling", "Normalize"]) or kind.lower_case:
        return None
    pooling = read_json(folder, join(kind.modules[0].path, "config.json")) or {}
    modes = {name for name, value in pooling.items() if name.startswith("pooling_mode_") and value}
    is_mean = modes == {"pooling_mode_mean_tokens"} or pooling.get("pooling_mode") == "mean"
    return ("normalize" if names[1:] else "mean") if is_mean else None
