"""Imitate the vocabulary that training on a domain's texts comes to, without training one.

Candidates are the words of the texts, parts of them, and words of the base. Each is worth the
pieces that it saves; those worth least are dropped, a share at a time, as the worker's training
does with more care.
"""

import string
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice

from app.estimates.tokens import BYTE_TOKEN, BaseTokenizer

CANDIDATES = 2
"""Words, and parts of words, that are tried for each token that is wanted."""
SHRINKING = (2.0, 1.3, 1.0)
"""Tokens left after each round, for each that is wanted: a loss changes what others are worth."""
LONGEST_PART = 6
"""Characters of a part of a word."""
RELIABLE_COUNT = 6
"""Uses from which on a word's count is its own best estimate."""
FEWEST_USES = 2.0
"""Expected uses of a token that the base does not have: with fewer it is dropped first."""
GROUP_SIZE = 1000
"""Neighbours in the base's vocabulary, which are about equally frequent."""


class Imitation:
    """Imitates vocabularies of several sizes, of the words of a sample and their counts."""

    def __init__(self, tokenizer: BaseTokenizer, words: Mapping[str, int]) -> None:
        self._tokenizer, self._base = tokenizer, tokenizer.vocabulary
        spelled = {word: count for word, count in words.items() if self._is_spelled(word)}
        self._alphabet = self._all_characters(spelled)
        self._expected = dict(_expected_counts(spelled))
        self._once = {word for word, count in words.items() if count == 1} - self._base.keys()
        self._unseen = dict[str, float]()
        if tokenizer.kind == "WordPiece":
            unseen = self._unseen_words(spelled)
            self._unseen = dict(sorted(unseen, key=lambda pair: -pair[1]))
        ranked = sorted(self._expected, key=lambda word: -self._expected[word])
        self._words = [word for word in ranked if word not in self._alphabet]
        self._parts = self._parts_of_words()
        self.least = len(self._alphabet) + tokenizer.added
        usable = {word for word, count in words.items() if count > 1 or word in self._base}
        self.available = len(usable.union(self._parts) - self._alphabet) + self.least

    def _is_spelled(self, word: str) -> bool:
        mark, base = self._tokenizer.continuing, self._base
        return word[0] in base and all(mark + sign in base for sign in word[1:])

    def _all_characters(self, words: Mapping[str, int]) -> set[str]:
        """Return the tokens of one character that a vocabulary has whatever its size."""
        tokenizer, base = self._tokenizer, self._base
        signs = {sign for word in words for sign in word}
        signs.update(tokenizer.all_bytes or string.ascii_letters + string.digits)
        signs.update(() if tokenizer.all_bytes else string.punctuation)
        # A character that is a word of its own, such as a comma, never continues one.
        inside = {
            tokenizer.continuing + sign for sign in signs if len(tokenizer.words(f"a{sign}")) == 1
        }
        byte_tokens = {token for token in base if BYTE_TOKEN.fullmatch(token)}
        return byte_tokens | (signs | inside) & base.keys()

    def _parts_of_words(self) -> list[str]:
        mark, used = self._tokenizer.continuing, defaultdict[str, float](float)
        for word, count in self._expected.items():
            size = len(word)
            for start in range(size):
                before = mark if start else ""
                for end in range(start + 2, min(size, start + LONGEST_PART) + 1):
                    if end - start < size:
                        used[before + word[start:end]] += count
        worth = {
            part: uses * (len(part.removeprefix(mark)) - 1)
            for part, uses in used.items()
            if uses > FEWEST_USES or part in self._base
        }
        return sorted(worth, key=lambda part: -worth[part])

    def _unseen_words(self, words: Mapping[str, int]) -> Iterator[tuple[str, float]]:
        """Yield words of the base that the texts do not have, with their expected counts."""
        by_id = sorted(self._base, key=self._base.__getitem__)
        base_words = [
            token
            for token in by_id
            if len(token) > 1
            and not token.startswith(self._tokenizer.continuing)
            and self._alphabet.issuperset(token)
            and self._tokenizer.words(token) == [token]
        ]
        for start in range(0, len(base_words), GROUP_SIZE):
            group = base_words[start : start + GROUP_SIZE]
            unseen = [word for word in group if word not in words]
            once = sum(words.get(word) == 1 for word in group)
            yield from ((word, once / len(unseen)) for word in unseen if once)

    def of(self, size: int) -> set[str]:
        """Return a vocabulary of so many tokens; the base's own fill what the texts do not."""
        room = max(0, size - self.least)
        most = CANDIDATES * room
        unseen = dict(islice(self._unseen.items(), room))
        usage = _Usage(
            self._tokenizer,
            self._alphabet.union(self._words[:most], self._parts[:most], unseen),
        )
        for share in SHRINKING:
            worth = dict(self._worth(usage, unseen))
            ranked = sorted(worth, key=worth.__getitem__, reverse=True)
            usage.known = self._alphabet.union(ranked[: int(room * share)])
        chosen = usage.known
        for token in (*self._words, *self._base):
            if len(chosen) >= room + len(self._alphabet):
                break
            chosen.add(token)
        return chosen

    def _worth(
        self, usage: "_Usage", unseen: Mapping[str, float]
    ) -> Iterator[tuple[str, tuple[bool, float]]]:
        """Yield the tokens that are used, with what their loss would cost."""
        uses = defaultdict[str, float](float)
        for counts in (self._expected, unseen):
            for word, count in counts.items():
                is_token = word in usage.known
                if is_token:
                    uses[word] += count
                # What was seen once stands, a second time, for new words that have no token.
                if not is_token or word in self._once:
                    for piece in usage.parts(word):
                        uses[piece] += 1.0 if is_token else count
        for token in uses:
            if token in self._alphabet:
                continue
            is_kept = token in self._base or uses[token] >= FEWEST_USES
            yield token, (is_kept, uses[token] * (len(usage.parts(token)) - 1))


class _Usage:
    """Splits words and tokens by a vocabulary that only shrinks, never into themselves."""

    def __init__(self, tokenizer: BaseTokenizer, known: set[str]) -> None:
        self._tokenizer, self.known = tokenizer, known
        self._parts = dict[str, list[str]]()

    def parts(self, token: str) -> list[str]:
        """Return the longest tokens from the left that a token comes to without itself."""
        found = self._parts.get(token)
        # A split stays as it is until one of its pieces is gone.
        if found is None or not self.known.issuperset(found):
            found = self._parts[token] = self._tokenizer.parts(token, self.known)
        return found


def _expected_counts(words: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    """Yield words with the counts that as much new text would have (Good 1953)."""
    times = Counter(words.values())
    for word, count in words.items():
        if count < RELIABLE_COUNT and times[count + 1]:
            yield word, min(count, (count + 1) * times[count + 1] / times[count])
        else:
            yield word, float(count)
