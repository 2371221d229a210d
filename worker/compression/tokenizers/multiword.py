"""Multi-word tokens: word n-grams as single tokens (Gee et al. 2023, arXiv 2402.09949).

They live in a plain ``tokenizer.json``: the pre-tokenizer keeps an n-gram in one piece and the
model holds it whole. Between the words stands one space, never a line break or punctuation, and
text decodes to what it would without them.
"""

import json
import re
from collections.abc import Callable, Iterator

import numpy as np
from tokenizers import Tokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.corpus import Texts
from worker.compression.errors import CorpusTooSmallError, MultiwordUnsupportedError
from worker.compression.progress import Progress, silent
from worker.compression.tokenizers.backend import backend_json, unbounded
from worker.compression.tokenizers.multiword_choice import choose_ngrams
from worker.compression.tokenizers.multiword_content import (
    load_content,
    tokens_in,
    with_tokens,
    without_tokens,
)
from worker.compression.tokenizers.multiword_ngrams import WordRuns, read_runs
from worker.compression.tokenizers.multiword_pattern import runs_pattern


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
