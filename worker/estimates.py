"""Estimates of how long the recovery and the task of a job take."""

from collections.abc import Mapping

from app.contract.names import RUNTIMES
from app.contract.recipe import FineTuning, Recipe, RecoveryRecipe, Task
from app.corpora.models import Corpus
from worker.compression.evaluation.tasks.fine_tuning import LEARNING

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


_SECONDS = {"cpu": 1e-3, "cuda": 1e-5}
"""To read a token with a small model: on two CPU cores, or a GPU that waits for Python."""
_CHARACTERS = 4
"""Of a token."""
_EXPORT_SECONDS = 4.0
"""To write and check a file of a small model, once fine-tuned; files are run on the CPU."""
_LONGEST = 512
"""Tokens that a model reads of a text, where the task does not say."""


def task_seconds(recipe: Recipe, corpora: Mapping[str, Corpus], device: str) -> float:
    """Seconds for a size, as those of the stages are, with its part of the base's; 0 without one.

    `corpora` are the task's, by the fields that name them.
    """
    task = recipe.evaluation.task
    if task is None:
        return 0.0
    models, files = 1 + 1 / recipe.most_models, 0.0
    if isinstance(task, FineTuning):
        test = _tokens(corpora["test"], task.max_length)
        rows = [RUNTIMES[name] for name in recipe.most_runtimes]
        each = [_EXPORT_SECONDS + row.training_seconds for row in rows if not row.is_static]
        files = task.seeds * (sum(each) + len(each) * test * _SECONDS["cpu"])
    return models * _tokens_read(task, corpora) * _SECONDS[device] + files


def _tokens_read(task: Task, corpora: Mapping[str, Corpus]) -> float:
    """The tokens that a model reads, or learns from, which takes as long as so many more."""
    if isinstance(task, FineTuning):
        train, test = (_tokens(corpora[part], task.max_length) for part in ("train", "test"))
        return task.seeds * (LEARNING * task.epochs * train + test)
    return sum(_tokens(c, _LONGEST) for part, c in corpora.items() if part != "judgements")


def _tokens(corpus: Corpus, longest: int) -> float:
    return min(corpus.characters / _CHARACTERS, corpus.documents * longest)
