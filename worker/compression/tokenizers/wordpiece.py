"""The WordPiece family: a vocabulary chosen by the pieces that it saves on expected words.

Training takes the words that the base can spell, makes candidate tokens by merging neighbours,
splits every word by longest match, and drops the candidates whose loss costs the fewest pieces.
"""

import string
import sys
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from tokenizers import Tokenizer

from worker.compression.progress import Progress, part, reported
from worker.compression.tokenizers.fallback import FallbackCharacter, fallback_characters
from worker.compression.tokenizers.family import TrainingTask, check_ceiling, check_floor
from worker.compression.tokenizers.merges import MergeTable, merge_candidates
from worker.compression.tokenizers.raw_tokens import RawSplitter, split_by_model
from worker.compression.tokenizers.tokenizer_json import Json
from worker.compression.tokenizers.words import WordCounts, word_splitter

# Mean saving against the reference trainer on four splits of ADE at 25 %: 4.2 % with 2 candidates
# per token, 4.0 % with 1.5 and with 2.5.
_CANDIDATES_PER_TOKEN = 2

# From this count on, a word's frequency in the corpus is its own best estimate.
_RELIABLE_COUNT = 6

# Neighbours in the base's vocabulary, which most trainers order by frequency: words this close
# are about equally frequent.
_GROUP_SIZE = 1000

# Share of the vocabulary dropped between two counts; smaller is slower and hardly better.
_DROPPED_PER_ROUND = 0.05

# Expected uses of a token that the base has no vector for. A mean that is hardly ever trained is
# worth less than a shared token: docs/decisions/0008.
_FEWEST_USES = 2.0

# Pieces that an unknown character costs: the whole word is lost with it.
_UNKNOWN_COST = 10.0

_REPORT_EVERY = 5_000


class LongestMatch:
    """Splits words by the longest token that fits, from the left, as WordPiece models do.

    ``prefix``, such as ``##``, marks tokens that continue a word. Every character of a word must
    be in the vocabulary.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def token(self, word: str, start: int, end: int) -> str:
        """Return the raw token for ``word[start:end]``."""
        return self.prefix + word[start:end] if start else word[start:end]

    def characters(self, word: str) -> list[str]:
        """Spell a word in single-character tokens; the word itself may start with the prefix."""
        return [sys.intern(self.token(word, i, i + 1)) for i in range(len(word))]

    def join(self, left: str, right: str) -> str:
        """Return the token that covers two neighbouring tokens."""
        return left + right.removeprefix(self.prefix)

    def split(self, word: str, vocabulary: Container[str], whole: bool = True) -> list[str]:
        """Return the pieces of ``word``; without ``whole`` it may not be a single piece."""
        pieces: list[str] = []
        start, longest = 0, len(word) if whole else len(word) - 1
        while start < len(word):
            end = longest
            while (piece := self.token(word, start, end)) not in vocabulary:
                end -= 1
            pieces.append(piece)
            start, longest = end, len(word)
        return pieces

    def count_pieces(self, word: str, start: int, vocabulary: Container[str]) -> int:
        """Return the number of pieces of ``word[start:]``."""
        count = 0
        while start < len(word):
            end = len(word)
            while self.token(word, start, end) not in vocabulary:
                end -= 1
            start, count = end, count + 1
        return count

    def length(self, piece: str, position: int) -> int:
        """Return the number of characters of the piece at ``position`` of a split."""
        return len(piece) - len(self.prefix) if position else len(piece)


class WordPiece:
    """WordPiece with the base's mark on tokens that continue a word."""

    name = "wordpiece"
    spells_bytes = False

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.matcher = LongestMatch(prefix)

    def train(self, task: TrainingTask, progress: Progress) -> Json:
        """Choose the vocabulary; ids: reserved, then the alphabet, then by falling use.

        Tokens are made only of characters that the base has a token for, so each can be
        partitioned, and words with other characters stay unknown, as they were.

        Raises:
            VocabSizeBelowFloorError: the tokens that must be kept alone are more.
            CorpusTooSmallError: the corpus does not hold as many tokens.

        """
        corpus = CandidateTokens(task, self.matcher)
        reserved = set(task.reserved.tokens)
        required = {*corpus.alphabet, *task.keep_tokens} - reserved
        check_floor(task.vocab_size, len(reserved) + len(required))
        size = task.vocab_size - len(reserved)
        candidates = corpus.candidates(required, size, part(progress, 0, 0.4))
        found = fallback_characters(self, task.base_model, corpus.split_words, task.words)
        fallback = [one for one in found if one.token not in {*candidates, *reserved}]
        check_ceiling(size, len(candidates) + len(fallback), len(reserved))

        worth: dict[str, float] = {}
        unseen: list[ExpectedWord] = []
        base_words: list[str] = []
        if task.selection == "frequency":
            candidates = candidates[:size]
        else:
            base_words = corpus.base_words()
            unseen = unseen_words(corpus.words, base_words)[:size]
            candidates += [word.word for word in unseen]
            familiar = [one for one in fallback if one.familiar][: size - len(required)]
            worth = {one.token: _UNKNOWN_COST * one.expected for one in familiar}
        words = expected_words(corpus.words, base_words)
        usage = Usage(
            self.matcher, [*words, *unseen], [*candidates, *worth], part(progress, 0.4, 0.5)
        )
        usage.of_corpus = len(words)
        prune(usage, required, size, part(progress, 0.5, 1), task.base_model["vocab"], worth)
        prefer_characters(usage, required, size, fallback)

        used = usage.token_frequencies()
        others = sorted(usage.vocabulary - set(corpus.alphabet), key=lambda t: (-used[t], t))
        alphabet = [token for token in corpus.alphabet if token not in reserved]
        vocabulary = task.reserved.surround([*alphabet, *others])
        return {**task.base_model, "vocab": {token: i for i, token in enumerate(vocabulary)}}

    def as_token(self, word: str) -> str:
        return word

    def spell(self, token: str) -> list[str]:
        if token.startswith(self.prefix) and len(token) > len(self.prefix):
            return [self.prefix + char for char in token.removeprefix(self.prefix)]
        return self.matcher.characters(token)

    def surface(self, token: str) -> str:
        return token.removeprefix(self.prefix) or token

    def raw_splitter(self, backend: Tokenizer) -> RawSplitter:
        return split_by_model(backend)


