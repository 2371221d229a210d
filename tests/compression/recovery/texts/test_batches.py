from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.compression.recovery.batching import by_length, micro_batches
from worker.compression.recovery.objectives.encoding import attention_mask, pad_to_tensor

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Text:
    number: int
    length: int

    @property
    def tokens(self) -> int:
        return self.length


@given(st.lists(st.integers(1, 50)), st.integers(1, 200))
def test_every_text_is_in_one_batch_of_bounded_size(lengths: list[int], positions: int) -> None:
    texts = [Text(number, length) for number, length in enumerate(lengths)]
    batches = list(micro_batches(by_length(texts), positions))
    assert sorted(text.number for batch in batches for text in batch) == list(range(len(texts)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(t.length for t in batch) <= positions
    order = [text.length for batch in batches for text in batch]
    assert order == sorted(order, reverse=True)


def test_padding_is_at_the_right_and_masked() -> None:
    rows = [np.array([5, 6]), np.array([7, 8, 9])]
    assert pad_to_tensor(rows, 1, CPU).tolist() == [[5, 6, 1], [7, 8, 9]]
    assert attention_mask(rows, CPU).tolist() == [[1, 1, 0], [1, 1, 1]]
