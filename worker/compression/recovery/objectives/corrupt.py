"""What the pre-training objectives do to a text: masks, spans behind sentinels, the next token."""

from collections.abc import Sequence

import numpy as np
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.recovery.objectives.spans import draw_spans
from worker.compression.recovery.objectives.words import Ints

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
