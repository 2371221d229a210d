"""Hash what the engine makes with one seed, to see whether a change of the code changes a byte.

    python -m benchmarks.same_bytes > before.txt
    ... change the code ...
    python -m benchmarks.same_bytes | diff before.txt -

or, with this script and the code of another checkout,

    PYTHONPATH=OTHER python -P benchmarks/same_bytes.py

For a tiny WordPiece, BPE and Unigram base of its own it trains tokenizers, transfers the vocabulary
and recovers the model for a few steps. It prints the sha256 of each ``tokenizer.json`` and
``model.safetensors``, first those of the base. Texts, vocabularies and weights are generated from a
fixed seed and no trainer but the engine's is used; it runs on the CPU, in one thread. Hashes are
comparable on one machine with the same versions of torch, transformers and tokenizers.
"""

import hashlib
import random
import string
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise, product
from math import log
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Tokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

import worker.compression
from worker.compression import (
    LoadedModel,
    RecoveryOptions,
    load_model,
    recover,
    required_tokens,
    save_model,
    train_tokenizers,
    transfer_vocabulary,
)

SEED = 7
SENTENCES, WORDS_A_SENTENCE = 3000, 9
PIECES = 700
"""Tokens of a base beside its letters and special tokens."""
SIZES = (450, 600)
RECOVERIES = {
    "recovered": RecoveryOptions(max_steps=6, batch_size=8, max_length=32),
    "fewer-layers": RecoveryOptions(max_steps=6, batch_size=8, max_length=32, keep_layers=1),
}
_SELECTIONS: dict[str, dict[str, Any]] = {"usage": {}, "frequency": {"selection": "frequency"}}
TRAINING = {
    "wordpiece": _SELECTIONS | {"multiword": {"multiword": 20}},
    "bpe": _SELECTIONS,
    "unigram": _SELECTIONS,
}
"""Options of the training by the name of what comes out."""
SHAPE: dict[str, int] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 70,
}
FILES = ("tokenizer.json", "model.safetensors")

Base = tuple[PreTrainedModel, PreTrainedTokenizerBase]


def words(seed: int) -> list[str]:
    """Invent a thousand words of two to four syllables, none twice."""
    choose = random.Random(seed)  # noqa: S311
    syllables = ["".join(pair) for pair in product("bcdfghklmnprstvz", "aeiou")]
    invented = ("".join(choose.choices(syllables, k=choose.randint(2, 4))) for _ in range(2000))
    return list(dict.fromkeys(invented))[:1000]


def sentences(vocabulary: list[str], seed: int) -> list[str]:
    """Write sentences in which a few words are frequent, as in a language."""
    choose = random.Random(seed)  # noqa: S311
    weights = [1 / (rank + 5) for rank in range(len(vocabulary))]

    def sentence() -> str:
        chosen = choose.choices(vocabulary, weights, k=WORDS_A_SENTENCE)
        inflected = [word + choose.choice(("", "", "s", "ing", "ed")) for word in chosen]
        inflected[choose.randrange(WORDS_A_SENTENCE)] += f", {choose.randint(1, 99)}"
        return f"{' '.join(inflected).capitalize()}."

    return [sentence() for _ in range(SENTENCES)]


GENERAL = words(SEED)
DOMAIN = [*words(SEED + 1)[:600], *GENERAL[:200]]
"""Words of the corpus, a quarter of which the base has seen."""


def corpus() -> list[str]:
    """Write the texts that the engine is given."""
    return sentences(DOMAIN, SEED + 1)


def word_counts() -> Counter[str]:
    """Count the words of the texts that the bases are made for."""
    return Counter(" ".join(sentences(GENERAL, SEED)).replace(",", "").replace(".", "").split())


def most_frequent(counts: Counter[str], number: int) -> list[str]:
    """Return the most frequent strings, those of one count in alphabetical order."""
    return sorted(counts, key=lambda piece: (-counts[piece], piece))[:number]


def substrings(counts: Counter[str], mark: Callable[[str, int], str]) -> Counter[str]:
    """Count what words are made of; ``mark`` turns a part and its place in a word into a token."""
    found: Counter[str] = Counter()
    for word, count in counts.items():
        for start, end in product(range(len(word)), range(2, len(word) + 1)):
            if end - start >= 2:
                found[mark(word[start:end], start)] += count
    return found


def wordpiece() -> Base:
    """Make a BERT whose tokens are letters and frequent parts of words."""

    def mark(part: str, start: int) -> str:
        return f"##{part}" if start else part

    counts: Counter[str] = Counter()
    for word, count in word_counts().items():
        counts[word.lower()] += count
    letters = string.ascii_lowercase + string.digits
    tokens = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.punctuation]
    tokens += [*letters, *(f"##{letter}" for letter in letters)]
    tokens += most_frequent(substrings(counts, mark), PIECES)
    tokenizer = BertTokenizer(vocab=numbered(tokens), model_max_length=64)
    return random_model(BertForMaskedLM, BertConfig, tokenizer, **SHAPE), tokenizer


