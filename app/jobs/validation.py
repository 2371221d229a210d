"""Checks of a submission against its base model and corpora, without a download."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.base_models import catalog
from app.base_models.checks import ModelFacts, TrainingFacts
from app.base_models.examination import EXAMINER, Examiner
from app.blobs import Blobs
from app.contract.architectures import ARCHITECTURES
from app.contract.errors import UserFault
from app.contract.names import ANY, BASELINE, RUNTIMES
from app.contract.recipe import (
    MAX_CHARACTERS,
    MAX_ROWS,
    Recipe,
    RecoveryRecipe,
    Retrieval,
    Task,
    TokenClassification,
    metric_fault,
)
from app.corpora.documents import ROW_FORMATS
from app.corpora.models import Corpus
from app.errors import (
    FieldError,
    InsufficientStorageError,
    NotFoundError,
    ServiceUnavailableError,
    UnprocessableError,
)
from app.estimates.sizes import fitting_points
from app.ids import is_id
from app.jobs.schemas import JobFields
from app.room import job_size, shortage
from app.settings import Settings

HUB_RETRY_AFTER = "60"
OBJECTIVE, LAYERS = "/recipe/recovery/objective", "/recipe/recovery/keep_layers"
MINUTES = "/recipe/recovery/max_minutes"


def check_recovery(base_model: str, facts: TrainingFacts, asked: RecoveryRecipe) -> None:
    """Refuse an objective that the model has no head for, and more layers than it has."""
    faults = (facts.fault(name) for name in asked.objective.split("+"))
    if needs := next(filter(None, faults), None):
        is_one = f", and {base_model} is a {facts.architecture}" if facts.architecture else ""
        detail = f"`{asked.objective}` needs {needs}{is_one}. Use `auto`."
        _refuse("recovery_unsupported", OBJECTIVE, detail)
    check_layers(base_model, facts.layers, asked)


def check_layers(base_model: str, layers: int | None, asked: RecoveryRecipe) -> None:
    """Refuse more layers than the model has, where their number is known."""
    if asked.keep_layers and layers and asked.keep_layers > layers:
        detail = f"{base_model} has {layers} layers: give 1 to {layers}."
        _refuse("keep_layers_above_base", LAYERS, detail)


def check_minutes(asked: RecoveryRecipe, settings: Settings) -> None:
    """Refuse more time than the service gives."""
    if asked.max_minutes and asked.max_minutes > settings.max_recovery_minutes:
        most = f"{settings.max_recovery_minutes:g}"
        _refuse("recovery_too_long", MINUTES, f"Here recovery may take {most} minutes at most.")


def _refuse(code: str, pointer: str, detail: str) -> None:
    raise UnprocessableError(code, detail, errors=[FieldError(pointer=pointer, detail=detail)])


def check_base_model(
    fields: JobFields, settings: Settings, examiner: Examiner = EXAMINER
) -> ModelFacts | None:
    """Refuse what cannot work; returns what is known of a model that is here.

    Raises `UnprocessableError` or `UserFault`, and `ServiceUnavailableError` if the hub is away.
    """
    _check_metric(fields.recipe)
    check_minutes(fields.recipe.recovery, settings)
    try:
        facts = catalog.check_submission(fields.base_model, settings, fields.revision, examiner)
    except catalog.HubUnreachableError as error:
        retry_after = {"Retry-After": HUB_RETRY_AFTER}
        raise ServiceUnavailableError("hub_unreachable", str(error), headers=retry_after) from error
    if facts is None:
        return None
    _check_export(fields, facts)
    check_sizes(fields, facts.vocab_size)
    _check_task(fields, facts)
    _check_target(fields, facts, settings, examiner)
    if trained := catalog.how_trained(fields.base_model, settings, examiner):
        check_recovery(fields.base_model, trained, fields.recipe.recovery)
    return facts


def check_room(
    recipe: Recipe,
    facts: ModelFacts | None,
    corpora: Sequence[Corpus],
    settings: Settings,
    blobs: Blobs,
) -> None:
    """Refuse a job for which a disk has no room.

    Of a model that is still to be downloaded a worker finds out.
    """
    # Models are loaded, and saved, with 4 bytes a parameter.
    model_bytes = max(facts.bytes, 4 * facts.parameters) if facts else 0
    size = job_size(recipe, model_bytes, sum(corpus.bytes for corpus in corpora))
    if lacks := shortage(size, settings, blobs):
        raise InsufficientStorageError(
            "insufficient_storage",
            f"There is no room for the files of this job, by estimate: {lacks}. Delete corpora and "
            "jobs that are not needed, ask for fewer sizes, or have the disk made larger.",
            needed_bytes=lacks.needed,
            free_bytes=lacks.free,
        )


def _check_export(fields: JobFields, facts: ModelFacts) -> None:
    recipe = fields.recipe
    runtimes = [RUNTIMES[name] for name in recipe.runtimes]
    refused = next((row for row in runtimes if not row.takes_encoder_decoders), None)
    if refused and facts.encoder_decoder:
        detail = (
            f"{fields.base_model} has an encoder and a decoder, and is not exported to "
            f"{refused.label} in this version. {_instead(recipe, 'export')}"
        )
        _refuse("export_unsupported", _place_of_export(recipe, "export"), detail)
    static = next((row for row in runtimes if row.is_static), None)
    if static and facts.role != "sentence_encoder":
        field = f"export.{static.field}"
        detail = (
            f"{static.label} are made of a sentence encoder, and {fields.base_model} is none. "
            f"{_instead(recipe, field)} Or choose a model of sentence-transformers."
        )
        _refuse("export_unsupported", _place_of_export(recipe, field), detail)


def _place_of_export(recipe: Recipe, field: str) -> str:
    if _names_runtime(recipe):
        return "/recipe/target/runtime"
    return f"/recipe/{field.replace('.', '/')}"


def _names_runtime(recipe: Recipe) -> bool:
    return recipe.target is not None and recipe.target.runtime != ANY


def _instead(recipe: Recipe, field: str) -> str:
    if _names_runtime(recipe):
        return f"Name `{BASELINE}` as `target.runtime`, and leave `{field}` out."
    return f"Leave `{field}` out."


def _check_target(
    fields: JobFields, facts: ModelFacts, settings: Settings, examiner: Examiner
) -> None:
    """Refuse a target in which no model of the base would fit."""
    target, folder = fields.recipe.target, catalog.folder_of(fields.base_model, settings)
    if target is None or folder is None:
        return
    try:
        fitting_points(fields.base_model, examiner.grid(folder, facts.vocab_size), target)
    except UserFault as fault:
        if fault.code != "target_out_of_reach":
            raise
        _refuse("target_out_of_reach", "/recipe/target/max_bytes", fault.message)


def _check_task(fields: JobFields, facts: ModelFacts) -> None:
    model_type = facts.model_type
    if isinstance(fields.recipe.evaluation.task, Retrieval) and facts.role == "cross_encoder":
        detail = (
            f"{fields.base_model} is a cross-encoder, which makes no vectors to search by. Choose "
            "the task `sentence_pairs`, or another base model."
        )
        fault = FieldError(pointer="/recipe/evaluation/task/type", detail=detail)
        raise UnprocessableError("task_unsupported", detail, errors=[fault])
    is_tagging = isinstance(fields.recipe.evaluation.task, TokenClassification)
    if not is_tagging or ARCHITECTURES[model_type].has_token_classifier:
        return
    detail = (
        f"transformers has no class for token classification with a {model_type}, which "
        f"{fields.base_model} is. Choose another base model, or another task."
    )
    fault = FieldError(pointer="/recipe/evaluation/task/type", detail=detail)
    raise UnprocessableError("task_unsupported", detail, errors=[fault])


def _check_metric(recipe: Recipe) -> None:
    """Refuse a gate or a target on a metric of a task that is not there."""
    judged = recipe.target or recipe.gate
    if detail := metric_fault(judged.metric, recipe.evaluation.task):
        place = "target" if recipe.target else "gate"
        _refuse("gate_metric_not_measured", f"/recipe/{place}/metric", detail)


def check_sizes(fields: JobFields, base_size: int) -> None:
    """Refuse vocabularies that are larger than the base's."""
    sizes = fields.recipe.sizes
    errors = [
        FieldError(
            pointer=f"/recipe/vocab_size/{number}" if len(sizes) > 1 else "/recipe/vocab_size",
            detail=f"{fields.base_model} has {base_size} tokens, so a vocabulary of {size:.0f} "
            f"would not be smaller. Give at most {base_size}, or a fraction up to 1.",
        )
        for number, size in enumerate(sizes)
        if size > base_size
    ]
    if errors:
        detail = " ".join(error.detail for error in errors)
        raise UnprocessableError("vocab_size_above_base", detail, errors=errors)


