"""The embeddings of the domain vocabulary (Gee et al. 2022, section 3.1, equation 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from worker.compression.errors import NonFiniteWeightsError
from worker.compression.transfer.partition import Partitions

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
    partitions: Partitions, length_of: Callable[[str], int] | None, base_size: int
) -> RowMap:
    """Return the map of a partitioned vocabulary.

    Pieces weigh the same, or by ``length_of`` (WVT). ``base_size`` is the number of base tokens,
    over which tokens without any known piece are averaged.
    """
    bags = partitions.bags
    return RowMap(
        ids=torch.from_numpy(bags.ids),
        weights=torch.from_numpy(_weights(partitions, length_of)).float(),
        offsets=torch.from_numpy(bags.starts),
        copied=torch.from_numpy(partitions.where("copied")),
        random=torch.from_numpy(partitions.where("random")),
        unknown=torch.from_numpy(partitions.where("fallback") & (bags.lengths == 0)),
        base_size=base_size,
    )


def map_rows(base: Tensor, rows: RowMap, seed: int) -> Tensor:
    """Return the domain table (V_in, width) made of the base table (V_gen, width).

    Averages are taken in float32, the dtype is the base's; copied rows are equal to the bit.
    Random rows are drawn from a normal distribution with the base table's mean and deviation.

    Raises:
        NonFiniteWeightsError: a row that is used is not finite.

    """
    device, base = base.device, base.detach().cpu()
    table = base.float()
    domain = _bags(table, rows)
    if rows.unknown.any():
        domain[rows.unknown] = table[: rows.base_size].mean(dim=0)
    if rows.random.any():
        domain[rows.random] = _random(table[: rows.base_size], int(rows.random.sum()), seed)
    # Minimum and maximum are NaN where any value is, and take no table of their own.
    if not torch.isfinite(torch.stack(domain.aminmax())).all():
        raise NonFiniteWeightsError(
            "The base model's embeddings are not all finite numbers: use a sound checkpoint."
        )
    domain = domain.to(base.dtype)
    domain[rows.copied] = base[rows.ids[rows.offsets[rows.copied]]]
    return domain.to(device)


def pad_rows(table: Tensor, size: int, value: float | None) -> Tensor:
    """Return a table (V_in, width) with rows of ``value``, or of its mean, up to ``size`` rows."""
    missing = size - len(table)
    if not missing:
        return table
    row = table.float().mean(dim=0, keepdim=True)
    row = row if value is None else torch.full_like(row, value)
    return torch.cat([table, row.to(table.dtype).expand(missing, -1)])


def _bags(table: Tensor, rows: RowMap) -> Tensor:
    return embedding_bag(rows.ids, table, rows.offsets, mode="sum", per_sample_weights=rows.weights)


def _random(table: Tensor, count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, table.shape[1], generator=generator)
    return noise * table.std() + table.mean()


def _weights(partitions: Partitions, length_of: Callable[[str], int] | None) -> NDArray[np.float64]:
    bags, owners = partitions.bags, partitions.bags.owners
    if length_of is None:
        return 1 / bags.lengths[owners]
    pieces, inverse = np.unique(bags.ids, return_inverse=True)
    lengths = np.array([length_of(partitions.base_token(int(i))) for i in pieces])[inverse]
    weights: NDArray[np.float64] = lengths / np.bincount(owners, lengths)[owners]
    return weights
