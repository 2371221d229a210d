"""Check tokenizer.json and tokenizer_config.json without loading a tokenizer.

The library that loads them stops the whole process at some of these faults.
"""

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Any

from app.base_models.files import invalid_model

TOKENIZER_CONFIG = "tokenizer_config.json"
MAX_ID = (1 << 32) - 1
SPECIAL = re.compile(r"^(bos|eos|unk|sep|pad|cls|mask)_token$")
SIDES = ("left", "right")
MAX_GROWTH = 1 << 16
"""Most times as long as it was that a tokenizer's parts may make a text, all together: those that
are meant well each lengthen other characters."""
MAX_PADDING = 1 << 20
LONGEST_LOOKED_AT = 10_000
"""Characters of an expression that is compiled here."""


def _broken(what: str, file: str = "tokenizer.json") -> Exception:
    return invalid_model(f"{file}: {what}")


def read_vocabulary(tokenizer: Mapping[str, Any]) -> tuple[str, int]:
    """Return the `model.type` of a `tokenizer.json` and the number of its tokens."""
    model = tokenizer.get("model")
    if not isinstance(model, dict) or "vocab" not in model:
        raise _broken("it has no `model` with a `vocab`")
    return _kind_of(model), len(token_ids(tokenizer))


def _kind_of(model: Mapping[str, Any]) -> str:
    """Return the kind of a tokenizer's model; the first versions of the library left it out."""
    if model.get("type") is not None:
        return str(model["type"])
    if isinstance(model["vocab"], list):
        return "Unigram"
    return "BPE" if "merges" in model else "WordPiece"


def check_tokenizer(tokenizer: Mapping[str, Any], rows: int | None) -> None:
    """Refuse a tokenizer that cannot be loaded, or has ids beyond the embedding matrix.

    `rows` are those of the matrix, where the config says them. Raises `UserFault`:
    `invalid_model`.
    """
    ids = token_ids(tokenizer)
    if rows is not None:
        for token, number in ids.items():
            if number >= rows:
                what = f"{token[:80]!r} has the id {number}, and the embedding matrix {rows} rows"
                raise _broken(what)
    _check_model(tokenizer["model"])
    _check_ends(tokenizer.get("post_processor"), rows)
    for kind in ("normalizer", "pre_tokenizer", "decoder"):
        parts = list(parts_of(tokenizer.get(kind)))
        for part in parts:
            _check_part(part, kind)
        _check_growth(parts, kind)
    _check_padding(tokenizer.get("padding"))


def token_ids(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """Return the id of each token, those that were added included."""
    ids = _model_ids(tokenizer["model"]["vocab"])
    added = tokenizer.get("added_tokens", [])
    if not isinstance(added, list):
        raise _broken("`added_tokens` is not a list")
    for entry in added:
        if not isinstance(entry, dict) or not isinstance(entry.get("content"), str):
            raise _broken("an entry of `added_tokens` has no `content`")
        _check_id(entry["content"], entry.get("id"))
        ids.setdefault(entry["content"], entry["id"])
    return ids


def _model_ids(vocabulary: Any) -> dict[str, int]:
    if isinstance(vocabulary, list):
        if not all(_is_piece(entry) for entry in vocabulary):
            raise _broken("`model.vocab` is not of pairs of a string and a finite number")
        return {entry[0]: number for number, entry in enumerate(vocabulary)}
    if not isinstance(vocabulary, dict):
        raise _broken("`model.vocab` is neither an object nor a list")
    for token, number in vocabulary.items():
        _check_id(token, number)
    if len(set(vocabulary.values())) < len(vocabulary):
        raise _broken("two tokens of `model.vocab` have the same id")
    return dict(vocabulary)


def _is_piece(entry: Any) -> bool:
    if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str):
        return False
    score = entry[1]
    return isinstance(score, (int, float)) and not isinstance(score, bool) and isfinite(score)