CORPUS_ID, TASK, RECOVERY = "/corpus_id", "/recipe/evaluation/task", "/recipe/recovery"


def hold_corpus(session: Session, corpus_id: str, pointer: str = CORPUS_ID) -> Corpus:
    """A corpus that is not deleted before this transaction ends."""
    lock = {"read": True}
    corpus = session.get(Corpus, corpus_id, with_for_update=lock) if is_id(corpus_id) else None
    if corpus is None:
        detail = (
            f"There is no corpus {corpus_id!r}. Upload one with `POST /v1/corpora` and give its "
            "`id`"
        )
        detail += (
            ", or send the file along as multipart/form-data." if pointer == CORPUS_ID else "."
        )
        fault = FieldError(pointer=pointer, detail=detail)
        raise NotFoundError("corpus_not_found", detail, errors=[fault])
    return corpus


def check_has_text(format_: str, pointer: str = CORPUS_ID) -> None:
    """Refuse labelled data in place of text to compress for, or to train on."""
    if format_ == "records":
        use = "compress for" if pointer == CORPUS_ID else "train on"
        _refuse(
            "corpus_without_text",
            pointer,
            f"A corpus of the format `records` has no text field to {use}. Upload the text as "
            "text, jsonl, csv, tsv or parquet; records are for `evaluation.task`.",
        )


