import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import domain_texts, tokenizer_pair
from tests.support.some_slow import some_slow
from worker.compression import LoadedModel, measure_latency, measure_quality, transfer_vocabulary
from worker.compression.evaluation import latency as timing
from worker.compression.evaluation.metrics.language_modeling import (
    causal_bits_per_character,
    denoising_bits_per_character,
    excerpts,
)
from worker.compression.models.encoder import Encoder
from worker.compression.progress import silent

BY_TYPE = {kind.model_type: kind for kind in reversed(KINDS)}
WORDS = [f"word{n}" for n in range(30)]


def loaded(model_type: str, head: int = 0, **settings: Any) -> LoadedModel:
    kind = BY_TYPE[model_type]
    base, _ = tokenizer_pair(kind.family)
    return LoadedModel(kind.make(kind.classes[head], base, **settings), base, Path())


def bits(scores: torch.Tensor, ids: list[int], skipped: set[int]) -> float:
    likelihood = scores.log_softmax(-1)
    return sum(-likelihood[n, i].item() for n, i in enumerate(ids) if i not in skipped) / math.log(
        2
    )


def test_a_decoder_predicts_every_token_of_a_text_from_the_bos_token_on() -> None:
    base, text = loaded("gpt2"), "ibuprofen and seizures"
    ids: list[int] = base.tokenizer(text)["input_ids"]
    assert (ids[0], ids[-1]) == (base.tokenizer.bos_token_id, base.tokenizer.eos_token_id)
    with torch.inference_mode():
        scores: Any = base.model(input_ids=torch.tensor([ids])).logits[0, :-1]
    expected = bits(scores, ids[1:], {ids[-1]}) / len(text)
    measured = causal_bits_per_character(Encoder(base), [text], silent)
    assert measured == pytest.approx(expected, rel=1e-5)
    # GPT-2's own tokenizer adds no token to a text: its bos token goes before.
    encoder = Encoder(base)
    encoder.tokenizer.backend_tokenizer.post_processor = None
    assert encoder.tokenizer(text)["input_ids"] == ids[1:-1]
    assert causal_bits_per_character(encoder, [text], silent) == pytest.approx(expected, rel=1e-5)


def test_t5_restores_what_its_sentinels_hide() -> None:
    base = loaded("t5")
    tokenizer: Any = base.tokenizer
    seen = [*WORDS[:7], "<extra_id_0>", *WORDS[10:27], "<extra_id_1>"]
    hidden = ["<extra_id_0>", *WORDS[7:10], "<extra_id_1>", *WORDS[27:30]]
    source, labels = tokenizer(" ".join(seen)), tokenizer(" ".join(hidden))["input_ids"]
    with torch.inference_mode():
        scores = base.model(
            input_ids=torch.tensor([source["input_ids"]]), labels=torch.tensor([labels])
        ).logits[0]
    sentinels = set(tokenizer.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_1>"]))
    expected = bits(scores, labels, {*sentinels, *tokenizer.all_special_ids})
    characters = len(" ".join(WORDS[7:10])) + len(" ".join(WORDS[27:30]))
    encoder = Encoder(base)
    encoder.max_length = 500
    measured = denoising_bits_per_character(encoder, [" ".join(WORDS)], silent)
    assert measured == pytest.approx(expected / characters, rel=1e-5)


@pytest.mark.parametrize(
    ("model_type", "metric"),
    [
        ("gpt2", "causal_lm_bits_per_character"),
        ("llama", "causal_lm_bits_per_character"),
        ("t5", "denoising_bits_per_character"),
        ("bart", "denoising_bits_per_character"),
        ("mbart", "denoising_bits_per_character"),
    ],
)
def test_models_that_generate_have_one_row_and_fewer_bits_are_better(
    model_type: str, metric: str
) -> None:
    base = loaded(model_type)
    domain = tokenizer_pair(BY_TYPE[model_type].family)[1]
    student = transfer_vocabulary(base.model, base.tokenizer, domain).model
    (row,) = measure_quality(base, LoadedModel(student, domain, Path()), domain_texts())
    assert row.metric == metric
    assert row.retention == row.before / row.after
    (same,) = measure_quality(base, base, domain_texts())
    assert same.retention == 1


@pytest.mark.parametrize("model_type", ["gpt2", "t5", "bart", "mt5"])
def test_models_without_their_head_are_compared_by_vectors(model_type: str) -> None:
    bare = loaded(model_type, head=1)
    rows = measure_quality(bare, bare, domain_texts())
    assert [row.metric for row in rows] == ["sentence_cosine", "neighbour_overlap_10"]
    assert [row.after for row in rows] == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.parametrize("head", range(5))
@pytest.mark.parametrize("model_type", some_slow(["gpt2", "t5", "bart"], fast={"gpt2"}))
def test_every_head_can_be_timed(
    model_type: str, head: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "_FEWEST_BATCHES", 1)
    monkeypatch.setattr(timing, "_REPEATS", 1)
    monkeypatch.setattr(timing, "_SETTLE", 0)
    base = loaded(model_type, head)
    (row,) = measure_latency(base, base, domain_texts(), batch_sizes=(2,))
    assert row.before_ms > 0


def test_a_tokenizer_without_a_pad_token_is_batched_under_the_mask() -> None:
    base = loaded("gpt2", pad_token_id=None)
    alone = torch.cat([Encoder(base).vectors([text]) for text in domain_texts()])
    base.tokenizer.pad_token = None
    torch.testing.assert_close(Encoder(base).vectors(domain_texts()), alone, rtol=0, atol=1e-5)


def test_excerpts_are_beginnings_that_every_model_can_read() -> None:
    encoder = Encoder(loaded("gpt2"))
    long = " ".join(domain_texts() * 9)
    found = excerpts([encoder], ["", "  ", long, "seizures"], 5)
    assert found[-1] == "seizures"
    assert len(found) == 2
    assert long.startswith(found[0])
    assert 10 < len(encoder.tokenizer(found[0])["input_ids"]) < encoder.max_length
