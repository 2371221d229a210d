"""From a model and a corpus to a queued job: what both clients do before they send."""

import hashlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import calls
from ._errors import AmbiguousIdError, FvtError, TooLargeError, UnprocessableError
from ._version import __version__
from .contract.corpora import CorpusView
from .contract.estimate import Estimate
from .contract.jobs import JobView
from .contract.recipe import TASKS, Recipe, RecoveryRecipe
from .contract.states import Status
from .steps import Retries, Steps, every_page, request
from .transfers import Corpus, OnBytes, upload

DEFAULT_URL = "http://127.0.0.1:8000"
CUT_OFF = frozenset(
    {"broken_gzip", "broken_zstd", "invalid_csv", "invalid_jsonl", "invalid_parquet", "not_utf8"}
)
"""Codes of faults that a whole corpus may seem to have where only its beginning was sent."""
BEGINNING = 1 << 20
"""Bytes of a corpus that an estimate is made from."""
MOST_TRIES = 100

StrPath = str | os.PathLike[str]
Files = StrPath | Sequence[StrPath]
RecipeLike = Recipe | Mapping[str, Any]


def base_url(url: str | None) -> str:
    """Return the URL to ask: the one given, or FVT_URL, or that of a service on this machine."""
    found = (url or os.environ.get("FVT_URL") or DEFAULT_URL).rstrip("/")
    if not found.startswith(("http://", "https://")):
        raise FvtError(f"{found!r} is not an http:// or https:// URL.")
    return found


def headers(api_key: str | None) -> dict[str, str]:
    """Return the headers of every request; the key is the one given, or FVT_API_KEY."""
    key = api_key or os.environ.get("FVT_API_KEY")
    if key and not (key.isascii() and key.isprintable()):
        raise FvtError("The key has characters that no key has: copy it again, without line ends.")
    named = {"User-Agent": f"fvt-client/{__version__}"}
    return {**named, "Authorization": f"Bearer {key}"} if key else named


def paths_of(files: Files) -> list[Path]:
    """Return the paths of one file or of several."""
    if isinstance(files, (str, os.PathLike)):
        return [Path(files)]
    return [Path(file) for file in files]


def corpus_of(files: Files, format_: str | None, text_field: str | None) -> Corpus:
    """Return files of this machine as a corpus to be sent."""
    fields = {"format": format_, "text_field": text_field}
    given = {name: value for name, value in fields.items() if value is not None}
    return Corpus(paths_of(files), given)


def id_or_files(
    corpus: Files | CorpusView, format_: str | None, text_field: str | None
) -> Corpus | str:
    """Return the id of a corpus that was sent before, or the files to be sent."""
    if isinstance(corpus, CorpusView):
        return corpus.id
    return corpus_of(corpus, format_, text_field)


