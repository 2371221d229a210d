"""What holds for characters that only their own token spells."""

import random
import string
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertTokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from tests.compression.tokenizers.bases import fast, gpt2, llama2, unigram_with_bytes
from tests.support.some_slow import some_slow
from worker.compression import (
    CorpusTooSmallError,
    corpus_words,
    explain_vocabulary,
    train_tokenizer,
)
from worker.compression.tokenizers.fallback import FallbackCharacter, fallback_characters, script
from worker.compression.tokenizers.families import family_of
from worker.compression.tokenizers.tokenizer_json import backend_json, backend_of, unbounded
from worker.compression.tokenizers.words import word_splitter

ASCII = string.ascii_letters + string.digits + string.punctuation
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
GENERAL = sorted({a + b + c for a in SYLLABLES for b in SYLLABLES[::3] for c in SYLLABLES[::7]})
DOMAIN, FILLER = GENERAL[::100], [word for n, word in enumerate(GENERAL) if n % 100][:4000]

MakeBase = Callable[[str], PreTrainedTokenizerBase]


def numbered(tokens: Iterable[str]) -> dict[str, int]:
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}


def wordpiece(characters: str) -> PreTrainedTokenizerBase:
    """Make a cased BERT: both forms of every character, and words."""
    both = [form for c in dict.fromkeys(ASCII + characters) for form in (c, f"##{c}")]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *both, *DOMAIN, *FILLER]
    return BertTokenizer(vocab=numbered(tokens), do_lower_case=False, strip_accents=False)


def unigram(characters: str) -> PreTrainedTokenizerBase:
    """Make a base with pieces as T5 has them, without bytes."""
    letters = dict.fromkeys("▁" + ASCII + characters)
    words = [f"▁{word}" for word in (*DOMAIN, *FILLER)]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [*((c, -12.0) for c in letters), *((word, -9.0) for word in words)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    return fast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")


def character_bpe(characters: str, suffix: str = "") -> PreTrainedTokenizerBase:
    """Make a BPE of characters without bytes; with a ``suffix`` each has two forms."""
    letters = list(dict.fromkeys(ASCII + characters))
    ends = [letter + suffix for letter in letters] if suffix else []
    tokens = ["<unk>", *letters, *ends]
    merges: dict[tuple[str, str], None] = {}
    for word in (*DOMAIN, *FILLER):
        symbols = [*word[:-1], word[-1] + suffix]
        while len(symbols) > 1:
            merges[symbols[0], symbols[1]] = None
            symbols[:2] = ["".join(symbols[:2])]
    vocabulary = numbered([*tokens, *map("".join, merges)])
    options = {"end_of_word_suffix": suffix} if suffix else {}
    model = models.BPE(vocab=vocabulary, merges=list(merges), unk_token="<unk>", **options)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<unk>"])
    return fast(tokenizer_object=tokenizer, unk_token="<unk>")


def suffixed_bpe(characters: str) -> PreTrainedTokenizerBase:
    return character_bpe(characters, "</w>")


def span(first: int, number: int) -> str:
    return "".join(map(chr, range(first, first + number)))


IDEOGRAPHS = span(0x4E00, 900)
KANA = span(0x3042, 80) + span(0x30A2, 80)
HANGUL = "".join(map(chr, range(0xAC00, 0xAC00 + 28 * 400, 28)))
CYRILLIC = span(0x0410, 64)
ACCENTED = "".join(c for c in span(0x00C0, 0x1C0) if c.isalpha())
EMOJI = span(0x1F600, 60) + span(0x1F400, 60)
SYMBOLS = "¢£¤¥₩₪₫€₴₹₺₽" + "¬±×÷∂∆∏∑−√∞∫≈≠≤≥"  # noqa: RUF001


class Case(NamedTuple):
    make: MakeBase
    characters: str


CASES = {
    "chinese": Case(wordpiece, IDEOGRAPHS),
    "japanese": Case(wordpiece, KANA + IDEOGRAPHS[:300]),
    "korean": Case(wordpiece, HANGUL),
    "latin and cyrillic": Case(wordpiece, CYRILLIC),
    "accented letters": Case(wordpiece, ACCENTED),
    "emoji": Case(wordpiece, EMOJI),
    "currency and mathematics": Case(wordpiece, SYMBOLS),
    "unigram, accented letters": Case(unigram, ACCENTED),
    "unigram, chinese": Case(unigram, IDEOGRAPHS),
    "bpe of characters": Case(character_bpe, CYRILLIC + ACCENTED),
    "bpe of characters, korean": Case(character_bpe, HANGUL),
    "bpe with a suffix": Case(suffixed_bpe, CYRILLIC + ACCENTED),
}
EACH = pytest.mark.parametrize(
    "name",
    some_slow(
        CASES,
        fast={"chinese", "unigram, accented letters", "bpe of characters", "bpe with a suffix"},
    ),
)


def texts_of(characters: Sequence[str], seed: int = 0, number: int = 200) -> list[str]:
    """Write texts that mix words with some of the characters, a few of them frequent."""
    choose = random.Random(seed)
    weights = [1 / (rank + 3) for rank in range(len(characters))]

    def word() -> str:
        if choose.random() < 0.5:
            return choose.choice(DOMAIN)
        return choose.choices(characters, weights)[0]

    return [" ".join(word() for _ in range(9)) for _ in range(number)]


def corpus(name: str) -> list[str]:
    """Write texts in every fifth of a case's characters."""
    return texts_of(CASES[name].characters[::5])


@cache
def trained(name: str) -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]:
    """Train a vocabulary that has room for the characters and for the words of the corpus."""
    base = CASES[name].make(CASES[name].characters)
    texts = corpus(name)
    with pytest.raises(CorpusTooSmallError) as error:
        train_tokenizer(base, lambda: texts, len(base))
    largest = int(str(error.value).split("at most ")[1].split(",")[0])
    # Parts that nothing uses need not be there; steps of merges that are used must.
    spare = 0 if isinstance(backend_of(base).model, models.BPE) else len(DOMAIN) // 2
    return base, train_tokenizer(base, lambda: texts, largest - spare)


