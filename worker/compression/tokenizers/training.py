"""Training of the domain tokenizer T_in on the corpus (Gee et al. 2022, section 2)."""

from collections.abc import Sequence

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.corpus import Texts
from worker.compression.errors import (
    UnknownKeepTokensError,
    VocabSizeAboveBaseError,
    VocabSizeBelowFloorError,
)
from worker.compression.progress import Progress, part, silent
from worker.compression.tokenizers.families import family_of
from worker.compression.tokenizers.family import Family, Selection, TrainingTask
from worker.compression.tokenizers.multiword import (
    add_multiword,
    read_word_runs,
    without_multiword,
)
from worker.compression.tokenizers.tokenizer_json import (
    backend_json,
    rebuild_tokenizer,
    reserved_tokens,
    unbounded,
)
from worker.compression.tokenizers.words import WordCounts, count_words, word_splitter

# Unknown tokens that an error names; of the others it gives the number.
_MOST_NAMED = 10


def resolve_vocab_size(wanted: float, base_tokenizer: PreTrainedTokenizerBase) -> int:
    """Return a number of tokens: up to 1, ``wanted`` is a fraction of the base vocabulary."""
    return round(wanted * len(base_tokenizer)) if wanted <= 1 else int(wanted)


def resolve_keep_tokens(
    base_tokenizer: PreTrainedTokenizerBase, wanted: Sequence[str]
) -> list[str]:
    """Return the base's tokens that are meant: raw tokens, or texts that are one token there.

    Raises:
        UnknownKeepTokensError: some are no token of the base, or several; the message names them.

    """
    vocabulary, backend = base_tokenizer.get_vocab(), unbounded(base_tokenizer)
    kept: dict[str, None] = {}
    unknown: list[str] = []
    for token in wanted:
        if token in vocabulary:
            kept[token] = None
            continue
        pieces = backend.encode(token, add_special_tokens=False).tokens
        if len(pieces) == 1 and pieces[0] != base_tokenizer.unk_token:
            kept[pieces[0]] = None
        else:
            unknown.append(f"{token!r} ({' '.join(pieces)})")
    if unknown:
        more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
        raise UnknownKeepTokensError(
            "`keep_tokens` holds what is not one token of the base vocabulary; beside each is how "
            f"the base splits it: {', '.join(unknown[:_MOST_NAMED])}{more}. Leave these out: words "
            "that the corpus uses often become tokens by themselves."
        )
    return list(kept)


def corpus_words(
    base_tokenizer: PreTrainedTokenizerBase, texts: Texts, progress: Progress | None = None
) -> WordCounts:
    """Count the words of a corpus as the base tokenizer makes them, multi-word tokens left out.

    Raises:
        CorpusEmptyError: the corpus has no words.

    """
    return count_words(unbounded(without_multiword(base_tokenizer)), texts, progress or silent)


def train_tokenizers(  # noqa: PLR0913
    base_tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    vocab_sizes: Sequence[int],
    *,
    selection: Selection = "usage",
    keep_tokens: Sequence[str] = (),
    multiword: int = 0,
    words: WordCounts | None = None,
    progress: Progress | None = None,
) -> list[PreTrainedTokenizerBase]:
    """Train a tokenizer of each size, from one reading of the corpus.

    Each is what ``train_tokenizer`` gives, whatever other sizes are asked for. ``multiword`` of
    its tokens are groups of words: they are chosen after the others, which are that many fewer.
    Multi-word tokens of the base itself are left out. ``words`` are those of ``corpus_words`` where
    they have been counted before.

    Raises:
        MultiwordUnsupportedError: the base tokenizer cannot hold multi-word tokens exactly.
        CompressionError: as ``train_tokenizer``.

    """
    progress = progress or silent
    base = without_multiword(base_tokenizer)
    _check_vocab_size(max(vocab_sizes), base_tokenizer)
    if min(vocab_sizes) <= multiword:
        raise VocabSizeBelowFloorError(
            f"A vocabulary of {min(vocab_sizes)} tokens has no room for {multiword} multi-word "
            "tokens: ask for a larger one, or for fewer of them."
        )
    words = words or corpus_words(base, texts, part(progress, 0, 0.2))
    runs = read_word_runs(base, texts, part(progress, 0.2, 0.3)) if multiword else None

    tokenizers = []
    for number, size in enumerate(vocab_sizes):
        start, end = (0.3 + 0.7 * n / len(vocab_sizes) for n in (number, number + 1))
        size_progress = part(progress, start, end)
        tokenizer = train_tokenizer(
            base,
            texts,
            size - multiword,
            selection=selection,
            keep_tokens=keep_tokens,
            words=words,
            progress=part(size_progress, 0, 0.9),
        )
        if runs is not None:
            tokenizer = add_multiword(tokenizer, runs, multiword, part(size_progress, 0.9, 1))
        tokenizers.append(tokenizer)
    return tokenizers


