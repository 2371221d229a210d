"""Retrieval by queries of one model in the documents' vectors of another, against numpy."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from worker.compression.evaluation.intervals import Array
from worker.compression.evaluation.tasks.scores import compare, quality_rows, summarize
from worker.compression.evaluation.tasks.vectors import (
    INDEX_METRICS,
    RETRIEVAL_METRICS,
    Index,
    retrieval_scores,
)

DOCUMENTS, QUERIES = 25, 9
TEXTS = {f"d{n}": f"document {n}" for n in range(DOCUMENTS)}
ASKED = {f"q{n}": f"query {n}" for n in range(QUERIES)}


class Vectors:
    """An encoder whose vectors are given, and which keeps the texts that it was asked for."""

    def __init__(self, of_documents: Array, of_queries: Array) -> None:
        self.of_documents, self.of_queries = of_documents, of_queries
        texts = [*TEXTS.values(), *ASKED.values()]
        self._by_text = dict(zip(texts, np.concatenate([of_documents, of_queries]), strict=True))
        self.read = list[str]()

    def vectors(self, texts: Sequence[str]) -> Tensor:
        self.read.extend(texts)
        return torch.tensor(np.stack([self._by_text[text] for text in texts]))


def pair_of_models(seed: int, noise: float) -> tuple[Vectors, Vectors]:
    """A base, and a model whose vectors are the base's with noise."""
    draw = np.random.default_rng(seed)
    documents, queries = draw.normal(size=(DOCUMENTS, 6)), draw.normal(size=(QUERIES, 6))
    other = [one + noise * draw.normal(size=one.shape) for one in (documents, queries)]
    return Vectors(documents, queries), Vectors(other[0], other[1])


def judged(seed: int) -> dict[str, dict[str, int]]:
    """Grades of 0 to 3 for eight documents a query, one of them 2 at least."""
    draw = np.random.default_rng(seed)
    found = {}
    for query in ASKED:
        names = draw.choice(list(TEXTS), size=8, replace=False).tolist()
        grades = [2, *draw.integers(0, 4, size=7).tolist()]
        found[query] = dict(zip(names, grades, strict=True))
    return found


def by_numpy(
    queries: Array, documents: Array, judgements: Mapping[str, Mapping[str, int]]
) -> dict[str, float]:
    """NDCG@10 with grades as gains, recall@10 and the mean reciprocal rank, by definition."""
    sums = np.zeros(3)
    for query, vector in zip(ASKED, queries, strict=True):
        cosines = documents @ vector / np.linalg.norm(documents, axis=1)
        grades = np.array([judgements[query].get(name, 0) for name in TEXTS])
        ranked = grades[np.argsort(-cosines)]
        discounts = 1 / np.log2(np.arange(2, 12))
        best = np.sort(grades)[::-1][:10] @ discounts
        found = ranked[:10] > 0
        sums += (
            ranked[:10] @ discounts / best,
            found.sum() / (grades > 0).sum(),
            1 / (1 + np.argmax(ranked > 0)),
        )
    return dict(zip(RETRIEVAL_METRICS, sums / len(queries), strict=True))


@settings(max_examples=25)
@given(st.integers(0, 1 << 32), st.floats(0, 5))
def test_queries_of_a_model_are_searched_in_the_bases_documents(seed: int, noise: float) -> None:
    base, result = pair_of_models(seed, noise)
    judgements, index = judged(seed), Index()
    before = retrieval_scores(base, TEXTS, ASKED, judgements, index=index)
    after = retrieval_scores(result, TEXTS, ASKED, judgements, index=index)
    assert list(after) == list(before) == [*RETRIEVAL_METRICS, *INDEX_METRICS]
    own = by_numpy(result.of_queries, result.of_documents, judgements)
    stays = by_numpy(result.of_queries, base.of_documents, judgements)
    assert after == pytest.approx(own | {f"index_{name}": value for name, value in stays.items()})
    expected = by_numpy(base.of_queries, base.of_documents, judgements)
    assert before == pytest.approx(
        expected | {f"index_{name}": value for name, value in expected.items()}
    )


def test_each_model_reads_each_text_once() -> None:
    base, *results = [model for seed in (1, 2) for model in pair_of_models(seed, 0.5)]
    judgements, index = judged(0), Index()
    for model in (base, *results):
        retrieval_scores(model, TEXTS, ASKED, judgements, index=index)
        assert sorted(model.read) == sorted([*TEXTS.values(), *ASKED.values()])
    assert index.vectors is not None
    unit = base.of_documents / np.linalg.norm(base.of_documents, axis=1, keepdims=True)
    np.testing.assert_allclose(index.vectors.numpy(), unit)


def test_the_rows_have_what_is_kept_with_intervals() -> None:
    base, result = pair_of_models(3, 0.8)
    judgements, index = judged(3), Index()
    before, after = (
        summarize([retrieval_scores(model, TEXTS, ASKED, judgements, index=index)])
        for model in (base, result)
    )
    rows = {row.metric: row for row in quality_rows(compare("retrieval", before, after))}
    assert list(rows) == [*RETRIEVAL_METRICS, *INDEX_METRICS]
    for name in RETRIEVAL_METRICS:
        own, stays = rows[name], rows[f"index_{name}"]
        assert stays.before == own.before
        assert stays.retention == stays.after / stays.before
        assert stays.items == QUERIES
        assert stays.low is not None
        assert stays.high is not None
        assert stays.low <= stays.retention <= stays.high
    assert rows["index_ndcg_at_10"].after != rows["ndcg_at_10"].after


def test_an_index_of_another_width_has_no_rows() -> None:
    base, _ = pair_of_models(4, 0)
    draw = np.random.default_rng(4)
    wide = Vectors(draw.normal(size=(DOCUMENTS, 8)), draw.normal(size=(QUERIES, 8)))
    judgements, index = judged(4), Index()
    before, after = (
        summarize([retrieval_scores(model, TEXTS, ASKED, judgements, index=index)])
        for model in (base, wide)
    )
    task = compare("retrieval", before, after)
    assert list(task.scores) == list(RETRIEVAL_METRICS)
