"""The WordPiece family: longest match, a mark on tokens that continue a word."""

from collections.abc import Sequence

from tokenizers import Tokenizer

from worker.compression.progress import Progress, part
from worker.compression.tokenizers.backend import Json
from worker.compression.tokenizers.expectation import expected_words, unseen_words
from worker.compression.tokenizers.family import TrainingTask
from worker.compression.tokenizers.longest_match import LongestMatch
from worker.compression.tokenizers.raw_tokens import RawSplitter, split_by_model
from worker.compression.tokenizers.selection import Usage, prune
from worker.compression.tokenizers.sizes import check_ceiling, check_floor
from worker.compression.tokenizers.wordpiece_candidates import CandidateTokens


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
