"""Ids in the configs of decoders and encoder-decoders, and in every place where they can be."""

from typing import Any

import pytest

from tests.support.matrix_models import KINDS
from tests.support.matrix_tokenizers import tokenizer_pair
from worker.compression import UnsupportedModelError, required_tokens, transfer_vocabulary

BY_TYPE = {kind.model_type: kind for kind in reversed(KINDS)}


@pytest.mark.parametrize("model_type", ["llama", "mbart"])
def test_every_id_of_the_generation_config_names_the_same_token(model_type: str) -> None:
    kind = BY_TYPE[model_type]
    base, domain = tokenizer_pair(kind.family)
    model = kind.make(kind.classes[0], base)
    old, new = base.get_vocab(), domain.get_vocab()
    ends, mask, unused = ["</s>", "<extra_id_0>"], "<mask>", old["<unused3>"]
    generation = model.generation_config
    generation.eos_token_id = [old[token] for token in ends]
    generation.decoder_start_token_id = generation.forced_bos_token_id = old[mask]
    generation.forced_eos_token_id = [old["</s>"]]
    generation.suppress_tokens = [old[mask], unused]
    generation.begin_suppress_tokens = [unused, old["<pad>"]]
    generation.bad_words_ids = [[old[mask], unused], [old[mask], old["</s>"]]]
    generation.force_words_ids = [[old[mask]], [[old["</s>"]], [old["<s>"]]]]
    model.config.task_specific_params = {
        "translation": {"decoder_start_token_id": old[mask], "num_beams": 5}
    }
    moved: Any = transfer_vocabulary(model, base, domain).model
    generation = moved.generation_config
    assert generation.eos_token_id == [new[token] for token in ends]
    assert generation.decoder_start_token_id == generation.forced_bos_token_id == new[mask]
    assert generation.forced_eos_token_id == [new["</s>"]]
    assert generation.suppress_tokens == [new[mask]]
    assert generation.begin_suppress_tokens == [new["<pad>"]]
    assert generation.bad_words_ids == [[new[mask], new["</s>"]]]
    assert generation.force_words_ids == [[new[mask]], [[new["</s>"]], [new["<s>"]]]]
    task = {"decoder_start_token_id": new[mask], "num_beams": 5}
    assert moved.config.task_specific_params == {"translation": task}
    assert model.config.task_specific_params["translation"]["decoder_start_token_id"] == old[mask]


def test_tokens_in_lists_are_required_and_suppressed_ones_are_not() -> None:
    kind = BY_TYPE["gpt2"]
    base, domain = tokenizer_pair(kind.family)
    model = kind.make(kind.classes[0], base)
    old = base.get_vocab()
    model.generation_config.eos_token_id = [old["</s>"], old["<unused1>"]]
    model.generation_config.bad_words_ids = [[old["<unused2>"]]]
    model.generation_config.suppress_tokens = [old["<unused4>"]]
    required = required_tokens(model, base)
    assert {"<unused1>", "<unused2>"} <= set(required)
    assert "<unused4>" not in required
    with pytest.raises(UnsupportedModelError, match="<unused1>"):
        transfer_vocabulary(model, base, domain)


def test_modules_that_know_the_pad_token_know_the_new_one() -> None:
    kind = BY_TYPE["bart"]
    base, domain = tokenizer_pair(kind.family)
    model = kind.make(kind.classes[0], base, pad_token_id=base.get_vocab()["<mask>"])
    moved: Any = transfer_vocabulary(model, base, domain).model
    known = {vars(module).get("padding_idx") for module in moved.modules()}
    assert known - {None} == {domain.get_vocab()["<mask>"]}
    assert moved.config.pad_token_id == domain.get_vocab()["<mask>"]


def test_a_second_vocabulary_is_refused() -> None:
    kind = BY_TYPE["llama"]
    base, domain = tokenizer_pair(kind.family)
    model = kind.make(kind.classes[0], base)
    model.config.vocab_size_per_layer_input = 100
    with pytest.raises(UnsupportedModelError, match="vocab_size_per_layer_input"):
        transfer_vocabulary(model, base, domain)
