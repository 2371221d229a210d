"""The BPE families: ranked merges of bytes, or of characters with bytes to fall back on.

Training keeps the alphabet and the merges that the required tokens need, learns further merges
from the corpus, and drops the merged tokens that save the fewest pieces.
"""

import json
import math
import string

from tokenizers import Tokenizer, pre_tokenizers

from worker.compression.progress import Progress, part, silent
from worker.compression.tokenizers.fallback import FallbackCharacter, fallback_characters
from worker.compression.tokenizers.family import TrainingTask, check_ceiling, check_floor
from worker.compression.tokenizers.merges import (
    MergeRules,
    MergeTable,
    MergeUsage,
    learn_merges,
    merges_for,
    prune_leaves,
)
from worker.compression.tokenizers.raw_tokens import RawSplitter, split_by_model, split_one_by_one
from worker.compression.tokenizers.tokenizer_json import Json
from worker.compression.tokenizers.words import (
    WORD_START,
    WordCounts,
    is_byte_token,
    spellable_runs,
    word_splitter,
)

# More change nothing: on ADE 8 % of the tokens at 25 % are only steps on the way to others.
_CANDIDATES_PER_TOKEN = 1.25

# A token that the corpus uses less goes for a character that only its own token spells.
_FEWEST_USES = 2

_REPORT_EVERY = 500

_ASCII = string.ascii_letters + string.digits + string.punctuation

# Byte-level models write each of the 256 bytes as one visible character, a space as "Ġ".
_BYTE_CHARACTERS = frozenset(pre_tokenizers.ByteLevel.alphabet())
_BYTE_LEVEL_WORD_START = "\u0120"


