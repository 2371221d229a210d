"""The start of token vectors."""

import torch

from worker.compression.static.training import weighted


def test_frequent_tokens_count_less() -> None:
    lengths = weighted(torch.ones(3, 1), torch.tensor([0, 1, 999]))[:, 0]
    assert lengths.tolist() == [1.0, 0.5, torch.tensor(1e-3 / (1e-3 + 0.999)).item()]
