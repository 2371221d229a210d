import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from worker.compression import LoadedModel, measure_quality, train_tokenizer, transfer_vocabulary
from worker.compression.models.encoder import Encoder

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
    assert [row.metric for row in rows] == ["sentence_cosine", "neighbour_overlap_10"]
    assert all(row.before == 1 and row.retention == row.after for row in rows)
    assert [row.after for row in rows] == pytest.approx([1, 1], abs=1e-5)


def test_cosine_and_overlap_are_those_of_the_definitions(minilm: LoadedModel) -> None:
    texts = [f"{text} {n}" for n in range(4) for text in TEXTS]
    random.Random(1).shuffle(texts)
    domain = train_tokenizer(minilm.tokenizer, lambda: texts, 110)
    model = transfer_vocabulary(minilm.model, minilm.tokenizer, domain, "pvt").model
    compressed = replace(minilm, model=model, tokenizer=domain)
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
