"""Which settings of a model hold token ids, in its configs and its generation config."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

_ROLE = re.compile(r"(^|_)token_ids?$")
_SEQUENCES = ("bad_words_ids", "force_words_ids")
PAIRS = "forced_decoder_ids"
_SUPPRESSED = ("suppress_tokens", "begin_suppress_tokens")
_BY_LANGUAGE = re.compile(r"^lang(uage|_code)?_to_id$")


def required_tokens(model: PreTrainedModel, base_tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the base tokens that the model's configs name, such as ``eos_token_id``.

    A domain tokenizer without one of them cannot take the base tokenizer's place: hand them to
    ``train_tokenizer`` as ``keep_tokens``. Suppressed tokens are not among them: one that is gone
    cannot be generated anyway.
    """
    named = (i for name, i in configured_ids(model) if name not in _SUPPRESSED)
    return tokens_of(base_tokenizer, dict.fromkeys(named))


def configured_ids(model: PreTrainedModel) -> Iterator[tuple[str, int]]:
    """Yield the name of each setting that holds token ids, with each of its ids."""
    for settings in settings_of(model):
        for name, value in settings.items():
            if holds_token_ids(name):
                yield from ((name, i) for i in _ids_in(value, name))


def is_role(name: str) -> bool:
    """Tell whether a setting names a token that the model cannot do without."""
    return bool(_ROLE.search(name))


def holds_token_ids(name: str) -> bool:
    """Tell whether a setting of this name holds token ids."""
    named = {*_SEQUENCES, *_SUPPRESSED, PAIRS}
    return is_role(name) or bool(_BY_LANGUAGE.search(name)) or name in named


def tokens_of(base_tokenizer: PreTrainedTokenizerBase, ids: Iterable[int]) -> list[str]:
    """Return the tokens of those ids that the tokenizer has."""
    known = [i for i in ids if 0 <= i < len(base_tokenizer)]
    return [token for token in base_tokenizer.convert_ids_to_tokens(known) if token is not None]


def settings_of(model: PreTrainedModel) -> Iterator[dict[str, Any]]:
    """Yield the settings of every config, and of the dictionaries inside, such as a task's."""
    pending: list[Any] = [vars(config) for config in configs_of(model)]
    while pending:
        settings = pending.pop(0)
        yield settings
        pending += [
            value
            for name, value in settings.items()
            if isinstance(value, dict) and not holds_token_ids(name) and _has_names(value)
        ]


def configs_of(model: PreTrainedModel) -> Iterator[Any]:
    """Yield the config, the configs inside it, and the generation config where there is one."""
    pending: list[Any] = [model.config]
    while pending:
        config = pending.pop()
        yield config
        pending += [v for v in vars(config).values() if isinstance(v, PretrainedConfig)]
    if getattr(model, "generation_config", None) is not None:
        yield model.generation_config


def _ids_in(value: Any, name: str) -> Iterator[int]:
    """Yield the ids of a setting; of ``forced_decoder_ids`` the second of each pair."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        for item in value:
            yield from _ids_in(item[1:] if name == PAIRS else item, "")


def _has_names(settings: dict[Any, Any]) -> bool:
    return all(isinstance(name, str) for name in settings)
