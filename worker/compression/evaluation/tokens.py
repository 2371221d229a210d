"""Tokens per text and unknown tokens, before and after, on held-out text."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.errors import CorpusEmptyError
from worker.compression.evaluation.histogram import Histogram, histogram
from worker.compression.progress import Progress, silent
from worker.compression.tokenizers.backend import unbounded

_BATCH = 512


@dataclass(frozen=True)
class TokenUsage:
    """Tokens that stand for text: means over ``texts`` held-out texts, neither padded nor cut.

    ``special_per_text`` more, such as [CLS] and [SEP], surround each text before and after. An UNK
    rate is the share of unknown tokens.
    """

    texts: int
    special_per_text: int
    per_text_before: float
    per_text_after: float
    unk_rate_before: float
    unk_rate_after: float
    histogram: Histogram


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
        before.texts,
        after.backend.num_special_tokens_to_add(False),
        before.per_text,
        after.per_text,
        before.unk_rate,
        after.unk_rate,
        histogram(before.lengths, after.lengths),
    )


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