def _check_id(token: str, number: Any) -> None:
    if type(number) is not int or not 0 <= number <= MAX_ID:
        raise _broken(f"{token[:80]!r} has the id {str(number)[:80]}, which is none")


def _check_model(model: Mapping[str, Any]) -> None:
    vocabulary, kind, unknown = model["vocab"], _kind_of(model), model.get("unk_token")
    if isinstance(vocabulary, list) != (kind == "Unigram"):
        raise _broken(f"the `vocab` of a {kind[:80]} is not of this kind")
    if kind == "Unigram":
        number = model.get("unk_id")
        if number is not None and not _is_id(number, len(vocabulary)):
            raise _broken(f"`model.unk_id` is {str(number)[:80]}, of {len(vocabulary)} pieces")
    elif unknown is not None and not isinstance(unknown, str):
        raise _broken("`model.unk_token` is not a string")
    elif kind == "WordPiece":
        if unknown is not None and unknown not in vocabulary:
            raise _broken(f"`model.unk_token`, {unknown[:80]!r}, is not in `model.vocab`")
        if not _is_id(model.get("max_input_chars_per_word", 100), 1 << 63):
            raise _broken("`model.max_input_chars_per_word` is not a whole number")
    else:
        _check_merges(model)


def _check_merges(model: Mapping[str, Any]) -> None:
    merges, vocabulary = model.get("merges"), model["vocab"]
    if merges is None:
        return
    if not isinstance(merges, list):
        raise _broken("`model.merges` is not a list")
    prefix = model.get("continuing_subword_prefix")
    skipped = len(prefix) if isinstance(prefix, str) else 0
    for merge in merges:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not _are_names(pair) or len(pair) != 2 or len(pair[1]) < skipped:
            raise _broken(f"the merge {str(merge)[:80]!r} is not of two tokens")
        for token in (*pair, pair[0] + pair[1][skipped:]):
            if token not in vocabulary:
                raise _broken(f"a merge names {token[:80]!r}, which is not in `model.vocab`")


def parts_of(part: Any) -> Iterator[dict[str, Any]]:
    """Yield the parts of a normalizer, pre-tokenizer, decoder or post-processor."""
    if not isinstance(part, dict):
        return
    yield part
    for name in ("normalizers", "pretokenizers", "decoders", "processors"):
        inner = part.get(name)
        for each in inner if isinstance(inner, list) else ():
            yield from parts_of(each)


def _check_ends(part: Any, rows: int | None) -> None:
    """Check the tokens that a post-processor puts around a text."""
    most = rows if rows is not None else MAX_ID + 1
    for each in parts_of(part):
        for name in ("sep", "cls"):
            pair = each.get(name, ["", 0])
            if not isinstance(pair, list) or len(pair) != 2 or not _is_id(pair[1], most):
                raise _broken(f"`post_processor.{name}` is no token with its id")
        if each.get("type") == "TemplateProcessing":
            _check_template(each, most)


def _is_id(number: Any, most: int) -> bool:
    return type(number) is int and 0 <= number < most


def _check_template(part: Mapping[str, Any], most: int) -> None:
    known = part.get("special_tokens")
    known = known if isinstance(known, dict) else {}
    for token in known.values():
        numbers = token.get("ids") if isinstance(token, dict) else None
        if not isinstance(numbers, list) or not all(_is_id(number, most) for number in numbers):
            raise _broken("`post_processor.special_tokens` has an id of no token")
    for name in ("single", "pair"):
        template = part.get(name)
        if not isinstance(template, list) or not all(isinstance(step, dict) for step in template):
            raise _broken(f"`post_processor.{name}` is not a template")
        for step in template:
            special = step.get("SpecialToken", {})
            token = special.get("id", "") if isinstance(special, dict) else None
            if special and not (isinstance(token, str) and token in known):
                raise _broken(f"`post_processor.{name}` names a token that it does not define")


