"""Training of token vectors on a tiny sentence encoder."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import cosine_similarity

from tests.support.domain import domain_documents
from tests.support.st_folders import compressed, sentence_encoder
from worker.compression import (
    CorpusEmptyError,
    LoadedModel,
    StaticOptions,
    StaticTraining,
    load_model,
    train_static,
)
from worker.compression.models.encoder import Encoder
from worker.compression.static.bags import read_bags
from worker.compression.tokenizers.tokenizer_json import unbounded

# The tiny base's vectors are nearly alike: less is to be learnt than in the steps of a real one.
OPTIONS = StaticOptions(
    seconds=None, most_documents=300, most_queries=600, learning_rates=(0.02, 0.005)
)
ASIDE = domain_documents(40, seed=9)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(sentence_encoder(tmp_path_factory.mktemp("base")))


@pytest.fixture(scope="module")
def result(base: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return compressed(base.folder, tmp_path_factory.mktemp("result"))


def train(base: LoadedModel, result: LoadedModel, **settings: Any) -> StaticTraining:
    settings = {"options": OPTIONS, **settings}
    return train_static(base, result.tokenizer, lambda: domain_documents(300), **settings)


def loss_aside(base: LoadedModel, result: LoadedModel, table: torch.Tensor) -> float:
    means = read_bags(unbounded(result.tokenizer), ASIDE).all_means(table)
    return float((1 - cosine_similarity(means, Encoder(base).vectors(ASIDE))).mean())


@pytest.fixture(scope="module")
def trained(base: LoadedModel, result: LoadedModel) -> StaticTraining:
    return train(base, result)


def test_each_phase_lowers_the_loss_of_texts_held_out(trained: StaticTraining) -> None:
    assert list(trained.losses) == ["start", "documents", "queries"]
    start, documents, queries = trained.losses.values()
    assert queries <= documents < 0.9 * start


def test_what_would_raise_it_is_undone(base: LoadedModel, result: LoadedModel) -> None:
    wild = train(base, result, options=replace(OPTIONS, learning_rates=(0.02, 500.0)))
    assert wild.losses["queries"] == wild.losses["documents"]
    calm = train(base, result, options=replace(OPTIONS, epochs=(8, 0)))
    assert torch.equal(wild.table, calm.table)


def test_what_was_not_trained_on_is_nearer_too(
    base: LoadedModel, result: LoadedModel, trained: StaticTraining
) -> None:
    untrained = train(base, result, options=replace(OPTIONS, epochs=(0, 0)))
    losses = [loss_aside(base, result, one.table) for one in (untrained, trained)]
    assert losses[1] < losses[0]


def test_there_is_a_vector_a_token_and_none_of_the_unknown(
    base: LoadedModel, result: LoadedModel, trained: StaticTraining
) -> None:
    assert trained.table.shape == (len(result.tokenizer), base.model.config.hidden_size)
    assert trained.table.isfinite().all()
    assert not trained.table[result.tokenizer.unk_token_id].any()


def test_the_same_seed_gives_the_same_vectors(
    base: LoadedModel, result: LoadedModel, trained: StaticTraining
) -> None:
    assert torch.equal(train(base, result).table, trained.table)
    assert not torch.equal(train(base, result, seed=1).table, trained.table)


def test_without_time_it_still_ends_with_vectors(base: LoadedModel, result: LoadedModel) -> None:
    hurried = train(base, result, options=StaticOptions(seconds=0.0))
    assert hurried.table.isfinite().all()
    assert 0 < hurried.texts <= 256


def test_progress_only_rises_and_may_stop_it(base: LoadedModel, result: LoadedModel) -> None:
    seen = list[float]()

    def stop(fraction: float, _: str) -> None:
        seen.append(fraction)
        if fraction > 0.8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(base, result, progress=stop)
    assert seen == sorted(seen)


def test_no_text_is_refused(base: LoadedModel, result: LoadedModel) -> None:
    with pytest.raises(CorpusEmptyError):
        train_static(base, result.tokenizer, lambda: [" "])


def test_texts_of_unknown_characters_alone_do_no_harm(
    base: LoadedModel, result: LoadedModel
) -> None:
    texts = ["\u4f60\u597d", "\u4e16\u754c", *domain_documents(20)]
    trained = train_static(base, result.tokenizer, lambda: texts, options=OPTIONS)
    assert trained.table.isfinite().all()
