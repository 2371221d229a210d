"""Words of a corpus, as the base tokenizer's normalizer and pre-tokenizer make them."""

import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from typing import NamedTuple

from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer

from worker.compression.corpus import Texts
from worker.compression.errors import CorpusEmptyError
from worker.compression.progress import Progress

MAX_DISTINCT_WORDS = 500_000
"""Distinct words kept while counting: bounds memory, and is far more than a vocabulary can use."""

WORD_START = "\u2581"
"""The mark that SentencePiece puts where a space was: LOWER ONE EIGHTH BLOCK."""

LONGEST_RUN = 64
"""Letters of a word that can become one token; longer words are counted in parts."""

_REPORT_EVERY = 2_000

_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")

WordCounts = dict[str, int]


def count_words(backend: Tokenizer, texts: Texts, progress: Progress) -> WordCounts:
    """Count the words of a corpus in one streamed pass, most frequent first, ties by word.

    Where the corpus has more than twice ``MAX_DISTINCT_WORDS`` distinct words, the rarest so far
    are forgotten, so that memory stays bounded on a corpus of any size.

    Raises:
        CorpusEmptyError: the corpus has no words.

    """
    counts: Counter[str] = Counter()
    words_of = word_splitter(backend)
    for number, text in enumerate(texts()):
        counts.update(words_of(text))
        if len(counts) > 2 * MAX_DISTINCT_WORDS:
            counts = Counter(_most_frequent(counts))
        if number % _REPORT_EVERY == 0:
            # The length of a stream is unknown: the fraction only ever approaches the end.
            progress(number / (number + 50_000), f"{number} documents read")
    if not counts:
        raise CorpusEmptyError("The corpus has no words: upload a corpus with text in it.")
    return _most_frequent(counts)


def _most_frequent(counts: Counter[str]) -> WordCounts:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return dict(ranked[:MAX_DISTINCT_WORDS])


def known_runs(
    words: WordCounts, spell: Callable[[str], list[str]], known: Container[str]
) -> WordCounts:
    """Count the longest parts of words that tokens can be made in: of letters that are known."""
    runs: Counter[str] = Counter()
    for word, count in words.items():
        for run in _runs_of(spell(word), known):
            runs[run] += count
    return dict(runs)


def _runs_of(letters: list[str], known: Container[str]) -> Iterator[str]:
    run: list[str] = []
    for letter in letters:
        if run and (letter not in known or len(run) == LONGEST_RUN):
            yield "".join(run)
            run = []
        if letter in known:
            run.append(letter)
    if run:
        yield "".join(run)


def is_byte_token(token: str) -> bool:
    """Tell whether a raw token stands for one byte of a character without a token."""
    return bool(_BYTE_TOKEN.fullmatch(token))


def word_splitter(backend: Tokenizer) -> Callable[[str], Iterator[str]]:
    """Return a function from a text to its words; added tokens are cut out, as in encoding.

    BPE and Unigram models whose pre-tokenizer leaves a text whole (Llama's) never join words in
    their tokens: for them a text is split here where SentencePiece's trainer splits it.
    """
    split = _split_as_sentencepiece(backend) if _leaves_texts_whole(backend) else None
    whole_words_of = _pre_tokenized(backend)

    def words_of(text: str) -> Iterator[str]:
        for word in whole_words_of(text):
            if split is None:
                yield word
            else:
                yield from (part for part, _ in split.pre_tokenize_str(word))

    return words_of


def _leaves_texts_whole(backend: Tokenizer) -> bool:
    joins = isinstance(backend.model, (models.BPE, models.Unigram))
    return joins and len(list(_pre_tokenized(backend)("a a"))) == 1


def _split_as_sentencepiece(backend: Tokenizer) -> PreTokenizer:
    """Split at spaces, and between letters, digits and the rest; digits as the base has them."""
    vocabulary = backend.get_vocab(with_added_tokens=False)
    digits = r"\p{N}"
    if any(re.search(r"\d\d", token) for token in vocabulary if not is_byte_token(token)):
        digits += "+"
    if any(re.match(r"[ \u2581]\d", token) for token in vocabulary):
        digits = "[ \u2581]?" + digits
    letters = "[ \u2581]?[\\p{L}\\p{M}]+"
    others = "[ \u2581]?[^\\s\u2581\\p{L}\\p{M}\\p{N}]+"
    spaces = "[\\s\u2581]+(?=[ \u2581][^\\s\u2581])|[\\s\u2581]+"
    return pre_tokenizers.Split(Regex("|".join([digits, letters, others, spaces])), "isolated")


def _pre_tokenized(backend: Tokenizer) -> Callable[[str], Iterator[str]]:
    normalizer, pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    added = [token.content for token in backend.get_added_tokens_decoder().values()]
    cut_added = re.compile("|".join(re.escape(token) for token in sorted(added, key=len)[::-1]))

    def words_of(text: str) -> Iterator[str]:
        for segment in cut_added.split(text) if added else [text]:
            normalized = normalizer.normalize_str(segment) if normalizer else segment
            if pre_tokenizer is None:
                yield normalized
            else:
                yield from (word for word, _ in pre_tokenizer.pre_tokenize_str(normalized))

    return words_of


_RELIABLE_COUNT = 6
"""From this count on, a word's frequency in the corpus is its own best estimate."""

_ALIKE = 1000
"""Neighbours in the base's vocabulary, which most trainers order by frequency."""


class ExpectedWord(NamedTuple):
    """A word with its expected number; ``whole`` tells if it may be a token of its own."""

    word: str
    number: float
    whole: bool


def expected_words(words: WordCounts, base_words: Sequence[str] = ()) -> list[ExpectedWord]:
    """Weigh words by their Good-Turing expected counts (Good 1953, Biometrika 40).

    A word seen r times counts (r+1) N(r+1) / N(r), where N(r) words were seen r times. New text
    has as many unseen words as this corpus has words seen once: those stand in for them a second
    time, with a weight of one each, where the vocabulary may not hold them as a whole; but for
    ``base_words``, whose like are among ``unseen_words``. So a vocabulary is chosen for words it
    has not seen, too, and not for chance words.
    """
    number_of, known = Counter(words.values()), set(base_words)
    expected = [ExpectedWord(w, _expected_count(r, number_of), True) for w, r in words.items()]
    once = (word for word, r in words.items() if r == 1 and len(word) > 1)
    return expected + [ExpectedWord(word, 1.0, False) for word in once if word not in known]


def _expected_count(seen: int, number_of: Counter[int]) -> float:
    if seen >= _RELIABLE_COUNT or not number_of[seen + 1]:
        return float(seen)
    return min(seen, (seen + 1) * number_of[seen + 1] / number_of[seen])


def unseen_words(words: WordCounts, base_words: Sequence[str]) -> list[ExpectedWord]:
    """Return words that only the base knows, those first that are to be expected most.

    Each counts N(1) / N(0) of the words about as common as it: Good-Turing again.
    """
    expected: list[ExpectedWord] = []
    for start in range(0, len(base_words), _ALIKE):
        alike = base_words[start : start + _ALIKE]
        unseen = [word for word in alike if word not in words]
        once = sum(words.get(word) == 1 for word in alike)
        if once:
            expected += [ExpectedWord(word, once / len(unseen), True) for word in unseen]
    return sorted(expected, key=lambda word: -word.number)
