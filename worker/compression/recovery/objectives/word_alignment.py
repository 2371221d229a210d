"""Find the words that two tokenizers share in a text, by the characters their tokens stand for.

All texts are aligned at once, laid end to end as one long text in which each begins one character
after the end of the one before. Positions below are positions in that text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Encoding

from worker.compression.recovery.objectives.encoding import Ints

NO_WORD = -1
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class WordAlignment:
    """Say to which word of a text each token belongs, ``NO_WORD`` for none.

    ``base`` (base tokens,) and ``domain`` (domain tokens,) number the words from 0 to
    ``word_count`` - 1 in order; each word has tokens on both sides.
    """

    base: Ints
    domain: Ints
    word_count: int


def align_words(
    texts: Sequence[str], base_encodings: Sequence[Encoding], domain_encodings: Sequence[Encoding]
) -> list[WordAlignment]:
    """Return the shared words of each text.

    A word here is what lies between two boundaries of the base's words that no token of either
    tokenizer crosses: a token of several words makes one of them. Special tokens, tokens that
    stand for no character, and words that one side lacks because it was truncated have none.
    """
    lengths = [len(text) + 1 for text in texts]
    text_starts = np.cumsum([0, *lengths], dtype=np.int64)[:-1]  # (texts,)
    base = _TokenSpans(base_encodings, text_starts)
    domain = _TokenSpans(domain_encodings, text_starts)
    boundaries = np.union1d(_base_word_ends(texts, base, text_starts), text_starts[1:])
    for side in (base, domain):
        boundaries = _drop_crossed(boundaries, side.spans)
    # Segments of the long text between boundaries, by number: (tokens of all texts,) a side.
    base_segments, domain_segments = base.segments(boundaries), domain.segments(boundaries)
    shared = np.setdiff1d(np.intersect1d(base_segments, domain_segments), [NO_WORD])
    # The rank among the shared segments of each text's first one, (texts,).
    first_segments = np.searchsorted(boundaries, text_starts, side="right")
    first_ranks = np.searchsorted(shared, first_segments)
    word_counts = np.diff([*first_ranks, len(shared)])
    base_words = base.split_by_text(_number_words(base, base_segments, shared, first_ranks))
    domain_words = domain.split_by_text(_number_words(domain, domain_segments, shared, first_ranks))
    return list(map(WordAlignment, base_words, domain_words, word_counts.tolist()))


class _TokenSpans:
    """Hold all tokens of one tokenizer's encodings, end to end.

    ``text_index`` (tokens,) is the text a token belongs to, ``spans`` (tokens, 2) its first
    position and the one after its last, ``has_characters`` (tokens,) false for special and empty
    tokens, ``word_ids`` (tokens,) the tokenizer's own number of its word within the text.
    """

    def __init__(self, encodings: Sequence[Encoding], text_starts: Ints) -> None:
        self._token_counts = np.array([len(e.ids) for e in encodings], dtype=np.int64)
        self._truncated = [number for number, e in enumerate(encodings) if e.overflowing]
        self.text_index = np.repeat(np.arange(len(encodings)), self._token_counts)
        offsets = [offset for encoding in encodings for offset in encoding.offsets]
        spans = np.array(offsets, dtype=np.int64).reshape(-1, 2)
        is_special = [flag for e in encodings for flag in e.special_tokens_mask]
        spans[np.array(is_special, dtype=bool)] = 0
        self.has_characters = spans[:, 1] > spans[:, 0]
        self.spans: Ints = spans + text_starts[self.text_index, None]
        word_ids = (NO_WORD if i is None else i for e in encodings for i in e.word_ids)
        self.word_ids = np.fromiter(word_ids, dtype=np.int64, count=len(spans))

    def segments(self, boundaries: Ints) -> Ints:
        """Return (tokens,): the number of boundaries before each token, or ``NO_WORD``."""
        segments = np.searchsorted(boundaries, self.spans[:, 0], side="right").astype(np.int64)
        segments[~self.has_characters] = NO_WORD
        # The last segment of a truncated text may lack some of its tokens.
        for number in self._truncated:
            in_text = self.text_index == number
            segments[in_text & (segments == segments[in_text].max())] = NO_WORD
        return segments

    def split_by_text(self, values: Ints) -> list[Ints]:
        """Return the values (tokens,) of each text."""
        if not self._token_counts.size:
            return []
        return np.split(values, np.cumsum(self._token_counts)[:-1])


def _base_word_ends(texts: Sequence[str], base: _TokenSpans, text_starts: Ints) -> Ints:
    """Return the positions where the base's words end, but for the last of each text; unordered."""
    in_word = base.has_characters & (base.word_ids != NO_WORD)
    word_ids, text_index = base.word_ids[in_word], base.text_index[in_word]
    token_ends = base.spans[in_word, 1]
    # The first and the last token of each text that has any.
    texts_with_words, first_token = np.unique(text_index, return_index=True)
    last_token = np.append(first_token[1:], len(text_index)) - 1
    # Some tokenizers, as Llama's, take a whole text as one word: split it at blanks.
    one_word_texts = texts_with_words
    if len(text_index):
        one_word_texts = texts_with_words[word_ids[first_token] == word_ids[last_token]]
    blank_ends = [
        text_starts[number] + match.end()
        for number in one_word_texts
        for match in _WORD.finditer(texts[number])
    ]
    # Elsewhere a word ends before a token of another word of the same text.
    is_last_of_word = (
        (word_ids[1:] != word_ids[:-1])
        & (text_index[1:] == text_index[:-1])
        & ~np.isin(text_index[1:], one_word_texts)
    )
    return np.concatenate([token_ends[:-1][is_last_of_word], np.array(blank_ends, dtype=np.int64)])


def _drop_crossed(boundaries: Ints, spans: Ints) -> Ints:
    """Return the sorted boundaries (boundaries,) that lie inside none of the spans (tokens, 2)."""
    # A token crosses the boundaries after its start and before its end: those numbered from
    # first to last - 1. Count +1 at first and -1 at last; the running sum is the tokens across.
    first = np.searchsorted(boundaries, spans[:, 0], side="right")
    last = np.maximum(np.searchsorted(boundaries, spans[:, 1], side="left"), first)
    size = len(boundaries) + 1
    steps = np.bincount(first, minlength=size) - np.bincount(last, minlength=size)
    tokens_across = np.cumsum(steps)[:-1]
    uncrossed: Ints = boundaries[tokens_across == 0]
    return uncrossed


def _number_words(side: _TokenSpans, segments: Ints, shared: Ints, first_ranks: Ints) -> Ints:
    """Return (tokens,): the number of each token's word in its text, from 0 on, or ``NO_WORD``."""
    rank = np.searchsorted(shared, segments)
    return np.where(np.isin(segments, shared), rank - first_ranks[side.text_index], NO_WORD)