def bpe() -> Base:
    """Make a GPT-2 whose merges join the most frequent pair again and again."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = learned_merges(Counter(dict(word_counts().most_common(1000))), PIECES)
    tokens = [*alphabet, *map("".join, merges), "<|endoftext|>"]
    tokenizer = GPT2Tokenizer(vocab=numbered(tokens), merges=merges, model_max_length=64)  # type: ignore[arg-type]
    shape = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 70}
    ends = {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
    return random_model(GPT2LMHeadModel, GPT2Config, tokenizer, **shape, **ends), tokenizer


def learned_merges(counts: Counter[str], number: int) -> list[tuple[str, str]]:
    """Learn merges of words that stand behind a blank."""
    spelled = {word: ["Ġ", *word] for word in counts}
    merges: list[tuple[str, str]] = []
    while len(merges) < number:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, pieces in spelled.items():
            for pair in pairwise(pieces):
                pairs[pair] += counts[word]
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelled = {word: joined(pieces, best) for word, pieces in spelled.items()}
    return merges


def joined(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """Join a pair wherever it stands, from the left."""
    done: list[str] = []
    for piece in pieces:
        if done and (done[-1], piece) == pair:
            done[-1] += piece
        else:
            done.append(piece)
    return done


def unigram() -> Base:
    """Make an XLM-RoBERTa whose pieces are as likely as they are frequent."""
    counts = Counter({f"▁{word}": count for word, count in word_counts().items()})
    found = substrings(counts, lambda part, _: part)
    total = found.total()
    scores = {piece: log(found[piece] / total) for piece in most_frequent(found, PIECES)}
    scores |= dict.fromkeys(f"▁{string.ascii_letters}{string.digits},.", -12.0)
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [*((special, 0.0) for special in specials), *scores.items()]
    backend = Tokenizer(models.Unigram(pieces, unk_id=3))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.add_special_tokens([*specials, "<mask>"])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    roles = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    roles |= {"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
    untyped: Any = PreTrainedTokenizerFast
    tokenizer = untyped(tokenizer_object=backend, model_max_length=64, **roles)
    return random_model(XLMRobertaForMaskedLM, XLMRobertaConfig, tokenizer, **SHAPE), tokenizer


BASES: dict[str, Callable[[], Base]] = {"wordpiece": wordpiece, "bpe": bpe, "unigram": unigram}


def numbered(tokens: Iterable[str]) -> dict[str, int]:
    """Number tokens in their order, each once."""
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}


def random_model(
    model_class: Any, config_class: Any, tokenizer: PreTrainedTokenizerBase, **settings: int | None
) -> PreTrainedModel:
    """Make a model with random weights, biases too."""
    torch.manual_seed(SEED)
    model: PreTrainedModel = model_class(config_class(vocab_size=len(tokenizer), **settings))
    for parameter in model.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter)
    model.train(mode=False)
    return model


def hashes(folder: Path, name: str) -> Iterator[str]:
    """Yield a line for each file, as ``sha256sum`` writes it."""
    for file in FILES:
        digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        yield f"{digest}  {name}/{file}"


def run(family: str, folder: Path) -> Iterator[str]:
    """Compress one base and yield the hashes of all that is saved."""

    def saved(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[str]:
        save_model(folder / name, model, tokenizer)
        return list(hashes(folder / name, f"{family}/{name}"))

    yield from saved("base", *BASES[family]())
    base, texts = load_model(folder / "base"), corpus()
    kept = required_tokens(base.model, base.tokenizer)
    smaller: dict[str, PreTrainedTokenizerBase] = {}
    for name, options in TRAINING[family].items():
        trained = train_tokenizers(
            base.tokenizer, lambda: texts, SIZES, keep_tokens=kept, **options
        )
        smaller |= {f"{name}-{size}": one for size, one in zip(SIZES, trained, strict=True)}
    for name, tokenizer in smaller.items():
        yield from saved(name, transferred(base, tokenizer), tokenizer)
    tokenizer = smaller[f"usage-{SIZES[-1]}"]
    for name, recovery in RECOVERIES.items():
        student = transferred(base, tokenizer)
        done = recover(base, student, tokenizer, lambda: texts, recovery, SEED, cpu=True)
        yield from saved(name, done.model, tokenizer)


def transferred(base: LoadedModel, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Return the base with the vocabulary of another tokenizer."""
    return transfer_vocabulary(base.model, base.tokenizer, tokenizer, seed=SEED).model


def main() -> None:
    """Print the hashes, and on standard error whose code made the files."""
    print(f"worker.compression of {worker.compression.__path__[0]}", file=sys.stderr)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(1)
    for family in BASES:
        with tempfile.TemporaryDirectory() as folder:
            for line in run(family, Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
