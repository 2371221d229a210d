"""Hold a domain tokenizer to what its base does with the same texts.

The base is the standard, not an ideal: where the base rewrites quotes, has no decoder or does not
know a character, the domain tokenizer may too. What must stay is which characters get tokens, how
many texts come back from their tokens, how often a token is unknown, and where special tokens,
padding and truncation go.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from transformers import BatchEncoding
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import ArtifactCheckFailedError, UnsupportedTokenizerError
from worker.compression.tokenizers.tokenizer_json import unbounded

# Texts that are read, and the characters of each.
SAMPLE, CHARACTERS = 32, 300

# The share of texts that may go worse than with the base. A few may: text that a split leaves
# otherwise, such as half of a letter and its accent, need not decode alike.
_MAY_DIFFER = 0.1

# Unknown tokens that a domain vocabulary may have more than the base, as a share of all tokens.
# Without bytes to fall back on, characters that the corpus lacks have no token.
_MORE_UNKNOWN = 0.2

_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_SETTINGS = ("padding_side", "truncation_side", "model_max_length")
_LONGEST = 8


@dataclass(frozen=True)
class _Reading:
    """What a tokenizer does with one text.

    ``covered`` are the places of characters that are in a token, ``joins`` is whether a decoder
    joins tokens, so that what is decoded does not depend on how the text was split.
    """

    covered: frozenset[int]
    comes_back: bool
    decoded: str
    joins: bool
    unknown: int
    tokens: int


def sample_texts(texts: Sequence[str]) -> list[str]:
    """Return the beginnings of the first texts that are not blank."""
    return [text[:CHARACTERS] for text in texts if text.strip()][:SAMPLE]


def check_behaviour(
    base: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase, texts: Sequence[str]
) -> None:
    """Compare a domain tokenizer with its base on the beginnings of some texts.

    Raises:
        ArtifactCheckFailedError: it does worse than the base; the message says in what.
        UnsupportedTokenizerError: the base itself cannot read the texts.

    """
    texts = sample_texts(texts)
    try:
        expected = [_read(base, text) for text in texts]
        layouts = [*_layouts(base, texts)]
    except Exception as error:
        raise UnsupportedTokenizerError(
            f"The base model's own tokenizer fails on the corpus ({error}): use a base model whose "
            "tokenizer works."
        ) from error
    _check_roles(base, domain)
    for before, after in zip(layouts, _layouts(domain, texts), strict=True):
        _require(before == after, f"special tokens stand as {after}, in the base as {before}")
    _check_readings(expected, [_read(domain, text) for text in texts])


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ArtifactCheckFailedError(f"The tokenizer is not as its base: {otherwise}.")


def _check_roles(base: PreTrainedTokenizerBase, domain: PreTrainedTokenizerBase) -> None:
    for name in (*(f"{role}_token" for role in _ROLES), *_SETTINGS):
        before, after = getattr(base, name), getattr(domain, name)
        _require(before == after, f"{name} is {after!r} and was {before!r}")
    lost = _added(base) - _added(domain)
    _require(not lost, f"it lacks {', '.join(sorted(text for text, _ in lost)[:5])}")


def _added(tokenizer: PreTrainedTokenizerBase) -> set[tuple[str, bool]]:
    """Return the added tokens, each with whether it is special."""
    tokens = unbounded(tokenizer).get_added_tokens_decoder().values()
    return {(token.content, token.special) for token in tokens}


def _layouts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Iterator[object]:
    """Yield where special tokens stand in a text, in a pair, cut to a few tokens, and padded."""
    first, last = (texts[0], texts[-1]) if texts else ("", "")
    names = {i: token for token, i in tokenizer.get_vocab().items()}
    special = {*tokenizer.all_special_tokens} - {tokenizer.unk_token}

    def layout(encoded: BatchEncoding) -> list[object]:
        types = encoded.get("token_type_ids") or [0] * len(encoded["input_ids"])
        marks = list[object]()
        for i, type_ in zip(encoded["input_ids"], types, strict=True):
            # An id that no token has stands as itself.
            token = names.get(i, f"id {i}")
            mark = (token if token in special or i not in names else "…", type_)
            if not marks or marks[-1] != mark:
                marks.append(mark)
        return marks

    yield layout(tokenizer(first))
    yield layout(tokenizer(first, last))
    for text in {first, last}:
        short = tokenizer(text, truncation=True, max_length=_LONGEST)
        _require(len(short["input_ids"]) <= _LONGEST, "it does not cut a text to a length")
    if tokenizer.pad_token is not None:
        padded = tokenizer(["", first], padding=True)
        yield padded["input_ids"][0].count(tokenizer.pad_token_id) > 0
        yield padded["attention_mask"][0][:1], padded["attention_mask"][0][-1:]


def _read(tokenizer: PreTrainedTokenizerBase, text: str) -> _Reading:
    backend = unbounded(tokenizer)
    encoded = backend.encode(text, add_special_tokens=False)
    unk = tokenizer.unk_token_id
    spans = (range(start, end) for start, end in encoded.offsets)
    decoded = str(tokenizer.decode(encoded.ids))
    return _Reading(
        covered=frozenset(i for span in spans for i in span if not text[i].isspace()),
        comes_back=_letters(decoded) == _letters(text),
        decoded=decoded,
        joins=backend.decoder is not None,
        unknown=encoded.ids.count(unk) if unk is not None else 0,
        tokens=len(encoded.ids),
    )


def _letters(text: str) -> str:
    """Return a text without what tokenizers may change: case, accents, blanks, controls."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in plain if unicodedata.category(c)[0] not in "CMZ")


def _check_readings(expected: Sequence[_Reading], actual: Sequence[_Reading]) -> None:
    pairs = list(zip(expected, actual, strict=True))
    before, after = _unknown_share(expected), _unknown_share(actual)
    _require(
        after <= before + _MORE_UNKNOWN,
        f"{after:.0%} of its tokens are unknown, and {before:.0%} with the base",
    )
    # What an unknown token stands for neither decodes nor says where it ends.
    known = [(old, new) for old, new in pairs if not old.unknown and not new.unknown]
    _check_share(known, lambda old, new: old.covered <= new.covered, "lose characters")
    _check_share(
        known,
        lambda old, new: new.comes_back or not old.comes_back,
        "do not come back from their tokens, and do with the base",
    )
    joined = [(old, new) for old, new in known if old.joins]
    _check_share(joined, lambda old, new: new.decoded == old.decoded, "decode otherwise")


def _unknown_share(readings: Sequence[_Reading]) -> float:
    total = sum(reading.tokens for reading in readings)
    return sum(reading.unknown for reading in readings) / max(total, 1)


def _check_share(
    pairs: Sequence[tuple[_Reading, _Reading]],
    is_kept: Callable[[_Reading, _Reading], bool],
    otherwise: str,
) -> None:
    worse = sum(not is_kept(old, new) for old, new in pairs)
    _require(worse <= _MAY_DIFFER * len(pairs), f"{worse} of {len(pairs)} texts {otherwise}")
