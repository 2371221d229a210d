"""The embeddings of the domain vocabulary (Gee et al. 2022, section 3.1, equation 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from worker.compression.errors import NonFiniteWeightsError
from worker.compression.transfer.partition import Partitions

# The mean of the pieces, random rows, or the mean weighted by the length of the pieces.
Method = Literal["fvt", "pvt", "wvt"]


@dataclass(frozen=True)
class RowMap:
    """A domain table (V_in, width) as weighted sums of the rows of a base table.

    ``ids`` (P,), ``weights`` (P,) and ``offsets`` (V_in,) are bags as
    ``torch.nn.functional.embedding_bag`` takes them, one bag per domain token; a bag's weights
    add up to 1. ``copied``, ``random`` and ``empty`` (V_in,) are masks; ``empty`` rows have no
    piece and get the mean of the ``base_size`` base tokens.
    """

    ids: Tensor
    weights: Tensor
    offsets: Tensor
    copied: Tensor
    random: Tensor
    empty: Tensor
    base_size: int


def row_map(
    partitions: Partitions, length_of: Callable[[str], int] | None, base_size: int
) -> RowMap:
    """Return the map of a partitioned vocabulary.

    Pieces weigh the same, or by ``length_of`` a base token (WVT). ``base_size`` is the number of
    base tokens: a base table may have more rows than tokens.
    """
    base_ids, row_index = partitions.base_ids, partitions.base_ids.row_index
    if length_of is None:
        weights = 1 / base_ids.lengths[row_index]
    else:
        pieces, inverse = np.unique(base_ids.ids, return_inverse=True)
        lengths = np.array([length_of(partitions.base_token(int(i))) for i in pieces])[inverse]
        weights = lengths / np.bincount(row_index, lengths)[row_index]
    return RowMap(
        ids=torch.from_numpy(base_ids.ids),
        weights=torch.from_numpy(weights).float(),
        offsets=torch.from_numpy(base_ids.starts),
        copied=torch.from_numpy(partitions.where("copied")),
        random=torch.from_numpy(partitions.where("random")),
        empty=torch.from_numpy(partitions.where("fallback") & (base_ids.lengths == 0)),
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
    domain = embedding_bag(
        rows.ids, table, rows.offsets, mode="sum", per_sample_weights=rows.weights
    )
    of_tokens = table[: rows.base_size]
    if rows.empty.any():
        domain[rows.empty] = of_tokens.mean(dim=0)
    if rows.random.any():
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(int(rows.random.sum()), table.shape[1], generator=generator)
        domain[rows.random] = noise * of_tokens.std() + of_tokens.mean()
    # Minimum and maximum are NaN where any value is, and take no table of their own.
    if not torch.isfinite(torch.stack(domain.aminmax())).all():
        raise NonFiniteWeightsError(
            "The base model's embeddings are not all finite numbers: use a sound checkpoint."
        )
    domain = domain.to(base.dtype)
    # A weighted sum of one row may lose its sign of zero: copies are taken from the base itself.
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