class CandidateTokens:
    """The words, characters and candidate tokens that a corpus and its base give.

    ``words`` are those of the corpus that the base can spell, ``alphabet`` the single-character
    tokens: every form that the base has and encoding can need.
    """

    def __init__(self, task: TrainingTask, matcher: LongestMatch) -> None:
        self._task = task
        self._matcher = matcher
        self._base_vocabulary: dict[str, int] = task.base_model["vocab"]
        self.split_words = word_splitter(task.backend)
        longest = task.base_model["max_input_chars_per_word"]
        self.words: WordCounts = {
            word: count
            for word, count in task.words.items()
            if len(word) <= longest
            and all(token in self._base_vocabulary for token in matcher.characters(word))
        }
        self.alphabet = self._alphabet()

    def _alphabet(self) -> list[str]:
        characters = {char for word in self.words for char in word}
        characters |= set(string.ascii_letters + string.digits + string.punctuation)
        ordered = sorted(characters)
        # A character that the pre-tokenizer cuts off, such as a comma, never continues a word.
        inside = [c for c in ordered if any(len(w) > 1 for w in self.split_words(f"a{c}"))]
        forms = [*ordered, *(self._matcher.prefix + char for char in inside)]
        return [form for form in forms if form in self._base_vocabulary]

    def candidates(self, required: set[str], size: int, progress: Progress) -> list[str]:
        """Return distinct candidates, the required tokens first, then in order of merging."""
        words, matcher = self.words, self._matcher
        limit = _CANDIDATES_PER_TOKEN * size
        spelled = reported(words, part(progress, 0, 0.2), "spelling the corpus's words")
        table = MergeTable(map(matcher.characters, spelled), words.values())
        merged = merge_candidates(table, matcher.join, limit, part(progress, 0.2, 0.8))
        candidates = dict.fromkeys([*sorted(required), *merged])
        # Pieces of the base keep their trained embedding: candidates on a par with merged tokens.
        message = "splitting words as the base does"
        by_base = reported(words, part(progress, 0.8, 1), message)
        pieces = {p for word in by_base for p in matcher.split(word, self._base_vocabulary)}
        candidates.update(dict.fromkeys(sorted(pieces)))
        if len(candidates) < size:
            candidates.update(dict.fromkeys(self._shared_parts()))
        reserved = set(self._task.reserved.tokens)
        return [token for token in candidates if token not in reserved]

    def _shared_parts(self) -> list[str]:
        """Return parts of words that the base has or several words share, most shared first."""
        shared_by: Counter[str] = Counter()
        for word in self.words:
            ends = range(1, len(word) + 1)
            shared_by.update({self._matcher.token(word, i, j) for j in ends for i in range(j)})
        base = self._base_vocabulary
        parts = (token for token, count in shared_by.items() if count > 1 or token in base)
        return sorted(parts, key=lambda token: (token not in base, -shared_by[token], token))

    def base_words(self) -> list[str]:
        """Return words that are one token of the base, in its order."""
        characters, prefix = set(self.alphabet), self._matcher.prefix
        ids = sorted(self._base_vocabulary.items(), key=itemgetter(1))
        starting = (t for t, _ in ids if len(t) > 1 and not t.startswith(prefix))
        spellable = (t for t in starting if characters.issuperset(self._matcher.characters(t)))
        return [token for token in spellable if list(self.split_words(token)) == [token]]


