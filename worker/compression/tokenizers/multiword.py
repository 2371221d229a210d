"""Multi-word tokens: word n-grams as single tokens (Gee et al. 2023, arXiv 2402.09949).

They live in a plain ``tokenizer.json``: the pre-tokenizer keeps an n-gram in one piece and the
model holds it whole. Between the words stands one space, never a line break or punctuation, and
text decodes to what it would without them.
"""

import heapq
import json
import re
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer
from transformers import PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.corpus import Texts
from worker.compression.errors import CorpusTooSmallError, MultiwordUnsupportedError
from worker.compression.progress import Progress, silent
from worker.compression.tokenizers.tokenizer_json import Json, backend_json, unbounded

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


_LINE_BREAKS = {
    "type": "Replace",
    "pattern": {"Regex": "[\\n\\r\\u2028\\u2029]"},
    # Two spaces split words as a line break does, and are no n-gram's one space.
    "content": "  ",
}


def with_tokens(content: Json, tokens: Sequence[str]) -> Json:
    """Put in tokens behind all others; their words stand one space apart."""
    model, normalizer = content["model"], content["normalizer"]
    size = len(model["vocab"])
    ids = {token: size + number for number, token in enumerate(tokens)}
    normalizers = [_LINE_BREAKS, *([normalizer] if normalizer else [])]
    return {
        **content,
        "model": {**model, "vocab": model["vocab"] | ids},
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": json.loads(keeping(tokens).__getstate__()),
    }


def tokens_in(content: Json) -> list[str]:
    """Return the tokens that ``with_tokens`` put in."""
    pattern = (content["pre_tokenizer"] or {}).get("pattern", {})
    if not str(pattern.get("Regex", "")).startswith(MARK):
        return []
    added = {token["content"] for token in content["added_tokens"]}
    return [token for token in content["model"]["vocab"] if " " in token and token not in added]


def without_tokens(content: Json) -> Json:
    """Take out what ``with_tokens`` put in."""
    model, tokens = content["model"], set(tokens_in(content))
    (_, *normalizers) = content["normalizer"]["normalizers"]
    return {
        **content,
        "model": {**model, "vocab": {t: i for t, i in model["vocab"].items() if t not in tokens}},
        "normalizer": normalizers[0] if normalizers else None,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    }