def unknown(tokenizer: PreTrainedTokenizerBase, text: str) -> int:
    ids = backend_of(tokenizer).encode(text, add_special_tokens=False).ids
    return ids.count(tokenizer.unk_token_id)


@EACH
def test_characters_that_the_corpus_lacks_are_read(name: str) -> None:
    base, domain = trained(name)
    assert len(domain) < 0.6 * len(base)
    for character in CASES[name].characters:
        for text in (character, f"ba{character}", f"{character}ba"):
            assert unknown(domain, text) == unknown(base, text), text


@EACH
@given(st.data())
@settings(max_examples=25)
def test_any_text_of_the_corpus_s_scripts_is_read(name: str, data: st.DataObject) -> None:
    base, domain = trained(name)
    letters = st.text(CASES[name].characters + ASCII + "  ", max_size=30)
    text = data.draw(letters)
    assert unknown(domain, text) <= unknown(base, text)


@EACH
def test_one_seed_gives_one_vocabulary(name: str) -> None:
    base, domain = trained(name)
    texts = corpus(name)
    again = train_tokenizer(base, lambda: texts, len(domain))
    assert backend_json(again) == backend_json(domain)


@pytest.mark.parametrize("selection", ["usage", "frequency"])
@pytest.mark.parametrize("make", [wordpiece, unigram, character_bpe])
def test_no_word_that_is_not_used_stands_where_a_character_could(
    make: MakeBase, selection: str
) -> None:
    base, texts = make(IDEOGRAPHS), texts_of(IDEOGRAPHS[::5])
    domain = train_tokenizer(base, lambda: texts, 700, selection=selection)  # type: ignore[arg-type]
    words = corpus_words(base, lambda: texts)
    coverage = explain_vocabulary(base, domain, words)
    reasons = [token.reason for token in coverage.reasons]
    assert coverage.lost_familiar > 0
    assert "fallback-character" in reasons
    assert "base-word" not in reasons
    assert selection == "frequency" or "part" not in reasons


def fallback_of(base: PreTrainedTokenizerBase, texts: list[str]) -> list[FallbackCharacter]:
    backend = unbounded(base)
    words = corpus_words(base, lambda: texts)
    model = backend_json(base)["model"]
    return fallback_characters(family_of(base), model, word_splitter(backend), words)


@pytest.mark.parametrize("make", [llama2, unigram_with_bytes, gpt2])
def test_bytes_spell_every_character(make: Callable[[], PreTrainedTokenizerBase]) -> None:
    assert fallback_of(make(), ["a text"]) == []


