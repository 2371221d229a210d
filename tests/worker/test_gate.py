from typing import Any

import pytest

from app.contract.errors import UserFault
from app.contract.recipe import GateRecipe, Recipe
from app.contract.report import ModelSize, Quality, Scores, TaskQuality, TokenUsage
from app.contract.results import EvaluatedSize
from worker.gate import check_metric, choose, gate_error, misses

TOKENS = TokenUsage(
    texts=1,
    special_per_text=2,
    per_text_before=2.0,
    per_text_after=1.0,
    unk_rate_before=0.0,
    unk_rate_after=0.0,
)


def quality(metric: str, retention: float) -> Quality:
    return Quality(metric=metric, before=1.0, after=retention, retention=retention)


def measured(tokens: int, retention: float | None, size: int) -> EvaluatedSize:
    kept = [] if retention is None else [quality("first", retention), quality("second", 0.0)]
    compressed = ModelSize(vocab_size=tokens, parameters=2, embedding_parameters=1, bytes=size)
    return EvaluatedSize(
        compressed=compressed,
        tokens=TOKENS,
        examples=[],
        quality=kept,
        exports=[],
        latency=[],
        memory=[],
    )


SIZES = [measured(200, 0.9, 20), measured(300, 0.95, 30), measured(100, 0.8, 10)]


@pytest.mark.parametrize(
    ("gate", "chosen", "fails"),
    [
        (GateRecipe(), 200, False),
        (GateRecipe(min_quality=0.7), 100, False),
        (GateRecipe(min_quality=0.9), 200, False),
        (GateRecipe(min_quality=0.92), 300, False),
        (GateRecipe(min_quality=0.92, max_bytes=29), 200, True),
        (GateRecipe(max_bytes=20), 100, False),
        (GateRecipe(max_bytes=9), 200, True),
    ],
)
def test_the_smallest_that_passes_is_chosen(gate: GateRecipe, chosen: int, fails: bool) -> None:
    assert choose(gate, SIZES).vocab_size == chosen
    error = gate_error(gate, SIZES)
    assert (error is not None) == fails
    if error:
        assert (error.type, error.code, error.retryable) == ("user", "gate_not_met", False)


def test_what_is_missed_is_said_with_its_figures() -> None:
    found = misses(GateRecipe(min_quality=0.95, max_bytes=19), SIZES[0])
    assert found == [
        "first keeps 0.9000 of the base's, but at least 0.95 was asked for",
        "the weights have 20 bytes, but at most 19 were asked for",
    ]


def test_without_a_metric_no_quality_is_reached() -> None:
    assert misses(GateRecipe(min_quality=0.1), measured(100, None, 1)) == [
        "no quality could be measured"
    ]
    assert not misses(GateRecipe(max_bytes=1), measured(100, None, 1))


def test_the_gate_is_about_the_metric_that_it_names() -> None:
    gate = GateRecipe(min_quality=0.5, metric="spearman")
    both = [*SIZES[0].quality, quality("spearman", 0.25)]
    named = SIZES[0].model_copy(update={"quality": both})
    missed = ["spearman keeps 0.2500 of the base's, but at least 0.5 was asked for"]
    assert misses(gate, named) == missed
    below = named.model_copy(update={"quality": [quality("spearman", -0.25)]})
    assert misses(gate, below)[0].startswith("spearman keeps nothing of the base's")
    assert misses(gate, SIZES[0]) == ["spearman could not be measured"]
    assert misses(gate, measured(1, None, 1)) == ["spearman could not be measured"]


def test_of_a_base_that_cannot_do_the_task_nothing_is_kept() -> None:
    nothing = Scores(values=[0.0], mean=0.0, spread=0.0)
    task = TaskQuality(
        type="token_classification",
        metric="entity_f1",
        seeds=1,
        before=nothing,
        after=nothing,
        retention=None,
    )
    for gate in (GateRecipe(min_quality=0.5), GateRecipe(min_quality=0.5, metric="entity_f1")):
        found = misses(gate, SIZES[0].model_copy(update={"task": task}))
        assert found == ["the base scores 0.0000 in entity_f1, of which none is kept"]


TASK = {"type": "sentence_pairs", "pairs": "corpus_a"}
FOUND = {"type": "retrieval", "documents": "a", "queries": "b", "judgements": "c"}
MEASURED = ["sentence_cosine", "neighbour_overlap_10", "index_overlap_10"]


@pytest.mark.parametrize(
    ("metric", "task", "says"),
    [
        ("sentence_cosine", None, None),
        ("neighbour_overlap_10", TASK, None),
        ("spearman", TASK, None),
        ("index_overlap_10", None, None),
        ("index_ndcg_at_10", FOUND, None),
        ("index_ndcg_at_10", TASK, "by the task `retrieval`"),
        (None, None, None),
        ("spearman", None, "by the task `sentence_pairs`: give one"),
        ("macro_f1", TASK, "by the task `sequence_classification`"),
        ("causal_lm_bits_per_character", TASK, "but `sentence_cosine`, `neighbour_overlap_10`"),
    ],
)
def test_a_metric_that_will_not_be_measured_is_refused(
    metric: str | None, task: dict[str, Any] | None, says: str | None
) -> None:
    gate = {"min_quality": 0.9, "metric": metric}
    recipe = Recipe.model_validate({"evaluation": {"task": task}, "gate": gate})
    if says is None:
        check_metric(recipe, MEASURED)
        return
    with pytest.raises(UserFault, match=says) as refusal:
        check_metric(recipe, MEASURED)
    assert refusal.value.code == "gate_metric_not_measured"
