"""`fvt compress`: from a base model and a corpus to a folder with the compressed model."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from app.cli.model_folder import model_folder
from app.cli.output import complain, describe_corpus, print_json, print_report, say
from app.cli.session import ApiKey, AsJson, OutDir, check_out, service_for, wait, why
from app.cli.up import end_on_sigterm
from app.client import FvtClient, UploadError
from app.client.transfers import check_joinable
from app.contract.recipe import TASKS, Recipe
from app.contract.states import Status


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


def compress(
    *,
    model: Annotated[
        str,
        typer.Option(
            help="Base model, as `fvt base-models` lists it, or without --url a folder of yours."
        ),
    ],
    corpus: Annotated[
        list[Path],
        typer.Option(exists=True, dir_okay=False, help="Text of the domain; may be repeated."),
    ],
    target: OutDir,
    vocab_size: Annotated[
        float | None, typer.Option(help="Fraction of the base vocabulary, or a number of tokens.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="fvt, pvt or wvt.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Recipe as JSON, where a task may name files; options go before it.",
        ),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    text_field: Annotated[str | None, typer.Option(help="Field that holds the text.")] = None,
    url: Annotated[
        str | None, typer.Option(envvar="FVT_URL", help="Running service; else one is started.")
    ] = None,
    api_key: ApiKey = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where a service that is started keeps its files and logs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compress a model for a corpus, show the figures and unpack the result."""
    check_out(target)
    check_corpus(corpus)
    folder_given = model_folder(model, url)
    base_model = folder_given.id if folder_given else model
    wanted = read_recipe(recipe, vocab_size, method, seed)
    end_on_sigterm()
    with service_for(url, api_key, data_dir, target, folder_given) as service:
        sent = service.client.upload_corpus(*corpus, text_field=text_field)
        for line in describe_corpus(sent):
            say(line)
        wanted = with_task_data(service.client, wanted)
        job = service.client.submit(base_model, sent.id, wanted, revision=revision)
        job = wait(service, job)
        if job.status != Status.SUCCEEDED:
            complain(why(job))
            raise typer.Exit(1)
        report = service.client.report(job.id)
        folder = service.client.download(job.id, target)
    if as_json:
        return print_json({"job": job.model_dump(mode="json"), "report": report})
    print_report(report)
    return say(f"The compressed model is in {folder}")


def check_corpus(paths: list[Path]) -> None:
    """Refuse files that do not make one corpus."""
    try:
        check_joinable(paths)
    except UploadError as error:
        raise typer.BadParameter(str(error), param_hint="--corpus") from error


def read_recipe(
    file: Path | None, vocab_size: float | None, method: str | None, seed: int | None
) -> dict[str, Any]:
    """The recipe to send: the file's, with the options put over it."""
    options: dict[str, Any] = {"vocab_size": vocab_size, "seed": seed}
    options = {key: value for key, value in options.items() if value is not None}
    if method:
        options["transfer"] = {"method": method}
    try:
        Recipe.model_validate(options)
        from_file = json.loads(file.read_text(encoding="utf-8")) if file else {}
        return {**dict(from_file), **options}
    except ValidationError as error:
        messages = (e["msg"].removeprefix("Value error, ") for e in error.errors())
        raise typer.BadParameter("; ".join(messages)) from error
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(f"not a JSON object: {error}", param_hint="--recipe") from error
