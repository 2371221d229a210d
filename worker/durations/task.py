"""How long the task of a job usually takes."""

from collections.abc import Mapping

from app.corpora.models import Corpus
from app.jobs.recipe import FineTuning, Recipe, Task
from worker.compression.evaluation.tasks.finetuning import LEARNING

_SECONDS = {"cpu": 1e-3, "cuda": 1e-5}
"""To read a token with a small model: on two CPU cores, or a GPU that waits for Python."""
_CHARACTERS = 4
"""Of a token."""
_LONGEST = 512
"""Tokens that a model reads of a text, where the task does not say."""


def task_seconds(recipe: Recipe, corpora: Mapping[str, Corpus], device: str) -> float:
    """Seconds for a size, as those of the stages are, with its part of the base's; 0 without one.

    `corpora` are the task's, by the fields that name them.
    """
    task = recipe.evaluation.task
    if task is None:
        return 0.0
    models = 1 + 1 / len(recipe.sizes)
    return models * _tokens_read(task, corpora) * _SECONDS[device]


def _tokens_read(task: Task, corpora: Mapping[str, Corpus]) -> float:
    """The tokens that a model reads, or learns from, which takes as long as so many more."""
    if isinstance(task, FineTuning):
        train, test = (_tokens(corpora[part], task.max_length) for part in ("train", "test"))
        return task.seeds * (LEARNING * task.epochs * train + test)
    return sum(_tokens(c, _LONGEST) for part, c in corpora.items() if part != "judgements")


def _tokens(corpus: Corpus, longest: int) -> float:
    return min(corpus.characters / _CHARACTERS, corpus.documents * longest)
