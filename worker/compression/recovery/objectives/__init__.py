"""Register the objectives of recovery by name.

A new one is a file here that ends with its `Objective`, and its name in the tuple below. Where
several are trained together, they are in this order.
"""

from worker.compression.recovery.objectives.causal_lm import CAUSAL_LM
from worker.compression.recovery.objectives.denoising import DENOISING
from worker.compression.recovery.objectives.distill import DISTILL
from worker.compression.recovery.objectives.distill_scores import DISTILL_SCORES
from worker.compression.recovery.objectives.masked_lm import MASKED_LM
from worker.compression.recovery.objectives.objective import Objective

OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (MASKED_LM, CAUSAL_LM, DENOISING, DISTILL, DISTILL_SCORES)
}


def register_objective(objective: Objective) -> None:
    """Add the objective of an extension; raises ValueError where the name is taken."""
    if OBJECTIVES.setdefault(objective.name, objective) is not objective:
        raise ValueError(f"the name {objective.name!r} is taken")


__all__ = ["OBJECTIVES", "register_objective"]
