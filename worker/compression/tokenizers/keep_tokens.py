"""The tokens of the base that its user wants to keep."""

from collections.abc import Sequence

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import UnknownKeepTokensError
from worker.compression.tokenizers.backend import unbounded

_NAMED = 10


def resolve_keep_tokens(
    base_tokenizer: PreTrainedTokenizerBase, wanted: Sequence[str]
) -> list[str]:
    """Return the base's tokens that are meant: raw tokens, or texts that are one token there.

    Raises:
        UnknownKeepTokensError: some are no token of the base, or several; the message names them.

    """
    known, backend = base_tokenizer.get_vocab(), unbounded(base_tokenizer)
    kept: dict[str, None] = {}
    unknown: dict[str, list[str]] = {}
    for token in wanted:
        pieces = (
            [token] if token in known else backend.encode(token, add_special_tokens=False).tokens
        )
        if len(pieces) == 1 and (token in known or pieces[0] != base_tokenizer.unk_token):
            kept[pieces[0]] = None
        else:
            unknown[token] = pieces
    if unknown:
        raise UnknownKeepTokensError(_message(unknown))
    return list(kept)


def _message(unknown: dict[str, list[str]]) -> str:
    named = [f"{token!r} ({' '.join(pieces)})" for token, pieces in unknown.items()]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return (
        "`keep_tokens` holds what is not one token of the base vocabulary; beside each is how the "
        f"base splits it: {', '.join(named[:_NAMED])}{more}. Leave these out: words that the "
        "corpus uses often become tokens by themselves."
    )
