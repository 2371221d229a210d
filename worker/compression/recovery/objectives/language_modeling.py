"""The pre-training objectives: masked, causal and denoising language modelling."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.recovery.batching import filled, mask_of, moved, padded
from worker.compression.recovery.objectives.distill import bounded
from worker.compression.recovery.objectives.word_alignment import Ints

_MEAN_LENGTH = 3.0


def draw_spans(length: int, noise: float, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return disjoint spans in order that hold this share of so many tokens, not next to another.

    The number of spans is that of a mean length of three; lengths are drawn evenly among all ways
    to divide the hidden tokens (Raffel et al. 2020).
    """
    hidden = min(max(1, round(noise * length)), length - 1)
    count = max(1, min(round(hidden / _MEAN_LENGTH), length - hidden))
    long, between = _divided(hidden, count, rng), _divided(length - hidden, count, rng)
    found, place = [], 0
    for gap, size in zip(between, long, strict=True):
        found.append((place + gap, place + gap + size))
        place += gap + size
    return found


def _divided(total: int, parts: int, rng: np.random.Generator) -> list[int]:
    """Divide a number into so many parts of at least one, every way as likely as another."""
    cuts = np.sort(rng.choice(np.arange(1, total), parts - 1, replace=False))
    return [int(part) for part in np.diff([0, *cuts.tolist(), total])]


Corrupted = tuple[Ints, Ints]
"""What is read, and the labels."""

IGNORED = -100
_MASKED, _SPAN_NOISE, _INFILL_NOISE = 0.15, 0.15, 0.3
_AS_MASK, _AS_RANDOM = 0.8, 0.9


