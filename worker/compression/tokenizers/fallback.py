"""Characters that only their own token can spell, and how much new text is expected to need them.

A family without tokens for bytes reads a character by a token that holds it, or not at all. These
are the base's tokens of one character that the corpus does not use. Each is expected as often as
Good-Turing says of characters like it: of its script, and of the same parts of the character sets
that languages were written in before Unicode, which tell common characters from rare ones.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple, Protocol

from worker.compression.tokenizers.tokenizer_json import Json, vocabulary_of
from worker.compression.tokenizers.words import SplitWords, WordCounts, is_byte_token

# The rate of a group counts as much as this many of its characters would at its script's rate.
_PRIOR = 5

# Lead bytes of the characters that a set holds as its common ones, as its rarer ones. The standards
# put characters there by how often the language needs them; alphabets have no such halves.
_HALVES = {
    "gb2312": (range(0xB0, 0xD8), range(0xD8, 0xF8)),
    "big5": (range(0xA4, 0xC7), range(0xC9, 0xFA)),
    "euc_jp": (range(0xB0, 0xD0), range(0xD0, 0xF5)),
    "euc_kr": (range(0xB0, 0xC9), range(0xCA, 0xFE)),
}
_ALPHABETS = ("latin_1", "iso8859_2", "iso8859_4", "iso8859_9", "koi8_u", "cp1251")

_BYTES = 256


class Spelling(Protocol):
    """The part of a family that says how text is spelled in tokens of one character."""

    spells_bytes: bool

    def as_token(self, word: str) -> str:
        """Return the raw token that stands for a whole word."""

    def spell(self, token: str) -> list[str]:
        """Return the single-character tokens that a raw token is made of."""

    def surface(self, token: str) -> str:
        """Return the text of a raw token without position marks."""


class FallbackCharacter(NamedTuple):
    """A token of one character, such as ``é`` or ``##é``, that the corpus does not use.

    ``expected`` is how often a text as long as the corpus is expected to use it; ``familiar``
    tells whether the corpus has characters of its script.
    """

    token: str
    expected: float
    familiar: bool


def has_byte_fallback(model: Json) -> bool:
    """Tell whether a ``model`` section spells characters that have no token in bytes."""
    spelled = sum(map(is_byte_token, vocabulary_of(model)))
    return bool(model.get("byte_fallback")) and spelled == _BYTES


def fallback_characters(
    family: Spelling, model: Json, split: SplitWords, words: WordCounts
) -> list[FallbackCharacter]:
    """Return tokens of one character that encoding can need and ``words`` do not, likeliest first.

    ``model`` is the base's ``model`` section. Those of the corpus's scripts come before others,
    ties are in the base's order. Where the base has bytes to fall back on there are none.
    """
    if family.spells_bytes or has_byte_fallback(model):
        return []
    seen = count_characters(family, words)
    spelled = (t for t in vocabulary_of(model) if family.spell(t) == [t] and not is_byte_token(t))
    forms = [token for token in spelled if len(family.surface(token)) == 1]
    missing = [t for t in forms if t not in seen and t in _forms(family, split, family.surface(t))]
    rates = _Rates(family.surface, seen, missing)
    found = [FallbackCharacter(token, *rates.of(token)) for token in missing]
    return sorted(found, key=lambda character: (not character.familiar, -character.expected))


def fitting_characters(
    fallback: Iterable[FallbackCharacter], free: int, hardly_used: int, unused: int
) -> list[str]:
    """Return the tokens that enter a vocabulary: into its free places, then for other tokens.

    Those of the corpus's scripts come before tokens that are hardly used, all before tokens that
    are not used at all; ``unused`` ones are ``hardly_used`` too.
    """
    entering: list[str] = []
    for character in fallback:
        if len(entering) < free + (hardly_used if character.familiar else unused):
            entering.append(character.token)
    return entering


def count_characters(family: Spelling, words: WordCounts) -> Counter[str]:
    """Count the tokens of one character that words are made of."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for token in family.spell(family.as_token(word)):
            counts[token] += count
    return counts


def _forms(family: Spelling, split: SplitWords, character: str) -> set[str]:
    """Return the tokens that a character can be read by: alone, and within a word."""
    words = split(f"{character} a{character} {character}a")
    return set(chain.from_iterable(family.spell(family.as_token(word)) for word in words))


def script(character: str) -> str:
    """Return the script of a letter as its Unicode name begins, else the general category."""
    category = unicodedata.category(character)
    if category[0] not in "LM":
        return category
    return unicodedata.name(character, category).split()[0]


def _group(character: str) -> tuple[int, ...]:
    """Return where a character stands in the character sets of languages."""
    halves = (_half(character, name, lead) for name, lead in _HALVES.items())
    return (*halves, *(_encoded(character, name) != b"" for name in _ALPHABETS))


def _half(character: str, name: str, leads: Iterable[range]) -> int:
    encoded = _encoded(character, name)
    places = (place for place, lead in enumerate(leads, 1) if encoded and encoded[0] in lead)
    return next(places, 0)


def _encoded(character: str, name: str) -> bytes:
    try:
        return character.encode(name)
    except UnicodeEncodeError:
        return b""


class _Rates:
    """Good-Turing rates of characters that were not seen: N(1) / N(0) of the group of each."""

    def __init__(
        self, surface: Callable[[str], str], seen: Mapping[str, int], missing: Iterable[str]
    ) -> None:
        self._surface = surface
        missing_groups = list(self._groups(missing))
        once = list(self._groups(token for token, count in seen.items() if count == 1))
        self._missing = Counter(chain.from_iterable(missing_groups))
        self._once = Counter(chain.from_iterable(once))
        of_script: Counter[str] = Counter()
        for token, count in seen.items():
            of_script[script(surface(token))] += count
        self._familiar = frozenset(of_script)
        # Scripts themselves are seen or not: the same formula, one level above.
        strangers = sum(n for g, n in self._missing.items() if g[0] not in of_script and not g[1:])
        new_scripts = sum(count == 1 for count in of_script.values())
        self._unfamiliar = new_scripts / strangers if strangers else 0.0

    def _groups(self, tokens: Iterable[str]) -> Iterator[tuple[tuple[object, ...], ...]]:
        for token in tokens:
            character = self._surface(token)
            marked = token != character
            name = script(character)
            yield (name,), (name, marked, *_group(character))

    def of(self, token: str) -> tuple[float, bool]:
        """Return the expected uses of a missing token, and whether its script was seen."""
        ((whole, part),) = self._groups([token])
        if whole[0] not in self._familiar:
            return self._unfamiliar, False
        # Half a character more: a script without any that was seen once has others all the same.
        rate = (self._once[whole] + 0.5) / (self._missing[whole] + 1)
        return (self._once[part] + _PRIOR * rate) / (self._missing[part] + _PRIOR), True
