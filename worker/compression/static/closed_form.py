"""Start token vectors in closed form: words as the base reads them alone, fitted to texts."""

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from worker.compression.static.bags import Bags

# A token that makes up this share of a corpus counts half as much as a rare one (SIF, Arora 2017).
_FREQUENT = 1e-3
# How much the fit may move token vectors: of the mean share of tokens that two texts have alike.
_RIDGE = 0.2


def weighted(vectors: Tensor, counts: Tensor) -> Tensor:
    """Return unit vectors (tokens, width) of tokens made shorter by how frequent each is.

    ``counts`` (tokens) are their occurrences in the corpus.
    """
    share = counts.to(vectors.dtype) / counts.sum().clamp(min=1)
    return vectors * (_FREQUENT / (_FREQUENT + share)).unsqueeze(1)


def fit_to_texts(table: Tensor, bags: Bags, vectors: Tensor, ridge: float = _RIDGE) -> Tensor:
    """Return token vectors near those of ``table`` whose means are near the texts' vectors.

    It is ridge regression of the unit ``vectors`` (texts, width) on the shares of tokens in the
    texts, with ``table`` (tokens, width), made as long as fits best, in place of nought. Solved
    among the texts, of which there are few thousand, not among the tokens. A token that is in no
    text stays as it is.
    """
    shares = bags.matrix(len(table))
    target, start = vectors.cpu().numpy(), table.cpu().numpy()
    means = shares @ start
    length = float((means * target).sum() / max(1e-12, (means * means).sum()))
    start, means = start * length, means * length
    kernel = (shares @ shares.T).toarray()
    kernel[np.diag_indices_from(kernel)] += ridge * kernel.diagonal().mean() + 1e-6
    weights = scipy.linalg.solve(kernel, target - means, assume_a="pos", overwrite_a=True)
    return torch.from_numpy(start + shares.T @ weights).to(table)