def train_tokenizer(  # noqa: PLR0913
    base_tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    vocab_size: int,
    *,
    selection: Selection = "usage",
    keep_tokens: Sequence[str] = (),
    words: WordCounts | None = None,
    progress: Progress | None = None,
) -> PreTrainedTokenizerBase:
    """Train a tokenizer of the base's family that has exactly ``vocab_size`` tokens.

    Special and added tokens of the base come first or last, as in the base. ``keep_tokens`` are
    tokens of the base to keep, or strings that must stay in one piece: a word becomes a token of
    the model, anything the pre-tokenizer would split an added token. ``selection`` is "usage"
    (the tokens that save most pieces) or "frequency" (the first tokens a greedy trainer makes).
    The result depends on the arguments alone. ``words`` are those of the corpus where they have
    been counted before.

    Raises:
        CorpusEmptyError: the corpus has no words.
        CorpusTooSmallError: the corpus holds fewer tokens; the message says how many.
        VocabSizeBelowFloorError: the tokens that must be kept alone are more.
        VocabSizeAboveBaseError: more tokens than the base vocabulary has.
        UnsupportedTokenizerError: no family handles the base tokenizer.

    """
    progress = progress or silent
    family = family_of(base_tokenizer)
    _check_vocab_size(vocab_size, base_tokenizer)
    backend, base = unbounded(base_tokenizer), backend_json(base_tokenizer)
    new_added, kept = _sort_keep_tokens(base_tokenizer, family, keep_tokens)
    task = TrainingTask(
        backend=backend,
        base_model=base["model"],
        words=words or count_words(backend, texts, part(progress, 0, 0.4)),
        vocab_size=vocab_size,
        selection=selection,
        reserved=reserved_tokens(base_tokenizer, base, new_added),
        keep_tokens=kept,
    )
    model = family.train(task, part(progress, 0.4, 1))
    return rebuild_tokenizer(base_tokenizer, model, new_added)


def _check_vocab_size(vocab_size: int, base_tokenizer: PreTrainedTokenizerBase) -> None:
    if vocab_size > len(base_tokenizer):
        raise VocabSizeAboveBaseError(
            f"{vocab_size} tokens are more than the base vocabulary's {len(base_tokenizer)}: "
            "ask for as many or fewer."
        )


def _sort_keep_tokens(
    base_tokenizer: PreTrainedTokenizerBase, family: Family, keep_tokens: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the keep tokens that must be added tokens, and those that are tokens of the model."""
    vocabulary, split = base_tokenizer.get_vocab(), word_splitter(unbounded(base_tokenizer))
    added: dict[str, None] = {}
    kept: dict[str, None] = {}
    for token in keep_tokens:
        words = list(split(token))
        if token in vocabulary:
            kept[token] = None
        elif len(words) == 1:
            kept[family.as_token(words[0])] = None
        else:
            added[token] = None
    return list(added), list(kept)
