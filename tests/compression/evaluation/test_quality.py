import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.support.st_folders import sentence_encoder, transformers_folder
from worker.compression import (
    LoadedModel,
    load_model,
    measure_quality,
    quality_metrics,
    train_tokenizer,
    transfer_vocabulary,
)
from worker.compression.evaluation.intervals import Array
from worker.compression.evaluation.metrics import Sample
from worker.compression.evaluation.metrics.sentence_agreement import INDEX_OVERLAP, index_overlap
from worker.compression.models.encoder import Encoder
from worker.compression.progress import silent

TEXTS = [
    "The patient developed a rash.",
    "Nausea after ibuprofen.",
    "A train left the station late in the evening.",
    "Lithium toxicity was reported in an elderly patient with renal failure.",
    "Seizures.",
]


def vector_of(loaded: LoadedModel, text: str) -> Tensor:
    """Encode a text alone, so that there is no padding to mask."""
    ids = loaded.tokenizer.backend_tokenizer.encode(text)
    kept = [i for i, mask in zip(ids.ids, ids.attention_mask, strict=True) if mask]
    with torch.inference_mode():
        hidden: Tensor = loaded.model(torch.tensor([kept])).last_hidden_state
    return hidden[0].mean(0)


def test_vectors_are_means_under_the_mask(minilm: LoadedModel) -> None:
    vectors = Encoder(minilm).vectors(TEXTS)
    alone = torch.stack([vector_of(minilm, text) for text in TEXTS])
    torch.testing.assert_close(vectors, alone, rtol=0, atol=1e-5)


def test_the_base_agrees_with_itself(minilm: LoadedModel) -> None:
    rows = measure_quality(minilm, minilm, TEXTS)
    assert [row.metric for row in rows] == [
        "sentence_cosine",
        "neighbour_overlap_10",
        "index_overlap_10",
    ]
    assert all(row.before == 1 and row.retention == row.after for row in rows)
    assert [row.after for row in rows] == pytest.approx([1, 1, 1], abs=1e-5)


def many_texts() -> list[str]:
    texts = [f"{text} {n}" for n in range(4) for text in TEXTS]
    random.Random(1).shuffle(texts)
    return texts


@pytest.fixture(scope="module")
def compressed(minilm: LoadedModel) -> LoadedModel:
    """A model whose new rows are random, so that it agrees with its base a little."""
    domain = train_tokenizer(minilm.tokenizer, many_texts, 110)
    model = transfer_vocabulary(minilm.model, minilm.tokenizer, domain, "pvt").model
    return replace(minilm, model=model, tokenizer=domain)


def test_cosine_and_overlap_are_those_of_the_definitions(
    minilm: LoadedModel, compressed: LoadedModel
) -> None:
    texts = many_texts()
    before = torch.stack([vector_of(minilm, text) for text in texts])
    after = torch.stack([vector_of(compressed, text) for text in texts])
    cosines = [
        torch.cosine_similarity(b, a, dim=0).item() for b, a in zip(before, after, strict=True)
    ]

    def nearest(vectors: Tensor, index: int) -> set[int]:
        others = [i for i in range(len(texts)) if i != index]
        near = [torch.cosine_similarity(vectors[index], vectors[i], dim=0).item() for i in others]
        ranked = sorted(zip(near, others, strict=True), reverse=True)
        return {other for _, other in ranked[:10]}

    overlaps = [len(nearest(before, i) & nearest(after, i)) / 10 for i in range(len(texts))]
    rows = {row.metric: row.after for row in measure_quality(minilm, compressed, texts)}
    assert rows["sentence_cosine"] == pytest.approx(sum(cosines) / len(texts), abs=1e-4)
    assert rows["neighbour_overlap_10"] == pytest.approx(sum(overlaps) / len(texts), abs=0.011)


