"""Where the reserved tokens of the base stand in the domain vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.tokenizers.backend import Json, vocabulary_of


@dataclass(frozen=True)
class Layout:
    """Special and added tokens, each group in the order of the base's ids.

    Those the base has before an ordinary token come ``first``, where they keep small ids (RoBERTa
    and MPNet count positions from the pad token's id). Those after all ordinary tokens come
    ``last`` (T5 counts its sentinels from the end); of these, ``outside`` are no tokens of the
    model but added after it.
    """

    first: Sequence[str]
    last: Sequence[str]
    outside: Sequence[str]

    @property
    def tokens(self) -> list[str]:
        """Return every reserved token."""
        return [*self.first, *self.last, *self.outside]

    def around(self, tokens: Sequence[str]) -> list[str]:
        """Return the tokens of the model in the order of ids, given the ordinary ones."""
        return [*self.first, *tokens, *self.last]


def layout_of(
    base_tokenizer: PreTrainedTokenizerBase, base: Json, new_added_tokens: Sequence[str]
) -> Layout:
    """Return the layout for a base tokenizer; ``new_added_tokens`` stand after its first ones."""
    ids, model = base_tokenizer.get_vocab(), vocabulary_of(base["model"])
    reserved = sorted(_reserved(base_tokenizer, base), key=lambda token: ids[token])
    ordinary = max((i for token, i in ids.items() if token not in set(reserved)), default=-1)
    last = [token for token in reserved if ids[token] > ordinary]
    return Layout(
        first=[*(token for token in reserved if ids[token] < ordinary), *new_added_tokens],
        last=[token for token in last if token in model],
        outside=[token for token in last if token not in model],
    )


def _reserved(base_tokenizer: PreTrainedTokenizerBase, base: Json) -> set[str]:
    tokens = {token["content"] for token in base["added_tokens"]}
    tokens |= {str(token) for token in base_tokenizer.all_special_tokens}
    model = base["model"]
    if model.get("unk_id") is not None:
        tokens.add(model["vocab"][model["unk_id"]][0])
    return tokens | ({model["unk_token"]} if model.get("unk_token") else set())
