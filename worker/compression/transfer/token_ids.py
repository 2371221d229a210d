"""Every token id in a model's config and generation config, moved in one place."""

from collections.abc import Callable
from typing import Any

from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedModelError
from worker.compression.transfer.configured_ids import (
    PAIRS,
    configs_of,
    configured_ids,
    holds_token_ids,
    is_role,
    settings_of,
    tokens_of,
)

IdMap = Callable[[int], int | None]


def id_map(
    base_tokenizer: PreTrainedTokenizerBase, domain_tokenizer: PreTrainedTokenizerBase
) -> IdMap:
    """Return the function from a base id to the domain id of the same token, None without one."""
    base_tokens = {i: token for token, i in base_tokenizer.get_vocab().items()}
    domain_ids = domain_tokenizer.get_vocab()
    return lambda old: domain_ids.get(base_tokens.get(old, ""))


def move_token_ids(
    model: PreTrainedModel,
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
    size: int,
) -> None:
    """Move every token id in config, nested configs and generation config; set ``vocab_size``.

    Suppressed tokens and sequences with a token that the domain does not have are dropped. Ids
    the base tokenizer does not have at all point nowhere and become None. Rows from the last token
    up to ``size`` are suppressed in generation.

    Raises:
        UnsupportedModelError: a config names a token in a role that the domain does not have.

    """
    new_id = id_map(base_tokenizer, domain_tokenizer)
    _check_roles(model, base_tokenizer, new_id)
    for settings in settings_of(model):
        for name, value in list(settings.items()):
            if holds_token_ids(name):
                settings[name] = _moved(value, name, new_id)
    _resize(model, size)
    generation: Any = getattr(model, "generation_config", None)
    if generation is not None and size > len(domain_tokenizer):
        padding = range(len(domain_tokenizer), size)
        generation.suppress_tokens = [*(generation.suppress_tokens or ()), *padding]


def _check_roles(
    model: PreTrainedModel, base_tokenizer: PreTrainedTokenizerBase, new_id: IdMap
) -> None:
    in_roles = {i for name, i in configured_ids(model) if is_role(name)}
    lost = [i for i in sorted(in_roles) if new_id(i) is None]
    if missing := tokens_of(base_tokenizer, lost):
        raise UnsupportedModelError(
            f"The model's config names tokens that the domain tokenizer does not have: {missing}. "
            "Train it with keep_tokens=required_tokens(model, base_tokenizer)."
        )


def _moved(value: Any, name: str, new_id: IdMap) -> Any:
    if isinstance(value, int):
        return new_id(value)
    if isinstance(value, dict):
        return {key: new_id(old) for key, old in value.items()}
    if not isinstance(value, list):
        return value
    if name == PAIRS:
        pairs = ((position, new_id(token)) for position, token in value)
        return [[position, token] for position, token in pairs if token is not None]
    if value and isinstance(value[0], list):
        sequences = (_moved(item, name, new_id) for item in value)
        return [new for new, old in zip(sequences, value, strict=True) if len(new) == len(old)]
    return [new for old in value if (new := new_id(old)) is not None]


def _resize(model: PreTrainedModel, size: int) -> None:
    old_size = model.config.get_text_config().vocab_size
    for config in configs_of(model):
        if getattr(config, "vocab_size", None) == old_size:
            config.vocab_size = size
    for module in model.modules():
        if vars(module).get("vocab_size") == old_size:
            vars(module)["vocab_size"] = size
