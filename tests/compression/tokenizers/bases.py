"""Small base tokenizers of every family, in the forms in which real models have them."""

import json
import random
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    AlbertTokenizer,
    DebertaV2Tokenizer,
    GPT2Tokenizer,
    LlamaTokenizer,
    PreTrainedTokenizerFast,
    T5Tokenizer,
    XLMRobertaTokenizer,
)
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

SIZE = 700
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
LLAMA_SPECIALS = ["<unk>", "<s>", "</s>"]
OCTETS = [f"<0x{byte:02X}>" for byte in range(256)]
ROOTS = [
    "station",
    "winter",
    "garden",
    "naïve",
    "letter",
    "Größe",
    "travel",
    "日本語",
    "été",
    "mor",
]
ENDS = ["", "s", "ing", "ed", "er", "ation", ",", ".", "-based"]
LLAMA3 = (
    r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+"
)


def _invented(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    syllables = [a + b for a in "bdfklmnprst" for b in ("a", "é", "in", "or", "u")]
    return ["".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(count)]


def fast(**settings: Any) -> PreTrainedTokenizerBase:
    untyped: Any = PreTrainedTokenizerFast
    tokenizer: PreTrainedTokenizerBase = untyped(**settings)
    return tokenizer


def general_texts() -> list[str]:
    return [
        *_sentences([*ROOTS, *_invented(300, 0)], 0),
        "".join(map(chr, range(33, 127))),
        "e\u0301 x\n\ty",
    ]


def domain_texts(seed: int = 1) -> list[str]:
    roots = ["ibuprofen", "methotrexate", "neutropenia", "toxicity", "Größe", "日本語", "winter"]
    return _sentences([*roots, *_invented(200, 1)], seed)


def _sentences(roots: list[str], seed: int) -> list[str]:
    rng = random.Random(seed)
    weights = [1 / (n + 1) for n in range(len(roots))]
    return [
        " ".join(
            rng.choices(roots, weights)[0] + rng.choice(ENDS) + rng.choice(["", "", " 17", " 2,5"])
            for _ in range(8)
        )
        for _ in range(150)
    ]


def _bpe(pre: Any, specials: list[str], alphabet: Iterable[str], **settings: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**settings))
    tokenizer.pre_tokenizer = pre
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=specials,
        initial_alphabet=list(alphabet),
        show_progress=False,
        **{name: settings[name] for name in ("end_of_word_suffix",) if name in settings},
    )
    tokenizer.train_from_iterator(general_texts(), trainer)
    return tokenizer


def _byte_level(specials: list[str]) -> Tokenizer:
    pre = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = _bpe(pre, specials, pre_tokenizers.ByteLevel.alphabet())
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _content(tokenizer: Tokenizer) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(tokenizer.to_str())
    return content


def gpt2() -> PreTrainedTokenizerBase:
    model = _content(_byte_level([]))["model"]
    vocabulary = {**model["vocab"], "<|endoftext|>": len(model["vocab"])}
    merges: Any = [tuple(pair) for pair in model["merges"]]
    return GPT2Tokenizer(vocab=vocabulary, merges=merges)


def roberta() -> PreTrainedTokenizerBase:
    tokenizer = _byte_level(SPECIALS)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return fast(tokenizer_object=tokenizer, mask_token="<mask>", model_max_length=512, **roles)


def llama3() -> PreTrainedTokenizerBase:
    tokenizer = _byte_level([])
    split = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    content = _content(tokenizer)
    content["model"]["ignore_merges"] = True
    # A word that no merge leads to: only a look-up of whole words finds it.
    content["model"]["vocab"]["Ġunmerged"] = len(content["model"]["vocab"])
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    tokenizer.add_special_tokens(["<|begin|>", "<|end|>", "<|eot|>"])
    tokenizer.add_tokens([AddedToken("<tool>", rstrip=True)])
    begin = ("<|begin|>", tokenizer.token_to_id("<|begin|>"))
    template = processors.TemplateProcessing(
        single="<|begin|> $A", pair="<|begin|> $A <|begin|>:1 $B:1", special_tokens=[begin]
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), template])
    return fast(tokenizer_object=tokenizer, bos_token="<|begin|>", eos_token="<|end|>")


