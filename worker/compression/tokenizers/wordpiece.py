"""The WordPiece family: longest match, a mark on tokens that continue a word."""

import string
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter

from tokenizers import Tokenizer

from worker.compression.progress import Progress, part, reported
from worker.compression.tokenizers.backend import Json
from worker.compression.tokenizers.expectation import expected_words, unseen_words
from worker.compression.tokenizers.family import TrainingTask
from worker.compression.tokenizers.longest_match import LongestMatch
from worker.compression.tokenizers.merges import MergeTable, merge_candidates
from worker.compression.tokenizers.raw_tokens import RawSplitter, split_by_model
from worker.compression.tokenizers.selection import Usage, prune
from worker.compression.tokenizers.sizes import check_ceiling, check_floor
from worker.compression.tokenizers.words import WordCounts, word_splitter

_CANDIDATES_PER_TOKEN = 2
"""Mean saving against the reference trainer on four splits of ADE at 25 %: 4.2 % with 2 candidates
a token, 4.0 % with 1.5 and with 2.5."""


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
        return self._letters(token)

    def _letters(self, word: str) -> list[str]:
        """Spell a word of a text, which may itself start with the mark."""
        return [sys.intern(self.matcher.raw(word, i, i + 1)) for i in range(len(word))]

    def surface(self, token: str) -> str:
        return token.removeprefix(self.prefix) or token

    def join(self, left: str, right: str) -> str:
        """Return the token that covers two neighbouring tokens."""
        return left + right.removeprefix(self.prefix)

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
        words = self._spellable(task)
        alphabet = self._alphabet(task, words)
        reserved = task.layout.tokens
        kept = {*alphabet, *task.kept} - set(reserved)
        check_floor(task.vocab_size, len(reserved) + len(kept))
        size = task.vocab_size - len(reserved)
        candidates = self._candidates(task, words, kept, size, part(progress, 0, 0.4))
        check_ceiling(size, len(candidates), len(reserved))
        usage = self._usage(task, words, alphabet, candidates, size, part(progress, 0.4, 0.5))
        prune(usage, kept, size, part(progress, 0.5, 1), task.base_model["vocab"])
        used = usage.frequencies()
        others = sorted(usage.vocabulary - set(alphabet), key=lambda t: (-used[t], t))
        letters = [token for token in alphabet if token not in set(reserved)]
        vocabulary = task.layout.around([*letters, *others])
        return {**task.base_model, "vocab": {token: i for i, token in enumerate(vocabulary)}}

    def _usage(  # noqa: PLR0913, PLR0917
        self,
        task: TrainingTask,
        words: WordCounts,
        alphabet: Sequence[str],
        candidates: Sequence[str],
        size: int,
        progress: Progress,
    ) -> Usage:
        """Return the use of the candidates, among them words that only the base knows."""
        if task.selection == "frequency":
            return Usage(self.matcher, expected_words(words), candidates[:size], progress)
        base_words = self._base_words(task, alphabet)
        unseen = unseen_words(words, base_words)[:size]
        expected = [*expected_words(words, base_words), *unseen]
        vocabulary = [*candidates, *(word.word for word in unseen)]
        return Usage(self.matcher, expected, vocabulary, progress)

    def _spellable(self, task: TrainingTask) -> WordCounts:
        known = task.base_model["vocab"]
        longest = task.base_model["max_input_chars_per_word"]
        return {
            word: count
            for word, count in task.words.items()
            if len(word) <= longest and all(letter in known for letter in self._letters(word))
        }

    def _alphabet(self, task: TrainingTask, words: WordCounts) -> list[str]:
        """Return single-character tokens: every form that the base knows and encoding can need."""
        known = task.base_model["vocab"]
        characters = {char for word in words for char in word}
        characters |= set(string.ascii_letters + string.digits + string.punctuation)
        words_of = word_splitter(task.backend)
        # A character that the pre-tokenizer cuts off, such as a comma, never continues a word.
        continuing = [c for c in sorted(characters) if any(len(w) > 1 for w in words_of(f"a{c}"))]
        forms = [*sorted(characters), *(self.prefix + c for c in continuing)]
        return [form for form in forms if form in known]

    def _base_words(self, task: TrainingTask, alphabet: Sequence[str]) -> list[str]:
        """Return words that are one token of the base, in its order."""
        letters, words_of = set(alphabet), word_splitter(task.backend)
        ids = sorted(task.base_model["vocab"].items(), key=itemgetter(1))
        starting = (t for t, _ in ids if len(t) > 1 and not t.startswith(self.prefix))
        spellable = (t for t in starting if letters.issuperset(self._letters(t)))
        return [token for token in spellable if list(words_of(token)) == [token]]

    def _candidates(
        self, task: TrainingTask, words: WordCounts, kept: set[str], size: int, progress: Progress
    ) -> list[str]:
        """Return distinct candidates, what must be kept first, then in order of merging."""
        limit = _CANDIDATES_PER_TOKEN * size
        spelled = reported(words, part(progress, 0, 0.2), "spelling the corpus's words")
        table = MergeTable(map(self._letters, spelled), words.values())
        merged = merge_candidates(table, self.join, limit, part(progress, 0.2, 0.8))
        candidates = dict.fromkeys([*sorted(kept), *merged])
        known = task.base_model["vocab"]
        # Pieces of the base keep their trained embedding: candidates on a par with merged tokens.
        in_base = reported(words, part(progress, 0.8, 1), "splitting words as the base does")
        base_pieces = {piece for word in in_base for piece in self.matcher.split(word, known)}
        candidates.update(dict.fromkeys(sorted(base_pieces)))
        if len(candidates) < size:
            candidates.update(dict.fromkeys(self._shared_parts(words, known)))
        reserved = set(task.layout.tokens)
        return [token for token in candidates if token not in reserved]

    def _shared_parts(self, words: WordCounts, known: Iterable[str]) -> list[str]:
        """Return parts of words that the base knows or several words share, most shared first."""
        shared_by: Counter[str] = Counter()
        for word in words:
            ends = range(1, len(word) + 1)
            shared_by.update({self.matcher.raw(word, i, j) for j in ends for i in range(j)})
        return sorted(
            (part for part, count in shared_by.items() if count > 1 or part in known),
            key=lambda part: (part not in known, -shared_by[part], part),
        )
