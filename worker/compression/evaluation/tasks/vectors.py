"""Retrieval with judgements: nDCG@10 of the sentence vectors, without any training."""

from collections.abc import Mapping, Sequence
from statistics import mean

import pytrec_eval
import torch
from scipy.stats import spearmanr
from torch.nn.functional import cosine_similarity, normalize

from worker.compression.errors import TaskDataError
from worker.compression.models.encoder import Encoder, SentenceEncoder, sentence_vectors
from worker.compression.progress import Progress, part, silent

_RETURNED = 100
_AT_ONCE = 64
"""Queries against all documents: their scores are held at once."""

Texts = Mapping[str, str]
Judgements = Mapping[str, Mapping[str, int]]
"""Of a query's id, the grades of documents by their ids."""


def check_judgements(documents: Texts, queries: Texts, judgements: Judgements) -> None:
    """Refuse judgements that no ranking could be scored by.

    Raises:
        TaskDataError: they name a query or a document that is not there, or nothing is relevant.

    """
    named = {document for grades in judgements.values() for document in grades}
    for what, ids, known in (
        ("queries", judgements.keys(), queries),
        ("documents", named, documents),
    ):
        if unknown := sorted(set(ids) - known.keys()):
            raise TaskDataError(
                f"The judgements name {len(unknown)} {what} that are not given, such as "
                f"{unknown[0][:80]!r}: give them, or leave their judgements out."
            )
    if not any(grade > 0 for grades in judgements.values() for grade in grades.values()):
        raise TaskDataError("No document is relevant to any query: give judgements above 0.")


def retrieval_score(
    encoder: SentenceEncoder,
    documents: Texts,
    queries: Texts,
    judgements: Judgements,
    progress: Progress | None = None,
) -> float:
    """Return nDCG@10, a mean over the queries that have a relevant document."""
    check_judgements(documents, queries, judgements)
    progress = progress or silent
    judged = {q: dict(grades) for q, grades in judgements.items() if max(grades.values()) > 0}
    rows = _unit(encoder, [queries[query] for query in judged], part(progress, 0, 0.2))
    columns = _unit(encoder, list(documents.values()), part(progress, 0.2, 0.9))
    ids, names = list(documents), list(judged)
    run = dict[str, dict[str, float]]()
    for start in range(0, len(names), _AT_ONCE):
        part(progress, 0.9, 1)(start / len(names), f"{start} of {len(names)} queries ranked")
        own = names[start : start + _AT_ONCE]
        best = (rows[start : start + _AT_ONCE] @ columns.T).topk(min(_RETURNED, len(ids)))
        ranked = zip(own, best.indices.tolist(), best.values.tolist(), strict=True)
        for query, places, values in ranked:
            run[query] = {ids[place]: value for place, value in zip(places, values, strict=True)}
    found = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10"}).evaluate(run)
    return mean(scores["ndcg_cut_10"] for scores in found.values())


def _unit(encoder: SentenceEncoder, texts: Sequence[str], progress: Progress) -> torch.Tensor:
    return normalize(sentence_vectors(encoder, texts, progress))


Pair = tuple[str, str, float]
"""Two texts and how alike they are."""
_FEWEST = 3


def check_pairs(pairs: Sequence[Pair]) -> None:
    """Refuse pairs that have no order.

    Raises:
        TaskDataError: there are too few pairs, or all have one grade.

    """
    grades = {grade for _, _, grade in pairs}
    if len(pairs) < _FEWEST or len(grades) == 1:
        raise TaskDataError(
            f"{len(pairs)} pairs with {len(grades)} different grades cannot be ranked: give "
            f"at least {_FEWEST} pairs, of different likeness."
        )


def pair_score(encoder: Encoder, pairs: Sequence[Pair], progress: Progress | None = None) -> float:
    """Return Spearman's correlation of grades and cosines, 0 where all cosines are the same."""
    check_pairs(pairs)
    progress = progress or silent
    first = sentence_vectors(encoder, [one for one, _, _ in pairs], part(progress, 0, 0.5))
    second = sentence_vectors(encoder, [other for _, other, _ in pairs], part(progress, 0.5, 1))
    cosines = cosine_similarity(first, second).tolist()
    if len(set(cosines)) == 1:
        return 0.0
    return float(spearmanr([grade for _, _, grade in pairs], cosines).statistic)