def hold_other_corpora(session: Session, recipe: Recipe, corpus: Corpus | None) -> list[Corpus]:
    """Hold the corpora that a recipe names; refuse those that cannot be read as it asks.

    `corpus` is the one to compress for, where it is known.
    """
    held = []
    for name, corpus_id in recipe.recovery.corpora.items():
        pointer = f"{RECOVERY}/{name}"
        held.append(hold_corpus(session, corpus_id, pointer))
        check_has_text(held[-1].format, pointer)
        # Queries may be the domain's documents: a corpus of nothing but queries has no others.
        if name == "general_corpus_id" and corpus is not None:
            _check_is_general(held[-1], corpus)
    return [*held, *_hold_task_data(session, recipe.evaluation.task)]


def _check_is_general(general: Corpus, corpus: Corpus) -> None:
    """Refuse the texts of the corpus as general text, be it that they were uploaded twice."""
    if (general.sha256, general.layout) == (corpus.sha256, corpus.layout):
        _refuse(
            "invalid_recipe",
            f"{RECOVERY}/general_corpus_id",
            "This is the corpus that the job is for: its texts are of the domain, not general. "
            "Give another corpus, or leave this out.",
        )


def _hold_task_data(session: Session, task: Task | None) -> list[Corpus]:
    held = []
    for name, corpus_id in task.corpora.items() if task else ():
        pointer = f"{TASK}/{name}"
        held.append(hold_corpus(session, corpus_id, pointer))
        _check_rows(held[-1], pointer)
    return held


def _check_rows(corpus: Corpus, pointer: str) -> None:
    if corpus.format not in ROW_FORMATS:
        _refuse(
            "corpus_without_records",
            pointer,
            f"The corpus {corpus.id!r} is of the format {corpus.format}, and a task reads "
            "`records` or `jsonl`. Upload the rows as JSON objects, a line each, with "
            "`format=records`.",
        )
    if corpus.documents > MAX_ROWS or corpus.characters > MAX_CHARACTERS:
        _refuse(
            "too_many_records",
            pointer,
            f"The corpus {corpus.id!r} has {corpus.documents:,} rows of {corpus.characters:,} "
            f"characters, and a task reads at most {MAX_ROWS:,} of {MAX_CHARACTERS:,} characters. "
            "Upload a sample of them.",
        )
