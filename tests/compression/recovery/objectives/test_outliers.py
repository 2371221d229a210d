"""The cost of outliers, against numbers computed by hand, and what it teaches a student."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.compression.recovery.test_recover import TINY, Case
from worker.compression.recovery import recover as recover_module
from worker.compression.recovery.objectives import distill
from worker.compression.recovery.objectives.outliers import Outliers, watch_outliers


def row(largest: float, width: int = 400) -> Tensor:
    """Return numbers of 1 or -1 but for one."""
    numbers = torch.ones(width)
    numbers[::2] = -1
    numbers[7] = largest
    return numbers


def cost(largest: float, width: int = 400) -> float:
    """Return by hand what a token with such a row costs."""
    root_mean_square = ((width - 1 + largest**2) / width) ** 0.5
    excess = max(0.0, abs(largest) / root_mean_square - 8)
    return float(0.5 * excess**2 if excess <= 20 else 20 * (excess - 10))


def test_a_number_costs_what_it_is_beyond_eight_root_mean_squares_of_its_token() -> None:
    inputs = torch.stack([torch.stack([row(1), row(-30)]), torch.stack([row(12), row(50)])])
    found = Outliers(torch.ones(2, 2))
    found.add(inputs)
    expected = [(cost(1) + cost(-30)) / 2, (cost(12) + cost(50)) / 2]
    assert found.costs.tolist() == pytest.approx(expected, rel=1e-5)
    assert expected[0] > 0.5


def test_a_huge_number_pulls_no_more_than_one_that_is_twenty_beyond() -> None:
    pulls = []
    for largest in (400.0, 4000.0):
        inputs = row(largest, 4_000_000).reshape(1, 1, -1).requires_grad_()
        found = Outliers(torch.ones(1, 1))
        found.add(inputs)
        found.costs.sum().backward()  # type: ignore[no-untyped-call]
        assert inputs.grad is not None
        size = float(inputs.detach().square().mean().sqrt())
        pulls.append(float(inputs.grad.abs().max()) * size)
    assert pulls == pytest.approx([20.0, 20.0], rel=1e-4)


def test_padding_costs_nothing_and_other_shapes_are_left_out() -> None:
    inputs = torch.stack([torch.stack([row(30), row(60)])])
    found = Outliers(torch.tensor([[1, 0]]))
    found.add(inputs)
    found.add(inputs)  # Read by another matrix, it counts once.
    found.add(torch.full((5, 400), 9.0))
    assert found.costs.tolist() == pytest.approx([cost(30)], rel=1e-5)


def test_all_matrices_are_watched_in_the_block_alone() -> None:
    model: Any = nn.Sequential(nn.Linear(400, 400, bias=False), nn.Linear(400, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(400) * 2)
    inputs = row(30).reshape(1, 1, -1)
    with watch_outliers(model, torch.ones(1, 1)) as found:
        model(inputs)
    # A row that is all twice as large has the same outliers.
    assert found.costs.tolist() == pytest.approx([2 * cost(30)], rel=1e-5)
    model(inputs)
    assert found.costs.tolist() == pytest.approx([2 * cost(30)], rel=1e-5)


@pytest.mark.parametrize(
    ("share", "trains_long", "watched"),
    [(0.0, True, False), (0.25, True, True), (0.25, False, False)],
)
def test_they_cost_something_where_a_file_in_four_bits_is_made_in_a_long_training(
    share: float, trains_long: bool, watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[bool]()

    def watch(*arguments: Any) -> Any:
        seen.append(torch.is_grad_enabled())
        return watch_outliers(*arguments)

    monkeypatch.setattr(distill, "watch_outliers", watch)
    monkeypatch.setattr(recover_module, "is_long", lambda *_, **__: trains_long)
    Case().run(replace(TINY, max_steps=4, four_bit_share=share, objective="distill"))
    # Each of the four steps, and never the held-out loss.
    assert seen == [True] * 4 * watched
