"""The embeddings of the domain vocabulary (Gee et al. 2022, section 3.1, equation 1)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from worker.compression.errors import NonFiniteWeightsError
from worker.compression.transfer.partition import Partition

Method = Literal["fvt", "pvt", "wvt"]


@dataclass(frozen=True)
class RowMap:
    """How each row of a domain table is made of rows of a base table.

    ``ids``, ``weights`` and ``offsets`` are bags as ``torch.nn.functional.embedding_bag`` takes
    them, one bag a domain token; a bag's weights add up to one.
    """

    ids: Tensor
    weights: Tensor
    offsets: Tensor
    copied: Tensor
    random: Tensor
    unknown: Tensor
    base_size: int


def row_map(
    partitions: Sequence[Partition], length_of: Callable[[str], int] | None, base_size: int
) -> RowMap:
    """Return the map of a partitioned vocabulary.

    Pieces weigh the same, or by ``length_of`` (WVT). ``base_size`` is the number of base tokens,
    over which tokens without any known piece are averaged.
    """
    bags = [partition.base_ids for partition in partitions]
    return RowMap(
        ids=torch.tensor([i for bag in bags for i in bag], dtype=torch.long),
        weights=torch.tensor([w for p in partitions for w in _weights(p, length_of)]),
        offsets=torch.tensor([0, *accumulate(len(bag) for bag in bags)][:-1], dtype=torch.long),
        copied=_where(p.source == "copied" for p in partitions),
        random=_where(p.source == "random" for p in partitions),
        unknown=_where(p.source == "fallback" and not p.base_ids for p in partitions),
        base_size=base_size,
    )


def map_rows(base: Tensor, rows: RowMap, seed: int) -> Tensor:
    """Return the domain table (V_in, width) made of the base table (V_gen, width).

    Averages are taken in float32, the dtype is the base's; copied rows are equal to the bit.
    Random rows are drawn from a normal distribution with the base table's mean and deviation.

    Raises:
        NonFiniteWeightsError: a row that is used is not finite.

    """
    table = base.detach().float()
    domain = _bags(table, rows)
    domain[rows.unknown] = table[: rows.base_size].mean(dim=0)
    domain[rows.random] = _random(table[: rows.base_size], int(rows.random.sum()), seed)
    if not torch.isfinite(domain).all():
        raise NonFiniteWeightsError(
            "The base model's embeddings are not all finite numbers: use a sound checkpoint."
        )
    domain = domain.to(base.dtype)
    domain[rows.copied] = base.detach()[rows.ids[rows.offsets[rows.copied]]]
    return domain


def _bags(table: Tensor, rows: RowMap) -> Tensor:
    return embedding_bag(rows.ids, table, rows.offsets, mode="sum", per_sample_weights=rows.weights)


def _random(table: Tensor, count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, table.shape[1], generator=generator)
    return noise * table.std() + table.mean()


def _weights(partition: Partition, length_of: Callable[[str], int] | None) -> list[float]:
    lengths = [length_of(piece) if length_of else 1 for piece in partition.pieces]
    return [length / sum(lengths) for length in lengths]


def _where(flags: Iterable[bool]) -> Tensor:
    return torch.tensor(list(flags), dtype=torch.bool)
