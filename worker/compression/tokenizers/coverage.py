"""Why each token of a vocabulary stands, and how much of new text it is expected not to read."""

import string
from collections import Counter
from collections.abc import Container, Sequence
from typing import NamedTuple

from tokenizers import Tokenizer, models
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.report import Reason, TokenReason, VocabularyCoverage
from worker.compression.tokenizers.fallback import count_characters, fallback_characters
from worker.compression.tokenizers.families import family_of
from worker.compression.tokenizers.multiword import without_multiword
from worker.compression.tokenizers.tokenizer_json import backend_json, unbounded
from worker.compression.tokenizers.words import WordCounts, is_byte_token, word_splitter

_ASCII = string.ascii_letters + string.digits + string.punctuation

# Tokens that stand for more than one word of the pre-tokenizer, or for no text: not counted.
_UNCOUNTED = {"special", "added", "multiword"}


class WordUsage(NamedTuple):
    """How a model splits the words of a corpus: uses of each token, and unknown pieces."""

    uses: Counter[str]
    unknown: int

    @property
    def unk_rate(self) -> float:
        """Return the share of pieces that are unknown."""
        return self.unknown / max(1, self.unknown + self.uses.total())


def explain_vocabulary(
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
    words: WordCounts,
    keep_tokens: Sequence[str] = (),
) -> VocabularyCoverage:
    """Say why each token of a trained tokenizer stands, and which unknown tokens to expect.

    ``words`` are those of the corpus (``corpus_words``). Unknown tokens are those of the corpus
    itself and, by Good-Turing, the uses of characters that the base reads and the domain
    vocabulary does not.
    """
    base = without_multiword(base_tokenizer)
    family, backend, model = family_of(base), unbounded(base), backend_json(base)["model"]
    fallback = fallback_characters(family, model, word_splitter(backend), words)
    ids = domain_tokenizer.get_vocab()
    lost = [character for character in fallback if character.token not in ids]
    before = _split_words(backend, words, base.unk_token)
    after = _split_words(unbounded(domain_tokenizer), words, domain_tokenizer.unk_token)
    pieces = max(1, after.unknown + after.uses.total())
    new_unknown = sum(character.expected for character in lost) / pieces

    expected = {character.token: character.expected for character in fallback}
    always = {family.surface(token) for token in count_characters(family, words)} | {*_ASCII}
    groups: dict[Reason, Container[str]] = {
        "special": {*map(str, domain_tokenizer.all_special_tokens), domain_tokenizer.unk_token},
        "added": domain_tokenizer.get_added_vocab(),
        "kept": set(keep_tokens),
    }
    base_tokens, is_bpe = base.get_vocab(), isinstance(backend.model, models.BPE)

    def reason(token: str) -> Reason:
        if group := next((name for name, tokens in groups.items() if token in tokens), None):
            return group
        if family.spell(token) == [token] or is_byte_token(token):
            is_lacking = token in expected and family.surface(token) not in always
            return "fallback-character" if is_lacking else "alphabet"
        if " " in token:
            return "multiword"
        unused: Reason = "base-word" if token in base_tokens else "part"
        return "used" if after.uses[token] else "step" if is_bpe else unused

    def explained(token: str) -> TokenReason:
        name = reason(token)
        uses = None if name in _UNCOUNTED else expected.get(token, float(after.uses[token]))
        return TokenReason(reason=name, expected_uses=uses)

    return VocabularyCoverage(
        reasons=[explained(token) for token in sorted(ids, key=ids.__getitem__)],
        expected_unk_rate=after.unk_rate + new_unknown,
        base_unk_rate=before.unk_rate,
        new_unk_rate=new_unknown,
        lost_characters=len({family.surface(character.token) for character in lost}),
        lost_familiar=len({family.surface(one.token) for one in lost if one.familiar}),
    )


def _split_words(backend: Tokenizer, words: WordCounts, unk_token: str | None) -> WordUsage:
    uses: Counter[str] = Counter()
    unknown = 0
    unk_id = None if unk_token is None else backend.token_to_id(unk_token)
    for word, count in words.items():
        for piece in backend.model.tokenize(word):
            if piece.id == unk_id:
                unknown += count
            else:
                uses[piece.value] += count
    return WordUsage(uses, unknown)
