"""`fvt compress`: from a base model and a corpus to a folder with the compressed model."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import submission
from ..errors import (
    DownloadError,
    IncompatibleServiceError,
    ProblemError,
    ServerError,
    UploadError,
)
from ..transfers import check_joinable, check_target
from . import recipes
from .local import needed
from .model_folder import ModelFolder, model_folder
from .options import ApiKey, AsJson, OptionalUrl
from .output import describe_corpus, describe_estimate, err, print_json, print_report, say, show
from .session import (
    Session,
    cancel_others,
    end_on_sigterm,
    finish,
    local_session,
    scratch_session,
    session_at,
)

Model = Annotated[
    str,
    typer.Option(help="Base model, as `fvt models` lists it, or without --url a folder of yours."),
]
CorpusFiles = Annotated[
    list[Path],
    typer.Option(exists=True, dir_okay=False, help="Text of the domain; may be repeated."),
]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")]
TextField = Annotated[str | None, typer.Option(help="Field that holds the text.")]


def compress(
    *,
    model: Model,
    corpus: CorpusFiles,
    target: Annotated[
        Path | None,
        typer.Option("--out", file_okay=False, help="Folder to make; not there yet, or empty."),
    ] = None,
    vocab_size: recipes.VocabSize = None,
    sweep: recipes.Sweep = None,
    preset: recipes.Preset = None,
    layers: recipes.Layers = None,
    max_minutes: recipes.MaxMinutes = None,
    int8: recipes.Int8 = False,
    int4: recipes.Int4 = False,
    onnx: recipes.Onnx = False,
    openvino: recipes.OpenVino = False,
    openvino_int8: recipes.OpenVinoInt8 = False,
    static: recipes.Static = False,
    task: recipes.Task = None,
    min_quality: recipes.MinQuality = None,
    target_bytes: recipes.TargetBytes = None,
    target_ms: recipes.TargetMs = None,
    runtime: recipes.TargetRuntime = None,
    method: recipes.Method = None,
    seed: recipes.Seed = None,
    general_text: recipes.GeneralText = None,
    general_share: recipes.GeneralShare = None,
    queries: recipes.Queries = None,
    pseudo_queries: recipes.PseudoQueries = False,
    recipe: recipes.RecipeFile = None,
    revision: Revision = None,
    text_field: TextField = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and leave it to the service.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Make a new job, though the same command made one.")
    ] = False,
    url: OptionalUrl = None,
    api_key: ApiKey = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where a service that is started keeps its files and logs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compress a model for a corpus, show the figures and unpack the result.

    Interrupted, the same command goes on where it was.
    """
    _check_usage(corpus, target, url, detach=detach)
    folder = model_folder(model, url)
    wanted = recipes.read_recipe(
        recipe,
        vocab_size=vocab_size,
        sweep=sweep,
        preset=preset,
        layers=layers,
        max_minutes=max_minutes,
        general_text=general_text,
        general_share=general_share,
        queries=queries,
        pseudo_queries=pseudo_queries,
        int8=int8,
        int4=int4,
        onnx=onnx,
        openvino=openvino,
        openvino_int8=openvino_int8,
        static=static,
        task=task,
        min_quality=min_quality,
        target_bytes=target_bytes,
        target_ms=target_ms,
        runtime=runtime,
        method=method,
        seed=seed,
    )
    knows_more = url is not None or recipes.has_extensions()
    recipes.check_recipe(wanted, service_knows_more=knows_more)
    end_on_sigterm()
    fields = {"base_model": folder.id if folder else model, "revision": revision}
    with _session(url, api_key, data_dir, target, folder) as session:
        _consult(session, fields, corpus, wanted, text_field)
        fields = _sent(session, fields, corpus, wanted, text_field)
        job = session.submit(fields, again=again)
        if detach:
            return print_json(job) if as_json else show(job.id)
        if url is None and data_dir is None:
            cancel_others(session, job)
        job = session.wait(job)
        finish(session.client, job)
        report = session.client.report(job.id)
        assert target is not None
        made = session.client.download(job.id, target, progress=_bar_wanted())
    if as_json:
        return print_json({"job": job, "report": report, "folder": str(made)})
    print_report(report)
    return say(f"The compressed model is in {made}")


def _check_usage(corpus: list[Path], target: Path | None, url: str | None, *, detach: bool) -> None:
    if detach and url is None:
        raise typer.BadParameter(
            "a job that is left alone needs a service that stays: start one with `fvt up`, and "
            "give its --url",
            param_hint="--detach",
        )
    if target is None and not detach:
        raise typer.BadParameter("name the folder for the result", param_hint="--out")
    if target is not None:
        try:
            check_target(target)
        except DownloadError as error:
            raise typer.BadParameter(str(error), param_hint="--out") from error
    try:
        check_joinable(corpus)
    except UploadError as error:
        raise typer.BadParameter(str(error), param_hint="--corpus") from error


def _session(
    url: str | None,
    api_key: str | None,
    data_dir: Path | None,
    target: Path | None,
    folder: ModelFolder | None,
) -> AbstractContextManager[Session]:
    if url is not None:
        return session_at(url, api_key)
    needed()
    if data_dir is not None:
        return local_session(data_dir, folder)
    assert target is not None
    return scratch_session(target, folder)


def _consult(
    session: Session,
    fields: dict[str, Any],
    corpus: list[Path],
    recipe: dict[str, Any],
    text_field: str | None,
) -> None:
    """Have the service look at model, recipe and the corpus's beginning, before all is sent."""
    try:
        estimate = session.client.estimate(
            fields["base_model"],
            corpus,
            recipe=recipe,
            revision=fields["revision"],
            text_field=text_field,
        )
    except IncompatibleServiceError:
        # One that has no estimates says what is wrong when it has the corpus.
        recipes.check_recipe(recipe, service_knows_more=recipes.has_extensions())
        return
    except ProblemError as error:
        is_cut = sum(path.stat().st_size for path in corpus) > submission.BEGINNING
        if isinstance(error, ServerError) or (is_cut and error.code in submission.CUT_OFF):
            say("There is no estimate for this corpus.")
            return
        raise
    for line in describe_estimate(estimate):
        say(line)
    for warning in estimate.warnings:
        say(f"Note: {warning.message}")


def _sent(
    session: Session,
    fields: dict[str, Any],
    corpus: list[Path],
    recipe: dict[str, Any],
    text_field: str | None,
) -> dict[str, Any]:
    """Send the corpus and the recipe's other data; returns the fields of the job."""
    client = session.client
    view = client.upload(corpus, text_field=text_field, progress=_bar_wanted())
    for line in describe_corpus(view):
        say(line)
    recipe = client.run(submission.with_data(recipe, client.retries))
    return {**fields, "corpus_id": view.id, "recipe": recipe}


def _bar_wanted() -> bool:
    return err.is_terminal
