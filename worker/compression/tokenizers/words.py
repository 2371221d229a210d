"""Words of a corpus, as the base tokenizer's normalizer and pre-tokenizer make them."""

import re
from collections import Counter
from collections.abc import Callable, Container, Iterator

from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer

from worker.compression.corpus import Texts
from worker.compression.errors import CorpusEmptyError
from worker.compression.progress import Progress

# The mark that SentencePiece puts where a space was: LOWER ONE EIGHTH BLOCK.
WORD_START = "\u2581"

# Distinct words kept while counting: bounds memory, and is far more than a vocabulary can use.
MAX_DISTINCT_WORDS = 500_000

# Characters of a word that can become one token; longer words are counted in parts.
LONGEST_RUN = 64

# Documents between two reports, and those after which a pass counts as half done.
REPORT_EVERY, HALFWAY = 2_000, 50_000

_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")

WordCounts = dict[str, int]
SplitWords = Callable[[str], Iterator[str]]


def count_words(backend: Tokenizer, texts: Texts, progress: Progress) -> WordCounts:
    """Count the words of a corpus in one streamed pass, most frequent first, ties by word.

    Where the corpus has more than twice ``MAX_DISTINCT_WORDS`` distinct words, the rarest so far
    are forgotten, so that memory stays bounded on a corpus of any size.

    Raises:
        CorpusEmptyError: the corpus has no words.

    """
    counts: Counter[str] = Counter()
    split = word_splitter(backend)
    for number, text in enumerate(texts()):
        counts.update(split(text))
        if len(counts) > 2 * MAX_DISTINCT_WORDS:
            counts = Counter(_most_frequent(counts))
        if number % REPORT_EVERY == 0:
            # The length of a stream is unknown: the fraction only ever approaches the end.
            progress(number / (number + HALFWAY), f"{number} documents read")
    if not counts:
        raise CorpusEmptyError("The corpus has no words: upload a corpus with text in it.")
    return _most_frequent(counts)


def _most_frequent(counts: Counter[str]) -> WordCounts:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return dict(ranked[:MAX_DISTINCT_WORDS])


def word_splitter(backend: Tokenizer) -> SplitWords:
    """Return a function that splits a text into words; added tokens are cut out, as in encoding.

    BPE and Unigram models whose pre-tokenizer leaves a text whole (Llama's) never join words in
    their tokens: for them a text is split here where SentencePiece's trainer splits it.
    """
    pre_tokenize = _pre_tokenize(backend)
    may_leave_whole = isinstance(backend.model, (models.BPE, models.Unigram))
    if not may_leave_whole or len(list(pre_tokenize("a a"))) != 1:
        return pre_tokenize
    sentencepiece = _sentencepiece_split(backend)

    def split(text: str) -> Iterator[str]:
        for whole in pre_tokenize(text):
            yield from (word for word, _ in sentencepiece.pre_tokenize_str(whole))

    return split


def _pre_tokenize(backend: Tokenizer) -> SplitWords:
    """Return normalizer and pre-tokenizer as one function, between added tokens."""
    normalizer, pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    added = [token.content for token in backend.get_added_tokens_decoder().values()]
    # Longest first: of two added tokens that both match, encoding takes the longer one.
    borders = re.compile("|".join(re.escape(token) for token in sorted(added, key=len)[::-1]))

    def split(text: str) -> Iterator[str]:
        for segment in borders.split(text) if added else [text]:
            normalized = normalizer.normalize_str(segment) if normalizer else segment
            if pre_tokenizer is None:
                yield normalized
            else:
                yield from (word for word, _ in pre_tokenizer.pre_tokenize_str(normalized))

    return split


def _sentencepiece_split(backend: Tokenizer) -> PreTokenizer:
    """Split at spaces, and between letters, digits and the rest.

    Digits are joined, and take the space before them, where the base has such tokens.
    """
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


def spellable_runs(
    words: WordCounts, spell: Callable[[str], list[str]], alphabet: Container[str]
) -> WordCounts:
    """Count the longest parts of words in which tokens can be made.

    ``spell`` gives the single-character tokens of a word. A run ends before one that is not in
    ``alphabet``, and after ``LONGEST_RUN`` of them.
    """
    runs: Counter[str] = Counter()
    for word, count in words.items():
        for run in _runs(spell(word), alphabet):
            runs[run] += count
    return dict(runs)


def _runs(characters: list[str], alphabet: Container[str]) -> Iterator[str]:
    run: list[str] = []
    for character in characters:
        if run and (character not in alphabet or len(run) == LONGEST_RUN):
            yield "".join(run)
            run = []
        if character in alphabet:
            run.append(character)
    if run:
        yield "".join(run)


def is_byte_token(token: str) -> bool:
    """Tell whether a raw token, such as ``<0x0A>``, stands for one byte of a character."""
    return bool(_BYTE_TOKEN.fullmatch(token))
