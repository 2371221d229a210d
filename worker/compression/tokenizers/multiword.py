"""Multi-word tokens: word n-grams as single tokens (Gee et al. 2023, arXiv 2402.09949).

They need no code of ours: in a plain ``tokenizer.json`` the pre-tokenizer keeps an n-gram in one
piece and the model has it as a token. Between the words is one space, never a line break or
punctuation, and text decodes to what it would without them.
"""

import json
import re
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer
from transformers import PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.corpus import Texts
from worker.compression.errors import MultiwordUnsupportedError, TooFewWordGroupsError
from worker.compression.progress import Progress, silent
from worker.compression.tokenizers.ngrams import WordRuns, choose_ngrams, read_runs
from worker.compression.tokenizers.tokenizer_json import Json, backend_json, unbounded

# A comment at the start of a pre-tokenizer's pattern that tells that it is ours.
_MARKER = "(?#multiword)"

# Two spaces split words as a line break does, and no n-gram has more than one between words.
_LINE_BREAKS_TO_SPACES = {
    "type": "Replace",
    "pattern": {"Regex": "[\\n\\r\\u2028\\u2029]"},
    "content": "  ",
}

# Categories of which BERT's pre-tokenizer isolates no character (unassigned, private use) or can
# be given none (surrogates); most of Unicode, so leaving them out saves the most time.
_NO_CHARACTERS = {"Cn", "Co", "Cs"}

_BERT = pre_tokenizers.BertPreTokenizer()

# Types of model, pre-tokenizer and decoder with which any text decodes as it did before.
_SUPPORTED = ["WordPiece", "BertPreTokenizer", "WordPiece"]


