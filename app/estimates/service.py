"""Make the estimate of a job out of its model's files, its corpus and what jobs took here."""

from collections.abc import Sequence

from app.base_models import catalog, hub
from app.base_models.examination import Examiner
from app.blobs import Blobs
from app.contract.errors import UserFault
from app.contract.estimate import (
    Estimate,
    EstimatedBase,
    EstimatedCorpus,
    EstimatedExport,
    EstimatedSize,
    EstimatedStage,
    Interval,
)
from app.contract.names import RUNTIMES
from app.corpora.formats.compression import Limits
from app.db import Database
from app.errors import ServiceUnavailableError
from app.estimates.beginnings import Source
from app.estimates.durations import (
    Device,
    Durations,
    Past,
    Work,
    estimate_durations,
    objectives_of,
)
from app.estimates.examination import Facts, examine
from app.estimates.history import device_of, finished_jobs
from app.estimates.sentences import basis_of, steps_of, warnings_of
from app.estimates.sizes import HubModel, SizeFacts, bytes_in
from app.jobs.schemas import JobFields
from app.jobs.validation import (
    HUB_RETRY_AFTER,
    check_base_model,
    check_has_text,
    check_layers,
    check_sizes,
    hold_corpus,
    hold_other_corpora,
)
from app.settings import Settings
from app.subprocesses import OutOfMemoryError, Subprocesses

HUB_SECONDS = 2.0
"""The hub is asked for less long than by a submission, so that the answer comes soon."""
MEMORY_BYTES = 2 << 30


class Estimator:
    """Estimates jobs; one of a running service."""

    def __init__(
        self, settings: Settings, db: Database, blobs: Blobs, subprocesses: Subprocesses
    ) -> None:
        quick = {"hub_seconds": min(settings.hub_seconds, HUB_SECONDS)}
        self._settings = settings.model_copy(update=quick)
        self._db, self._blobs, self._subprocesses = db, blobs, subprocesses

    def check(self, fields: JobFields, examiner: Examiner) -> None:
        """Refuse what `POST /v1/jobs` refuses of the model and the recipe."""
        check_base_model(fields, self._settings, examiner)

    def stored(self, fields: JobFields, corpus_id: str | None) -> Source | None:
        """Find the corpus of this id and the recipe's; refuses those that cannot be read."""
        with self._db.read() as session:
            corpus = hold_corpus(session, corpus_id) if corpus_id is not None else None
            hold_other_corpora(session, fields.recipe, corpus)
        if corpus is None:
            return None
        check_has_text(corpus.format)
        return Source(
            size=corpus.bytes,
            layout=corpus.layout,
            url=self._blobs.url,
            key=corpus.blob_key,
            documents=corpus.documents,
            characters=corpus.characters,
        )

    def estimate(self, fields: JobFields, source: Source) -> Estimate:
        """Estimate a job that was checked; raises `UserFault` for a corpus that cannot be read."""
        recipe, settings = fields.recipe, self._settings
        facts = self._facts(fields, source)
        if facts.model.from_hub:
            check_sizes(fields, facts.model.vocab_size)
            check_layers(fields.base_model, facts.model.layers, recipe.recovery)
        work = _work_of(fields, facts, settings)
        past, device = self._history(work.objectives)
        durations = estimate_durations(work, past, device or "cpu")
        minutes = Interval(
            **{
                name: round(seconds / 60, 2)
                for name, seconds in (
                    ("value", durations.value),
                    ("low", durations.low),
                    ("high", durations.high),
                )
            }
        )
        return Estimate(
            base=_base_of(fields, facts),
            corpus=EstimatedCorpus(
                documents=facts.corpus.documents,
                bytes=source.size,
                is_sample=facts.corpus.is_sample,
                language=facts.corpus.language,
            ),
            sizes=_sizes_of(fields, facts),
            minutes=minutes,
            stages=_stages_of(durations),
            basis=basis_of(len(past), device),
            steps=steps_of(recipe, facts, work, device or "cpu"),
            warnings=warnings_of(work, facts, minutes.value, device),
        )

    def _facts(self, fields: JobFields, source: Source) -> Facts:
        settings, recipe = self._settings, fields.recipe
        folder = catalog.folder_of(fields.base_model, settings)
        model = folder or self._hub_model(fields)
        asked = Limits.of(settings), recipe
        if self._blobs.url.startswith("memory:"):
            return examine(model, source, *asked)
        try:
            return self._subprocesses.run(MEMORY_BYTES, examine, model, source, *asked)
        except OutOfMemoryError as error:
            raise UserFault(
                "corpus_needs_memory",
                f"A row or a page of the corpus takes more than {MEMORY_BYTES >> 20} MiB of memory "
                "to be read. Cut long rows, write Parquet in smaller row groups, or send plain "
                "text.",
            ) from error

    def _hub_model(self, fields: JobFields) -> HubModel:
        most = self._settings.max_model_bytes
        try:
            return HubModel(
                *hub.read_headers(fields.base_model, fields.revision, HUB_SECONDS, most)
            )
        except catalog.HubUnreachableError as error:
            headers = {"Retry-After": HUB_RETRY_AFTER}
            raise ServiceUnavailableError("hub_unreachable", str(error), headers=headers) from error

    def _history(self, usual: Sequence[str]) -> tuple[list[Past], Device | None]:
        with self._db.read() as session:
            past, newest = finished_jobs(session, self._settings.max_recovery_minutes, usual)
        if self._settings.device != "auto":
            return past, self._settings.device
        return past, device_of(self._blobs, newest)


