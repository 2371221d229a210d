"""Start token vectors: words as the base reads them alone, frequent ones shorter."""

from torch import Tensor

# A token that makes up this share of a corpus counts half as much as a rare one (SIF, Arora 2017).
_FREQUENT = 1e-3


def weighted(vectors: Tensor, counts: Tensor) -> Tensor:
    """Return unit vectors (tokens, width) of tokens made shorter by how frequent each is.

    ``counts`` (tokens) are their occurrences in the corpus.
    """
    share = counts.to(vectors.dtype) / counts.sum().clamp(min=1)
    return vectors * (_FREQUENT / (_FREQUENT + share)).unsqueeze(1)
