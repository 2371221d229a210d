"""What pydantic found wrong with a submission, and where, in the submission's own terms."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from app.jobs.recipe.task import TASKS

Fault = Mapping[str, Any]

TASK = ("recipe", "evaluation", "task")
NO_SUCH_TASK = {"union_tag_not_found", "union_tag_invalid"}


def pointer_to(fault: Fault) -> str:
    """The JSON pointer of a fault's place."""
    path = [part for part in fault["loc"] if part != "[key]"]
    if tuple(path[: len(TASK)]) == TASK:
        # Under a task pydantic names its type first, which is no field.
        del path[len(TASK) : len(TASK) + 1]
    if fault["type"] in NO_SUCH_TASK:
        path.append("type")
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def said_of(fault: Fault, model: type[BaseModel]) -> str:
    """What is wrong there and what to do, for people; `model` is of the whole submission."""
    if fault["type"] == "extra_forbidden":
        return f"unknown field; known here are {_listed(_fields_at(model, fault['loc'][:-1]))}"
    if fault["type"] in NO_SUCH_TASK:
        return f"give one of {_listed(TASKS)}"
    return str(fault["msg"]).removeprefix("Value error, ")


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _fields_at(model: type[BaseModel], path: Sequence[Any]) -> list[str]:
    if tuple(path[: len(TASK)]) == TASK:
        return list(TASKS[path[len(TASK)]].model_fields)
    for name in path:
        annotation = model.model_fields[name].annotation
        model = next(part for part in (annotation, *get_args(annotation)) if isinstance(part, type))
    return list(model.model_fields)
