"""Every token id in a model's config and generation config, moved in one place."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedModelError

_TOKEN_ID = re.compile(r"(^|_)token_ids?$|^(begin_)?suppress_tokens$|^(bad|force)_words_ids$")
_PAIRS = "forced_decoder_ids"
_BY_LANGUAGE = re.compile(r"^lang(uage|_code)?_to_id$")


def required_tokens(model: PreTrainedModel, base_tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the base tokens that the model's configs name one by one, such as ``eos_token_id``.

    A domain tokenizer without one of them cannot take the base tokenizer's place: hand them to
    ``train_tokenizer`` as ``keep_tokens``.
    """
    named: dict[int, None] = {}
    for config in _configs(model):
        for name, value in vars(config).items():
            if _TOKEN_ID.search(name) and isinstance(value, int):
                named[value] = None
    ids = [i for i in named if 0 <= i < len(base_tokenizer)]
    return [token for token in base_tokenizer.convert_ids_to_tokens(ids) if token is not None]


def move_token_ids(
    model: PreTrainedModel,
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Move every token id in config, nested configs and generation config, and ``vocab_size``.

    Ids in lists are dropped where the domain has no such token. Ids the base tokenizer does not
    have at all point nowhere and become None.

    Raises:
        UnsupportedModelError: a config names a token by itself that the domain does not have.

    """
    base_tokens = {i: token for token, i in base_tokenizer.get_vocab().items()}
    domain_ids = domain_tokenizer.get_vocab()

    def new_id(old: int) -> int | None:
        return domain_ids.get(base_tokens.get(old, ""))

    missing = [t for t in required_tokens(model, base_tokenizer) if t not in domain_ids]
    if missing:
        raise UnsupportedModelError(
            f"The model's config names tokens that the domain tokenizer does not have: {missing}. "
            "Train it with keep_tokens=required_tokens(model, base_tokenizer)."
        )
    for config in _configs(model):
        for name, value in list(vars(config).items()):
            if _names_token_ids(name):
                setattr(config, name, _moved(value, name, new_id))
    _resize(model, len(domain_tokenizer))


def _names_token_ids(name: str) -> bool:
    return bool(_TOKEN_ID.search(name) or _BY_LANGUAGE.search(name)) or name == _PAIRS


def _moved(value: Any, name: str, new_id: Callable[[int], int | None]) -> Any:
    if isinstance(value, int):
        return new_id(value)
    if isinstance(value, dict):
        return {key: new_id(old) for key, old in value.items()}
    if not isinstance(value, list):
        return value
    if name == _PAIRS:
        pairs = ((position, new_id(token)) for position, token in value)
        return [[position, token] for position, token in pairs if token is not None]
    if value and isinstance(value[0], list):
        sequences = (_moved(item, name, new_id) for item in value)
        return [new for new, old in zip(sequences, value, strict=True) if len(new) == len(old)]
    return [new for old in value if (new := new_id(old)) is not None]


def _configs(model: PreTrainedModel) -> Iterator[Any]:
    """Yield the config, the configs inside it, and the generation config where there is one."""
    pending: list[Any] = [model.config]
    while pending:
        config = pending.pop()
        yield config
        pending += [v for v in vars(config).values() if isinstance(v, PretrainedConfig)]
    if getattr(model, "generation_config", None) is not None:
        yield model.generation_config


def _resize(model: PreTrainedModel, size: int) -> None:
    old_size = model.config.get_text_config().vocab_size
    for config in _configs(model):
        if getattr(config, "vocab_size", None) == old_size:
            config.vocab_size = size
    for module in model.modules():
        if vars(module).get("vocab_size") == old_size:
            vars(module)["vocab_size"] = size
