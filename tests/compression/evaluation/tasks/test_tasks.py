"""Tasks on tiny models: what can be learned is learned, and metrics are those of the definition."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import processors

from app.contract.report import Quality
from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import tokenizer_pair
from tests.support.some_slow import some_slow
from worker.compression import (
    LoadedModel,
    OutOfMemoryError,
    TaskDataError,
    TaskUnsupportedError,
    load_model,
    save_model,
)
from worker.compression.evaluation.tasks.fine_tuning import FineTuningConfig, check_head
from worker.compression.evaluation.tasks.scores import (
    compare,
    quality_rows,
    score_all,
    summarize,
)
from worker.compression.evaluation.tasks.sequence_classification import classification_scores
from worker.compression.evaluation.tasks.token_classification import first_tokens, tagging_scores
from worker.compression.evaluation.tasks.vectors import pair_scores, retrieval_scores
from worker.compression.models.encoder import Encoder
from worker.compression.progress import Progress

QUICK = FineTuningConfig(epochs=30, batch_size=8, learning_rate=1e-2, max_length=32)
GOOD, BAD = ["no effect was seen", "the patient is well"], ["a severe rash", "nausea and seizures"]
TRAIN = [(text, label) for label, found in (("good", GOOD), ("bad", BAD)) for text in found * 8]
TAGGED = [(["Anna", "met", "Bo"], ["B-PER", "O", "B-PER"]), (["it", "is", "a", "rash"], ["O"] * 4)]


@pytest.fixture(
    params=some_slow(["BertConfig", "RobertaConfig"], fast={"BertConfig"}), scope="module"
)
def tiny(request: Any, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    kind = next(kind for kind in KINDS if kind.config == request.param)
    folder: Path = tmp_path_factory.mktemp(request.param)
    tokenizer, _ = tokenizer_pair(kind.family)
    save_model(folder, kind.make(kind.classes[0], tokenizer), tokenizer)
    return load_model(folder)


def test_what_can_be_learned_is_learned_and_repeats(tiny: LoadedModel) -> None:
    scores = [
        classification_scores(tiny, TRAIN, TRAIN[::4], seed=1, protocol=QUICK) for _ in range(2)
    ]
    assert scores[0] == scores[1]
    assert list(scores[0]) == ["macro_f1", "accuracy"]
    assert min(scores[0].values()) > 0.9


class StopError(Exception):
    pass


@pytest.mark.parametrize("at", [0.0, 0.3, 0.9])
def test_progress_can_stop_it_amid_training_and_scoring(tiny: LoadedModel, at: float) -> None:
    def progress(fraction: float, _: str) -> None:
        if fraction >= at:
            raise StopError

    quick = FineTuningConfig(epochs=2, batch_size=2, max_length=16)
    with pytest.raises(StopError):
        classification_scores(tiny, TRAIN[::8], TRAIN, protocol=quick, progress=progress)
    with pytest.raises(StopError):
        tagging_scores(tiny, TAGGED, TAGGED * 8, protocol=quick, progress=progress)


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_that_does_not_fit_in_memory_is_named(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch, training: bool
) -> None:
    body: Any = type(tiny.model.base_model)
    forward = body.forward

    def hungry(self: Any, *args: Any, **more: Any) -> Any:
        if self.training == training:
            torch.empty(1 << 60)
        return forward(self, *args, **more)

    monkeypatch.setattr(body, "forward", hungry)
    protocol = FineTuningConfig(epochs=1, batch_size=1024, max_length=16)
    said = r"batches of 1,024 rows of up to 16 tokens .* a smaller evaluation\.task\.batch_size"
    with pytest.raises(OutOfMemoryError, match=said):
        classification_scores(tiny, TRAIN, TRAIN, protocol=protocol)
    with pytest.raises(OutOfMemoryError, match=said):
        tagging_scores(tiny, TAGGED, TAGGED, protocol=protocol)


def test_entities_can_be_learned(tiny: LoadedModel) -> None:
    scores = tagging_scores(tiny, TAGGED * 16, TAGGED, protocol=QUICK)
    assert list(scores) == ["entity_f1", "entity_precision", "entity_recall"]
    assert min(scores.values()) > 0.9


def test_tokens_may_be_parts_of_words_or_span_them() -> None:
    words = ["New", "York", "is"]
    assert first_tokens(words, [(0, 0), (0, 2), (2, 3), (3, 8), (9, 11)]) == {0: 1, 1: 3, 2: 4}
    assert first_tokens(words, [(0, 8), (8, 11)]) == {0: 0, 1: 0, 2: 1}
    assert first_tokens(words, [(0, 3)]) == {0: 0}
    assert first_tokens(["a", "", "b"], [(0, 1), (2, 4)]) == {0: 0, 2: 1}


def test_texts_that_cannot_be_told_apart_have_no_order(tiny: LoadedModel) -> None:
    scores = pair_scores(Encoder(tiny), [("a", "a", 1.0), ("a", "a", 2.0), ("a", "a", 3.0)])
    assert scores == {"spearman": 0, "pearson": 0}


def test_a_query_without_a_relevant_document_does_not_count(tiny: LoadedModel) -> None:
    documents, queries = {"d": "a rash", "e": "it fell"}, {"q": "a rash", "r": "none"}
    judged = {"q": {"d": 1}, "r": {"e": 0}}
    scores = retrieval_scores(Encoder(tiny), documents, queries, judged)
    assert scores == {"ndcg_at_10": 1, "recall_at_10": 1, "mrr": 1}


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    kind = next(kind for kind in KINDS if kind.config == "T5Config")
    folder: Path = tmp_path_factory.mktemp("t5")
    tokenizer, _ = tokenizer_pair(kind.family)
    save_model(folder, kind.make("T5ForConditionalGeneration", tokenizer), tokenizer)
    return load_model(folder)


def test_a_text_may_spell_out_the_end_token(t5: LoadedModel) -> None:
    rows = [("a </s> rash </s>", "bad"), ("the patient is well", "good")]
    protocol = FineTuningConfig(epochs=1, max_length=16)
    check_head(t5, "sequence_classification")
    assert 0 <= classification_scores(t5, rows, rows, protocol=protocol)["macro_f1"] <= 1


def test_a_model_that_cannot_have_the_head_is_refused(t5: LoadedModel) -> None:
    bare: Any = copy.deepcopy(t5.tokenizer)
    bare.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A")
    with pytest.raises(TaskUnsupportedError, match="end token"):
        check_head(LoadedModel(t5.model, bare, t5.folder), "sequence_classification")
    kind = next(kind for kind in KINDS if kind.config == "BartConfig")
    bart = kind.make("BartModel", bare)
    with pytest.raises(TaskUnsupportedError, match="token classification with a bart"):
        check_head(LoadedModel(bart, bare, t5.folder), "token_classification")


def test_a_head_of_the_base_gives_way_to_one_for_the_labels(
    tiny: LoadedModel, tmp_path: Path
) -> None:
    auto = transformers.AutoModelForSequenceClassification
    model = auto.from_pretrained(tiny.folder, num_labels=5, problem_type="regression")
    save_model(tmp_path, model, tiny.tokenizer)
    protocol = FineTuningConfig(epochs=1, max_length=16)
    scores = classification_scores(load_model(tmp_path), TRAIN, TRAIN[::4], protocol=protocol)
    assert scores["macro_f1"] >= 0


def test_ndcg_is_that_of_the_definition(minilm: LoadedModel) -> None:
    documents = {
        "d1": "A rash after ibuprofen.",
        "d2": "The stock market fell.",
        "d3": "A skin rash.",
    }
    queries = {"q": "rash", "unjudged": "nothing"}
    grades = {"q": {"d2": 1, "d1": 2}}
    encoder = Encoder(minilm)
    found = retrieval_scores(encoder, documents, queries, grades)["ndcg_at_10"]
    # Of the three, the two on rashes come first; d2 is last.
    ideal = 2 + 1 / math.log2(3)
    possible = {(2 / math.log2(place + 1) + 1 / math.log2(4)) / ideal for place in (1, 2)}
    assert min(abs(found - value) for value in possible) < 1e-6


def test_recall_and_reciprocal_rank_are_those_of_the_definitions(minilm: LoadedModel) -> None:
    words = "rash fever cough nausea heart lung brain nerve liver kidney train car ship plane bus"
    documents = {word: f"A text on the {word} of a patient." for word in words.split()}
    queries = {"one": "the driver of a train", "two": "a sickness of the liver"}
    grades = {"one": {"heart": 1, "car": 1, "cough": 2}, "two": {"bus": 1, "plane": 3}}
    encoder = Encoder(minilm)
    expected = {"recall_at_10": 0.0, "mrr": 0.0}
    vectors = encoder.vectors(list(documents.values()))
    for name, query in queries.items():
        cosines = torch.cosine_similarity(encoder.vectors([query]), vectors)
        ranking = [list(documents)[place] for place in cosines.argsort(descending=True).tolist()]
        places = [ranking.index(document) + 1 for document in grades[name]]
        expected["recall_at_10"] += sum(place <= 10 for place in places) / len(places) / 2
        expected["mrr"] += 1 / min(places) / 2
    scores = retrieval_scores(encoder, documents, queries, grades)
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    assert expected["mrr"] < 1


def test_pearson_is_that_of_the_definition_for_any_finite_grades(minilm: LoadedModel) -> None:
    texts = ["A skin rash.", "A rash and a fever.", "Nausea.", "The stock market fell."]
    encoder, grades = Encoder(minilm), [5.0, 4.5, 2.0, 0.0]
    cosines = torch.cosine_similarity(encoder.vectors(["A rash."]), encoder.vectors(texts))
    expected = torch.corrcoef(torch.stack([torch.tensor(grades), cosines]))[0, 1].item()
    for largest in (1.0, 1e307):
        scaled = [largest * grade for grade in grades]
        pairs = [("A rash.", *pair) for pair in zip(texts, scaled, strict=True)]
        assert pair_scores(encoder, pairs)["pearson"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("grades", "named"),
    [({"x": {"d": 1}}, "'x'"), ({"q": {"y": 1}}, "'y'"), ({"q": {"d": 0}}, "No document")],
)
def test_judgements_of_nothing_are_refused(
    tiny: LoadedModel, grades: dict[str, dict[str, int]], named: str
) -> None:
    with pytest.raises(TaskDataError, match=named):
        retrieval_scores(Encoder(tiny), {"d": "a"}, {"q": "b"}, grades)


def test_likeness_goes_with_the_cosine(minilm: LoadedModel) -> None:
    pairs = [
        ("A rash.", "A skin rash.", 5.0),
        ("A rash.", "The patient had nausea.", 3.0),
        ("A rash.", "The stock market fell.", 0.0),
    ]
    encoder = Encoder(minilm)
    assert pair_scores(encoder, pairs)["spearman"] == pytest.approx(1)
    opposite = [(a, b, -grade) for a, b, grade in pairs]
    assert pair_scores(encoder, opposite)["spearman"] == pytest.approx(-1)
    with pytest.raises(TaskDataError, match="1 different grades"):
        pair_scores(encoder, [(a, b, 1.0) for a, b, _ in pairs])


@pytest.mark.parametrize(
    ("train", "test", "named"),
    [
        ([("a", "x")], TRAIN, "train part has 1"),
        (TRAIN, [("a", "good")], "test part has 1"),
        (TRAIN, [*TRAIN, ("a", "new")], "'new'"),
        (TRAIN, [], "test part has 0"),
        ([("a", str(n)) for n in range(10_001)], [("a", "1"), ("a", "2")], "10,001 different"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(
    tiny: LoadedModel, train: Any, test: Any, named: str
) -> None:
    with pytest.raises(TaskDataError, match=named):
        classification_scores(tiny, train, test)


@pytest.mark.parametrize(
    ("train", "test", "named"),
    [
        ([(["a", "b"], ["O"])], TAGGED, "2 words and 1 tags"),
        ([(["a"], ["O"])], TAGGED, "train part has no entity"),
        (TAGGED, [(["a"], ["B-LOC"])], "'B-LOC'"),
        ([(["a", "b", "c"], ["B-PER", "O", "3"])], TAGGED[:1], "'3' is none of an entity"),
    ],
)
def test_tags_that_do_not_align_are_refused(
    tiny: LoadedModel, train: Any, test: Any, named: str
) -> None:
    with pytest.raises(TaskDataError, match=named):
        tagging_scores(tiny, train, test)


def test_every_seed_is_scored_and_means_are_compared(tiny: LoadedModel) -> None:
    def score(_: LoadedModel, seed: int, __: Progress) -> dict[str, float]:
        return {"ndcg_at_10": 0.5 + seed / 10, "mrr": 0.0, "recall_at_10": 1.0}

    before = score_all(score, tiny, (0, 1, 2))
    assert before["ndcg_at_10"].values == [0.5, 0.6, 0.7]
    assert (before["ndcg_at_10"].mean, before["ndcg_at_10"].spread) == pytest.approx((0.6, 0.1))
    after = summarize([{"ndcg_at_10": 0.25, "mrr": 0.5, "recall_at_10": 0.75}] * 3)
    found = compare("retrieval", before, after)
    assert (found.type, found.metric, found.seeds) == ("retrieval", "ndcg_at_10", 3)
    assert found.retention == pytest.approx(0.25 / 0.6)
    mrr, recall = found.others
    assert (mrr.metric, mrr.before, mrr.after) == ("mrr", before["mrr"], after["mrr"])
    assert (mrr.retention, recall.retention) == (None, 0.75)
    # The task's own metric comes first; one of which the base has nothing has no row.
    assert quality_rows(found) == [
        Quality(
            metric="ndcg_at_10",
            before=before["ndcg_at_10"].mean,
            after=0.25,
            retention=found.retention or 0,
        ),
        Quality(metric="recall_at_10", before=1.0, after=0.75, retention=0.75),
    ]


@pytest.mark.parametrize("nothing", [0.0, -0.2])
def test_of_a_base_that_scores_nothing_no_share_is_kept(nothing: float) -> None:
    found = compare(
        "sentence_pairs", summarize([{"spearman": nothing}]), summarize([{"spearman": 0.5}])
    )
    assert found.retention is None
    assert quality_rows(found) == quality_rows(None) == []
