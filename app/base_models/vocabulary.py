"""The vocabulary of a model folder: its tokenizer, and whether the weights have a row for it."""

from collections.abc import Iterable
from typing import Any

from app.base_models.weights import StoredTensor, invalid_model

MOST_ROWS_PER_TOKEN, PADDING_ROWS = 2, 1024


def vocabulary_of(tokenizer: dict[str, Any]) -> tuple[str, int]:
    """The kind of a `tokenizer.json`, and how many tokens it has."""
    try:
        kind, vocabulary = tokenizer["model"]["type"], tokenizer["model"]["vocab"]
        added = {token["content"] for token in tokenizer.get("added_tokens", [])}
        # A Unigram's is a list of pairs of a piece and its score.
        pieces = {piece for piece, _ in vocabulary} if isinstance(vocabulary, list) else vocabulary
        return str(kind), len(added.union(pieces))
    except (KeyError, TypeError, ValueError) as error:
        raise invalid_model("tokenizer.json cannot be read") from error


def check_table(config: dict[str, Any], tokens: int, tensors: Iterable[StoredTensor]) -> None:
    """Refuse a model whose config, weights and tokenizer are not of one vocabulary."""
    text_config = config.get("text_config")
    rows = (text_config if isinstance(text_config, dict) else config).get("vocab_size")
    if not isinstance(rows, int):
        return  # the architecture's default, which only the worker knows
    if not any(tensor.shape[:1] == [rows] for tensor in tensors):
        raise invalid_model(f"its config speaks of {rows} tokens, its weights of another number")
    if not tokens <= rows <= MOST_ROWS_PER_TOKEN * tokens + PADDING_ROWS:
        raise invalid_model(
            f"its tokenizer has {tokens} tokens and its embedding matrix {rows} rows, so they do "
            "not belong together"
        )