def clip() -> PreTrainedTokenizerBase:
    pre = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    letters = pre_tokenizers.ByteLevel.alphabet()
    marked = [f"{letter}</w>" for letter in letters]
    suffix = {"end_of_word_suffix": "</w>", "unk_token": "<|end|>"}
    tokenizer = _bpe(pre, [*sorted(letters), *sorted(marked), "<|end|>"], [], **suffix)
    content = _content(tokenizer)
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] == "<|end|>"]
    made = Tokenizer.from_str(json.dumps(content))
    made.decoder = decoders.BPEDecoder("</w>")
    return fast(tokenizer_object=made, unk_token="<|end|>")


def _marked(tokenizer: Tokenizer) -> Tokenizer:
    """Turn a trained tokenizer into one that marks words in its normalizer, as Llama-2's does."""
    content = _content(tokenizer)
    # The trainer has to be told of bytes as special tokens, the tokenizer must not know them so.
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] not in OCTETS]
    content["pre_tokenizer"] = None
    made = Tokenizer.from_str(json.dumps(content))
    mark = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    made.normalizer = normalizers.Sequence(mark)
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ")]
    )
    return made


@cache
def _trained_llama() -> Tokenizer:
    settings = {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
    return _bpe(pre_tokenizers.Metaspace(), [*LLAMA_SPECIALS, *OCTETS], [], **settings)


def llama2() -> PreTrainedTokenizerBase:
    tokenizer = _marked(_trained_llama())
    tokenizer.add_special_tokens([AddedToken("<|user|>", rstrip=True)])
    roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return fast(tokenizer_object=tokenizer, padding_side="left", **roles)


def llama_class() -> PreTrainedTokenizerBase:
    model = _content(_trained_llama())["model"]
    return LlamaTokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])


def gemma() -> PreTrainedTokenizerBase:
    tokenizer = _marked(_trained_llama())
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(parts)
    return fast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@cache
def _pieces() -> list[tuple[str, float]]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=SIZE, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(general_texts(), trainer)
    return list(map(tuple, _content(tokenizer)["model"]["vocab"][1:]))


def _unigram(first: list[str], last: list[str] | None = None) -> list[tuple[str, float]]:
    return [*((t, 0.0) for t in first), *_pieces(), *((t, 0.0) for t in last or [])]


def t5() -> PreTrainedTokenizerBase:
    sentinels = [f"<extra_id_{n}>" for n in range(99, -1, -1)]
    return T5Tokenizer(vocab=_unigram(["<pad>", "</s>", "<unk>"], sentinels))


def xlmr() -> PreTrainedTokenizerBase:
    return XLMRobertaTokenizer(vocab=_unigram(SPECIALS, ["<mask>"]))


def albert() -> PreTrainedTokenizerBase:
    return AlbertTokenizer(vocab=_unigram(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]))


def deberta() -> PreTrainedTokenizerBase:
    return DebertaV2Tokenizer(vocab=_unigram(["[PAD]", "[CLS]", "[SEP]", "[UNK]"]))


def unigram_with_bytes() -> PreTrainedTokenizerBase:
    pieces = [*_unigram(["<unk>"]), *((octet, -30.0) for octet in OCTETS)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return fast(tokenizer_object=tokenizer, unk_token="<unk>")


BASES: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    make.__name__: make
    for make in (gpt2, roberta, llama3, clip, llama2, llama_class, gemma, t5, xlmr, albert, deberta)
}
LOSSLESS = ("gpt2", "roberta", "llama3", "llama2", "llama_class", "gemma")