def load_content(tokenizer: PreTrainedTokenizerBase, content: Json) -> PreTrainedTokenizerBase:
    """Return what the saved tokenizer with this ``tokenizer.json`` loads as.

    Classes such as ``BertTokenizer`` build a pre-tokenizer of their own whatever the file says:
    it is loaded as the plain class, which does not.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer.save_pretrained(folder)
        _write(folder / "tokenizer.json", content)
        settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        settings["tokenizer_class"] = PreTrainedTokenizerFast.__name__
        settings["model_input_names"] = tokenizer.model_input_names
        _write(folder / "tokenizer_config.json", settings)
        loaded: PreTrainedTokenizerBase = PreTrainedTokenizerFast.from_pretrained(
            folder,
            local_files_only=True,
            padding_side=tokenizer.padding_side,
            truncation_side=tokenizer.truncation_side,
        )
    return loaded


def _write(path: Path, content: Json) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")


LONGEST = 4
"""Words in an n-gram at most, as in arXiv 2402.09949."""

MAX_WORDS = 10_000_000
"""Words of the corpus that are looked at: bounds memory, and is far more than a choice needs."""

_BREAK = -1
_REPORT_EVERY_TEXTS = 2_000

Ids = NDArray[np.int64]
RunsOf = Callable[[str], Iterable[list[str]]]
"""From a text to its runs: the words that stand one space apart, with nothing else between."""


@dataclass(frozen=True)
class WordRuns:
    """A corpus as runs of words: indices into ``words``, with a break behind each run."""

    words: list[str]
    ids: Ids

    def without(self, dropped: set[int]) -> "WordRuns":
        """Return the same runs, broken at every dropped word."""
        if not dropped:
            return self
        return WordRuns(self.words, np.where(np.isin(self.ids, list(dropped)), _BREAK, self.ids))


def read_runs(runs_of: RunsOf, texts: Texts, progress: Progress) -> WordRuns:
    """Read the runs of a corpus in one streamed pass; words are numbered as they come."""
    index: dict[str, int] = {}
    ids: list[Ids] = []
    size = 0
    for number, text in enumerate(texts()):
        runs = [[index.setdefault(w, len(index)) for w in run] + [_BREAK] for run in runs_of(text)]
        ids.append(np.fromiter(chain.from_iterable(runs), np.int64))
        size += len(ids[-1])
        if size > MAX_WORDS:
            break
        if number % _REPORT_EVERY_TEXTS == 0:
            progress(number / (number + 50_000), f"{number} documents read for n-grams")
    return WordRuns(list(index), np.concatenate([*ids, np.full(LONGEST, _BREAK)]))


@dataclass(frozen=True)
class NGrams:
    """The n-grams of one length that stand at least twice; ``starts`` of one are its places."""

    words: NDArray[np.int64]
    counts: NDArray[np.int64]
    _places: Ids
    _bounds: Ids

    def starts(self, index: int) -> Ids:
        """Return where n-gram number ``index`` begins, in order."""
        return self._places[self._bounds[index] : self._bounds[index + 1]]


def repeated_ngrams(runs: WordRuns) -> Iterator[NGrams]:
    """Yield the n-grams of 2, 3 and 4 words that stand at least twice in the corpus."""
    ids, kinds = runs.ids, runs.ids
    for length in range(2, LONGEST + 1):
        # An n-gram stands twice only where both of its (n-1)-grams do.
        starts = np.flatnonzero((kinds[:-1] != _BREAK) & (kinds[1:] != _BREAK))
        keys = kinds[starts] * len(runs.words) + ids[starts + length - 1]
        _, first, kind, counts = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        repeated = np.flatnonzero(counts > 1)
        renumbered = np.full(len(counts), _BREAK)
        renumbered[repeated] = np.arange(len(repeated))
        kinds = np.full(len(kinds) - 1, _BREAK)
        kinds[starts] = renumbered[kind]
        yield _located(kinds, starts[first[repeated]], counts[repeated], ids, length)


def _located(kinds: Ids, first: Ids, counts: Ids, ids: Ids, length: int) -> NGrams:
    order = np.argsort(kinds, kind="stable")
    places = order[np.count_nonzero(kinds == _BREAK) :]
    bounds = np.concatenate([[0], np.cumsum(counts)])
    return NGrams(ids[first[:, None] + np.arange(length)], counts, places, bounds)


_CANDIDATES_PER_TOKEN = 20
"""N-grams that are looked at for each that is wanted, best first by what they save alone."""

_REPORT_EVERY = 100


class Segmentation:
    """The corpus in units of one or more words: the tokens of each unit, where it begins."""

    def __init__(self, ids: Ids, pieces: NDArray[np.int64]) -> None:
        # A break is -1, which stands for the zero at the end.
        self._tokens = np.append(pieces, 0)[ids]
        self._begins = np.ones(len(ids), dtype=bool)

    def saved_by(self, starts: Ids, length: int) -> tuple[int, Ids]:
        """Return the tokens saved by making units of ``length`` words, and where they begin.

        Only whole units can be joined, and places that overlap are used from the left.
        """
        whole = starts[self._begins[starts] & self._begins[starts + length]]
        free = _apart(whole, length)
        tokens = self._tokens[free[:, None] + np.arange(length)].sum()
        return int(tokens) - len(free), free

    def join(self, starts: Ids, length: int) -> None:
        """Make one unit, which is one token, of the ``length`` words at each start."""
        self._tokens[starts] = 1
        for offset in range(1, length):
            self._tokens[starts + offset] = 0
            self._begins[starts + offset] = False


def _apart(starts: Ids, length: int) -> Ids:
    if len(starts) < 2 or (np.diff(starts) >= length).all():
        return starts
    kept = [int(starts[0])]
    for start in starts[1:]:
        if start >= kept[-1] + length:
            kept.append(int(start))
    return np.array(kept)


@dataclass(frozen=True)
class Candidate:
    """An n-gram that may become a token: its words by index, and its places."""

    words: tuple[int, ...]
    starts: Ids


def choose_ngrams(
    runs: WordRuns,
    pieces: NDArray[np.int64],
    count: int,
    accepts: Callable[[list[str]], bool],
    progress: Progress,
) -> list[list[str]]:
    """Return up to ``count`` n-grams, the one that saves the most tokens first.

    ``pieces`` is the number of tokens of each word on its own. An n-gram saves, at each of its
    places that is still free, the tokens that stand there now less the one that replaces them.
    What an n-gram saves only ever falls as others are chosen, so it is counted again only when
    it comes to the top. Ties go to the n-gram that comes first by its words.
    """
    segmentation = Segmentation(runs.ids, pieces)
    candidates = list(_candidates(runs, pieces, count))
    names = [[runs.words[word] for word in candidate.words] for candidate in candidates]
    heap = [
        (-segmentation.saved_by(c.starts, len(c.words))[0], name, number)
        for number, (c, name) in enumerate(zip(candidates, names, strict=True))
    ]
    heapq.heapify(heap)
    chosen: list[list[str]] = []
    while heap and len(chosen) < count:
        bound, name, number = heap[0]
        starts, length = candidates[number].starts, len(name)
        saved, free = segmentation.saved_by(starts, length)
        if -bound > saved:
            heapq.heapreplace(heap, (-saved, name, number))
            continue
        heapq.heappop(heap)
        if saved <= 0:
            break
        if not accepts(name):
            continue
        segmentation.join(free, length)
        chosen.append(name)
        if len(chosen) % _REPORT_EVERY == 0:
            progress(len(chosen) / count, f"{len(chosen)} of {count} n-grams chosen")
    return chosen


def _candidates(runs: WordRuns, pieces: NDArray[np.int64], count: int) -> Iterator[Candidate]:
    """Yield the n-grams that save the most where no other is chosen."""
    levels: list[NGrams] = list(repeated_ngrams(runs))
    saved = np.concatenate([(pieces[g.words].sum(axis=1) - 1) * g.counts for g in levels])
    level_of = np.repeat(np.arange(len(levels)), [len(g.counts) for g in levels])
    offsets = np.cumsum([0, *(len(g.counts) for g in levels)])
    best = np.argsort(-saved, kind="stable")[: _CANDIDATES_PER_TOKEN * count]
    for number in best:
        level = int(level_of[number])
        index = int(number - offsets[level])
        words = tuple(int(word) for word in levels[level].words[index])
        yield Candidate(words, levels[level].starts(index))


def check_multiword(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that cannot hold multi-word tokens exactly.

    Raises:
        MultiwordUnsupportedError: it is no WordPiece tokenizer that splits words as BERT does.

    """
    content = backend_json(without_multiword(tokenizer))
    parts = [(content[name] or {}).get("type") for name in ("model", "pre_tokenizer", "decoder")]
    if parts != ["WordPiece", "BertPreTokenizer", "WordPiece"]:
        raise MultiwordUnsupportedError(
            "Tokens of several words are available for WordPiece tokenizers that split words as "
            f"BERT does, and this one is made of {', '.join(map(str, parts))}: leave `multiword` "
            "out, or use another base model."
        )


