"""Pages of the reference that are made from the contract, the metrics and the command line."""

import importlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from inspect import cleandoc
from pathlib import Path
from typing import Any

import typer
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.contract.events import EVENTS
from app.contract.names import METRICS, OBJECTIVES, RUNTIMES, MetricName
from app.contract.recipe import TASKS, Recipe
from app.contract.report import Report
from app.health.metrics import HttpMetrics, jobs_by_status

Schema = Mapping[str, Any]

RECIPE_HEAD = """# The recipe

What a job is asked to do: `recipe` in `POST /v1/jobs`, and the file of `fvt compress --recipe`. \
Every field is optional. A name such as `recovery.preset` stands for a field in an object: \
`{"recovery": {"preset": "fast"}}`. What is not known is refused. Made by `python -m app.docs` \
from `app/contract/recipe.py`.

"""
RECIPE_TASKS = """
## Tasks

What `evaluation.task` takes. `type` says which one. The parts are ids of corpora; in a recipe for \
`fvt compress`, files may stand in their place.
"""
REPORT_HEAD = """# The report

`report.json` of every result, and the answer of `GET /v1/jobs/{id}/report`. Its JSON Schema is \
`Report` in [openapi.json](openapi.json). A later version may add fields: pass over those that you \
do not know. Made by `python -m app.docs` from `app/contract/report.py`.
"""
EVENTS_HEAD = """# Events

What happens to a job, in order: pages of `GET /v1/jobs/{id}/events`, or a stream where the \
request has `Accept: text/event-stream`. Each has an `id`, a `type`, `created_at` and `data`. A \
stream that broke is taken up with the header `Last-Event-ID`. Made by `python -m app.docs` from \
`app/contract/events.py`.
"""
METRICS_HEAD = """# Metrics and names

Made by `python -m app.docs` from `app/contract/names.py` and `app/health/metrics.py`.

## Metrics of quality

Rows of `quality` in the report. A gate can name each of them as `gate.metric`.

| metric | meaning | better | measured by |
| --- | --- | --- | --- |
"""
CLI_HEAD = """# The command line

`fvt --help` lists the commands, `fvt COMMAND --help` the options of one. Made by \
`python -m app.docs` from the commands.
"""
TABLE = "\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n"
LIMITS = {
    "minimum": "{} or more",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "{} entries or more",
    "maxItems": "at most {} entries",
}
DECISIONS = Path(__file__).parent.parent / "docs" / "decisions"
DECISIONS_HEAD = """# Decisions

Each page says what was asked, what was decided, what follows, and what was measured. Made by \
`python -m app.docs`.

"""
COMMAND_LINES = ("fvt_client.cli.main", "app.cli.main")


def recipe_page() -> str:
    """Return the page of all fields of the recipe."""
    schema = Recipe.model_json_schema()
    definitions = schema["$defs"]
    page = RECIPE_HEAD.rstrip("\n") + "\n" + TABLE + "".join(_recipe_rows(schema, definitions))
    page += RECIPE_TASKS
    for name, task in TASKS.items():
        own = definitions[task.__name__]
        fields = {key: field for key, field in own["properties"].items() if key != "type"}
        page += f"\n### `{name}`\n\n{_prose(own['description'])}\n" + _table(own, fields)
    return page


def _recipe_rows(schema: Schema, definitions: Schema, prefix: str = "") -> Iterator[str]:
    for name, field in schema["properties"].items():
        # A part that may be left out stands beside null.
        part = next(filter(None, (definitions.get(_referred(f)) for f in _choices(field))), None)
        if part is not None and part.get("type") == "object":
            yield from _recipe_rows(part, definitions, f"{prefix}{name}.")
        else:
            yield _row(f"{prefix}{name}", field, default=_default(field))


def _choices(field: Schema) -> list[Schema]:
    return list(field.get("anyOf", [field]))


def report_page() -> str:
    """Return the page of all parts of the report, the whole first."""
    _, schema = models_json_schema([(Report, "serialization")])
    parts = dict(schema["$defs"])
    page = REPORT_HEAD
    for name, part in {"Report": parts.pop("Report"), **parts}.items():
        page += f"\n## {name}\n\n{_prose(part.get('description', ''))}\n"
        page += _table(part, part["properties"])
    return page


def events_page() -> str:
    """Return the page of all events and what their data holds."""
    page = EVENTS_HEAD
    for name, event in EVENTS.items():
        schema = event.model_json_schema(mode="serialization")
        page += f"\n## `{name}`\n\n{_prose(_docstring(event))}\n"
        if schema["properties"]:
            page += _table(schema, schema["properties"])
    page += "\n## The error of a job\n\nWhat `error` holds; the codes are in [errors](errors.md).\n"
    failed = EVENTS["job.failed"].model_json_schema(mode="serialization")["$defs"]["JobError"]
    return page + _table(failed, failed["properties"])


