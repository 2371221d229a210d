"""From the options of a command to a recipe, checked before anything is sent."""

import json
import math
import os
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from ..contract.recipe import TASKS, Recipe, RecoveryRecipe

# What a service may know that this client does not: fields and names of a later version or of an
# extension.
KNOWN_TO_THE_SERVICE = frozenset({"extra_forbidden", "literal_error", "union_tag_invalid"})


def number(text: str) -> float:
    """Return the number that an option was given; infinity and `nan` are none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise typer.BadParameter(f"{text!r} is no number")
    return value


VocabSize = Annotated[
    float | None,
    typer.Option(
        parser=number,
        metavar="FLOAT",
        help="Fraction of the base vocabulary, or a number of tokens.",
    ),
]
Sweep = Annotated[
    str | None,
    typer.Option(help="Several sizes, as 0.5,0.25,0.1: the smallest that passes the gate."),
]
Preset = Annotated[str | None, typer.Option(help="What recovery may spend: fast, balanced or max.")]
Layers = Annotated[int | None, typer.Option(help="Keep so many layers, evenly spread.")]
Int8 = Annotated[bool, typer.Option("--int8", help="Write an int8 ONNX file too.")]
Int4 = Annotated[
    bool, typer.Option("--int4", help="Write an ONNX file in int4 too: about half of int8's bytes.")
]
Onnx = Annotated[bool, typer.Option("--onnx", help="Write an ONNX file too.")]
OpenVino = Annotated[bool, typer.Option("--openvino", help="Write OpenVINO files too.")]
OpenVinoInt8 = Annotated[
    bool, typer.Option("--openvino-int8", help="Write int8 OpenVINO files too.")
]
Static = Annotated[bool, typer.Option("--static", help="Train a static encoder too.")]
Task = Annotated[
    str | None,
    typer.Option(
        metavar="TYPE:PART=FILE,…",
        help="Measure on labelled data, as "
        "sequence_classification:train=train.jsonl,test=test.jsonl.",
    ),
]
MinQuality = Annotated[
    float | None,
    typer.Option(
        parser=number,
        metavar="FLOAT",
        help="Share of the base's quality to keep, else exit code 4; beside a target, part of it.",
    ),
]
TargetBytes = Annotated[
    str | None,
    typer.Option(
        metavar="BYTES",
        help="In place of a size: most bytes of the result's file, as 5MB. Several models are "
        "made, and the best in reach is the result.",
    ),
]
TargetMs = Annotated[
    float | None,
    typer.Option(
        parser=number,
        metavar="FLOAT",
        help="In place of a size: most milliseconds a text on the service's machine.",
    ),
]
TargetRuntime = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        help="Runtime that a target is for: onnx-int4, onnx-int8, onnx, openvino-int8, openvino, "
        "static or torch; with any each model is weighed in all in which its file fits.",
    ),
]
MaxMinutes = Annotated[
    float | None, typer.Option(parser=number, metavar="FLOAT", help="Minutes to train for.")
]
GeneralText = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="General text to train on beside the corpus, in place of the service's.",
    ),
]
GeneralShare = Annotated[
    float | None,
    typer.Option(
        parser=number,
        metavar="FLOAT",
        help="Share of the texts of training that are general, 0 to 0.9.",
    ),
]
Queries = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Queries of your users, one a line: the last steps of training are on them.",
    ),
]
PseudoQueries = Annotated[
    bool,
    typer.Option("--pseudo-queries", help="Train the last steps on queries made of the corpus."),
]
Method = Annotated[str | None, typer.Option(help="fvt, pvt or wvt.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
RecipeFile = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Recipe as JSON, where a task may name files; options go before it.",
    ),
]


def read_recipe(
    file: Path | None,
    *,
    vocab_size: float | None = None,
    sweep: str | None = None,
    preset: str | None = None,
    layers: int | None = None,
    max_minutes: float | None = None,
    general_text: Path | None = None,
    general_share: float | None = None,
    queries: Path | None = None,
    pseudo_queries: bool = False,
    int8: bool = False,
    int4: bool = False,
    onnx: bool = False,
    openvino: bool = False,
    openvino_int8: bool = False,
    static: bool = False,
    task: str | None = None,
    min_quality: float | None = None,
    target_bytes: str | None = None,
    target_ms: float | None = None,
    runtime: str | None = None,
    method: str | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Return the recipe to send: the file's, with the options put over it."""
    if sweep is not None and vocab_size is not None:
        raise typer.BadParameter("give one size with --vocab-size, or several with --sweep")
    below = _from_file(file) if file else {}
    target: dict[str, Any] = {
        "max_bytes": bytes_of(target_bytes) if target_bytes is not None else None,
        "max_ms": target_ms,
        "runtime": runtime,
    }
    is_target = bool(below.get("target") or _given(target))
    options: dict[str, Any] = {
        "vocab_size": sizes_of(sweep) if sweep is not None else vocab_size,
        "seed": seed,
        "transfer": {"method": method},
        "recovery": {
            "preset": preset,
            "keep_layers": layers,
            "max_minutes": max_minutes,
            "general_corpus_id": str(general_text) if general_text else None,
            "general_share": general_share,
            "queries_corpus_id": str(queries) if queries else None,
            "pseudo_queries": pseudo_queries or None,
        },
        "export": {
            "int8": int8 or None,
            "int4": int4 or None,
            "onnx": onnx or None,
            "openvino": openvino or None,
            "openvino_int8": openvino_int8 or None,
            "static": static or None,
        },
        "evaluation": {"task": task_of(task) if task else None},
        "gate": {"min_quality": None if is_target else min_quality},
        "target": {**target, "min_quality": min_quality if is_target else None},
    }
    return _over(below, _given(options))


