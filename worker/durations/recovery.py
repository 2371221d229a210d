"""How long the recovery of a job usually takes."""

from app.corpora.models import Corpus
from app.jobs.recipe import Recipe
from app.jobs.recipe.recovery import RecoveryRecipe

_PRESET = {
    "cpu": {"fast": 30.0, "balanced": 120.0, "max": 2400.0},
    "cuda": {"fast": 45.0, "balanced": 200.0, "max": 450.0},
}
_TEXT = {"cpu": 0.03, "cuda": 0.0005}
_TEXTS = {"cpu": 16, "cuda": 128}
"""Of a small model: seconds of a preset and of a text, and the texts of a step. Those of
`balanced` are measured, the others follow from the steps or the work that each may take."""
_NOTHING = 1.0


def recovery_seconds(recipe: Recipe, corpus: Corpus, device: str, most_minutes: float) -> float:
    """Seconds for a size, as those of the stages are."""
    asked = recipe.recovery
    if asked.objective == "none":
        return _NOTHING
    most = min(most_minutes, asked.max_minutes or most_minutes)
    return min(_trained(asked, corpus, device), 60 * most)


def _trained(asked: RecoveryRecipe, corpus: Corpus, device: str) -> float:
    """Seconds of the steps that are planned."""
    texts = list[float]()
    if asked.max_steps:
        texts.append(asked.max_steps * (asked.batch_size or _TEXTS[device]))
    if asked.epochs:
        texts.append(asked.epochs * corpus.documents)
    return min(texts) * _TEXT[device] if texts else _PRESET[device][asked.preset]