def read_word_runs(
    tokenizer: PreTrainedTokenizerBase, texts: Texts, progress: Progress | None = None
) -> WordRuns:
    """Read a corpus for ``add_multiword``; any tokenizer of the same base reads it the same."""
    check_multiword(tokenizer)
    return read_runs(_run_splitter(unbounded(tokenizer)), texts, progress or silent)


def add_multiword(
    domain_tokenizer: PreTrainedTokenizerBase,
    runs: WordRuns,
    count: int,
    progress: Progress | None = None,
) -> PreTrainedTokenizerBase:
    """Return the tokenizer with ``count`` more tokens: the n-grams that save the most tokens.

    Raises:
        MultiwordUnsupportedError: the tokenizer cannot hold them exactly.
        CorpusTooSmallError: the corpus holds fewer n-grams that save anything.

    """
    if not count:
        return domain_tokenizer
    check_multiword(domain_tokenizer)
    backend = unbounded(domain_tokenizer)
    pieces = [[piece.value for piece in backend.model.tokenize(word)] for word in runs.words]
    unk = backend_json(domain_tokenizer)["model"]["unk_token"]
    known = runs.without({number for number, split in enumerate(pieces) if unk in split})
    lengths = np.array([len(split) for split in pieces], dtype=np.int64)
    accepts = _decodes_alike(backend)
    chosen = choose_ngrams(known, lengths, count, accepts, progress or silent)
    if len(chosen) < count:
        raise CorpusTooSmallError(
            f"The corpus holds {len(chosen)} groups of words that are worth a token: ask for at "
            f"most {len(chosen)} multi-word tokens, or upload more text."
        )
    tokens = [" ".join(words) for words in chosen]
    return load_content(domain_tokenizer, with_tokens(backend_json(domain_tokenizer), tokens))


def multiword_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, list[str]]:
    """Return the words of each multi-word token of a tokenizer, as its model takes them."""
    return {token: token.split(" ") for token in tokens_in(backend_json(tokenizer))}


def without_multiword(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Return the tokenizer as it was before ``add_multiword``; itself where it has no such tokens.

    The ids of its other tokens stay.
    """
    content = backend_json(tokenizer)
    return load_content(tokenizer, without_tokens(content)) if tokens_in(content) else tokenizer


def _run_splitter(backend: Tokenizer) -> Callable[[str], Iterator[list[str]]]:
    added = [token.content for token in backend.get_added_tokens_decoder().values()]
    borders = "|".join(re.escape(token) for token in sorted(added, key=len)[::-1])
    cut = re.compile(f"[\n\r\u2028\u2029]{'|' if borders else ''}{borders}")
    normalizer, runs = backend.normalizer, runs_pattern()

    def runs_of(text: str) -> Iterator[list[str]]:
        for segment in cut.split(text):
            normalized = normalizer.normalize_str(segment) if normalizer else segment
            yield from (run.split(" ") for run in runs.findall(normalized))

    return runs_of


def _decodes_alike(backend: Tokenizer) -> Callable[[list[str]], bool]:
    """Tell whether a token of these words would decode to what they decode to.

    The decoder cleans up each token on its own: "do not" as one token would become "don't".
    """
    decode, model = backend.decoder.decode, backend.model
    longest = json.loads(backend.to_str())["model"]["max_input_chars_per_word"]

    def alike(words: list[str]) -> bool:
        token = " ".join(words)
        pieces = [piece.value for word in words for piece in model.tokenize(word)]
        contexts: tuple[list[str], ...] = ([], ["a"])
        return len(token) <= longest and all(
            decode([*before, token]) == decode([*before, *pieces]) for before in contexts
        )

    return alike
