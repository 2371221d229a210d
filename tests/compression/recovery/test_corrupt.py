from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compression.matrix_tokenizers import tokenizer_pair
from worker.compression.recovery.corrupt import IGNORED, Noise, spans


def ids_of(tokenizer: Any, count: int) -> Any:
    text = "ibuprofen after lithium and seizures in the patient with methotrexate " * 50
    return np.array([tokenizer.bos_token_id, *tokenizer(text)["input_ids"][1 : count + 1], 2])


def test_masking_hides_its_share_in_three_ways() -> None:
    tokenizer, _ = tokenizer_pair("wordpiece")
    tokenizer.model_max_length = 10**6
    ids = ids_of(tokenizer, 2000)
    read, labels = Noise(tokenizer).mask_tokens(ids, np.random.default_rng(0))
    hidden = labels != IGNORED
    special = np.isin(ids, tokenizer.all_special_ids)
    assert hidden.sum() == round(0.15 * (~special).sum())
    assert not (hidden & special).any()
    assert (labels[hidden] == ids[hidden]).all()
    assert (read[~hidden] == ids[~hidden]).all()
    masked = (read[hidden] == tokenizer.mask_token_id).mean()
    same = (read[hidden] == ids[hidden]).mean()
    assert masked == pytest.approx(0.8, abs=0.07)
    assert same == pytest.approx(0.1, abs=0.05)
    assert not np.isin(read[hidden][read[hidden] != tokenizer.mask_token_id], [0, 1, 2, 3]).any()


def test_a_text_of_one_token_has_it_hidden_and_one_without_any_has_none() -> None:
    tokenizer, _ = tokenizer_pair("wordpiece")
    noise, rng = Noise(tokenizer), np.random.default_rng(0)
    assert (noise.mask_tokens(np.array([0, 40, 2]), rng)[1] != IGNORED).tolist() == [
        False,
        True,
        False,
    ]
    assert (noise.mask_tokens(np.array([0, 2]), rng)[1] == IGNORED).all()


def test_the_next_token_is_predicted_from_the_first_on() -> None:
    tokenizer, _ = tokenizer_pair("byte_bpe")
    noise, rng = Noise(tokenizer), np.random.default_rng(0)
    ids, labels = noise.predict_next(np.array([40, 41]), rng)
    assert (ids.tolist(), labels.tolist()) == ([tokenizer.bos_token_id, 40, 41], [40, 41, IGNORED])
    ids, labels = noise.predict_next(np.array([0, 40]), rng)
    assert (ids.tolist(), labels.tolist()) == ([0, 40], [40, IGNORED])


def test_sentinels_stand_for_what_the_target_says() -> None:
    tokenizer, _ = tokenizer_pair("unigram")
    noise, known = Noise(tokenizer), tokenizer.get_vocab()
    sentinels = [known["<extra_id_0>"], known["<extra_id_1>"]]
    ids = ids_of(tokenizer, 30)
    read, target = noise.hide_spans(ids, np.random.default_rng(0))
    assert [i for i in read if i in sentinels] == [i for i in target if i in sentinels]
    assert target[-1] == tokenizer.eos_token_id
    restored, parts, current = list[int](), dict[int, list[int]](), 0
    for i in target[:-1].tolist():
        if i in sentinels:
            current = i
        else:
            parts.setdefault(current, []).append(i)
    for i in read.tolist():
        restored += parts[i] if i in sentinels else [i]
    assert restored == ids.tolist()


def test_a_mask_stands_for_a_span_of_the_whole_text() -> None:
    tokenizer, _ = tokenizer_pair("byte_bpe")
    noise = Noise(tokenizer)
    noise._sentinels = []
    ids = ids_of(tokenizer, 40)
    read, target = noise.hide_spans(ids, np.random.default_rng(0))
    assert target.tolist() == ids.tolist()
    masks = (read == tokenizer.mask_token_id).sum()
    assert masks == 4
    assert len(read) == len(ids) - 12 + masks


@given(st.integers(2, 300), st.sampled_from([0.15, 0.3]), st.integers(0, 99))
def test_spans_are_apart_and_hide_their_share(length: int, noise: float, seed: int) -> None:
    found = spans(length, noise, np.random.default_rng(seed))
    assert sum(stop - start for start, stop in found) == min(
        max(1, round(noise * length)), length - 1
    )
    assert all(0 < start < stop <= length for start, stop in found)
    assert all(stop < start for (_, stop), (start, _) in pairwise(found))
