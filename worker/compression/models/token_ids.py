"""Token ids in a model's settings: its configs and its generation config."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnsupportedModelError

# Settings with a role, such as eos_token_id: a model cannot do without the token.
_ROLE = re.compile(r"(^|_)token_ids?$")

# Lists of sequences of ids.
_SEQUENCES = ("bad_words_ids", "force_words_ids")

# Pairs of a position and an id.
_PAIRS = "forced_decoder_ids"

# Tokens that are never generated: one that is gone cannot be generated anyway.
_SUPPRESSED = ("suppress_tokens", "begin_suppress_tokens")

# Dictionaries from a language to the id of its token.
_BY_LANGUAGE = re.compile(r"^lang(uage|_code)?_to_id$")

# From a base id to the domain id of the same token, None where the domain does not have it.
IdMap = Callable[[int], int | None]


def required_tokens(model: PreTrainedModel, base_tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the base tokens that the model's configs name, such as ``eos_token_id``.

    A domain tokenizer without one of them cannot take the base tokenizer's place: hand them to
    ``train_tokenizer`` as ``keep_tokens``. Suppressed tokens are not among them.
    """
    named = (i for name, i in configured_ids(model) if name not in _SUPPRESSED)
    return _tokens(base_tokenizer, dict.fromkeys(named))


def configured_ids(model: PreTrainedModel) -> Iterator[tuple[str, int]]:
    """Yield the name of each setting that holds token ids, with each of its ids."""
    for settings in _all_settings(model):
        for name, value in settings.items():
            if holds_token_ids(name):
                yield from ((name, i) for i in _ids_in(value, name))


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
    that the base tokenizer does not have either become None. ``size`` is the number of rows of
    the embedding table: rows without a token are suppressed in generation.

    Raises:
        UnsupportedModelError: a config names a token in a role that the domain does not have.

    """
    new_id = id_map(base_tokenizer, domain_tokenizer)
    in_roles = {i for name, i in configured_ids(model) if _ROLE.search(name)}
    lost = [i for i in sorted(in_roles) if new_id(i) is None]
    if missing := _tokens(base_tokenizer, lost):
        raise UnsupportedModelError(
            f"The model's config names tokens that the domain tokenizer does not have: {missing}. "
            "Train it with keep_tokens=required_tokens(model, base_tokenizer)."
        )
    for settings in _all_settings(model):
        for name, value in list(settings.items()):
            if holds_token_ids(name):
                settings[name] = _with_new_ids(value, name, new_id)
    _set_vocab_size(model, size)
    generation: Any = getattr(model, "generation_config", None)
    if generation is not None and size > len(domain_tokenizer):
        padding = range(len(domain_tokenizer), size)
        generation.suppress_tokens = [*(generation.suppress_tokens or ()), *padding]


def holds_token_ids(name: str) -> bool:
    """Tell whether a setting of this name holds token ids."""
    if name in {*_SEQUENCES, *_SUPPRESSED, _PAIRS}:
        return True
    return bool(_ROLE.search(name) or _BY_LANGUAGE.search(name))


def _tokens(base_tokenizer: PreTrainedTokenizerBase, ids: Iterable[int]) -> list[str]:
    """Return the tokens of those ids that the tokenizer has."""
    valid = [i for i in ids if 0 <= i < len(base_tokenizer)]
    return [token for token in base_tokenizer.convert_ids_to_tokens(valid) if token is not None]


def _all_settings(model: PreTrainedModel) -> Iterator[dict[str, Any]]:
    """Yield the settings of every config, and of the dictionaries inside, such as a task's."""
    pending: list[Any] = [vars(config) for config in _configs(model)]
    while pending:
        settings = pending.pop(0)
        yield settings
        pending += [
            value
            for name, value in settings.items()
            if isinstance(value, dict)
            and not holds_token_ids(name)
            # Keys that are no names, such as the ids of id2label, are no settings.
            and all(isinstance(key, str) for key in value)
        ]


def _configs(model: PreTrainedModel) -> Iterator[Any]:
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
            yield from _ids_in(item[1:] if name == _PAIRS else item, "")


def _with_new_ids(value: Any, name: str, new_id: IdMap) -> Any:
    """Return the value of a setting with every id replaced, at any depth of its lists.

    Single ids that the domain does not have become None. Lists lose them, and lose whole
    sequences that would lose one.
    """
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
        sequences = (_with_new_ids(item, name, new_id) for item in value)
        return [new for new, old in zip(sequences, value, strict=True) if len(new) == len(old)]
    return [new for old in value if (new := new_id(old)) is not None]


def _set_vocab_size(model: PreTrainedModel, size: int) -> None:
    """Set the number of rows wherever a config or module keeps it."""
    old_size = model.config.get_text_config().vocab_size
    for config in _configs(model):
        if getattr(config, "vocab_size", None) == old_size:
            config.vocab_size = size
    for module in model.modules():
        if vars(module).get("vocab_size") == old_size:
            vars(module)["vocab_size"] = size
