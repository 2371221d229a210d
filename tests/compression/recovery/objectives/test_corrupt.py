from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.matrix_tokenizers import tokenizer_pair
from worker.compression.recovery.objectives.causal_lm import NextTokens
from worker.compression.recovery.objectives.denoising import SpanCorruption, draw_spans
from worker.compression.recovery.objectives.language_modeling import IGNORED
from worker.compression.recovery.objectives.masked_lm import TokenMasking


def ids_of(tokenizer: Any, count: int) -> Any:
    text = "ibuprofen after lithium and seizures in the patient with methotrexate " * 50
    return np.array([tokenizer.bos_token_id, *tokenizer(text)["input_ids"][1 : count + 1], 2])


def test_masking_hides_its_share_in_three_ways() -> None:
    tokenizer, _ = tokenizer_pair("wordpiece")
    tokenizer.model_max_length = 10**6
    ids = ids_of(tokenizer, 2000)
    given_ids = ids.copy()
    [(read, labels)] = TokenMasking(tokenizer)([ids], np.random.default_rng(0))
    assert (ids == given_ids).all()
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


def test_every_text_of_a_batch_has_its_share_hidden() -> None:
    tokenizer, _ = tokenizer_pair("wordpiece")
    lengths = [0, 1, 5, 10, 40, 0, 3]
    rows = [np.array([0, *range(20, 20 + length), 2]) for length in lengths]
    made = TokenMasking(tokenizer)(rows, np.random.default_rng(1))
    for row, length, (read, labels) in zip(rows, lengths, made, strict=True):
        hidden = labels != IGNORED
        assert hidden.sum() == (max(1, round(0.15 * length)) if length else 0)
        assert not hidden[[0, -1]].any()
        assert (labels[hidden] == row[hidden]).all()
        assert (read[~hidden] == row[~hidden]).all()


def test_any_place_of_a_text_may_be_hidden() -> None:
    tokenizer, _ = tokenizer_pair("wordpiece")
    rows = [np.array([0, 20, 21, 22, 23, 2])] * 2000
    made = TokenMasking(tokenizer)(rows, np.random.default_rng(2))
    places = np.array([np.flatnonzero(labels != IGNORED) for _, labels in made])
    assert (np.bincount(places[:, 0], minlength=6)[1:5] / 2000).tolist() == pytest.approx(
        [0.25] * 4, abs=0.05
    )


def test_no_text_has_nothing_hidden() -> None:
    assert TokenMasking(tokenizer_pair("wordpiece")[0])([], np.random.default_rng(0)) == []


def test_the_next_token_is_predicted_from_the_first_on() -> None:
    tokenizer, _ = tokenizer_pair("byte_bpe")
    next_tokens, rng = NextTokens(tokenizer), np.random.default_rng(0)
    [(ids, labels)] = next_tokens([np.array([40, 41])], rng)
    assert (ids.tolist(), labels.tolist()) == ([tokenizer.bos_token_id, 40, 41], [40, 41, IGNORED])
    [(ids, labels)] = next_tokens([np.array([0, 40])], rng)
    assert (ids.tolist(), labels.tolist()) == ([0, 40], [40, IGNORED])


def test_sentinels_stand_for_what_the_target_says() -> None:
    tokenizer, _ = tokenizer_pair("unigram")
    corrupt, known = SpanCorruption(tokenizer), tokenizer.get_vocab()
    sentinels = [known["<extra_id_0>"], known["<extra_id_1>"]]
    ids = ids_of(tokenizer, 30)
    [(read, target)] = corrupt([ids], np.random.default_rng(0))
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
    corrupt = SpanCorruption(tokenizer)
    corrupt._sentinel_ids = []
    ids = ids_of(tokenizer, 40)
    [(read, target)] = corrupt([ids], np.random.default_rng(0))
    assert target.tolist() == ids.tolist()
    masks = (read == tokenizer.mask_token_id).sum()
    assert masks == 4
    assert len(read) == len(ids) - 12 + masks


@given(st.integers(2, 300), st.sampled_from([0.15, 0.3]), st.integers(0, 99))
def test_spans_are_apart_and_hide_their_share(length: int, noise: float, seed: int) -> None:
    found = draw_spans(length, noise, np.random.default_rng(seed))
    assert sum(stop - start for start, stop in found) == min(
        max(1, round(noise * length)), length - 1
    )
    assert all(0 < start < stop <= length for start, stop in found)
    assert all(stop < start for (_, stop), (start, _) in pairwise(found))