class ExpectedWord(NamedTuple):
    """A word with its expected count; ``whole`` tells if it may be a token of its own."""

    word: str
    frequency: float
    whole: bool


def expected_words(words: WordCounts, base_words: Sequence[str] = ()) -> list[ExpectedWord]:
    """Weigh words by their Good-Turing expected counts (Good 1953, Biometrika 40).

    A word seen r times counts (r+1) N(r+1) / N(r), where N(r) words were seen r times. New text
    has as many unseen words as this corpus has words seen once. Those are listed a second time in
    the place of unseen words, each with a count of 1 and never as a whole token. So a vocabulary
    is chosen for words it has not seen, too, and not for chance words. ``base_words`` are not
    listed again: ``unseen_words`` covers words like them.
    """
    seen_times, in_base = Counter(words.values()), set(base_words)
    expected: list[ExpectedWord] = []
    for word, seen in words.items():
        count = float(seen)
        if seen < _RELIABLE_COUNT and seen_times[seen + 1]:
            count = min(count, (seen + 1) * seen_times[seen + 1] / seen_times[seen])
        expected.append(ExpectedWord(word, count, whole=True))
    once = (word for word, seen in words.items() if seen == 1 and len(word) > 1)
    return expected + [ExpectedWord(word, 1.0, whole=False) for word in once if word not in in_base]


def unseen_words(words: WordCounts, base_words: Sequence[str]) -> list[ExpectedWord]:
    """Return words of the base that the corpus does not have, those expected most first.

    Each counts N(1) / N(0) of the words about as common as it: Good-Turing again.
    """
    expected: list[ExpectedWord] = []
    for start in range(0, len(base_words), _GROUP_SIZE):
        group = base_words[start : start + _GROUP_SIZE]
        unseen = [word for word in group if word not in words]
        once = sum(words.get(word) == 1 for word in group)
        if once:
            expected += [ExpectedWord(word, once / len(unseen), whole=True) for word in unseen]
    return sorted(expected, key=lambda word: -word.frequency)