def check_multiword(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that cannot hold multi-word tokens exactly.

    Raises:
        MultiwordUnsupportedError: it is no WordPiece tokenizer that splits words as BERT does.

    """
    content = backend_json(without_multiword(tokenizer))
    types = [(content[name] or {}).get("type") for name in ("model", "pre_tokenizer", "decoder")]
    if types != _SUPPORTED:
        raise MultiwordUnsupportedError(
            "Tokens of several words are available for WordPiece tokenizers that split words as "
            f"BERT does, and this one is made of {', '.join(map(str, types))}: leave `multiword` "
            "out, or use another base model."
        )


def read_word_runs(
    tokenizer: PreTrainedTokenizerBase, texts: Texts, progress: Progress | None = None
) -> WordRuns:
    """Read a corpus for ``add_multiword``; any tokenizer of the same base reads it the same.

    Raises:
        MultiwordUnsupportedError: the tokenizer cannot hold multi-word tokens exactly.

    """
    check_multiword(tokenizer)
    return read_runs(_run_splitter(unbounded(tokenizer)), texts, progress or silent)


def _run_splitter(backend: Tokenizer) -> Callable[[str], Iterator[list[str]]]:
    """Return a function from a text to its runs: words that are one space apart."""
    added = [token.content for token in backend.get_added_tokens_decoder().values()]
    borders = ["[\n\r\u2028\u2029]", *(re.escape(t) for t in sorted(added, key=len)[::-1])]
    cut, normalizer = re.compile("|".join(borders)), backend.normalizer
    word = f"[^\\s{_isolated_characters()}]+"
    runs = re.compile(f"{word}(?: {word})*")

    def split_runs(text: str) -> Iterator[list[str]]:
        for segment in cut.split(text):
            normalized = normalizer.normalize_str(segment) if normalizer else segment
            yield from (run.split(" ") for run in runs.findall(normalized))

    return split_runs


def add_multiword(
    domain_tokenizer: PreTrainedTokenizerBase,
    runs: WordRuns,
    count: int,
    progress: Progress | None = None,
) -> PreTrainedTokenizerBase:
    """Return the tokenizer with ``count`` more tokens: the n-grams that save the most tokens.

    Raises:
        MultiwordUnsupportedError: the tokenizer cannot hold them exactly.
        TooFewWordGroupsError: the corpus holds fewer n-grams that save anything.

    """
    if not count:
        return domain_tokenizer
    check_multiword(domain_tokenizer)
    backend, content = unbounded(domain_tokenizer), backend_json(domain_tokenizer)
    pieces = [[piece.value for piece in backend.model.tokenize(word)] for word in runs.words]
    # A word with an unknown character is one unknown token: no n-gram goes over it.
    unk = content["model"]["unk_token"]
    spellable = runs.without({number for number, split in enumerate(pieces) if unk in split})
    lengths = np.array([len(split) for split in pieces], dtype=np.int64)
    accepts = _decodes_alike(backend, content["model"]["max_input_chars_per_word"])
    chosen = choose_ngrams(spellable, lengths, count, accepts, progress or silent)
    if len(chosen) < count:
        raise TooFewWordGroupsError(
            f"The corpus holds {len(chosen)} groups of words that are worth a token: ask for at "
            f"most {len(chosen)} multi-word tokens, or upload more text."
        )
    return _load(domain_tokenizer, _with_tokens(content, [" ".join(words) for words in chosen]))


def _decodes_alike(backend: Tokenizer, longest: int) -> Callable[[list[str]], bool]:
    """Return a function that tells whether words decode as one token as they do apart.

    The decoder cleans up each token on its own: "do not" as one token would become "don't". A
    token of more than ``longest`` characters would be unknown to the model.
    """
    decode, model = backend.decoder.decode, backend.model

    def decodes_alike(words: list[str]) -> bool:
        token = " ".join(words)
        pieces = [piece.value for word in words for piece in model.tokenize(word)]
        contexts: tuple[list[str], ...] = ([], ["a"])
        return len(token) <= longest and all(
            decode([*before, token]) == decode([*before, *pieces]) for before in contexts
        )

    return decodes_alike


def multiword_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, list[str]]:
    """Return the words of each multi-word token of a tokenizer, as its model takes them."""
    return {token: token.split(" ") for token in _tokens_in(backend_json(tokenizer))}


def without_multiword(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Return the tokenizer as it was before ``add_multiword``; itself where it has no such tokens.

    The ids of its other tokens stay.
    """
    content = backend_json(tokenizer)
    if not (tokens := set(_tokens_in(content))):
        return tokenizer
    model = content["model"]
    vocabulary = {token: i for token, i in model["vocab"].items() if token not in tokens}
    (_, *normalizers) = content["normalizer"]["normalizers"]
    plain = {
        **content,
        "model": {**model, "vocab": vocabulary},
        "normalizer": normalizers[0] if normalizers else None,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    }
    return _load(tokenizer, plain)


def _with_tokens(content: Json, tokens: Sequence[str]) -> Json:
    """Return a ``tokenizer.json`` with multi-word tokens after all others."""
    model, normalizer = content["model"], content["normalizer"]
    size = len(model["vocab"])
    ids = {token: size + number for number, token in enumerate(tokens)}
    normalizers = [_LINE_BREAKS_TO_SPACES, *([normalizer] if normalizer else [])]
    return {
        **content,
        "model": {**model, "vocab": model["vocab"] | ids},
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": json.loads(ngram_pre_tokenizer(tokens).__getstate__()),
    }


def _tokens_in(content: Json) -> list[str]:
    """Return the multi-word tokens of a ``tokenizer.json``."""
    pattern = (content["pre_tokenizer"] or {}).get("pattern", {})
    if not str(pattern.get("Regex", "")).startswith(_MARKER):
        return []
    added = {token["content"] for token in content["added_tokens"]}
    return [token for token in content["model"]["vocab"] if " " in token and token not in added]


def _load(tokenizer: PreTrainedTokenizerBase, content: Json) -> PreTrainedTokenizerBase:
    """Return the saved tokenizer with ``content`` as its ``tokenizer.json``, loaded again.

    Classes such as ``BertTokenizer`` build a pre-tokenizer of their own whatever the file says:
    it is loaded as the plain class, which does not.
    """
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        settings_path = Path(folder, "tokenizer_config.json")
        settings = json.loads(settings_path.read_text("utf-8"))
        settings["tokenizer_class"] = PreTrainedTokenizerFast.__name__
        settings["model_input_names"] = tokenizer.model_input_names
        for path, value in (
            (Path(folder, "tokenizer.json"), content),
            (settings_path, settings),
        ):
            path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
        loaded: PreTrainedTokenizerBase = PreTrainedTokenizerFast.from_pretrained(
            folder,
            local_files_only=True,
            padding_side=tokenizer.padding_side,
            truncation_side=tokenizer.truncation_side,
        )
    return loaded


def ngram_pre_tokenizer(ngrams: Iterable[str]) -> PreTokenizer:
    """Return a pre-tokenizer that splits as BERT's does, but makes one word of each n-gram.

    It looks from the left for the longest n-gram. Its words are the pattern's matches, and each
    ends where a word ends, so that the next one begins at the beginning of a word.
    """
    isolated = _isolated_characters()
    inside, alone = f"[^\\s{isolated}]", f"[{isolated}]"
    pattern = f"{_MARKER}(?:{_trie_pattern(ngrams)})(?!{inside})|{alone}|{inside}+"
    return pre_tokenizers.Split(Regex(pattern), "removed", invert=True)


@cache
def _isolated_characters() -> str:
    """Return the characters that BERT's pre-tokenizer makes words of their own, for a class.

    The pre-tokenizer itself decides: its Unicode tables are older than those of patterns.
    """
    others = (
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if not char.isalnum() and unicodedata.category(char) not in _NO_CHARACTERS
    )
    return "".join(re.escape(c) for c in others if len(_BERT.pre_tokenize_str(f"a{c}a")) == 3)


def _trie_pattern(strings: Iterable[str]) -> str:
    """Return a pattern that matches the longest of the strings, at the cost of a look-up."""
    trie: dict[str, Any] = {}
    for string in strings:
        node = trie
        for char in string:
            node = node.setdefault(char, {})
        node[""] = {}
    return _branches(trie)


def _branches(node: dict[str, Any]) -> str:
    branches = [re.escape(char) + _branches(node[char]) for char in sorted(node) if char]
    if not branches:
        return ""
    return f"(?:{'|'.join(branches)}){'?' if '' in node else ''}"
