"""A domain tokenizer is held to what its base does, whatever that is."""

import json
import random
import string
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from worker.compression import (
    ArtifactCheckFailedError,
    UnsupportedTokenizerError,
    train_tokenizer,
)
from worker.compression.tokenizers.behaviour import check_behaviour

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROLES = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
ROLES |= {"sep_token": "[SEP]", "mask_token": "[MASK]"}
WORDS = [
    "Ibuprofen",
    "methotrexate",
    "naïve",
    "``fever''",
    "12,5",
    "\u201cquoted\u201d",
    "Ⅳ",
    "don't",
]
WORDS += ["ﬁbrosis", "seizures", "lithium", "Ärzte", "3rd", "x²", "hepatotoxicity"]


def texts(seed: int, number: int = 150) -> list[str]:
    rng = random.Random(seed)
    letters = f"{string.ascii_letters} {string.digits} {string.punctuation}"
    return [*(" ".join(rng.choices(WORDS, k=9)) for _ in range(number)), letters]


def bert(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()


def no_cleanup(tokenizer: Tokenizer) -> None:
    bert(tokenizer)
    tokenizer.decoder = decoders.WordPiece(cleanup=False)


def lower_case(tokenizer: Tokenizer) -> None:
    bert(tokenizer)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)


def no_decoder(tokenizer: Tokenizer) -> None:
    bert(tokenizer)
    tokenizer.decoder = None


def albert(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(normalizers.Replace(quote, '"') for quote in ("``", "''", "\u201c", "\u201d")),
            *(normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()),
        ]
    )
    metaspace(tokenizer)


