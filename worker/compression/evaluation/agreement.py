"""How far the sentence vectors of two models agree about the same texts."""

from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

_NEIGHBOURS = 10
COSINE, OVERLAP = "sentence_cosine", f"neighbour_overlap_{_NEIGHBOURS}"


def agreement(before: Tensor, after: Tensor) -> dict[str, float]:
    """Return each metric of agreement; a single text has no neighbours to compare."""
    found = {COSINE: cosine_similarity(before, after).mean().item()}
    if len(before) > 1:
        found[OVERLAP] = _neighbour_overlap(before, after)
    return found


def _neighbour_overlap(before: Tensor, after: Tensor) -> float:
    count = min(_NEIGHBOURS, len(before) - 1)
    near_before, near_after = _neighbours(before, count), _neighbours(after, count)
    shared = (near_before.unsqueeze(2) == near_after.unsqueeze(1)).any(dim=2)
    return shared.float().mean().item()


def _neighbours(vectors: Tensor, count: int) -> Tensor:
    unit = normalize(vectors)
    return (unit @ unit.T).fill_diagonal_(-2.0).topk(count).indices
