"""Count tokens per text and unknown tokens, before and after, on held-out text."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.report import Example, Histogram, TokenUsage
from worker.compression.errors import CorpusEmptyError
from worker.compression.models.loading import LoadedModel
from worker.compression.models.reading import longest_input, truncating_backend
from worker.compression.progress import Progress, silent
from worker.compression.tokenizers.tokenizer_json import unbounded

# Bins of a histogram, and the share of texts that have a bin of their length.
_BINS = 24
_WITHIN = 0.99


def histogram(before: Counter[int], after: Counter[int]) -> Histogram:
    """Put lengths, each with its number of texts, into up to 24 bins that hold 99 % one by one."""
    longest = max(_quantile(before), _quantile(after))
    width = longest // _BINS + 1
    bins = min(_BINS, longest // width + 1)
    return Histogram(
        width=width,
        before=list(_binned(before, width, bins)),
        after=list(_binned(after, width, bins)),
    )


def _quantile(lengths: Counter[int]) -> int:
    seen, total = 0, lengths.total()
    for length in sorted(lengths):
        seen += lengths[length]
        if seen >= _WITHIN * total:
            return length
    return 0


def _binned(lengths: Counter[int], width: int, bins: int) -> Iterator[int]:
    binned: Counter[int] = Counter()
    for length, texts in lengths.items():
        binned[min(length // width, bins - 1)] += texts
    return (binned[number] for number in range(bins))


# Texts that are encoded at once.
_BATCH = 512


def measure_tokens(
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    progress: Progress | None = None,
) -> TokenUsage:
    """Count the tokens that both tokenizers emit for the same texts, read once as a stream.

    Raises:
        CorpusEmptyError: there are no texts.

    """
    progress = progress or silent
    before, after = _Counter(base_tokenizer), _Counter(domain_tokenizer)
    for batch in _batches(texts):
        before.add(batch)
        after.add(batch)
        progress(before.texts / (before.texts + 50_000), f"{before.texts} texts measured")
    if not before.texts:
        raise CorpusEmptyError(
            "No held-out texts: raise the hold-out fraction, or upload more documents."
        )
    return TokenUsage(
        texts=before.texts,
        special_per_text=after.backend.num_special_tokens_to_add(False),
        per_text_before=before.per_text,
        per_text_after=after.per_text,
        unk_rate_before=before.unk_rate,
        unk_rate_after=after.unk_rate,
        histogram=histogram(before.lengths, after.lengths),
    )


def add_cut_texts(
    usage: TokenUsage, base: LoadedModel, compressed: LoadedModel, texts: Sequence[str]
) -> TokenUsage:
    """Return the usage with the shares of the texts that are longer than the models read.

    Texts are whole here, with the prompt of the model's use before each of them; the shares are of
    the first 500.
    """
    longest, texts = longest_input(base), texts[:_SAMPLE]
    shares = []
    for loaded in (base, compressed):
        backend = truncating_backend(loaded.tokenizer, longest_input(loaded))
        prompt = loaded.kind.default_prompt
        cut = sum(
            bool(encoding.overflowing)
            for batch in _batches(texts)
            for encoding in backend.encode_batch_fast([prompt + text for text in batch])
        )
        shares.append(cut / max(1, len(texts)))
    before, after = shares
    update = {"longest_input": longest, "cut_before": before, "cut_after": after}
    return usage.model_copy(update=update)


class _Counter:
    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.backend = unbounded(tokenizer)
        self.unk_id = tokenizer.unk_token_id
        self.texts = self.tokens = self.unk = 0
        self.lengths: Counter[int] = Counter()

    def add(self, batch: list[str]) -> None:
        for encoding in self.backend.encode_batch_fast(batch, add_special_tokens=False):
            self.texts += 1
            self.tokens += len(encoding.ids)
            self.lengths[len(encoding.ids)] += 1
            self.unk += encoding.ids.count(self.unk_id)

    @property
    def per_text(self) -> float:
        return self.tokens / self.texts

    @property
    def unk_rate(self) -> float:
        return self.unk / max(1, self.tokens)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    stream = iter(texts)
    while batch := list(islice(stream, _BATCH)):
        yield batch


# Characters of an example, and the texts that it is chosen from.
_SHORTEST, _LONGEST = 40, 220
_SAMPLE = 500
_QUANTILES = {"most": 0.9, "typical": 0.5, "least": 0.1}


def tokenized_examples(
    base_tokenizer: PreTrainedTokenizerBase,
    domain_tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
) -> list[Example]:
    """Return texts that save as many tokens as 1 in 10, as the middle one, and as 9 in 10.

    They are of one or two lines; the beginnings of texts, where none are that short. A token is
    shown as the text it stands for.
    """
    short = [text for text in texts if _SHORTEST <= len(text) <= _LONGEST][:_SAMPLE]
    short = short or [text[:_LONGEST] for text in texts[:_SAMPLE]]
    tokenized = [
        (_pieces(base_tokenizer, text), _pieces(domain_tokenizer, text))
        for text in dict.fromkeys(short)
    ]
    by_saving = sorted((pair for pair in tokenized if pair[0]), key=_saving)
    if not by_saving:
        return []
    places = {round(quantile * (len(by_saving) - 1)): name for name, quantile in _QUANTILES.items()}
    return [
        Example(saved=name, before=by_saving[place][0], after=by_saving[place][1])
        for place, name in places.items()
    ]


def _saving(pair: tuple[list[str], list[str]]) -> float:
    return 1 - len(pair[1]) / len(pair[0])


def _pieces(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    encoding = unbounded(tokenizer).encode(text, add_special_tokens=False)
    return [
        text[start:end] or token
        for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True)
    ]