class Usage:
    """The pieces of every word under a vocabulary, and the words that use each token.

    The first ``of_corpus`` words are the corpus's own, all of them where nothing else is said; the
    others are words that only the base knows.
    """

    def __init__(
        self,
        matcher: LongestMatch,
        words: Sequence[ExpectedWord],
        vocabulary: Iterable[str],
        progress: Progress,
    ) -> None:
        self.matcher = matcher
        self.words = words
        self.of_corpus = len(words)
        self.vocabulary = set(vocabulary)
        self.pieces: list[list[str]] = []
        self.words_using: defaultdict[str, set[int]] = defaultdict(set)
        for word, _, whole in reported(words, progress, "splitting the corpus's words"):
            self.pieces.append(matcher.split(word, self.vocabulary, whole))
            self._index_pieces(len(self.pieces) - 1)

    def _index_pieces(self, index: int) -> None:
        for piece in self.pieces[index]:
            self.words_using[piece].add(index)

    def cost_of_dropping(self, token: str) -> float:
        """Return the expected number of extra pieces without ``token``; it may be negative."""
        self.vocabulary.discard(token)
        # Sorted, so that the floating-point sum does not depend on the order of a set.
        cost = sum(self._extra_pieces(index, token) for index in sorted(self.words_using[token]))
        self.vocabulary.add(token)
        return cost

    def _extra_pieces(self, index: int, token: str) -> float:
        word, frequency, whole = self.words[index]
        pieces = self.pieces[index]
        # Longest match goes from the left: pieces before the token stay as they are.
        before = pieces.index(token)
        start = sum(self.matcher.length(piece, i) for i, piece in enumerate(pieces[:before]))
        if start == 0 and not whole:
            after = len(self.matcher.split(word, self.vocabulary, whole))
        else:
            after = self.matcher.count_pieces(word, start, self.vocabulary)
        return frequency * (before + after - len(pieces))

    def uses(self, token: str) -> float:
        """Return the expected number of words that use a token."""
        return sum(self.words[index].frequency for index in sorted(self.words_using[token]))

    def serves_corpus(self, token: str) -> bool:
        """Tell whether a word of the corpus uses a token."""
        return any(index < self.of_corpus for index in self.words_using[token])

    def drop(self, tokens: Iterable[str]) -> None:
        """Take tokens out of the vocabulary and split the words that used them anew."""
        touched: set[int] = set()
        for token in tokens:
            self.vocabulary.discard(token)
            touched |= self.words_using[token]
        for index in touched:
            for piece in self.pieces[index]:
                self.words_using[piece].discard(index)
            word, _, whole = self.words[index]
            self.pieces[index] = self.matcher.split(word, self.vocabulary, whole)
            self._index_pieces(index)

    def token_frequencies(self) -> defaultdict[str, float]:
        """Return the expected number of times each token is used."""
        frequencies: defaultdict[str, float] = defaultdict(float)
        for word, pieces in zip(self.words, self.pieces, strict=True):
            for piece in pieces:
                frequencies[piece] += word.frequency
        return frequencies


def prune(  # noqa: PLR0913, PLR0917
    usage: Usage,
    required: set[str],
    size: int,
    progress: Progress,
    base: Container[str] = (),
    worth: Mapping[str, float] | None = None,
) -> None:
    """Drop tokens from ``usage.vocabulary`` until ``size`` are left; ``required`` ones stay.

    Tokens that are not in ``base`` and hardly used go first, then those that save the fewest
    pieces. Characters that nothing else can spell save what ``worth`` says, and no less than a
    token must be used. Ties go to the longer token, then by text, and to characters last, from the
    end of ``worth``.
    """
    worth = worth or {}
    place = {token: number for number, token in enumerate(worth)}
    surplus = len(usage.vocabulary) - size
    # Dropping a token changes what others save: each round drops a few and counts again.
    while len(usage.vocabulary) > size:
        droppable = sorted(usage.vocabulary - required)
        saving: dict[str, tuple[bool, float]] = {}
        left = len(usage.vocabulary) - size
        for number, token in enumerate(droppable):
            if number % _REPORT_EVERY == 0:
                progress(1 - left / surplus, f"{len(usage.vocabulary)} tokens, {size} wanted")
            if token in worth:
                saving[token] = True, max(_FEWEST_USES, worth[token])
            elif token not in base and (uses := usage.uses(token)) < _FEWEST_USES:
                saving[token] = False, uses
            else:
                saving[token] = True, usage.cost_of_dropping(token)
        ranked = sorted(droppable, key=lambda t: (saving[t], t in place, -place.get(t, len(t)), t))
        # Characters are pieces of no word: the others' savings stay as they are without them.
        others = len(usage.vocabulary) - len(usage.vocabulary & worth.keys())
        batch = max(1, int(_DROPPED_PER_ROUND * others))
        changing = [number for number, token in enumerate(ranked) if token not in worth]
        end = changing[batch] if batch < len(changing) else len(ranked)
        usage.drop(ranked[: min(end, left)])


def prefer_characters(
    usage: Usage, required: set[str], size: int, fallback: Sequence[FallbackCharacter]
) -> None:
    """Put characters into the place of tokens that the corpus does not use, and into free places.

    The likeliest come first; the tokens expected least often go for them.
    """
    missing = [one.token for one in fallback if one.token not in usage.vocabulary]
    kept = required | {one.token for one in fallback}
    unused = [token for token in usage.vocabulary - kept if not usage.serves_corpus(token)]
    free = size - len(usage.vocabulary)
    entering = missing[: free + len(unused)]
    leaving = sorted(unused, key=lambda token: (usage.uses(token), -len(token), token))
    usage.drop(leaving[: max(0, len(entering) - free)])
    usage.vocabulary.update(entering)
