"""`fvt models` and `fvt estimate`: what can be compressed, and what would come of it."""

from typing import Annotated

import typer

from . import recipes
from .compress import CorpusFiles, Revision, TextField
from .options import LOCAL_URL, ApiKey, AsJson, ServiceUrl, connect
from .output import describe_estimate, print_json, say, show

Model = Annotated[str, typer.Option(help="Base model, as `fvt models` lists it.")]


def models(url: ServiceUrl = LOCAL_URL, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """List the base models that the service can compress."""
    with connect(url, api_key) as client:
        found = client.models()
    if as_json:
        return print_json(found)
    for model in found:
        if model.usable:
            show(model.id)
        elif model.problem:
            say(f"{model.id} cannot be compressed: {model.problem.message}")
    return None


def estimate(
    *,
    model: Model,
    corpus: CorpusFiles,
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
    url: ServiceUrl = LOCAL_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Say what a job would make and how long it would take; nothing is stored."""
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
    recipes.check_recipe(wanted, service_knows_more=True)
    with connect(url, api_key) as client:
        found = client.estimate(
            model, corpus, recipe=wanted, revision=revision, text_field=text_field
        )
    if as_json:
        return print_json(found)
    for line in describe_estimate(found):
        show(line)
    for warning in found.warnings:
        say(f"Note: {warning.message}")
    return None
