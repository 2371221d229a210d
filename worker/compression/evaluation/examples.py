"""The same held-out text in the tokens of both tokenizers, to be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.tokenizers.backend import unbounded

_SHORTEST, _LONGEST = 40, 220
_SAMPLE = 500
_QUANTILES = {"most": 0.9, "typical": 0.5, "least": 0.1}


@dataclass(frozen=True)
class Example:
    """A text cut into tokens; ``saved`` says where it stands among texts by what they save."""

    saved: str
    before: list[str]
    after: list[str]


def tokenized_examples(
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
) -> list[Example]:
    """Return texts that save as many tokens as 1 in 10, as the middle one, and as 9 in 10.

    They are of one or two lines; the beginnings of texts, where none are that short. A token is
    shown as the text it stands for.
    """
    short = [text for text in texts if _SHORTEST <= len(text) <= _LONGEST][:_SAMPLE]
    short = short or [text[:_LONGEST] for text in texts[:_SAMPLE]]
    tokenized = [
        (_pieces(base_tokenizer, text), _pieces(domain_tokenizer, text))
        for text in dict.fromkeys(short)
    ]
    by_saving = sorted((pair for pair in tokenized if pair[0]), key=_saving)
    if not by_saving:
        return []
    found = {round(quantile * (len(by_saving) - 1)): name for name, quantile in _QUANTILES.items()}
    return [Example(name, *by_saving[place]) for place, name in found.items()]


def _saving(pair: tuple[list[str], list[str]]) -> float:
    return 1 - len(pair[1]) / len(pair[0])


def _pieces(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    encoding = unbounded(tokenizer).encode(text, add_special_tokens=False)
    return [
        text[start:end] or token
        for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True)
    ]