def recipe_of(
    recipe: RecipeLike | None,
    vocab_size: float | Sequence[float] | None,
    target: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a recipe as it is sent: what was set, without defaults."""
    if isinstance(recipe, Recipe):
        recipe = recipe.model_dump(mode="json", exclude_unset=True)
    given = dict(recipe or {})
    if vocab_size is not None:
        given["vocab_size"] = list(vocab_size) if isinstance(vocab_size, Sequence) else vocab_size
    if target is not None:
        given["target"] = dict(target)
    return given


def with_data(recipe: dict[str, Any], retries: Retries) -> Steps[dict[str, Any]]:
    """Return the recipe with ids in place of files, which are sent.

    They are sent as records where a task names them, as text where the recovery does. What is no
    file here is left to the service, which says what is wrong with it.
    """
    recovery = recipe.get("recovery")
    if isinstance(recovery, dict) and (files := recovery_files(recovery)):
        sent = yield from _sent(files, {}, retries)
        recipe = {**recipe, "recovery": {**recovery, **sent}}
    evaluation = recipe.get("evaluation")
    task = evaluation.get("task") if isinstance(evaluation, dict) else None
    if not isinstance(evaluation, dict) or not isinstance(task, dict):
        return recipe
    sent = yield from _sent(_files(task, _parts(task)), {"format": "records"}, retries)
    return {**recipe, "evaluation": {**evaluation, "task": {**task, **sent}}}


def _sent(
    files: Mapping[str, Path], fields: dict[str, str], retries: Retries
) -> Steps[dict[str, str]]:
    """Send files as corpora; returns their ids by the same names."""
    sent: dict[str, str] = {}
    for name, file in files.items():
        corpus = Corpus([file], fields)
        try:
            sent[name] = (yield from upload(corpus, None, True, retries, ignore_bytes)).id
        except (TooLargeError, UnprocessableError) as error:
            raise error.about(f"{file}, for `{name}`") from error
    return sent


def recovery_files(recovery: Mapping[str, Any]) -> dict[str, Path]:
    """Return the files that stand in a recovery in place of ids of corpora."""
    return _files(recovery, RecoveryRecipe.data)


def _files(part: Mapping[str, Any], names: Sequence[str]) -> dict[str, Path]:
    given = {name: part.get(name) for name in names}
    return {
        name: Path(file)
        for name, file in given.items()
        if isinstance(file, (str, os.PathLike)) and Path(file).is_file()
    }


def _parts(task: Mapping[str, Any]) -> tuple[str, ...]:
    type_ = task.get("type")
    return TASKS[type_].data if isinstance(type_, str) and type_ in TASKS else ()


def ignore_bytes(_have: int, _all: int) -> None:
    """Take no notice of progress."""


def compress(  # noqa: PLR0913
    fields: Mapping[str, Any],
    corpus: Corpus | str,
    recipe: dict[str, Any],
    *,
    key: str | None,
    retries: Retries,
    on_bytes: OnBytes,
) -> Steps[tuple[JobView, bool]]:
    """Send the corpus and the other data of the recipe, and submit the job.

    `corpus` may be the id of one that was sent before. Returns the job, and whether it had been
    made before.
    """
    corpus_id = corpus if isinstance(corpus, str) else ""
    if isinstance(corpus, Corpus):
        view: CorpusView = yield from upload(corpus, None, True, retries, on_bytes)
        corpus_id = view.id
    recipe = yield from with_data(recipe, retries)
    given = {name: value for name, value in fields.items() if value is not None}
    body = {**given, "corpus_id": corpus_id, "recipe": recipe}
    return (yield from request(calls.submit_job(body, key or str(uuid.uuid4())), retries))


def submit_or_resume(
    fields: Mapping[str, Any], salt: str, retries: Retries
) -> Steps[tuple[JobView, bool]]:
    """Submit a job, or find the one that the same fields made before.

    One that failed or was cancelled is made anew. `salt` tells apart what the fields do not, such
    as the state of a folder that holds the model.
    """
    document = json.dumps([salt, fields], sort_keys=True).encode()
    key = f"fvt-{hashlib.sha256(document).hexdigest()}"
    for number in range(MOST_TRIES):
        job, replayed = yield from request(calls.submit_job(fields, f"{key}-{number}"), retries)
        if not (replayed and job.status in {Status.FAILED, Status.CANCELLED, Status.CANCELLING}):
            return job, replayed
    raise FvtError(
        f"These very fields have failed {MOST_TRIES} times, last as {job.id}: change what its "
        "error names."
    )


def estimate(
    fields: Mapping[str, Any], corpus: Corpus | str, recipe: dict[str, Any], retries: Retries
) -> Steps[Estimate]:
    """Ask what a job would do; of a file only its beginning is sent, and nothing is stored."""
    given = {name: value for name, value in fields.items() if value is not None}
    if isinstance(corpus, str):
        body = {**given, "corpus_id": corpus, "recipe": recipe}
        return (yield from request(calls.estimate(body), retries))
    beginning = corpus.beginning(BEGINNING)
    size = sum(path.stat().st_size for path in corpus.paths)
    form = {**given, **corpus.fields, "recipe": json.dumps(_without_files(recipe))}
    if size > len(beginning):
        form["corpus_bytes"] = str(size)
    call = calls.estimate_file(form, corpus.paths[0].name, beginning)
    return (yield from request(call, retries))


def _without_files(recipe: dict[str, Any]) -> dict[str, Any]:
    """Leave out what names files that are not sent yet: general text, queries, and a whole task."""
    recovery = recipe.get("recovery")
    if isinstance(recovery, dict) and (files := recovery_files(recovery)):
        left = {name: value for name, value in recovery.items() if name not in files}
        recipe = {**recipe, "recovery": left}
    evaluation = recipe.get("evaluation")
    task = evaluation.get("task") if isinstance(evaluation, dict) else None
    if not isinstance(evaluation, dict) or not isinstance(task, dict):
        return recipe
    if not _files(task, _parts(task)):
        return recipe
    left = {**recipe, "evaluation": {k: v for k, v in evaluation.items() if k != "task"}}
    for name in ("gate", "target"):
        if isinstance(judged := recipe.get(name), dict):
            # It may be about a metric of the task.
            left[name] = {k: v for k, v in judged.items() if k != "metric"}
    return left


def find_job(prefix: str, retries: Retries) -> Steps[JobView]:
    """Return the job whose id begins with `prefix`, with or without `job_`.

    Raises AmbiguousIdError where several do, or none does.
    """
    wanted = prefix if prefix.startswith("job_") else f"job_{prefix}"
    if len(wanted) >= len("job_") + 26:
        return (yield from request(calls.get_job(wanted), retries))
    jobs: list[JobView] = yield from every_page(lambda after: calls.list_jobs(None, after), retries)
    found = [job for job in jobs if job.id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise AmbiguousIdError(f"No job's id begins with {prefix!r}: `fvt jobs` lists them.")
    ids = ", ".join(job.id for job in found[:5]) + (", …" if len(found) > 5 else "")
    raise AmbiguousIdError(f"{len(found)} jobs begin with {prefix!r}: {ids}. Give more of the id.")