def test_forms_that_no_text_needs_are_left_out() -> None:
    found = {one.token for one in fallback_of(wordpiece(IDEOGRAPHS + "éλ"), ["一 a"])}
    # The pre-tokenizer cuts out every ideograph: none continues a word.
    assert {"é", "##é", "λ", "##λ", IDEOGRAPHS[5]} <= found
    assert not [token for token in found if token.startswith("##") and token[2] in IDEOGRAPHS]
    uncased = BertTokenizer(vocab=wordpiece("éÉ").get_vocab(), do_lower_case=True)
    assert not {"é", "É", "##É"} & {one.token for one in fallback_of(uncased, ["a"])}


def gb2312(leads: range, step: int = 1) -> str:
    codes = [bytes([lead, trail]) for lead in leads for trail in range(0xA1, 0xFF, step)]
    return "".join(code.decode("gb2312", "ignore") for code in codes)


def test_common_characters_come_before_rare_ones() -> None:
    common, rare = gb2312(range(0xB0, 0xD7)), gb2312(range(0xD8, 0xE8))
    seen = common[::3] + rare[::60]
    found = fallback_of(wordpiece(rare + common + CYRILLIC), texts_of(seen, number=600))
    ideographs = [one.token for one in found if script(one.token[-1]) == "CJK"]
    first = ideographs[: len(common) // 2]
    assert sum(token in common for token in first) > 0.95 * len(first)
    assert [one.familiar for one in found] == sorted((o.familiar for o in found), reverse=True)
    assert not [one for one in found if one.familiar and script(one.token[-1]) == "CYRILLIC"]


def test_expected_uses_are_about_what_new_text_has() -> None:
    characters = list(IDEOGRAPHS)
    random.Random(5).shuffle(characters)
    found = fallback_of(wordpiece(IDEOGRAPHS), texts_of(characters, seed=1))
    new = "".join(texts_of(characters, seed=2))
    ideographs = [one for one in found if one.token in IDEOGRAPHS]
    uses = sum(new.count(one.token) for one in ideographs)
    assert uses > 30
    assert 0.6 * uses < sum(one.expected for one in ideographs) < 1.6 * uses


def test_the_expected_unknown_rate_is_about_what_new_text_has() -> None:
    characters = list(IDEOGRAPHS)
    random.Random(5).shuffle(characters)
    base, texts = wordpiece(IDEOGRAPHS), texts_of(characters, seed=1)
    words = corpus_words(base, lambda: texts)
    seen = len({c for text in texts for c in text if c in IDEOGRAPHS})
    domain = train_tokenizer(base, lambda: texts, seen + 260)
    coverage = explain_vocabulary(base, domain, words)
    assert coverage.lost_familiar > 100
    new = texts_of(characters, seed=2, number=1000)
    tokens = [unbounded(domain).encode(text, add_special_tokens=False).ids for text in new]
    measured = sum(ids.count(domain.unk_token_id) for ids in tokens) / sum(map(len, tokens))
    assert coverage.base_unk_rate == 0
    assert 0.6 * measured < coverage.expected_unk_rate < 1.6 * measured


def test_every_token_has_a_reason() -> None:
    base, texts = wordpiece("éλ"), ["é", FILLER[1], FILLER[500], *texts_of(["ß"], number=20)]
    domain = train_tokenizer(base, lambda: texts, 310, keep_tokens=[FILLER[0], "<new> tag"])
    coverage = explain_vocabulary(base, domain, corpus_words(base, lambda: texts), [FILLER[0]])
    tokens = domain.convert_ids_to_tokens(list(range(len(domain))))
    reasons = {token: one.reason for token, one in zip(tokens, coverage.reasons, strict=True)}
    assert reasons["[MASK]"] == "special"
    assert reasons["<new> tag"] == "added"
    assert reasons[FILLER[0]] == "kept"
    assert (reasons["é"], reasons["##é"], reasons["##z"]) == ("alphabet",) * 3
    assert reasons["λ"] == "fallback-character"
    uses = {token: one.expected_uses for token, one in zip(tokens, coverage.reasons, strict=True)}
    used = [token for token, reason in reasons.items() if reason == "used"]
    assert used
    assert all((uses[token] or 0) > 0 for token in used)
    assert {"base-word"} <= set(reasons.values())
