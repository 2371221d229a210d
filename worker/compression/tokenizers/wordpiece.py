"""The WordPiece family: longest match, a mark on tokens that continue a word."""

import string
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter

from tokenizers import Tokenizer

from worker.compression.progress import Progress, part, reported
from worker.compression.tokenizers.family import TrainingTask, check_ceiling, check_floor
from worker.compression.tokenizers.merges import MergeTable, merge_candidates
from worker.compression.tokenizers.raw_tokens import RawSplitter, split_by_model
from worker.compression.tokenizers.selection import LongestMatch, Usage, prune
from worker.compression.tokenizers.tokenizer_json import Json
from worker.compression.tokenizers.words import (
    WordCounts,
    expected_words,
    unseen_words,
    word_splitter,
)

_CANDIDATES_PER_TOKEN = 2
"""Mean saving against the reference trainer on four splits of ADE at 25 %: 4.2 % with 2 candidates
a token, 4.0 % with 1.5 and with 2.5."""


class CandidateTokens:
    """What a corpus and its base offer: words, characters, and tokens to choose from.

    ``words`` are those of the corpus that the base can spell, ``alphabet`` the single-character
    tokens: every form that the base knows and encoding can need.
    """

    def __init__(self, task: TrainingTask, matcher: LongestMatch) -> None:
        self.task = task
        self._matcher = matcher
        self._known: dict[str, int] = task.base_model["vocab"]
        self.words = self._spellable()
        self.alphabet = self._alphabet()

    def base_words(self) -> list[str]:
        """Return words that are one token of the base, in its order."""
        letters, words_of = set(self.alphabet), word_splitter(self.task.backend)
        ids = sorted(self._known.items(), key=itemgetter(1))
        prefix = self._matcher.prefix
        starting = (t for t, _ in ids if len(t) > 1 and not t.startswith(prefix))
        spellable = (t for t in starting if letters.issuperset(self._matcher.letters(t)))
        return [token for token in spellable if list(words_of(token)) == [token]]

    def candidates(self, kept: set[str], size: int, progress: Progress) -> list[str]:
        """Return distinct candidates, what must be kept first, then in order of merging."""
        words, matcher = self.words, self._matcher
        limit = _CANDIDATES_PER_TOKEN * size
        spelled = reported(words, part(progress, 0, 0.2), "spelling the corpus's words")
        table = MergeTable(map(matcher.letters, spelled), words.values())
        merged = merge_candidates(table, matcher.join, limit, part(progress, 0.2, 0.8))
        candidates = dict.fromkeys([*sorted(kept), *merged])
        # Pieces of the base keep their trained embedding: candidates on a par with merged tokens.
        in_base = reported(words, part(progress, 0.8, 1), "splitting words as the base does")
        base_pieces = {piece for word in in_base for piece in matcher.split(word, self._known)}
        candidates.update(dict.fromkeys(sorted(base_pieces)))
        if len(candidates) < size:
            candidates.update(dict.fromkeys(self._shared_parts()))
        reserved = set(self.task.layout.tokens)
        return [token for token in candidates if token not in reserved]

    def _spellable(self) -> WordCounts:
        longest = self.task.base_model["max_input_chars_per_word"]
        return {
            word: count
            for word, count in self.task.words.items()
            if len(word) <= longest and self._are_known(self._matcher.letters(word))
        }

    def _are_known(self, tokens: Iterable[str]) -> bool:
        return all(token in self._known for token in tokens)

    def _alphabet(self) -> list[str]:
        characters = {char for word in self.words for char in word}
        characters |= set(string.ascii_letters + string.digits + string.punctuation)
        words_of = word_splitter(self.task.backend)
        # A character that the pre-tokenizer cuts off, such as a comma, never continues a word.
        continuing = [c for c in sorted(characters) if any(len(w) > 1 for w in words_of(f"a{c}"))]
        forms = [*sorted(characters), *(self._matcher.prefix + c for c in continuing)]
        return [form for form in forms if form in self._known]

    def _shared_parts(self) -> list[str]:
        """Return parts of words that the base knows or several words share, most shared first."""
        shared_by: Counter[str] = Counter()
        for word in self.words:
            ends = range(1, len(word) + 1)
            shared_by.update({self._matcher.raw(word, i, j) for j in ends for i in range(j)})
        return sorted(
            (part for part, count in shared_by.items() if count > 1 or part in self._known),
            key=lambda part: (part not in self._known, -shared_by[part], part),
        )


class WordPiece:
    name = "wordpiece"

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.matcher = LongestMatch(prefix)

    def as_token(self, word: str) -> str:
        return word

    def spell(self, token: str) -> list[str]:
        if token.startswith(self.prefix) and len(token) > len(self.prefix):
            return [self.prefix + char for char in token.removeprefix(self.prefix)]
        return self.matcher.letters(token)

    def surface(self, token: str) -> str:
        return token.removeprefix(self.prefix) or token

    def raw_splitter(self, backend: Tokenizer) -> RawSplitter:
        return split_by_model(backend)

    def train(self, task: TrainingTask, progress: Progress) -> Json:
        """Choose the vocabulary; ids: reserved, then the alphabet, then by falling use.

        Tokens are made only of characters that the base has a token for, so each can be
        partitioned, and words with others stay what they were, unknown.

        Raises:
            VocabSizeBelowFloorError: the tokens that must be kept alone are more.
            CorpusTooSmallError: the corpus does not hold as many tokens.

        """
        corpus = CandidateTokens(task, self.matcher)
        alphabet = corpus.alphabet
        reserved = task.layout.tokens
        kept = {*alphabet, *task.kept} - set(reserved)
        check_floor(task.vocab_size, len(reserved) + len(kept))
        size = task.vocab_size - len(reserved)
        candidates = corpus.candidates(kept, size, part(progress, 0, 0.4))
        check_ceiling(size, len(candidates), len(reserved))
        usage = self._usage(corpus, candidates, size, part(progress, 0.4, 0.5))
        prune(usage, kept, size, part(progress, 0.5, 1), task.base_model["vocab"])
        used = usage.frequencies()
        others = sorted(usage.vocabulary - set(alphabet), key=lambda t: (-used[t], t))
        letters = [token for token in alphabet if token not in set(reserved)]
        vocabulary = task.layout.around([*letters, *others])
        return {**task.base_model, "vocab": {token: i for i, token in enumerate(vocabulary)}}

    def _usage(
        self, corpus: CandidateTokens, candidates: Sequence[str], size: int, progress: Progress
    ) -> Usage:
        """Return the use of the candidates, among them words that only the base knows."""
        if corpus.task.selection == "frequency":
            return Usage(self.matcher, expected_words(corpus.words), candidates[:size], progress)
        base_words = corpus.base_words()
        unseen = unseen_words(corpus.words, base_words)[:size]
        expected = [*expected_words(corpus.words, base_words), *unseen]
        vocabulary = [*candidates, *(word.word for word in unseen)]
        return Usage(self.matcher, expected, vocabulary, progress)
