from typing import Any

import pytest
from transformers import BertConfig, GenerationConfig
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression import (
    UnsupportedModelError,
    required_tokens,
    train_tokenizer,
    transfer_vocabulary,
)

SIZE = 140


def domain_of(
    uncased: PreTrainedTokenizerBase, documents: list[str], *keep: str
) -> PreTrainedTokenizerBase:
    return train_tokenizer(uncased, lambda: documents, SIZE, keep_tokens=keep)


def test_every_kind_of_id_is_moved(
    masked_lm: Any, uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    base, config = uncased.get_vocab(), masked_lm.config
    cls, sep, unused = base["[CLS]"], base["[SEP]"], base["[unused5]"]
    config.bos_token_id, config.eos_token_id = cls, [sep, base["a"]]
    config.suppress_tokens, config.bad_words_ids = [base["a"], unused], [[unused, sep], [cls, sep]]
    config.forced_decoder_ids, config.decoder_start_token_id = [[1, sep], [2, unused]], 10**6
    config.lang_code_to_id = {"en": cls}
    config.nested = BertConfig(pad_token_id=base["[PAD]"], eos_token_id=sep)
    generation: Any = GenerationConfig
    masked_lm.generation_config = generation(
        eos_token_id=[sep, cls], begin_suppress_tokens=[unused, cls]
    )
    domain = domain_of(uncased, documents)
    new = domain.get_vocab()
    student: Any = transfer_vocabulary(masked_lm, uncased, domain).model
    cls, sep = new["[CLS]"], new["[SEP]"]
    assert (student.config.pad_token_id, student.config.bos_token_id) == (new["[PAD]"], cls)
    assert student.config.eos_token_id == [sep, new["a"]]
    assert student.config.suppress_tokens == [new["a"]]
    assert student.config.bad_words_ids == [[cls, sep]]
    assert student.config.forced_decoder_ids == [[1, sep]]
    assert student.config.decoder_start_token_id is None
    assert student.config.lang_code_to_id == {"en": cls}
    assert student.config.nested.eos_token_id == sep
    generation = student.generation_config
    assert (generation.eos_token_id, generation.begin_suppress_tokens) == ([sep, cls], [cls])
    assert student.config.vocab_size == SIZE


def test_other_settings_are_left_alone(
    masked_lm: Any, uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    before = masked_lm.config.to_dict()
    student = transfer_vocabulary(masked_lm, uncased, domain_of(uncased, documents)).model
    changed = {k for k, v in student.config.to_dict().items() if before[k] != v}
    assert changed == {"vocab_size"}


def test_a_token_that_a_config_names_is_required(
    masked_lm: Any, uncased: PreTrainedTokenizerBase, documents: list[str]
) -> None:
    masked_lm.config.eos_token_id = uncased.get_vocab()["[unused7]"]
    required = required_tokens(masked_lm, uncased)
    assert required == ["[PAD]", "[unused7]"]
    with pytest.raises(UnsupportedModelError, match=r"\[unused7\]"):
        transfer_vocabulary(masked_lm, uncased, domain_of(uncased, documents))
    domain = domain_of(uncased, documents, *required)
    student = transfer_vocabulary(masked_lm, uncased, domain).model
    assert student.config.eos_token_id == domain.get_vocab()["[unused7]"]
