"""Estimate how many tokens a text takes, by the vocabulary of a `tokenizer.json` alone.

The front end has no tokenizer library. Words are split from the left into the longest tokens, as
WordPiece does; other kinds of tokenizers split a few words in another way, which an
estimate allows for.
"""

import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any

from app.base_models.tokenizer_checks import parts_of, read_vocabulary, token_ids

BERT_WORDS = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3400-\u4dbf\u4e00-\u9fff]+|\S")
GPT_WORDS = re.compile(
    r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+", re.IGNORECASE
)
SPACED_WORDS = re.compile(r"\S+")
LONGEST_WORD = 100
"""Characters of a word that WordPiece still splits."""
USUAL = 0.999
"""Of the tokens; longer ones, such as those of spaces, are few."""
METASPACE = "\u2581"
BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


class BaseTokenizer:
    """Splits text into words as a `tokenizer.json` does, and words into its longest tokens."""

    def __init__(self, tokenizer: Mapping[str, Any]) -> None:
        self.kind, self.size = read_vocabulary(tokenizer)
        self.vocabulary = token_ids(tokenizer)
        self._model = tokenizer["model"]
        parts = [*parts_of(tokenizer.get("normalizer")), *parts_of(tokenizer.get("pre_tokenizer"))]
        self._types = {part.get("type") for part in parts}
        self._splits_none = not tokenizer.get("pre_tokenizer") and "Replace" in self._types
        self._lowers = any(
            part.get("type") == "Lowercase" or part.get("lowercase") is True for part in parts
        )
        self._decomposes = "StripAccents" in self._types or any(
            part.get("type") == "BertNormalizer"
            and (part.get("strip_accents") or (part.get("strip_accents") is None and self._lowers))
            for part in parts
        )
        self.special = _special_per_text(tokenizer.get("post_processor"))
        self.added = len(tokenizer.get("added_tokens") or [])

    @cached_property
    def continuing(self) -> str:
        """The mark of a token within a word, "" where there is none."""
        mark = self._model.get("continuing_subword_prefix")
        if self.kind == "WordPiece":
            return mark if isinstance(mark, str) else "##"
        return mark if isinstance(mark, str) else ""

    @property
    def all_bytes(self) -> str:
        """The signs of all bytes where words are written in them, else ""."""
        return "".join(BYTE_SIGNS.values()) if "ByteLevel" in self._types else ""

    @cached_property
    def _split(self) -> Callable[[str], Iterable[str]]:
        if "ByteLevel" in self._types:
            return lambda text: (_as_bytes(word) for word in GPT_WORDS.findall(text))
        if self._splits_none:
            words = self._runs
            return lambda text: words.findall(METASPACE + text.replace(" ", METASPACE))
        if self.kind == "Unigram" or self._types & {"Metaspace", "Prepend", "Replace"}:
            return lambda text: (METASPACE + word for word in SPACED_WORDS.findall(text))
        suffix = self._model.get("end_of_word_suffix")
        end = suffix if isinstance(suffix, str) else ""
        return lambda text: (word + end for word in BERT_WORDS.findall(text))

    @cached_property
    def _runs(self) -> re.Pattern[str]:
        """Match the words of a text that the base leaves whole, as SentencePiece's trainer does."""
        tokens = [token for token in self.vocabulary if not BYTE_TOKEN.fullmatch(token)]
        digits = r"\d+" if any(re.search(r"\d\d", token) for token in tokens) else r"\d"
        if any(re.match(rf"{METASPACE}\d", token) for token in tokens):
            digits = f"{METASPACE}?{digits}"
        letters, others = rf"{METASPACE}?[^\W\d_]+", rf"{METASPACE}?(?:[^\s\w{METASPACE}]|_)+"
        return re.compile(rf"{digits}|{letters}|{others}|[\s{METASPACE}]+(?!\w)|[\s{METASPACE}]")

    def words(self, text: str) -> list[str]:
        """Return the words of a text, as the vocabulary writes them."""
        if self._lowers:
            text = text.lower()
        if self._decomposes and not text.isascii():
            text = "".join(
                sign
                for sign in unicodedata.normalize("NFD", text)
                if unicodedata.category(sign) != "Mn"
            )
        return list(self._split(text))

    def pieces(self, word: str, known: Container[str]) -> list[str]:
        """Split a word into the longest tokens that are known, from the left."""
        if word in known or (self.kind == "WordPiece" and len(word) > LONGEST_WORD):
            return [word]
        found = self.parts(word, known)
        return found if all(piece in known for piece in found) else self._unknown(found, known)

    def _unknown(self, pieces: list[str], known: Container[str]) -> list[str]:
        """Return pieces, some of which are characters with no token, as a model writes them."""
        if self.kind == "WordPiece":
            return ["".join(pieces)]
        if self._model.get("byte_fallback") is True:
            return [byte for piece in pieces for byte in _bytes_of(piece, known)]
        if self.kind == "Unigram" or self._model.get("fuse_unk") is True:
            return [
                piece
                for before, piece in pairwise(["", *pieces])
                if piece in known or before in known or not before
            ]
        return pieces

    def parts(self, token: str, known: Container[str]) -> list[str]:
        """Split a word, or a token within one, into several; characters are taken to be known."""
        mark = self.continuing
        inside = mark != "" and token.startswith(mark) and len(token) > len(mark)
        text = token.removeprefix(mark) if inside else token
        found, start, size, longest = list[str](), 0, len(text), self.longest
        most = size - 1
        before = mark if inside else ""
        while start < size:
            end = min(most, start + longest)
            while end > start + 1 and before + text[start:end] not in known:
                end -= 1
            end = max(end, start + 1)
            found.append(before + text[start:end])
            start, most, before = end, size, mark
        return found

    @cached_property
    def longest(self) -> int:
        """The characters of a token that are looked for, which bounds the time of a long word."""
        lengths = sorted(map(len, self.vocabulary))
        if self.kind == "WordPiece" or not lengths:
            return LONGEST_WORD  # of a word, too
        return min(LONGEST_WORD, lengths[int(USUAL * len(lengths))])


def _bytes_of(piece: str, known: Container[str]) -> Iterable[str]:
    return [piece] if piece in known else (f"<0x{byte:02X}>" for byte in _encoded(piece))


def _special_per_text(processor: Any) -> int:
    for part in parts_of(processor):
        if part.get("type") in {"BertProcessing", "RobertaProcessing"}:
            return 2
        if part.get("type") == "TemplateProcessing":
            return sum("SpecialToken" in step for step in part.get("single") or ())
    return 0


def _byte_signs() -> dict[int, str]:
    """Return the sign that a byte-level vocabulary writes for each byte, as GPT-2 does."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in shown]
    signs = {byte: chr(byte) for byte in shown}
    return signs | {byte: chr(256 + place) for place, byte in enumerate(others)}


BYTE_SIGNS = _byte_signs()


def _as_bytes(word: str) -> str:
    return "".join(BYTE_SIGNS[byte] for byte in _encoded(word))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