def _check_part(part: Mapping[str, Any], kind: str) -> None:
    if not isinstance(part.get("type"), str):
        raise _broken(f"a part of `{kind}` has no `type`")
    pattern = part.get("pattern")
    expression = pattern.get("Regex") if isinstance(pattern, dict) else None
    if expression is not None and (fault := regex_fault(expression)):
        raise _broken(f"the regular expression {str(expression)[:80]!r} of `{kind}` {fault}")
    if part["type"] == "Precompiled" and not _is_charsmap(part.get("precompiled_charsmap")):
        raise _broken(f"`precompiled_charsmap` of `{kind}` is damaged")


def _check_growth(parts: Iterable[Mapping[str, Any]], kind: str) -> None:
    """Refuse a chain of which each part makes the text longer, until it fits in no memory."""
    most = 1
    for part in parts:
        most *= _growth(part)
        if most > MAX_GROWTH:
            what = f"`{kind}` can make a text more than {MAX_GROWTH} times as long"
            raise _broken(what)


def _growth(part: Mapping[str, Any]) -> int:
    """Return how many characters at most a part makes of one."""
    if part["type"] == "ByteLevel":
        # A character of its alphabet has two bytes, and any other up to four.
        return 2
    pattern, content = part.get("pattern"), part.get("content")
    if part["type"] != "Replace" or not isinstance(pattern, dict) or not isinstance(content, str):
        return 1
    text, expression = pattern.get("String"), pattern.get("Regex")
    if isinstance(text, str) and text:
        return max(1, -(-len(content) // len(text)))
    # What matches an empty text does so between any two characters.
    takes_one = isinstance(expression, str) and _takes_a_character(expression)
    return max(1, len(content)) if takes_one else len(content) + 1


_LOOKS = re.compile(r"\(\?<?[=!]|[$^]|\\[bBAzZG]")
"""Parts of an expression that take no character."""


def _takes_a_character(expression: str) -> bool:
    """Return false where an expression may match where nothing is."""
    if len(expression) > LONGEST_LOOKED_AT or _LOOKS.search(expression):
        return False
    try:
        return not re.match(expression, "")
    except (re.error, OverflowError, RecursionError):
        # Of Oniguruma alone.
        return False


def _check_padding(padding: Any) -> None:
    """Refuse a padding that makes a text of any length too long to be held."""
    if not isinstance(padding, dict):
        return
    strategy = padding.get("strategy")
    fixed = strategy.get("Fixed") if isinstance(strategy, dict) else None
    for name, size in (
        ("strategy", fixed),
        ("pad_to_multiple_of", padding.get("pad_to_multiple_of")),
    ):
        if size is not None and not _is_id(size, MAX_PADDING):
            raise _broken(f"`padding.{name}` is {str(size)[:80]}, at most {MAX_PADDING:,} can be")


_UNUSUAL = re.compile(r"\(\?#|\(\?[a-z]*x|\(\*|\\Q")
"""Comments, free spacing, callouts and quotations, in which signs mean something else."""
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_CLASS = re.compile(r"\[\^?\]?[^\[\]]*\]")
_GROUP = re.compile(r"\([^()]*\)")
_NOTHING_REPEATED = re.compile(r"(^|\||\()[*+]|(^|\|)\?")


def regex_fault(expression: Any) -> str | None:
    """Say why a regular expression of Oniguruma cannot compile; None where it may.

    Only its frame is looked at: escapes, classes, parentheses, and what there is to repeat.
    """
    if not isinstance(expression, str):
        return "is not a string"
    if _UNUSUAL.search(expression):
        return None
    rest = _without(_CLASS, _without(_ESCAPED, expression))
    if rest.endswith("\\"):
        return "ends in a backslash"
    if "[" in rest:
        return "does not close a class"
    if _NOTHING_REPEATED.search(rest):
        return "has nothing to repeat"
    rest = _without(_GROUP, rest)
    return "does not close or open a parenthesis" if "(" in rest or ")" in rest else None


def _without(part: re.Pattern[str], expression: str) -> str:
    """Put a plain letter in place of each such part, from within."""
    before = ""
    while before != expression:
        before, expression = expression, part.sub("a", expression)
    return expression


def _is_charsmap(encoded: Any) -> bool:
    """Return true for base64 of the length and the content of a SentencePiece's character map."""
    if not isinstance(encoded, (str, list)):
        return encoded is None
    try:
        content = b64decode(encoded, validate=True) if isinstance(encoded, str) else bytes(encoded)
    except (ValueError, TypeError):
        return False
    size = int.from_bytes(content[:4], "little")
    return 0 < size <= len(content) - 4 and size % 4 == 0


def check_tokenizer_config(config: Mapping[str, Any]) -> None:
    """Refuse settings that a tokenizer cannot be made with; raises `UserFault`: `invalid_model`."""
    for name, is_right, what in _SETTINGS:
        value = config.get(name)
        if value is not None and not is_right(value):
            said = f"`{name}` is {str(value)[:80]!r}, and must be {what}"
            raise _broken(said, TOKENIZER_CONFIG)
    for name, value in config.items():
        if SPECIAL.match(name) and not _is_token(value):
            what = f"`{name}` is {str(value)[:80]!r}, and must be a token"
            raise _broken(what, TOKENIZER_CONFIG)


def check_named_tokens(
    config: Mapping[str, Any], tokenizer: Mapping[str, Any], rows: int | None
) -> None:
    """Refuse special tokens that are not in the vocabulary, where the matrix has no room for them.

    They are given ids behind the last one when the tokenizer is loaded.
    """
    ids = token_ids(tokenizer)
    named = [value for name, value in config.items() if SPECIAL.match(name)]
    for name in ("additional_special_tokens", "extra_special_tokens"):
        more = config.get(name) or []
        named += more.values() if isinstance(more, dict) else more
    contents = [value["content"] if isinstance(value, dict) else value for value in named if value]
    missing = list(dict.fromkeys(token for token in contents if token not in ids))
    if rows is not None and missing and len(ids) + len(missing) > rows:
        what = f"{missing[0][:80]!r} is not in the vocabulary, and the embedding matrix has no row"
        raise _broken(f"{what} for it", TOKENIZER_CONFIG)


def _is_token(value: Any) -> bool:
    if isinstance(value, dict):
        return isinstance(value.get("content"), str)
    return value is None or isinstance(value, str)


def _is_length(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 1


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _are_tokens(value: Any) -> bool:
    found = list(value.values()) if isinstance(value, dict) else value
    return isinstance(found, list) and all(
        token is not None and _is_token(token) for token in found
    )


def _are_added(value: Any) -> bool:
    return isinstance(value, dict) and all(
        key.isascii()
        and key.isdigit()
        and int(key[:11]) <= MAX_ID
        and isinstance(token, dict)
        and isinstance(token.get("content"), str)
        for key, token in value.items()
    )


def _is_chat_template(value: Any) -> bool:
    if isinstance(value, list):
        return all(
            isinstance(each, dict)
            and isinstance(each.get("name"), str)
            and isinstance(each.get("template"), str)
            for each in value
        )
    return isinstance(value, (str, dict))


_SETTINGS = (
    ("model_max_length", _is_length, "a number of at least 1"),
    ("tokenizer_class", _is_string, "a string"),
    ("padding_side", SIDES.__contains__, "left or right"),
    ("truncation_side", SIDES.__contains__, "left or right"),
    ("model_input_names", _are_names, "a list of strings"),
    ("additional_special_tokens", _are_tokens, "a list of tokens"),
    ("extra_special_tokens", _are_tokens, "tokens"),
    ("added_tokens_decoder", _are_added, "an object from ids to tokens"),
    ("chat_template", _is_chat_template, "a template or a list of named ones"),
)
