"""The start in closed form, against the textbook's formula."""

from itertools import pairwise

import numpy as np
import torch
from torch.nn.functional import normalize

from worker.compression.static.bags import Bags
from worker.compression.static.closed_form import fit_to_texts, weighted

TOKENS, WIDTH, TEXTS = 12, 5, 30


def drawn() -> tuple[torch.Tensor, Bags, torch.Tensor]:
    """Token vectors, texts of the first ten tokens, and vectors of these."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 7, (TEXTS,), generator=generator)
    ids = torch.randint(0, TOKENS - 2, (int(lengths.sum()),), generator=generator)
    starts = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    table = torch.randn(TOKENS, WIDTH, generator=generator)
    return table, Bags(ids, starts), normalize(torch.randn(TEXTS, WIDTH, generator=generator))


def shares_of(bags: Bags) -> np.ndarray:
    shares = np.zeros((TEXTS, TOKENS))
    for text, (start, end) in enumerate(pairwise(bags.starts)):
        for token in bags.ids[start:end]:
            shares[text, token] += 1 / int(end - start)
    return shares


def test_it_is_ridge_regression_about_the_start() -> None:
    table, bags, vectors = drawn()
    shares, target = shares_of(bags), vectors.double().numpy()
    start = table.double().numpy()
    # The length of the start that is nearest by least squares.
    length, *_ = np.linalg.lstsq((shares @ start).reshape(-1, 1), target.ravel(), rcond=None)
    start = start * length
    ridge = 0.5 * (shares**2).sum(axis=1).mean()
    normal = shares.T @ shares + ridge * np.eye(TOKENS)
    expected = start + np.linalg.solve(normal, shares.T @ (target - shares @ start))
    found = fit_to_texts(table, bags, vectors, ridge=0.5).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # Tokens that no text has keep their directions.
    np.testing.assert_allclose(found[-2:], start[-2:], atol=1e-6)


def test_a_small_ridge_fits_texts_that_can_be_fitted() -> None:
    table, bags, _ = drawn()
    target = torch.from_numpy(shares_of(bags)).float() @ torch.randn(TOKENS, WIDTH)
    fitted = fit_to_texts(table, bags, target, ridge=1e-4)
    assert (bags.all_means(fitted) - target).abs().max() < 0.02


def test_frequent_tokens_count_less() -> None:
    lengths = weighted(torch.ones(3, 1), torch.tensor([0, 1, 999]))[:, 0]
    assert lengths.tolist() == [1.0, 0.5, torch.tensor(1e-3 / (1e-3 + 0.999)).item()]