class Noise:
    """The corruptions of one tokenizer's ids; each says what is read and the labels."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        special = sorted(set(tokenizer.all_special_ids))
        self._is_special = np.zeros(len(tokenizer), dtype=bool)
        self._is_special[special] = True
        self._ordinary = np.flatnonzero(~self._is_special)
        self._mask = tokenizer.mask_token_id
        starts = (tokenizer.bos_token_id, tokenizer.eos_token_id, 0)
        self._start = next(int(i) for i in starts if i is not None)
        known = tokenizer.get_vocab()
        self._sentinels = [
            known[f"<extra_id_{n}>"] for n in range(100) if f"<extra_id_{n}>" in known
        ]

    def mask_tokens(self, rows: Sequence[Ints], rng: np.random.Generator) -> list[Corrupted]:
        """Hide 15 % of the tokens of each text, at least one (Devlin et al. 2019).

        80 % of them read as the mask token, 10 % as a random token, 10 % as themselves.
        """
        ids, lengths = np.concatenate([*rows, np.empty(0, np.int64)]), list(map(len, rows))
        hidden = self._hidden(ids, lengths, rng)
        labels = np.full_like(ids, IGNORED)
        labels[hidden] = ids[hidden]
        fate = rng.random(hidden.size)
        ids[hidden[fate < _AS_MASK]] = self._mask
        random = hidden[(fate >= _AS_MASK) & (fate < _AS_RANDOM)]
        ids[random] = rng.choice(self._ordinary, random.size)
        ends = np.cumsum(lengths)[:-1]
        return list(zip(np.split(ids, ends), np.split(labels, ends), strict=True))[: len(rows)]

    def _hidden(self, ids: Ints, lengths: list[int], rng: np.random.Generator) -> Ints:
        """Return the places to hide in texts that lie end to end."""
        places = np.flatnonzero(~self._is_special[ids])
        of = np.repeat(np.arange(len(lengths)), lengths)[places]
        order = np.lexsort((rng.random(places.size), of))
        counts = np.bincount(of, minlength=len(lengths))
        # The shuffled places of a text follow one another: so many of the first are taken.
        rank = np.arange(places.size) - np.repeat(np.cumsum(counts) - counts, counts)
        wanted = np.maximum(1, np.rint(_MASKED * counts))
        taken: Ints = places[order[rank < wanted[of]]]
        return taken

    def predict_next(self, ids: Ints) -> Corrupted:
        """Label each position with the token after it; a start token goes first where none is.

        That is bos, or else eos, which stands between documents in GPT-2's training.
        """
        if ids.size and not self._is_special[ids[0]]:
            ids = np.concatenate([[self._start], ids])
        labels = np.concatenate([ids[1:], [IGNORED]])
        return ids, labels

    def hide_spans(self, ids: Ints, rng: np.random.Generator) -> Corrupted:
        """Hide spans of about three tokens.

        With sentinels (T5) each stands for a span, 15 % of the tokens, and the spans are the
        target; with a mask token (BART) it does, 30 %, and the whole text is the target; else the
        second half of the text is the target of the first.
        """
        inner = np.flatnonzero(~self._is_special[ids])
        if inner.size < 2:
            return ids, np.full(1, IGNORED)
        first, last = inner[0], inner[-1] + 1
        head, body, tail = ids[:first], ids[first:last], ids[last:]
        if self._sentinels:
            return self._behind_sentinels(head, body, tail, rng)
        if self._mask is not None:
            return self._infilled(head, body, tail, rng), ids
        middle = len(body) // 2
        return np.concatenate([head, body[:middle], tail]), np.concatenate([body[middle:], tail])

    def _behind_sentinels(
        self, head: Ints, body: Ints, tail: Ints, rng: np.random.Generator
    ) -> Corrupted:
        source, target, end = [head], list[Ints](), 0
        for sentinel, (start, stop) in zip(
            self._sentinels, draw_spans(len(body), _SPAN_NOISE, rng), strict=False
        ):
            source += [body[end:start], np.array([sentinel])]
            target += [np.array([sentinel]), body[start:stop]]
            end = stop
        return np.concatenate([*source, body[end:], tail]), np.concatenate([*target, tail])

    def _infilled(self, head: Ints, body: Ints, tail: Ints, rng: np.random.Generator) -> Ints:
        source, end = [head], 0
        for start, stop in draw_spans(len(body), _INFILL_NOISE, rng):
            source += [body[end:start], np.array([self._mask])]
            end = stop
        return np.concatenate([*source, body[end:], tail])


@dataclass(frozen=True)
class Prediction:
    """What is read, and what is to be predicted: ``IGNORED`` where nothing is.

    Labels are of the positions of ``ids``, or of a decoder's own.
    """

    ids: Ints
    labels: Ints

    @property
    def length(self) -> int:
        return max(len(self.ids), len(self.labels))

    @property
    def tokens(self) -> int:
        return len(self.ids)


Corrupt = Callable[[Sequence[Ints], np.random.Generator], list[Corrupted]]


class LanguageModelling:
    """Cross-entropy in nats a predicted token."""

    def __init__(
        self, name: str, tokenizer: PreTrainedTokenizerBase, max_length: int, seed: int
    ) -> None:
        self.name = name
        self._backend = bounded(tokenizer, max_length - (name == "clm"))
        self._pad = tokenizer.pad_token_id or 0
        self._seed = seed
        noise = Noise(tokenizer)
        corrupts: dict[str, Corrupt] = {
            "mlm": noise.mask_tokens,
            "clm": lambda rows, _: [noise.predict_next(ids) for ids in rows],
            "denoise": lambda rows, rng: [noise.hide_spans(ids, rng) for ids in rows],
        }
        self._corrupt = corrupts[name]

    def examples(self, texts: Sequence[str], start: int) -> list[Prediction | None]:
        """Encode and corrupt texts; the noise depends on the number of the first and the seed."""
        encodings = self._backend.encode_batch_fast(list(texts))
        rows = [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]
        corrupted = self._corrupt(rows, np.random.default_rng((self._seed, start)))
        return [
            Prediction(ids, labels) if (labels != IGNORED).any() else None
            for ids, labels in corrupted
        ]

    def units(self, examples: Sequence[Prediction]) -> tuple[int, ...]:
        """Return the predicted tokens, which the loss of a step is a mean over."""
        return (sum(int((example.labels != IGNORED).sum()) for example in examples),)

    def loss(
        self, student: PreTrainedModel, examples: Sequence[Prediction], units: tuple[int, ...]
    ) -> Tensor:
        """Return the share of a step's loss that these examples have."""
        rows, device = [example.ids for example in examples], student.device
        inputs = {
            "input_ids": padded(rows, self._pad, device),
            "attention_mask": mask_of(rows, device),
        }
        labels = filled([example.labels for example in examples], IGNORED)
        places = np.flatnonzero(labels != IGNORED)
        wanted = moved(labels.reshape(-1)[places], device)
        if self.name == "denoise":
            logits = student(**inputs, labels=moved(labels, device)).logits
            scores = logits.flatten(0, 1).index_select(0, moved(places, device))
        else:
            with predicting_only(student, moved(places, device)):
                scores = student(**inputs).logits[0]
        return cross_entropy(scores.float(), wanted, reduction="sum") / units[0]


@contextmanager
def predicting_only(model: PreTrainedModel, places: Tensor) -> Iterator[None]:
    """Let a model's head see its hidden states at these places alone.

    They are numbered through all rows of a batch; the logits (1, places, vocabulary) are theirs. A
    head works position by position, and is most of a small model's computation.
    """

    def select(_module: Any, _inputs: Any, output: Any) -> Any:
        hidden = output.last_hidden_state
        output.last_hidden_state = hidden.flatten(0, 1).index_select(0, places)[None]
        return output

    body: Module = model.get_decoder() if model.can_generate() else model.base_model  # type: ignore[no-untyped-call]
    handle = body.register_forward_hook(select)
    try:
        yield
    finally:
        handle.remove()