def metrics_page() -> str:
    """Return the page of what is measured: of models, and of the service by Prometheus."""
    page = METRICS_HEAD + "".join(_metric_row(row) for row in METRICS.values())
    page += "\n## Runtimes\n\n| runtime | in words | files | asked for by |\n"
    page += "| --- | --- | --- | --- |\n"
    for runtime in RUNTIMES.values():
        files = ", ".join(f"`{path}`" for path in runtime.paths)
        asked = f"`export.{runtime.field}`" if runtime.field else "always there"
        page += f"| `{runtime.name}` | {runtime.label} | {files} | {asked} |\n"
    page += "\n## Objectives of recovery\n\n| objective | in words |\n| --- | --- |\n"
    page += "".join(f"| `{row.name}` | {row.label} |\n" for row in OBJECTIVES.values())
    page += "\n## Metrics of the service\n\n`GET /metrics`, in the format of Prometheus.\n\n"
    page += "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n"
    return page + "".join(_prometheus_row(family) for family in _families())


def _metric_row(row: MetricName) -> str:
    better = "higher" if row.higher_is_better else "lower"
    by = f"the task `{row.task}`" if row.task else "every job that it fits"
    return f"| `{row.name}` | {row.label} | {better} | {by} |\n"


def _families() -> Iterator[Metric]:
    registry = CollectorRegistry()
    # A metric has its labels once something was counted.
    HttpMetrics(registry).observe({"method": "GET"}, 200, 0.0)
    yield from registry.collect()
    yield jobs_by_status({})


def _prometheus_row(family: Metric) -> str:
    # A bucket's bound is the histogram's own label.
    labels = {label: None for sample in family.samples for label in sample.labels if label != "le"}
    suffix = "_total" if family.type == "counter" else ""
    named = ", ".join(f"`{label}`" for label in labels)
    return f"| `{family.name}{suffix}` | {family.type} | {named} | {family.documentation} |\n"


def cli_page() -> str:
    """Return the page of all commands and their options."""
    module = next(name for name in COMMAND_LINES if _is_there(name))
    command = typer.main.get_command(importlib.import_module(module).cli)
    page = CLI_HEAD
    for name, part in sorted(command.commands.items()):  # type: ignore[attr-defined]
        if not part.hidden:
            page += _command(f"fvt {name}", part)
    return page


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    usage = " ".join([name, *(str(argument.name).upper() for argument in arguments)])
    text = f"\n## `{name}`\n\n    {usage}{' [OPTIONS]' if options else ''}\n\n"
    text += f"{_prose(cleandoc(command.help or ''))}\n"
    if options:
        text += "\n| option | default | environment | meaning |\n| --- | --- | --- | --- |\n"
        text += "".join(_option_row(option) for option in options)
    return text


def _option_row(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    is_told = option.default not in (None, "", False, [], ()) and not callable(option.default)
    default = "required" if option.required else f"`{option.default}`" if is_told else ""
    variables = [option.envvar] if isinstance(option.envvar, str) else option.envvar or []
    named = ", ".join(f"`{variable}`" for variable in variables)
    return f"| {names} | {default} | {named} | {_cell(option.help or '')} |\n"


def _table(schema: Schema, fields: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = (
        _row(name, field, default="required" if name in required else _default(field))
        for name, field in fields.items()
    )
    return TABLE + "".join(rows)


def _row(name: str, field: Schema, *, default: str) -> str:
    meaning = _cell(_prose(field.get("description", "")))
    return f"| `{name}` | {_type(field)} | {default} | {meaning} |\n"


def _type(field: Schema) -> str:
    """Say in words what a field of a JSON Schema takes."""
    if "anyOf" in field or "oneOf" in field:
        options = field.get("anyOf") or field["oneOf"]
        types = dict.fromkeys(_type(option) for option in options)
        return " or ".join(kind for kind in types if kind != "null")
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if name := _referred(field):
        return _link(name)
    kind = str(field.get("type", "any"))
    if kind == "array":
        kind = f"list of {_type(field.get('items', {}))}"
    limits = [words.format(f"{field[key]:,}") for key, words in LIMITS.items() if key in field]
    return ", ".join([kind, *limits])


def _link(name: str) -> str:
    if name in {task.__name__ for task in TASKS.values()}:
        return f"[{name}](recipe.md#tasks)"
    return "[error](#the-error-of-a-job)" if name == "JobError" else f"[{name}](#{name.lower()})"


def _referred(field: Schema) -> str:
    return str(field.get("$ref", "")).rpartition("/")[2]


def _default(field: Schema) -> str:
    if field.get("default") in (None, ""):
        return ""
    return f"`{json.dumps(field['default'], ensure_ascii=False)}`"


def _docstring(model: type[BaseModel]) -> str:
    return cleandoc(model.__doc__ or "")


def _prose(text: str) -> str:
    """Turn a docstring's code, between double backticks, into Markdown's."""
    return re.sub(r"``([^`]+)``", r"`\1`", text).strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def decisions_page() -> str:
    """Return the list of all decisions."""
    page = DECISIONS_HEAD
    for file in sorted(DECISIONS.glob("[0-9]*.md")):
        title = file.read_text("utf-8").partition("\n")[0].lstrip("# 0123456789.:")
        page += f"- {file.name[:4]}: [{title}]({file.name})\n"
    return page


def pages() -> Iterable[tuple[str, str]]:
    """Return each page by its name."""
    return [
        ("cli.md", cli_page()),
        ("decisions/README.md", decisions_page()),
        ("events.md", events_page()),
        ("metrics.md", metrics_page()),
        ("recipe.md", recipe_page()),
        ("report.md", report_page()),
    ]
