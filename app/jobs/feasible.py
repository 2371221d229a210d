"""Whether a base model can be what a job asks for, as far as it shows without a download."""

from app.base_models import catalog
from app.base_models.heads import WITHOUT_TOKEN_CLASSIFICATION
from app.errors import FieldError, UnprocessableError
from app.jobs.recipe import Recipe, TokenClassification
from app.jobs.recipe.task import metric_fault
from app.jobs.schemas import JobFields
from app.jobs.trainable import check_minutes, check_recovery
from app.settings import Settings


def check_base_model(fields: JobFields, settings: Settings) -> None:
    """Refuse what cannot work; raises `UnprocessableError` or `UserFault`."""
    _check_gate(fields.recipe)
    check_minutes(fields.recipe.recovery, settings)
    facts = catalog.check_submission(fields.base_model, settings, fields.revision)
    if facts is None:
        return
    _check_export(fields, encoder_decoder=facts.encoder_decoder)
    _check_sizes(fields, facts.vocab_size)
    _check_task(fields, facts.model_type)
    if trained := catalog.how_trained(fields.base_model, settings):
        check_recovery(fields.base_model, trained, fields.recipe.recovery)


def _check_export(fields: JobFields, *, encoder_decoder: bool) -> None:
    if not (encoder_decoder and fields.recipe.export.wanted):
        return
    detail = (
        f"{fields.base_model} has an encoder and a decoder, and is not exported to ONNX in this "
        "version. Leave `export` out."
    )
    fault = FieldError(pointer="/recipe/export", detail=detail)
    raise UnprocessableError("export_unsupported", detail, errors=[fault])


def _check_task(fields: JobFields, model_type: str) -> None:
    is_tagging = isinstance(fields.recipe.evaluation.task, TokenClassification)
    if not (is_tagging and model_type in WITHOUT_TOKEN_CLASSIFICATION):
        return
    detail = (
        f"transformers has no class for token classification with a {model_type}, which "
        f"{fields.base_model} is. Choose another base model, or another task."
    )
    fault = FieldError(pointer="/recipe/evaluation/task/type", detail=detail)
    raise UnprocessableError("task_unsupported", detail, errors=[fault])


def _check_gate(recipe: Recipe) -> None:
    if detail := metric_fault(recipe.gate.metric, recipe.evaluation.task):
        fault = FieldError(pointer="/recipe/gate/metric", detail=detail)
        raise UnprocessableError("gate_metric_not_measured", detail, errors=[fault])


def _check_sizes(fields: JobFields, base_size: int) -> None:
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
