"""Whether a base model can be recovered as a recipe asks, told before any work is done."""

from app.base_models.training import TrainingFacts
from app.errors import FieldError, UnprocessableError
from app.jobs.recipe import RecoveryRecipe
from app.settings import Settings

OBJECTIVE, LAYERS = "/recipe/recovery/objective", "/recipe/recovery/keep_layers"
MINUTES = "/recipe/recovery/max_minutes"


def check_recovery(base_model: str, facts: TrainingFacts, asked: RecoveryRecipe) -> None:
    """Refuse an objective that the model has no head for, and more layers than it has."""
    faults = (facts.fault(name) for name in asked.objective.split("+"))
    if needs := next(filter(None, faults), None):
        is_one = f", and {base_model} is a {facts.architecture}" if facts.architecture else ""
        detail = f"`{asked.objective}` needs {needs}{is_one}. Use `auto`."
        _refuse("recovery_unsupported", OBJECTIVE, detail)
    if asked.keep_layers and facts.layers and asked.keep_layers > facts.layers:
        detail = f"{base_model} has {facts.layers} layers: give 1 to {facts.layers}."
        _refuse("keep_layers_above_base", LAYERS, detail)


def check_minutes(asked: RecoveryRecipe, settings: Settings) -> None:
    """Refuse more time than the service gives."""
    if asked.max_minutes and asked.max_minutes > settings.max_recovery_minutes:
        most = f"{settings.max_recovery_minutes:g}"
        _refuse("recovery_too_long", MINUTES, f"Here recovery may take {most} minutes at most.")


def _refuse(code: str, pointer: str, detail: str) -> None:
    raise UnprocessableError(code, detail, errors=[FieldError(pointer=pointer, detail=detail)])