def _from_file(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        return dict(json.loads(text, parse_constant=number))
    except (ValueError, TypeError, typer.BadParameter) as error:
        raise typer.BadParameter(f"not a JSON object: {error}", param_hint="--recipe") from error


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what was not asked for."""
    parts = {k: _given(v) if isinstance(v, dict) else v for k, v in options.items()}
    return {name: value for name, value in parts.items() if value is not None and value != {}}


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Put a recipe over another, field by field; a task replaces the whole task."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        is_part = isinstance(value, dict) and isinstance(old, dict) and name != "task"
        merged[name] = _over(old, value) if is_part else value  # type: ignore[arg-type]
    return merged


def sizes_of(sweep: str) -> list[float]:
    """Return the sizes of `--sweep`."""
    try:
        return [number(size) for size in sweep.split(",")]
    except typer.BadParameter as error:
        raise typer.BadParameter(
            f"{sweep!r} is no list of numbers, as 0.5,0.25,0.1", param_hint="--sweep"
        ) from error


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
_MOST_BYTES = 2**63 - 1
_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def bytes_of(text: str) -> int:
    """Return the bytes of `--target-bytes`: a number, with or without a unit."""
    found = _BYTES.fullmatch(text.strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise typer.BadParameter(
            f"{text!r} is no number of bytes, as 5MB or 5000000", param_hint="--target-bytes"
        )
    count = Decimal(found[1]) * unit
    if count > _MOST_BYTES:
        raise typer.BadParameter(
            f"{text!r} is too much: give at most {_MOST_BYTES} bytes", param_hint="--target-bytes"
        )
    return round(count)


def task_of(text: str) -> dict[str, Any]:
    """Return the task of `--task`; values that are JSON numbers or lists are read as such."""
    type_, _, rest = text.partition(":")
    pairs = [part.partition("=") for part in rest.split(",") if part]
    if type_ not in TASKS or any(not value for _, _, value in pairs):
        parts = f"{type_}:PART=FILE,…" if type_ in TASKS else f"one of {', '.join(TASKS)}"
        raise typer.BadParameter(f"{text!r} is no task: give {parts}", param_hint="--task")
    return {"type": type_, **{name.strip(): _value(value) for name, _, value in pairs}}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def check_recipe(recipe: Mapping[str, Any], *, service_knows_more: bool) -> None:
    """Refuse a recipe that cannot be; with `service_knows_more` leave unknown names to it.

    The files that it names must be there.
    """
    _check_files(recipe)
    try:
        Recipe.model_validate(recipe)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc']))}: {_said(fault['type'], fault['msg'])}"
            for fault in error.errors(include_url=False)
            if not (service_knows_more and fault["type"] in KNOWN_TO_THE_SERVICE)
        ]
        if faults:
            raise typer.BadParameter("; ".join(faults), param_hint="the recipe") from error


def _said(type_: str, message: str) -> str:
    if type_ == "extra_forbidden":
        return "there is no such field"
    return message.removeprefix("Value error, ")


def _check_files(recipe: Mapping[str, Any]) -> None:
    recovery = recipe.get("recovery")
    if isinstance(recovery, dict):
        for name in RecoveryRecipe.data:
            _check_file(recovery.get(name), f"`recovery.{name}`")
    evaluation = recipe.get("evaluation")
    task = evaluation.get("task") if isinstance(evaluation, dict) else None
    type_ = task.get("type") if isinstance(task, dict) else None
    if not isinstance(task, dict) or not isinstance(type_, str) or type_ not in TASKS:
        return
    for name in TASKS[type_].data:
        _check_file(task.get(name), f"the task's `{name}`")


def _check_file(value: Any, of: str) -> None:
    if isinstance(value, str) and not value.startswith("corpus_") and not Path(value).is_file():
        raise typer.BadParameter(f"there is no file {value} for {of}")


def has_extensions() -> bool:
    """Tell whether the service that is started here knows names that this client does not."""
    return os.environ.get("FVT_EXTENSIONS", "").strip() not in {"", "[]"}