def metaspace(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()


def no_prefix(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")


def nfkc(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.NFKC()
    metaspace(tokenizer)


def digits_to_zero(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.Replace(Regex("[0-9]"), "0")
    metaspace(tokenizer)


def byte_level(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()


def clip(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    split = pre_tokenizers.Split(Regex(r"'s|'t|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"), "removed", True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()


def byte_fallback(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ")]
    )


OCTETS = [f"<0x{byte:02X}>" for byte in range(256)]
TABLE: dict[str, tuple[str, Callable[[Tokenizer], None]]] = {
    "WordPiece": ("WordPiece", bert),
    "decoder without cleanup": ("WordPiece", no_cleanup),
    "lower case, accents stripped": ("WordPiece", lower_case),
    "no decoder": ("WordPiece", no_decoder),
    "quotes rewritten": ("Unigram", albert),
    "Metaspace without a prefix": ("Unigram", no_prefix),
    "NFKC": ("Unigram", nfkc),
    "digits rewritten": ("Unigram", digits_to_zero),
    "byte level": ("BPE", byte_level),
    "word ends marked": ("CLIP", clip),
    "bytes to fall back on": ("bytes", byte_fallback),
}


def trained(name: str) -> Tokenizer:
    kind, configure = TABLE[name]
    alphabet = pre_tokenizers.ByteLevel.alphabet() if kind in {"BPE", "CLIP"} else []
    options: dict[str, Any] = {"special_tokens": SPECIALS, "show_progress": False}
    if kind == "WordPiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        trainer: Any = trainers.WordPieceTrainer(vocab_size=420, **options)
    elif kind == "Unigram":
        tokenizer = Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(vocab_size=300, unk_token="[UNK]", **options)
    else:
        suffix: dict[str, Any] = {"end_of_word_suffix": "</w>"} if kind == "CLIP" else {}
        fallback: dict[str, Any] = (
            {"byte_fallback": True, "fuse_unk": True} if kind == "bytes" else {}
        )
        tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", **suffix, **fallback))
        if kind == "bytes":
            options["special_tokens"] = [*SPECIALS, *OCTETS]
        trainer = trainers.BpeTrainer(
            vocab_size=700, initial_alphabet=alphabet, **suffix, **options
        )
    configure(tokenizer)
    tokenizer.train_from_iterator(texts(0), trainer)
    return tokenizer


@cache
def pair(name: str) -> tuple[PreTrainedTokenizerFast, PreTrainedTokenizerFast]:
    """A base tokenizer, and one of the domain that was trained from it."""
    content = json.loads(trained(name).to_str())
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] not in OCTETS]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    base = wrapped(tokenizer)
    size = len(base) * 9 // 10
    domain = train_tokenizer(base, lambda: texts(1), size)
    assert isinstance(domain, PreTrainedTokenizerFast)
    return base, domain


def wrapped(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, model_max_length=60, **ROLES
    )


@pytest.mark.parametrize("name", TABLE)
def test_a_sound_tokenizer_passes(name: str) -> None:
    base, domain = pair(name)
    assert domain.get_vocab() != base.get_vocab()
    check_behaviour(base, domain, texts(2))
    check_behaviour(base, base, texts(2))
    check_behaviour(base, domain, [])


Content = dict[str, Any]


def drop_decoder(content: Content) -> None:
    content["decoder"] = None


def other_decoder(content: Content) -> None:
    content["decoder"] = {"type": "Replace", "pattern": {"String": "e"}, "content": "o"}


def old_ids(content: Content) -> None:
    token = content["post_processor"]["special_tokens"]["[SEP]"]
    token["ids"] = [token["ids"][0] + 7]


def ids_beyond(content: Content) -> None:
    content["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [100_000]


def no_post_processor(content: Content) -> None:
    content["post_processor"] = None


def lose_a_special_token(content: Content) -> None:
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] != "[MASK]"]


def lose_letters(content: Content) -> None:
    content["normalizer"] = {"type": "Replace", "pattern": {"Regex": "[a-m]"}, "content": ""}


def lose_pieces(content: Content) -> None:
    """The letters go: most words have no spelling any more."""
    vocabulary = content["model"]["vocab"]
    kept = [token for token in vocabulary if len(token.removeprefix("##")) != 1]
    content["model"]["vocab"] = {token: i for i, token in enumerate(kept)}
    content["post_processor"] = None


BREAKS: list[tuple[str, Callable[[Content], None], str]] = [
    ("WordPiece", drop_decoder, "decode otherwise"),
    ("byte level", drop_decoder, "do not come back"),
    ("quotes rewritten", other_decoder, "do not come back|decode otherwise"),
    ("WordPiece", old_ids, "special tokens stand as"),
    ("byte level", ids_beyond, "id 100000"),
    ("NFKC", no_post_processor, "special tokens stand as"),
    ("no decoder", lose_a_special_token, r"\[MASK\]"),
    ("no decoder", lose_letters, "lose characters"),
    ("word ends marked", lose_letters, "lose characters|do not come back"),
]


@pytest.mark.parametrize(("name", "breaks", "says"), BREAKS)
def test_a_broken_tokenizer_is_told(
    name: str, breaks: Callable[[Content], None], says: str
) -> None:
    base, domain = pair(name)
    content = json.loads(domain.backend_tokenizer.to_str())
    breaks(content)
    broken = Tokenizer.from_str(json.dumps(content))
    # transformers adds a token again that has a role.
    roles = ROLES if breaks is not lose_a_special_token else {**ROLES, "mask_token": None}
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=broken, model_max_length=60, **roles
    )
    with pytest.raises(ArtifactCheckFailedError, match=says):
        check_behaviour(base, tokenizer, texts(2))


def test_unknown_tokens_that_the_base_does_not_have_are_told() -> None:
    base, domain = pair("WordPiece")
    content = json.loads(domain.backend_tokenizer.to_str())
    lose_pieces(content)
    content["added_tokens"] = [
        {**token, "id": content["model"]["vocab"][token["content"]]}
        for token in content["added_tokens"]
    ]
    content["post_processor"] = json.loads(base.backend_tokenizer.to_str())["post_processor"]
    with pytest.raises(ArtifactCheckFailedError, match="are unknown"):
        check_behaviour(base, wrapped(Tokenizer.from_str(json.dumps(content))), ["qwzx jkvy"])


@pytest.mark.parametrize(
    ("setting", "value"),
    [("padding_side", "left"), ("truncation_side", "left"), ("model_max_length", 7)],
)
def test_other_settings_are_told(setting: str, value: object) -> None:
    base, domain = pair("byte level")
    other = wrapped(Tokenizer.from_str(domain.backend_tokenizer.to_str()))
    setattr(other, setting, value)
    with pytest.raises(ArtifactCheckFailedError, match=setting):
        check_behaviour(base, other, texts(2))


def test_a_base_that_cannot_read_is_the_fault_of_the_base() -> None:
    base, domain = pair("WordPiece")
    content = json.loads(base.backend_tokenizer.to_str())
    del content["model"]["vocab"]["[UNK]"]
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] != "[UNK]"]
    broken = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=Tokenizer.from_str(json.dumps(content)), pad_token="[PAD]"
    )
    with pytest.raises(UnsupportedTokenizerError, match="own tokenizer fails"):
        check_behaviour(broken, domain, ["\u4e2d\u6587 \U0001f600"])


@settings(max_examples=60)
@given(st.lists(st.text(max_size=60), max_size=5), st.sampled_from(sorted(TABLE)))
def test_a_tokenizer_does_as_itself_on_any_text(said: list[str], name: str) -> None:
    base, _ = pair(name)
    check_behaviour(base, base, said)


@settings(max_examples=60)
@given(st.lists(st.text(alphabet=" ".join(WORDS), max_size=60), max_size=5))
def test_bytes_spell_any_text_of_the_corpus(said: list[str]) -> None:
    check_behaviour(*pair("byte level"), said)
