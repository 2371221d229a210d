"""Read texts as bags of tokens, which is all that a static encoder sees of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import embedding_bag

# Texts that are tokenized, and whose vectors are made, at once.
_BATCH = 1024


@dataclass(frozen=True)
class Bags:
    """Hold the token ids of texts, one text after the other, and where each begins.

    ``starts`` (texts + 1) ends with the number of all ids.
    """

    ids: Tensor
    starts: Tensor

    def __len__(self) -> int:
        return len(self.starts) - 1

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ids of some texts, one after the other, and the offset of each (rows)."""
        begins, lengths = self.starts[rows], self.starts[rows + 1] - self.starts[rows]
        ends = lengths.cumsum(0)
        offsets = ends - lengths
        places = torch.arange(int(lengths.sum()), device=self.ids.device)
        moved = torch.repeat_interleave(begins - offsets, lengths)
        return self.ids[places + moved], offsets

    def means(self, table: Tensor, rows: Tensor) -> Tensor:
        """Return the mean of the vectors of a text's tokens (rows, width); 0 of no token."""
        ids, offsets = self.batch(rows)
        return embedding_bag(ids, table, offsets, mode="mean")

    def all_means(self, table: Tensor) -> Tensor:
        """Return the mean of the vectors of each text's tokens (texts, width)."""
        rows = torch.arange(len(self), device=self.ids.device)
        batches = (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))
        return torch.cat([self.means(table, batch) for batch in batches])

    def counts(self, tokens: int) -> Tensor:
        """Return how often each token occurs (tokens)."""
        return torch.bincount(self.ids, minlength=tokens)

    def to(self, device: torch.device) -> "Bags":
        """Return the same bags on a device."""
        return Bags(self.ids.to(device), self.starts.to(device))


def read_bags(backend: Tokenizer, texts: Sequence[str]) -> Bags:
    """Return the bags of texts without special tokens, and without tokens that are unknown."""
    unknown, ids, lengths = unknown_id(backend), list[int](), [0]
    for start in range(0, len(texts), _BATCH):
        batch = list(texts[start : start + _BATCH])
        for encoding in backend.encode_batch_fast(batch, add_special_tokens=False):
            known = [token for token in encoding.ids if token != unknown]
            ids += known
            lengths.append(len(known))
    starts = torch.tensor(lengths, dtype=torch.long).cumsum(0)
    return Bags(torch.tensor(ids, dtype=torch.long), starts)


def unknown_id(backend: Tokenizer) -> int | None:
    """Return the id that stands for what a tokenizer does not know; None where there is none."""
    model = json.loads(backend.to_str())["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    token = model.get("unk_token")
    return None if token is None else backend.token_to_id(token)