def nearest_by_numpy(query: Array, index: Array, place: int) -> set[int]:
    """The ten places in an index nearest to a query, which stands itself at a place in it."""
    cosines = index @ query / np.linalg.norm(index, axis=1) / np.linalg.norm(query)
    ranking = [at for at in np.argsort(-cosines).tolist() if at != place]
    return set(ranking[:10])


def test_the_index_is_searched_by_the_result_and_holds_the_bases_vectors(
    minilm: LoadedModel, compressed: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, read = many_texts(), list[str]()
    base, result = (
        np.stack([vector_of(model, text).double().numpy() for text in texts])
        for model in (minilm, compressed)
    )
    kept = [
        len(nearest_by_numpy(base[i], base, i) & nearest_by_numpy(result[i], base, i)) / 10
        for i in range(len(texts))
    ]
    inputs = Encoder.inputs

    def count(encoder: Encoder, some: Sequence[str]) -> dict[str, Tensor]:
        read.extend(some)
        return inputs(encoder, some)

    monkeypatch.setattr(Encoder, "inputs", count)
    rows = {row.metric: row for row in measure_quality(minilm, compressed, texts)}
    row = rows["index_overlap_10"]
    assert (row.before, row.retention, row.items) == (1, row.after, len(texts))
    assert row.after == pytest.approx(np.mean(kept), abs=0.011)
    assert row.after not in (1, rows["neighbour_overlap_10"].after)
    assert row.low is not None
    assert row.high is not None
    assert row.low < row.after < row.high
    # The vectors are those of the other metrics: each model reads each text once, and those of
    # the slices.
    assert all(read.count(text) == 2 for text in texts)


@given(st.integers(0, 1 << 32), st.integers(2, 30), st.floats(0, 10))
def test_overlap_with_an_index_is_that_of_numpy(seed: int, texts: int, noise: float) -> None:
    draw = np.random.default_rng(seed)
    base = draw.normal(size=(texts, 5))
    result = base + noise * draw.normal(size=base.shape)
    near = min(10, texts - 1)
    kept = [
        len(nearest_by_numpy(base[i], base, i) & nearest_by_numpy(result[i], base, i)) / near
        for i in range(texts)
    ]
    found = index_overlap(torch.tensor(base), torch.tensor(result))
    assert found == pytest.approx(np.mean(kept), abs=1e-6)


def test_vectors_of_another_width_cannot_be_looked_up(minilm: LoadedModel, tmp_path: Path) -> None:
    narrow = load_model(sentence_encoder(tmp_path))
    sample = Sample(Encoder(minilm), [Encoder(narrow)], TEXTS)
    assert INDEX_OVERLAP.measure(sample, silent) == [None]


def test_only_a_sentence_encoder_has_an_index(tmp_path: Path) -> None:
    plain = transformers_folder(tmp_path / "plain")
    assert "index_overlap_10" not in quality_metrics(load_model(plain))
    encoder = sentence_encoder(tmp_path / "encoder")
    assert "index_overlap_10" in quality_metrics(load_model(encoder))


def test_one_text_has_no_neighbours_and_a_sample_follows_the_seed(minilm: LoadedModel) -> None:
    assert [row.metric for row in measure_quality(minilm, minilm, TEXTS[:1])] == ["sentence_cosine"]
    again = [measure_quality(minilm, minilm, TEXTS, sample=3, seed=5) for _ in range(2)]
    assert again[0] == again[1]


def test_texts_longer_than_the_model_are_cut(minilm: LoadedModel) -> None:
    # The tokenizer says 512, and sentence_bert_config.json, which sentence-transformers heeds, 256.
    assert Encoder(minilm).inputs(["rash " * 2000])["input_ids"].shape == (1, 256)


def test_the_tokenizer_is_left_as_it_was(minilm: LoadedModel) -> None:
    before = minilm.tokenizer.backend_tokenizer.to_str()
    Encoder(minilm).vectors(TEXTS)
    assert minilm.tokenizer.backend_tokenizer.to_str() == before