class BPE:
    """Byte-Pair Encoding as a base model has it: of bytes or characters, with or without a suffix.

    ``suffix``, such as ``</w>``, ends the last token of a word.
    """

    def __init__(self, *, byte_level: bool, suffix: str) -> None:
        self.name = "byte-level-bpe" if byte_level else "bpe"
        self.byte_level = self.spells_bytes = byte_level
        self.suffix = suffix
        self.word_start = _BYTE_LEVEL_WORD_START if byte_level else WORD_START

    def train(self, task: TrainingTask, progress: Progress) -> Json:
        """Choose the vocabulary; ids: reserved tokens around the alphabet, then merges by rank.

        Raises:
            VocabSizeBelowFloorError: the tokens that must be kept alone are more.
            CorpusTooSmallError: the corpus does not hold as many tokens.

        """
        tokens = {self.as_token(word): count for word, count in task.words.items()}
        runs = spellable_runs(tokens, self.spell, task.base_model["vocab"])
        reserved = set(task.reserved.tokens)
        spelled = (self.spell(token) for token in task.keep_tokens if token not in reserved)
        rules = merges_for(_merge_rules(task.base_model), spelled)
        alphabet = self._alphabet(task, runs)
        required = {*alphabet, *rules.pairs_into} - reserved
        check_floor(task.vocab_size, len(reserved) + len(required))

        wanted = task.vocab_size - len(reserved) - len(required)
        merged = self._learn(task, runs, rules, required, wanted, part(progress, 0, 0.5))
        fallback = self._fallback(task, required | reserved)
        available = len(required) + len(merged) + len(fallback)
        check_ceiling(len(required) + wanted, available, len(reserved))
        if len(merged) > wanted or fallback:
            usage = MergeUsage(rules, runs, self.spell, part(progress, 0.5, 0.6))
            left = prune_leaves(usage, merged, len(merged) - wanted, part(progress, 0.6, 0.9))
            # Characters of the corpus's scripts go before rare tokens, others before unused ones.
            familiar = sum(one.familiar for one in fallback)
            for entering, below in ((familiar, _FEWEST_USES), (len(fallback), 1)):
                surplus = len(left) + entering - wanted
                left = prune_leaves(usage, left, surplus, silent, below)
            alphabet += [one.token for one in fallback[: wanted - len(left)]]

        by_rank = ("".join(pair) for pair in rules.ranks)
        ordinary = [t for t in dict.fromkeys([*alphabet, *by_rank]) if t not in reserved]
        return {
            **task.base_model,
            "vocab": {token: i for i, token in enumerate(task.reserved.surround(ordinary))},
            "merges": [list(pair) for pair in rules.ranks],
        }

    def _fallback(self, task: TrainingTask, others: set[str]) -> list[FallbackCharacter]:
        """Return characters that only their own token spells, without those among ``others``."""
        split = word_splitter(task.backend)
        found = fallback_characters(self, task.base_model, split, task.words)
        return [one for one in found if one.token not in others]

    def _alphabet(self, task: TrainingTask, runs: WordCounts) -> list[str]:
        """Return single-character tokens: bytes, those of the corpus and of tokens to keep."""
        base_vocabulary = task.base_model["vocab"]
        characters = {character for run in runs for character in self.spell(run)}
        always = _BYTE_CHARACTERS if self.byte_level else {*_ASCII, WORD_START}
        characters |= {form for char in always for form in (char, char + self.suffix)}
        of_kept = {character for token in task.keep_tokens for character in self.spell(token)}
        byte_tokens = [t for t in base_vocabulary if is_byte_token(t) and not self.byte_level]
        in_base = sorted(character for character in characters if character in base_vocabulary)
        return list(dict.fromkeys([*byte_tokens, *in_base, *sorted(of_kept)]))

    def _learn(  # noqa: PLR0913, PLR0917
        self,
        task: TrainingTask,
        runs: WordCounts,
        rules: MergeRules,
        required: set[str],
        wanted: int,
        progress: Progress,
    ) -> set[str]:
        """Append merges learned from the corpus to ``rules``, and return the tokens they add."""
        table = MergeTable(map(self.spell, runs), runs.values())
        for kept in rules.ranks:
            table.merge(kept, "".join(kept))
        share = 1 if task.selection == "frequency" else _CANDIDATES_PER_TOKEN
        limit = math.ceil(wanted * share)
        excluded = {*task.reserved.tokens, *filter(is_byte_token, required)}
        merged: set[str] = set()
        pairs = learn_merges(table, str.__add__, excluded)
        while len(merged) < limit and (pair := next(pairs, None)):
            rules.append(pair)
            merged |= {"".join(pair)} - required
            if len(rules.ranks) % _REPORT_EVERY == 0:
                progress(len(merged) / limit, f"{len(merged)} candidate tokens")
        return merged

    def as_token(self, word: str) -> str:
        return word + self.suffix

    def spell(self, token: str) -> list[str]:
        if not self.byte_level and is_byte_token(token):
            return [token]
        if not self.suffix or not token.endswith(self.suffix) or token == self.suffix:
            return list(token)
        characters = list(token.removesuffix(self.suffix))
        return [*characters[:-1], characters[-1] + self.suffix]

    def surface(self, token: str) -> str:
        if not self.byte_level and is_byte_token(token):
            return chr(int(token[3:-1], 16))
        return token.removeprefix(self.word_start).removesuffix(self.suffix) or token

    def raw_splitter(self, backend: Tokenizer) -> RawSplitter:
        if not self.suffix:
            return split_by_model(backend)
        # The model appends the suffix itself to whatever it is given: it cannot read raw tokens.
        vocabulary = backend.get_vocab(with_added_tokens=False)
        rules = _merge_rules(json.loads(backend.to_str())["model"])

        def split(token: str) -> list[int]:
            pieces = rules.split(self.spell(token))
            return [vocabulary[piece] for piece in pieces if piece in vocabulary]

        return split_one_by_one(split)


def _merge_rules(model: Json) -> MergeRules:
    # Older files write a merge as one string with a space, newer ones as a pair.
    merges = model["merges"]
    return MergeRules(tuple(m.split(" ") if isinstance(m, str) else m) for m in merges)
