"""Tasks on tiny models: what can be learned is learned, and metrics are those of the definition."""

import math
from pathlib import Path
from typing import Any

import pytest

from tests.compression.matrix_models import KINDS
from tests.compression.matrix_tokenizers import tokenizer_pair
from worker.compression import LoadedModel, TaskDataError, load_model, save_model
from worker.compression.evaluation.encoding import Encoder
from worker.compression.evaluation.tasks.classification import classification_score
from worker.compression.evaluation.tasks.finetuning import Protocol
from worker.compression.evaluation.tasks.pairs import pair_score
from worker.compression.evaluation.tasks.retrieval import retrieval_score
from worker.compression.evaluation.tasks.scores import compare, summary
from worker.compression.evaluation.tasks.tagging import first_tokens, tagging_score

QUICK = Protocol(epochs=30, batch_size=8, learning_rate=1e-2, max_length=32)
GOOD, BAD = ["no effect was seen", "the patient is well"], ["a severe rash", "nausea and seizures"]
TRAIN = [(text, label) for label, found in (("good", GOOD), ("bad", BAD)) for text in found * 8]
TAGGED = [(["Anna", "met", "Bo"], ["B-PER", "O", "B-PER"]), (["it", "is", "a", "rash"], ["O"] * 4)]


@pytest.fixture(params=["BertConfig", "RobertaConfig"], scope="module")
def tiny(request: Any, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    kind = next(kind for kind in KINDS if kind.config == request.param)
    folder: Path = tmp_path_factory.mktemp(request.param)
    tokenizer, _ = tokenizer_pair(kind.family)
    save_model(folder, kind.make(kind.classes[0], tokenizer), tokenizer)
    return load_model(folder)


def test_what_can_be_learned_is_learned_and_repeats(tiny: LoadedModel) -> None:
    scores = [
        classification_score(tiny, TRAIN, TRAIN[::4], seed=1, protocol=QUICK) for _ in range(2)
    ]
    assert scores[0] == scores[1] > 0.9


def test_entities_can_be_learned(tiny: LoadedModel) -> None:
    assert tagging_score(tiny, TAGGED * 16, TAGGED, protocol=QUICK) > 0.9


def test_tokens_may_be_parts_of_words_or_span_them() -> None:
    words = ["New", "York", "is"]
    assert first_tokens(words, [(0, 0), (0, 2), (2, 3), (3, 8), (9, 11)]) == {0: 1, 1: 3, 2: 4}
    assert first_tokens(words, [(0, 8), (8, 11)]) == {0: 0, 1: 0, 2: 1}
    assert first_tokens(words, [(0, 3)]) == {0: 0}


def test_ndcg_is_that_of_the_definition(minilm: LoadedModel) -> None:
    documents = {
        "d1": "A rash after ibuprofen.",
        "d2": "The stock market fell.",
        "d3": "A skin rash.",
    }
    queries = {"q": "rash", "unjudged": "nothing"}
    grades = {"q": {"d2": 1, "d1": 2}}
    encoder = Encoder(minilm)
    found = retrieval_score(encoder, documents, queries, grades)
    # Of the three, the two on rashes come first; d2 is last.
    ideal = 2 + 1 / math.log2(3)
    possible = {(2 / math.log2(place + 1) + 1 / math.log2(4)) / ideal for place in (1, 2)}
    assert min(abs(found - value) for value in possible) < 1e-6


@pytest.mark.parametrize(
    ("grades", "named"),
    [({"x": {"d": 1}}, "'x'"), ({"q": {"y": 1}}, "'y'"), ({"q": {"d": 0}}, "No document")],
)
def test_judgements_of_nothing_are_refused(
    tiny: LoadedModel, grades: dict[str, dict[str, int]], named: str
) -> None:
    with pytest.raises(TaskDataError, match=named):
        retrieval_score(Encoder(tiny), {"d": "a"}, {"q": "b"}, grades)


def test_likeness_goes_with_the_cosine(minilm: LoadedModel) -> None:
    pairs = [
        ("A rash.", "A skin rash.", 5.0),
        ("A rash.", "The patient had nausea.", 3.0),
        ("A rash.", "The stock market fell.", 0.0),
    ]
    encoder = Encoder(minilm)
    assert pair_score(encoder, pairs) == pytest.approx(1)
    assert pair_score(encoder, [(a, b, -grade) for a, b, grade in pairs]) == pytest.approx(-1)
    with pytest.raises(TaskDataError, match="1 different grades"):
        pair_score(encoder, [(a, b, 1.0) for a, b, _ in pairs])


@pytest.mark.parametrize(
    ("train", "test", "named"),
    [
        ([("a", "x")], TRAIN, "train part has 1"),
        (TRAIN, [("a", "good")], "test part has 1"),
        (TRAIN, [*TRAIN, ("a", "new")], "'new'"),
        (TRAIN, [], "test part has 0"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(
    tiny: LoadedModel, train: Any, test: Any, named: str
) -> None:
    with pytest.raises(TaskDataError, match=named):
        classification_score(tiny, train, test)


@pytest.mark.parametrize(
    ("train", "test", "named"),
    [
        ([(["a", "b"], ["O"])], TAGGED, "2 words and 1 tags"),
        ([(["a"], ["O"])], TAGGED, "train part has no entity"),
        (TAGGED, [(["a"], ["B-LOC"])], "'B-LOC'"),
    ],
)
def test_tags_that_do_not_align_are_refused(
    tiny: LoadedModel, train: Any, test: Any, named: str
) -> None:
    with pytest.raises(TaskDataError, match=named):
        tagging_score(tiny, train, test)


def test_both_models_are_scored_with_the_same_seeds(tiny: LoadedModel) -> None:
    other = LoadedModel(tiny.model, tiny.tokenizer, tiny.folder)
    found = compare(
        "f1", lambda m, s, _: 0.5 + s / 10 if m is tiny else 0.25, (tiny, other), (0, 1, 2)
    )
    assert found.before.values == [0.5, 0.6, 0.7]
    assert found.before.mean == pytest.approx(0.6)
    assert found.before.spread == pytest.approx(0.1)
    assert found.after == summary([0.25] * 3)
    assert found.retention == pytest.approx(0.25 / 0.6)
