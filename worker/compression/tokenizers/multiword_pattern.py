"""The pattern that splits text into words as a BERT pre-tokenizer does, but keeps n-grams whole."""

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any

from tokenizers import Regex, pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer

MARK = "(?#multiword)"
"""A comment at the start of the pattern, by which it is known again."""

_UNASSIGNED = {"Cn", "Co", "Cs"}
_BERT = pre_tokenizers.BertPreTokenizer()


def keeping(ngrams: Iterable[str]) -> PreTokenizer:
    """Return a pre-tokenizer that splits as BERT's does, but makes one word of each n-gram.

    It looks from the left for the longest n-gram. Its words are the pattern's matches, and each
    ends where a word ends, so that the next one begins at the beginning of a word.
    """
    inside, alone = f"[^\\s{_isolated()}]", f"[{_isolated()}]"
    pattern = f"{MARK}(?:{_trie_pattern(ngrams)})(?!{inside})|{alone}|{inside}+"
    return pre_tokenizers.Split(Regex(pattern), "removed", invert=True)


def runs_pattern() -> re.Pattern[str]:
    """Return the pattern of the longest runs of words one space apart."""
    word = f"[^\\s{_isolated()}]+"
    return re.compile(f"{word}(?: {word})*")


@cache
def _isolated() -> str:
    """Return the characters that a BERT pre-tokenizer makes words of their own, for a class.

    The pre-tokenizer itself is asked: its Unicode tables are older than those of patterns.
    """
    others = (
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if not char.isalnum() and unicodedata.category(char) not in _UNASSIGNED
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
