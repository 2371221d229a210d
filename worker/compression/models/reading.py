"""Give texts as the model's own program feeds them: with the prompt, cut where they are cut.

Lower-casing is the tokenizer's: `load_tokenizer` has it do what the folder asks of
sentence-transformers.
"""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from tokenizers import Encoding, Tokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.corpus import Texts
from worker.compression.models.loading import LoadedModel
from worker.compression.models.vocabulary_tensors import position_origins
from worker.compression.tokenizers.tokenizer_json import unbounded

Pair = tuple[str, str]


def longest_input(loaded: LoadedModel) -> int:
    """Return the longest input in tokens; positions counted from the pad id use up rows.

    What sentence-transformers is told in the folder goes before what the tokenizer says.
    """
    positions = getattr(loaded.model.config, "max_position_embeddings", None) or 512
    taken = max(position_origins(loaded.model), default=-1) + 1
    asked = loaded.kind.max_length or loaded.tokenizer.model_max_length
    return int(min(asked, positions - taken))


def truncating_backend(tokenizer: PreTrainedTokenizerBase, max_length: int) -> Tokenizer:
    """Return a copy of the Rust tokenizer that truncates to ``max_length`` and does not pad.

    It truncates on the tokenizer's own side.
    """
    backend = unbounded(tokenizer)
    backend.enable_truncation(max_length, direction=tokenizer.truncation_side)
    return backend


def padding_backend(tokenizer: PreTrainedTokenizerBase, max_length: int) -> Tokenizer:
    """Return a copy of the Rust tokenizer that truncates and pads a batch as the tokenizer does."""
    backend = truncating_backend(tokenizer, max_length)
    backend.enable_padding(
        direction=tokenizer.padding_side,
        pad_id=tokenizer.pad_token_id,
        pad_type_id=tokenizer.pad_token_type_id,
        pad_token=tokenizer.pad_token,
    )
    return backend


def whole_words_read(text: str, encoding: Encoding, side: str) -> str:
    """Return the whole words of a text that its encoding, truncated on a side, covers."""
    spans = [span for span in encoding.offsets if span[1] > span[0]]
    if side == "left":
        start = min((start for start, _ in spans), default=len(text))
        begin = next((i for i in range(start, len(text)) if text[i].isspace()), start)
        kept = text[start:] if not start or text[start - 1].isspace() else text[begin:]
        return (kept.strip() and kept) or text[start:]
    end = max((end for _, end in spans), default=0)
    last = max((i for i in range(end) if text[i].isspace()), default=end)
    return text[: last or end]


# A part of a text of so many characters a token is mostly more than fits.
_CHARACTERS_PER_TOKEN = 32
# Special tokens of a text, at most.
_SPECIAL = 8
# Texts that are encoded at once.
_BATCH = 256


@dataclass(frozen=True)
class TextReader:
    """Gives texts as a model's program feeds them; ``max_length`` is None where nothing is cut."""

    tokenizer: PreTrainedTokenizerBase
    prompt: str
    max_length: int | None

    def __call__(self, text: str) -> str:
        """Return the text with its prompt, without what the model would not see of it."""
        return self.cut(self.prompt + text)

    def cut(self, text: str) -> str:
        """Return the whole words of a text that fit in the longest input."""
        return next(self.cut_all([text]))

    def cut_all(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield what fits of each text, many encoded at once."""
        stream = iter(texts)
        while batch := list(islice(stream, _BATCH)):
            yield from batch if self.max_length is None else self._cut_batch(batch)

    def _cut_batch(self, texts: list[str]) -> list[str]:
        side = str(self.tokenizer.truncation_side)
        long = [number for number, text in enumerate(texts) if self._may_be_too_long(text)]
        parts = [self._first_part(texts[number], side) for number in long]
        for number, part, encoding in zip(
            long, parts, self._backend.encode_batch(parts), strict=True
        ):
            text = texts[number]
            if encoding.overflowing:
                texts[number] = whole_words_read(part, encoding, side)
            elif len(part) < len(text) and (whole := self._backend.encode(text)).overflowing:
                texts[number] = whole_words_read(text, whole, side)
        return texts

    def _may_be_too_long(self, text: str) -> bool:
        # A token takes a byte at least.
        return len(text.encode("utf-8", "replace")) + _SPECIAL > (self.max_length or 0)

    def _first_part(self, text: str, side: str) -> str:
        characters = (self.max_length or 0) * _CHARACTERS_PER_TOKEN
        return text[-characters:] if side == "left" else text[:characters]

    @cached_property
    def _backend(self) -> Tokenizer:
        return truncating_backend(self.tokenizer, self.max_length or 0)


def text_reader(loaded: LoadedModel) -> TextReader:
    """Return how texts are fed to a model.

    Only where sentence-transformers runs it is it known that texts are cut, and where.
    """
    kind = loaded.kind
    is_cut = kind.library == "sentence-transformers"
    max_length = longest_input(loaded) if is_cut else None
    return TextReader(loaded.tokenizer, kind.default_prompt, max_length)


def texts_as_fed(loaded: LoadedModel, texts: Texts) -> Texts:
    """Return a stream of texts as they are fed to a model."""
    reader = text_reader(loaded)
    if not reader.prompt and reader.max_length is None:
        return texts
    return lambda: reader.cut_all(reader.prompt + text for text in texts())


_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n|(?<=[\u3002\uff01\uff1f])")
_LONGEST_QUERY = 12


def make_pairs(texts: Sequence[str], seed: int) -> list[Pair]:
    """Return a pair a text, as a cross-encoder reads them: something short, then a document.

    Turn by turn the first comes from the document itself and from another one, so that scores
    have something to differ in.
    """
    draw = random.Random(seed)  # noqa: S311
    others = list(range(len(texts)))
    draw.shuffle(others)
    return [
        (first_words(texts[number if number % 2 == 0 else others[number]]), text)
        for number, text in enumerate(texts)
    ]


def first_words(text: str) -> str:
    """Return the first sentence of a text, 12 words of it at most; half of a text of one."""
    sentence = next((part for part in _SENTENCE_END.split(text) if part.strip()), text)
    words = sentence.split()
    if sentence.strip() == text.strip():
        words = words[: max(1, len(words) // 2)]
    return " ".join(words[:_LONGEST_QUERY])
