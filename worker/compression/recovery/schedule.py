"""How the learning rate goes, and how many steps a time budget is good for."""

import math
from dataclasses import dataclass

_WARM_UP = 0.05
_SEEN = 5
"""Steps after which the speed is known well enough to plan with."""


def learning_rate_factor(step: int, planned: int) -> float:
    """Return the share of the full learning rate for a step, counted from 0.

    It rises evenly over the first 5 % of the steps and then falls to zero along a cosine.
    """
    warm_up = max(1, round(_WARM_UP * planned))
    if step < warm_up:
        return (step + 1) / warm_up
    done = min(1.0, (step - warm_up) / max(1, planned - warm_up))
    return 0.5 * (1 + math.cos(math.pi * done))


@dataclass
class Plan:
    """The steps that were planned, fewer where time runs out: then the rate falls to zero sooner.

    Where there is time enough the plan never depends on the clock.
    """

    steps: int
    seconds: float | None

    def steps_by(self, step: int, spent: float) -> int:
        """Return the total to plan for after ``step`` steps in ``spent`` seconds."""
        if self.seconds is None or step < _SEEN:
            return self.steps
        left = max(0.0, self.seconds - spent)
        return min(self.steps, step + int(left * step / max(spent, 1e-9)))

    def out_of_time(self, spent: float) -> bool:
        """Tell whether the budget is used up."""
        return self.seconds is not None and spent >= self.seconds
