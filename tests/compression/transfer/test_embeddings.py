import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from worker.compression import NonFiniteWeightsError, Partition
from worker.compression.transfer.embeddings import map_rows, row_map
from worker.compression.transfer.partition import Partitions, Source, as_columns

BASE_SIZE, ROWS, WIDTH = 9, 12, 5
BAGS = st.lists(st.lists(st.integers(0, BASE_SIZE - 1), min_size=1, max_size=6), min_size=1)


def table(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(3)).to(dtype)


def partitions(bags: list[list[int]], source: Source = "averaged") -> Partitions:
    pieces = [tuple("p" * (i + 1) for i in bag) for bag in bags]
    return as_columns(
        Partition(n, "t", source, pieces[n], tuple(bag)) for n, bag in enumerate(bags)
    )


@given(BAGS)
def test_averages_are_means_of_the_rows_of_the_pieces(bags: list[list[int]]) -> None:
    base = table()
    rows = map_rows(base, row_map(partitions(bags), None, BASE_SIZE), seed=0)
    for row, bag in zip(rows, bags, strict=True):
        mean = sum(base[i].double() for i in bag) / len(bag)
        torch.testing.assert_close(row.double(), mean, rtol=0, atol=1e-6)


@given(BAGS)
def test_weighted_averages_weigh_pieces_by_length(bags: list[list[int]]) -> None:
    base = table()
    rows = map_rows(base, row_map(partitions(bags), len, BASE_SIZE), seed=0)
    for row, bag in zip(rows, bags, strict=True):
        mean = sum((i + 1) * base[i].double() for i in bag) / sum(i + 1 for i in bag)
        torch.testing.assert_close(row.double(), mean, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype_is_kept_and_averages_are_taken_in_float32(dtype: torch.dtype) -> None:
    base = table(dtype)
    rows = map_rows(base, row_map(partitions([[0, 1, 2]]), None, BASE_SIZE), seed=0)
    assert rows.dtype == dtype
    mean = base[:3].double().mean(0)
    torch.testing.assert_close(rows[0], mean.to(dtype), rtol=0, atol=1e-6)


def test_copied_rows_are_equal_to_the_bit() -> None:
    base = table()
    base[2, 0] = -0.0
    rows = map_rows(base, row_map(partitions([[2], [0]], "copied"), None, BASE_SIZE), seed=0)
    assert rows.numpy().tobytes() == base[[2, 0]].numpy().tobytes()


def test_a_token_without_pieces_is_the_mean_of_the_base_vocabulary_alone() -> None:
    base = table()
    base[BASE_SIZE:] = 1e6
    rows = map_rows(base, row_map(partitions([[]], "fallback"), None, BASE_SIZE), seed=0)
    torch.testing.assert_close(rows[0], base[:BASE_SIZE].mean(0))


def test_random_rows_follow_the_seed_and_the_scale_of_the_table() -> None:
    base = 3 + 0.5 * torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    bags = row_map(partitions([[]] * 1000, "random"), None, 2000)
    rows = map_rows(base, bags, seed=1)
    assert torch.equal(rows, map_rows(base, bags, seed=1))
    assert not torch.equal(rows, map_rows(base, bags, seed=2))
    assert abs(rows.mean().item() - 3) < 0.05
    assert abs(rows.std().item() - 0.5) < 0.05


def test_weights_that_are_not_finite_are_refused() -> None:
    base = table()
    base[1, 1] = float("nan")
    with pytest.raises(NonFiniteWeightsError):
        map_rows(base, row_map(partitions([[0, 1]]), None, BASE_SIZE), seed=0)
