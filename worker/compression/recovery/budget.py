"""Bound what a recovery may take on a machine, and plan its training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from app.contract.budgets import QUERY_RATE, Budget, asked_budget, query_steps
from worker.compression.models.vocabulary_tensors import vocabulary_tensors
from worker.compression.recovery.data import CHARACTERS_PER_TOKEN, TextSampler
from worker.compression.recovery.objectives.objective import Loss, Objective
from worker.compression.recovery.options import RecoveryOptions


def resolve_budget(options: RecoveryOptions, *, on_gpu: bool, documents: int) -> Budget:
    """Return the budget that options come to for a corpus of so many documents."""
    return asked_budget(
        options,
        on_gpu=on_gpu,
        documents=documents,
        most_minutes=options.most_minutes,
        share=options.share,
    )


def count_useful_texts(objectives: Sequence[Objective], sampler: TextSampler) -> float:
    """Return how many texts may be drawn; a long document counts several times.

    General texts among them are drawn from beside the documents.
    """
    documents = sampler.documents
    mean_characters = sum(map(len, documents)) / len(documents)
    texts_per_document = mean_characters / (sampler.max_length * CHARACTERS_PER_TOKEN)
    passes = max(objective.passes for objective in objectives)
    of_documents = passes * len(documents) * max(1.0, texts_per_document)
    return of_documents / (1 - sampler.general_share)


_LONG = 400_000
"""Texts of a training that is long: decisions 0028 and 0029."""


def is_long(
    budget: Budget, objectives: Sequence[Objective], sampler: TextSampler, *, on_gpu: bool
) -> bool:
    """Tell whether a training has time for more than coming near the base.

    In a shorter one, what else it is asked for costs more than it brings. On a CPU the time ends a
    training long before its planned texts are read.
    """
    planned = min(count_useful_texts(objectives, sampler), budget.steps * budget.batch_size)
    return on_gpu and planned >= _LONG


_PROBED_TEXTS = 256
_FORWARD_FLOPS = 2.0
"""For a token and a weight (Kaplan et al. 2020)."""


def estimate_flops_per_text(
    objectives: Sequence[Objective],
    losses: Sequence[Loss],
    sampler: TextSampler,
    teacher: PreTrainedModel,
    student: PreTrainedModel,
) -> float:
    """Return the floating-point operations a text takes, estimated from some of the texts."""
    texts = sampler.texts(0, min(_PROBED_TEXTS, len(sampler.documents)))
    flops = 0.0
    for objective, loss in zip(objectives, losses, strict=True):
        tokens = sum(example.tokens for example in loss.examples(texts, 0) if example)
        weights = _weights_per_token(student, with_table=objective.multiplies_table)
        per_token = objective.flops_per_weight * weights
        if objective.needs_teacher:
            per_token += _FORWARD_FLOPS * _weights_per_token(teacher, with_table=False)
        flops += tokens / len(texts) * per_token
    return max(flops, 1.0)


def _weights_per_token(model: PreTrainedModel, *, with_table: bool) -> int:
    """Return the weights that a token is multiplied by; of the embedding matrix with a head."""
    table = max(t.numel() for t in vocabulary_tensors(model).input_tables)
    weights = sum(parameter.numel() for parameter in model.parameters())
    return max(1, weights if with_table else weights - table)


_FULL_RATE, _FULL_WIDTH, _FULL_TEXTS = 5e-4, 384, 3500 * 128


def default_learning_rate(width: int, budget: Budget, *, fewer_layers: bool) -> float:
    """Return the learning rate for a model of that hidden size and a budget.

    5e-4 is MiniLM's for 3,500 steps of 128 texts. A wider model gets less, and so does a shorter
    run, by the fourth root of its texts: at 50 steps of 16, both 2e-4 and 5e-5 end worse than 1e-4.
    A model that lost layers has further to go: twice as much, and by the eighth root
    (docs/decisions/0004-recovery.md).
    """
    shortness = min(1.0, budget.steps * budget.batch_size / _FULL_TEXTS)
    factor = 2 * shortness ** (1 / 8) if fewer_layers else shortness ** (1 / 4)
    return float(_FULL_RATE * min(1.0, _FULL_WIDTH / width) * factor)


_QUERY_PASSES = 100
"""Draws of each query that a few queries are good for."""


def count_query_steps(options: RecoveryOptions, budget: Budget, queries: int) -> int:
    """Return how many of the steps train on so many queries; few are not repeated without end."""
    useful = math.ceil(_QUERY_PASSES * queries / budget.batch_size)
    return min(query_steps(budget.steps, options.query_share), useful)


_STEPS_TO_KNOW_SPEED = 5
_FEWEST_FOUR_BIT_STEPS = 300


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Hold all that training is given beside model and batches.

    ``seconds`` is a limit of time, None for no limit, which the user set where ``seconds_asked``.
    ``documents`` are trained on, and general texts, ``general_share`` of all. The first
    ``embedding_steps`` train the vocabulary alone; ``dropout`` trains with the dropout of the
    model's config. The last ``query_steps`` train on queries, with ``query_rate`` of the rate; the
    last ``four_bit_steps`` with weights that are rounded to four bits.
    """

    steps: int
    batch_size: int
    max_length: int
    seconds: float | None
    seconds_asked: bool
    documents: int
    general_share: float = 0.0
    learning_rate: float
    embedding_steps: int
    dropout: bool
    seed: int
    query_steps: int = 0
    query_rate: float = QUERY_RATE
    four_bit_steps: int = 0

    @property
    def document_steps(self) -> int:
        """Return the steps before those on queries."""
        return self.steps - self.query_steps

    def queries_from(self, planned_steps: int) -> int:
        """Return the step that queries begin with, where so many steps in all are planned.

        Where time runs out, documents and queries lose the same share.
        """
        return planned_steps - round(self.query_steps * planned_steps / self.steps)

    def four_bits_from(self, planned_steps: int) -> int:
        """Return the step from which weights are rounded, likewise; few steps have half of them."""
        if not self.four_bit_steps:
            return planned_steps
        share = round(self.four_bit_steps * planned_steps / self.steps)
        return planned_steps - max(share, min(_FEWEST_FOUR_BIT_STEPS, planned_steps // 2))

    def rate(self, step: int, planned_steps: int, query_start: int | None) -> float:
        """Return the learning rate of a step; ``query_start`` is None before the queries."""
        if query_start is None:
            factor = learning_rate_factor(step, self.queries_from(planned_steps))
            return factor * self.learning_rate
        factor = learning_rate_factor(step - query_start, planned_steps - query_start)
        return factor * self.query_rate * self.learning_rate

    def steps_by(self, step: int, spent: float) -> int:
        """Return the total steps to plan for after ``step`` steps in ``spent`` seconds.

        Where time runs out they are fewer, so that the rate falls to zero before. Where there is
        time enough they never depend on the clock.
        """
        if self.seconds is None or not step:
            return self.steps
        left = max(0.0, self.seconds - spent)
        more = int(left * step / max(spent, 1e-9))
        if step < _STEPS_TO_KNOW_SPEED:
            if spent < left:
                return self.steps
            # Half of the time has gone: what comes last must have its step.
            more = max(1, more)
        return min(self.steps, step + more)

    def out_of_time(self, spent: float) -> bool:
        """Tell whether the time is used up."""
        return self.seconds is not None and spent >= self.seconds


_WARM_UP = 0.05


def learning_rate_factor(step: int, planned_steps: int) -> float:
    """Return the share of the full learning rate for a step, counted from 0.

    It rises evenly over the first 5 % of the steps and then falls to zero along a cosine.
    """
    warm_up = max(1, round(_WARM_UP * planned_steps))
    if step < warm_up:
        return (step + 1) / warm_up
    done = min(1.0, (step - warm_up) / max(1, planned_steps - warm_up))
    return 0.5 * (1 + math.cos(math.pi * done))