def _work_of(fields: JobFields, facts: Facts, settings: Settings) -> Work:
    model, recipe = facts.model, fields.recipe
    objectives = objectives_of(recipe, model.role, model.architecture)
    has_general = settings.general_text != "none" or recipe.recovery.general_corpus_id
    tokens = [size.value for size in facts.tokens.sizes]
    return Work(
        recipe=recipe,
        objectives=objectives,
        base=(model.weights.parameters, model.weights.table_parameters),
        sizes=[(size.weights.parameters, size.weights.table_parameters) for size in model.sizes],
        documents=facts.corpus.documents,
        characters=facts.corpus.characters,
        tokens=sum(tokens) / max(1, len(tokens)),
        weighed=[size.weighed for size in model.sizes],
        most_minutes=settings.max_recovery_minutes,
        general_share=recipe.recovery.share_of_general_text if objectives and has_general else 0.0,
    )


def _base_of(fields: JobFields, facts: Facts) -> EstimatedBase:
    model = facts.model
    return EstimatedBase(
        id=fields.base_model,
        architecture=model.architecture,
        parameters=model.weights.parameters,
        bytes=model.weights.bytes,
        vocab_size=model.vocab_size,
        layers=model.layers,
    )


def _sizes_of(fields: JobFields, facts: Facts) -> list[EstimatedSize]:
    return [
        EstimatedSize(
            vocab_size=size.vocab_size,
            layers=size.layers,
            parameters=size.weights.parameters,
            bytes=size.weights.bytes,
            exports=_exports_of(fields, size),
            weighed=size.weighed,
            tokens_per_text=Interval(value=tokens.value, low=tokens.low, high=tokens.high),
            base_tokens_per_text=tokens.base,
        )
        for size, tokens in zip(facts.model.sizes, facts.tokens.sizes, strict=True)
    ]


def _exports_of(fields: JobFields, size: SizeFacts) -> list[EstimatedExport]:
    rows = [RUNTIMES[name] for name in fields.recipe.runtimes_with(size.weighed)]
    return [
        EstimatedExport(
            runtime=row.name,
            precision=row.dtype,
            bytes=bytes_in(row.name, size),
        )
        for row in rows
    ]


def _stages_of(durations: Durations) -> list[EstimatedStage]:
    return [EstimatedStage(stage=name, seconds=s) for name, s in durations.stages.items()]
