"""Labelled files on this machine, sent along as the corpora that a task reads."""

from pathlib import Path
from typing import Any

from app.client import FvtClient
from app.jobs.recipe.task import TASKS


def with_task_data(client: FvtClient, recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe with ids in place of files: each that its task names is uploaded as records.

    What is no file here is left to the service, which says what is wrong with it.
    """
    evaluation = recipe.get("evaluation")
    task = evaluation.get("task") if isinstance(evaluation, dict) else None
    if not isinstance(evaluation, dict) or not isinstance(task, dict):
        return recipe
    sent = {
        name: client.upload_corpus(Path(task[name]), format="records").id
        for name in _parts(task)
        if isinstance(task.get(name), str) and Path(task[name]).is_file()
    }
    return {**recipe, "evaluation": {**evaluation, "task": {**task, **sent}}}


def _parts(task: dict[str, Any]) -> tuple[str, ...]:
    type_ = task.get("type")
    return TASKS[type_].data if isinstance(type_, str) and type_ in TASKS else ()
