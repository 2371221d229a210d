"""Choose the queries that the last steps of a recovery train on."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from worker.compression.corpus import Texts
from worker.compression.errors import CorpusEmptyError
from worker.compression.models.reading import TextReader
from worker.compression.models.traits import ModelTraits
from worker.compression.progress import Progress, silent
from worker.compression.recovery.data import MAX_GENERAL_CHARACTERS, Documents, sample_documents
from worker.compression.recovery.objectives.objective import Objective
from worker.compression.recovery.options import RecoveryOptions
from worker.compression.recovery.pseudo_queries import pseudo_queries

MADE = "made of the documents"
GIVEN = "given"
_NOT_FOR_IT = (
    "Queries were asked for, and none was trained on: only a sentence encoder that is distilled "
    "from its base learns from a query by itself."
)
_NONE_LEFT = (
    "Queries were given, and none was trained on: there was none that is not a held-out document."
)
_NO_STEP = (
    "Queries were asked for, and none was trained on: their share of the {steps:,} steps is less "
    "than one. Give more of `max_steps`, `epochs` or texts."
)
_NONE_MADE = (
    "Queries were asked for, and none was trained on: the documents gave none to make them of."
)


@dataclass(frozen=True)
class Queries:
    """Hold queries to train on, those of the held-out loss, and where they are from.

    ``source`` is ``MADE`` or ``GIVEN``, None where none were asked for; ``warning`` says why there
    are none, where some were.
    """

    training: Sequence[str] = ()
    held_out: Sequence[str] = ()
    source: str | None = None
    warning: str | None = field(default=None, kw_only=True)


def choose_queries(  # noqa: PLR0913, PLR0917
    options: RecoveryOptions,
    traits: ModelTraits,
    objectives: Sequence[Objective],
    reader: TextReader,
    documents: Documents,
    given: Texts | None,
    seed: int,
    progress: Progress = silent,
) -> Queries:
    """Return the given queries, else such as are made of the documents where that is asked for.

    Those of the held-out loss are a few of the given, and made of the held-out documents else. A
    query that is such a document is left out.
    """
    if given is None and not options.pseudo_queries:
        return Queries()
    if not traits.is_sentence_encoder or not all(one.learns_queries for one in objectives):
        return Queries(warning=_NOT_FOR_IT)
    if given is None:
        held_out = {*documents.held_out}
        made = [
            text
            for text in pseudo_queries(documents.training, seed, progress)
            if text not in held_out
        ]
        trained = {*made}
        others = [t for t in pseudo_queries(documents.held_out, seed) if t not in trained]
        return Queries(made, others, MADE) if made else Queries(warning=_NONE_MADE)
    left_out = {*documents.held_out}
    try:
        kept = sample_documents(
            lambda: (text for text in reader.cut_all(given()) if text not in left_out),
            seed,
            progress,
            MAX_GENERAL_CHARACTERS,
        )
    except CorpusEmptyError:
        return Queries(warning=_NONE_LEFT)
    return Queries(kept.training, kept.held_out, GIVEN)


def unless_unused(queries: Queries, steps: int, query_steps: int) -> Queries:
    """Return the queries, or none and the reason where the plan has no step on them."""
    if query_steps or not queries.training:
        return queries
    return Queries(warning=_NO_STEP.format(steps=steps))
