"""The Unigram family: the likeliest segmentation under token probabilities (Kudo 2018)."""

import string
from itertools import islice

from tokenizers import Tokenizer

from worker.compression.progress import Progress, part
from worker.compression.tokenizers.backend import Json, vocabulary_of
from worker.compression.tokenizers.family import TrainingTask
from worker.compression.tokenizers.raw_tokens import RawSplitter, split_by_model
from worker.compression.tokenizers.sizes import check_ceiling, check_floor
from worker.compression.tokenizers.unigram_pruning import (
    Loss,
    UnigramTrainer,
    letter_counts,
    seed_pieces,
)
from worker.compression.tokenizers.words import (
    WORD_START,
    WordCounts,
    is_byte_token,
    known_runs,
)

_SEEDS_PER_TOKEN = 10
"""Tokens a held-out text of ADE at 25 % of T5's vocabulary: 25.7 with 4 seeds a token, 23.5 with 10
and 23.6 with 20."""

_MOST_SEEDS = 100_000
"""More than these only where the vocabulary itself is large: they cost minutes, and add little."""

_ASCII = string.ascii_letters + string.digits + string.punctuation


class Unigram:
    name = "unigram"

    def as_token(self, word: str) -> str:
        return word

    def spell(self, token: str) -> list[str]:
        return [token] if is_byte_token(token) else list(token)

    def surface(self, token: str) -> str:
        if is_byte_token(token):
            return chr(int(token[3:-1], 16))
        return token.removeprefix(WORD_START) or token

    def raw_splitter(self, backend: Tokenizer) -> RawSplitter:
        return split_by_model(backend)

    def train(self, task: TrainingTask, progress: Progress) -> Json:
        """Choose the vocabulary; ids: reserved tokens around the bytes, then by falling likelihood.

        Raises:
            VocabSizeBelowFloorError: the tokens that must be kept alone are more.
            CorpusTooSmallError: the corpus does not hold as many tokens.

        """
        reserved = set(task.layout.tokens)
        base_scores: dict[str, float] = dict(task.base_model["vocab"])
        byte_scores = {token: s for token, s in base_scores.items() if is_byte_token(token)}
        words = known_runs(task.words, list, base_scores.keys() - reserved)
        kept = self._kept(task, words) - reserved - byte_scores.keys()
        fixed = len(reserved) + len(byte_scores)
        check_floor(task.vocab_size, fixed + len(kept))
        progress(0.0, "counting the parts of words")
        seeds = seed_pieces(words, barred={*kept, *reserved, *byte_scores})
        size = task.vocab_size - fixed
        check_ceiling(size, len(kept) + len(seeds), fixed)
        candidates = {**dict.fromkeys(sorted(kept), 1), **letter_counts(words)}
        number = min(_SEEDS_PER_TOKEN * size, max(_MOST_SEEDS, 3 * size))
        candidates |= dict(islice(seeds.items(), number))
        trainer = UnigramTrainer(words, candidates, kept)
        loss: Loss = "likelihood" if task.selection == "frequency" else "pieces"
        trainer.shrink_to(size, loss, part(progress, 0.2, 1))
        return _model(task, {**byte_scores, **trainer.result()})

    def _kept(self, task: TrainingTask, words: WordCounts) -> set[str]:
        known = vocabulary_of(task.base_model)
        letters = {letter for word in words for letter in word} | {*_ASCII, WORD_START}
        spelled = {letter for token in task.kept for letter in self.spell(token)}
        return {letter for letter in letters if letter in known} | spelled | set(task.kept)


def _model(task: TrainingTask, scores: dict[str, float]) -> Json:
    base = task.base_model["vocab"]
    base_scores: dict[str, float] = dict(base)
    tokens = task.layout.around(list(scores))
    unk_id = task.base_model["unk_id"]
    return {
        **task.base_model,
        "vocab": [[t, scores.get(t, base_scores.get(t, 0.0))] for t in tokens],
        "unk_id": None if unk_id is None else tokens.index(base[unk_id][0]),
    }
