"""Why each token of a vocabulary stands, and how much of new text it is expected not to read."""

import string
from collections import Counter
from collections.abc import Container, Sequence
from typing import NamedTuple

from tokenizers import Tokenizer, models
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.report import TokenReason, VocabularyCoverage
from worker.compression.tokenizers.fallback import count_characters, fallback_characters
from worker.compression.tokenizers.families import family_of
from worker.compression.tokenizers.multiword import without_multiword
from worker.compression.tokenizers.tokenizer_json import backend_json, unbounded
from worker.compression.tokenizers.words import WordCounts, is_byte_token, word_splitter


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
    seen = {family.surface(token) for token in count_characters(family, words)}
    always = {*seen, *string.ascii_letters, *string.digits, *string.punctuation}
    kept, added = set(keep_tokens), domain_tokenizer.get_added_vocab()
    special = {*map(str, domain_tokenizer.all_special_tokens), domain_tokenizer.unk_token}

    def reason(token: str) -> TokenReason:
        uses = float(after.uses[token])
        if token in special:
            return TokenReason(reason="special")
        if token in added:
            return TokenReason(reason="added")
        if token in kept:
            return TokenReason(reason="kept", expected_uses=uses)
        if family.spell(token) == [token] or is_byte_token(token):
            if token in expected and family.surface(token) not in always:
                return TokenReason(reason="fallback-character", expected_uses=expected[token])
            return TokenReason(reason="alphabet", expected_uses=uses)
        if not uses and isinstance(backend.model, models.BPE):
            return TokenReason(reason="step", expected_uses=0.0)
        return _reason_of_pieces(token, uses, model_tokens)

    model_tokens = base.get_vocab()
    return VocabularyCoverage(
        reasons=[reason(token) for token in sorted(ids, key=ids.__getitem__)],
        expected_unk_rate=after.unk_rate + new_unknown,
        base_unk_rate=before.unk_rate,
        new_unk_rate=new_unknown,
        lost_characters=len({family.surface(character.token) for character in lost}),
        lost_familiar=len({family.surface(one.token) for one in lost if one.familiar}),
    )


def _reason_of_pieces(token: str, uses: float, base: Container[str]) -> TokenReason:
    """Say why a token of several characters stands."""
    if " " in token:
        return TokenReason(reason="multiword")
    if uses:
        return TokenReason(reason="used", expected_uses=uses)
    return TokenReason(reason="base-word" if token in base else "part", expected_uses=0.0)


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
