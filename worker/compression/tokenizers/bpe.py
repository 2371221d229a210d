"""The BPE families: ranked merges of bytes, or of characters with bytes to fall back on."""

import json
import math
import string

from tokenizers import Tokenizer, pre_tokenizers

from worker.compression.progress import Progress, part
from worker.compression.tokenizers.family import TrainingTask, check_ceiling, check_floor
from worker.compression.tokenizers.merges import (
    MergeRules,
    MergeTable,
    MergeUsage,
    kept_merges,
    merge_pairs,
    prune_leaves,
)
from worker.compression.tokenizers.raw_tokens import RawSplitter, split_by_model, split_one_by_one
from worker.compression.tokenizers.tokenizer_json import Json
from worker.compression.tokenizers.words import WORD_START, WordCounts, is_byte_token, known_runs

_CANDIDATES_PER_TOKEN = 1.25
"""More change nothing: on ADE 8 % of the tokens at 25 % are only steps on the way to others."""

_BYTE_LETTERS = frozenset(pre_tokenizers.ByteLevel.alphabet())


class BPE:
    """Byte-Pair Encoding as a base model has it: of bytes or characters, with a suffix or none."""

    def __init__(self, *, byte_level: bool, suffix: str) -> None:
        self.name = "byte-level-bpe" if byte_level else "bpe"
        self.byte_level = byte_level
        self.suffix = suffix
        self.word_start = "\u0120" if byte_level else WORD_START

    def as_token(self, word: str) -> str:
        return word + self.suffix

    def spell(self, token: str) -> list[str]:
        if not self.byte_level and is_byte_token(token):
            return [token]
        if not self.suffix or not token.endswith(self.suffix) or token == self.suffix:
            return list(token)
        letters = list(token.removesuffix(self.suffix))
        return [*letters[:-1], letters[-1] + self.suffix]

    def surface(self, token: str) -> str:
        if not self.byte_level and is_byte_token(token):
            return chr(int(token[3:-1], 16))
        return token.removeprefix(self.word_start).removesuffix(self.suffix) or token

    def raw_splitter(self, backend: Tokenizer) -> RawSplitter:
        if not self.suffix:
            return split_by_model(backend)
        # The model appends the suffix itself to whatever it is given: it cannot read raw tokens.
        vocabulary = backend.get_vocab(with_added_tokens=False)
        rules = _rules_of(json.loads(backend.to_str())["model"])

        def split(token: str) -> list[int]:
            pieces = rules.split(self.spell(token))
            return [vocabulary[piece] for piece in pieces if piece in vocabulary]

        return split_one_by_one(split)

    def train(self, task: TrainingTask, progress: Progress) -> Json:
        """Choose the vocabulary; ids: reserved tokens around the alphabet, then merges by rank.

        Raises:
            VocabSizeBelowFloorError: the tokens that must be kept alone are more.
            CorpusTooSmallError: the corpus does not hold as many tokens.

        """
        spelled = {self.as_token(word): count for word, count in task.words.items()}
        runs = known_runs(spelled, self.spell, task.base_model["vocab"])
        reserved = set(task.layout.tokens)
        rules = self._kept_rules(task, reserved)
        alphabet = self._alphabet(task, runs)
        kept = {*alphabet, *rules.made_by} - reserved
        check_floor(task.vocab_size, len(reserved) + len(kept))
        wanted = task.vocab_size - len(reserved) - len(kept)
        made = self._candidates(task, runs, rules, kept, wanted, part(progress, 0, 0.5))
        check_ceiling(len(kept) + wanted, len(kept) + len(made), len(reserved))
        if len(made) > wanted:
            usage = MergeUsage(rules, runs, self.spell, part(progress, 0.5, 0.6))
            prune_leaves(usage, made, len(made) - wanted, part(progress, 0.6, 1))
        merged = dict.fromkeys("".join(pair) for pair in rules.ranks)
        ordinary = [token for token in dict.fromkeys([*alphabet, *merged]) if token not in reserved]
        vocabulary = task.layout.around(ordinary)
        return {
            **task.base_model,
            "vocab": {token: i for i, token in enumerate(vocabulary)},
            "merges": [list(pair) for pair in rules.ranks],
        }

    def _kept_rules(self, task: TrainingTask, reserved: set[str]) -> MergeRules:
        base = _rules_of(task.base_model)
        return kept_merges(base, (self.spell(t) for t in task.kept if t not in reserved))

    def _alphabet(self, task: TrainingTask, runs: WordCounts) -> list[str]:
        """Return single letters: bytes, those of the corpus, and those of tokens to keep."""
        known = task.base_model["vocab"]
        letters = {letter for run in runs for letter in self.spell(run)}
        plain = _BYTE_LETTERS if self.byte_level else {*_ASCII, WORD_START}
        letters |= {form for letter in plain for form in (letter, letter + self.suffix)}
        spelled = {letter for token in task.kept for letter in self.spell(token)}
        byte_tokens = [token for token in known if is_byte_token(token) and not self.byte_level]
        ordered = [*byte_tokens, *sorted(letter for letter in letters if letter in known)]
        return list(dict.fromkeys([*ordered, *sorted(spelled)]))

    def _candidates(  # noqa: PLR0913, PLR0917
        self,
        task: TrainingTask,
        runs: WordCounts,
        rules: MergeRules,
        kept: set[str],
        wanted: int,
        progress: Progress,
    ) -> set[str]:
        """Append the corpus's merges to ``rules``, and return the tokens they make."""
        table = MergeTable(map(self.spell, runs), runs.values())
        for pair in rules.ranks:
            table.merge(pair, "".join(pair))
        share = 1 if task.selection == "frequency" else _CANDIDATES_PER_TOKEN
        limit = math.ceil(wanted * share)
        barred = {*task.layout.tokens, *filter(is_byte_token, kept)}
        made: set[str] = set()
        merges = merge_pairs(table, str.__add__, barred)
        while len(made) < limit and (merge := next(merges, None)):
            rules.append(merge)
            made |= {"".join(merge)} - kept
            if len(rules.ranks) % 500 == 0:
                progress(len(made) / limit, f"{len(made)} candidate tokens")
        return made


_ASCII = string.ascii_letters + string.digits + string.punctuation


def _rules_of(model: Json) -> MergeRules:
    merges = model["merges"]
    return MergeRules(tuple(m.split(" ") if isinstance(m, str) else m) for m in merges)
