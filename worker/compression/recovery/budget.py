"""What a recovery may take on a machine, and how fast it learns there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.models.loading import LoadedModel
from worker.compression.models.vocabulary_tensors import vocabulary_tensors
from worker.compression.recovery.batching import Objective
from worker.compression.recovery.data import CHARACTERS_PER_TOKEN, Documents, TextSampler
from worker.compression.recovery.options import Preset, RecoveryOptions


@dataclass(frozen=True)
class Budget:
    """What a recovery may take: whichever ends first. ``work`` is in floating-point operations.

    ``work`` bounds a CPU by what it computes and not by the clock, so that a seed gives the same
    weights twice; ``seconds`` is far enough away to be reached by a slow machine only.
    """

    steps: int
    batch_size: int
    max_length: int
    seconds: float | None
    work: float | None = None
    seconds_asked: bool = False


_GPU: dict[Preset, Budget] = {
    "fast": Budget(800, 128, 256, 5 * 60),
    "balanced": Budget(3500, 128, 256, 20 * 60),
    "max": Budget(8000, 128, 256, 2 * 3600),
}
_CPU: dict[Preset, Budget] = {
    "fast": Budget(800, 16, 128, 2 * 60, 2.5e12),
    "balanced": Budget(3500, 16, 128, 5 * 60, 1e13),
    "max": Budget(8000, 32, 256, 2 * 3600, 2e14),
}


def settle(options: RecoveryOptions, *, on_gpu: bool, documents: int) -> Budget:
    """Return what the options come to for a corpus.

    A preset's own limits hold only where the user set none: with ``epochs`` or ``max_steps`` there
    is no limit of time unless ``max_minutes`` sets one, and with ``max_minutes`` alone the time may
    be used up.
    """
    preset = (_GPU if on_gpu else _CPU)[options.preset]
    budget = replace(
        preset,
        batch_size=options.batch_size or preset.batch_size,
        max_length=options.max_length or preset.max_length,
    )
    asked = [
        steps for steps in (options.max_steps, _epoch_steps(options, budget, documents)) if steps
    ]
    if asked:
        budget = replace(budget, steps=min(asked), seconds=None, work=None)
    if options.max_minutes is not None:
        seconds = options.max_minutes * 60
        budget = replace(budget, seconds=seconds, work=None, seconds_asked=True)
    if options.most_minutes is not None:
        most = options.most_minutes * 60
        budget = replace(budget, seconds=min(budget.seconds or most, most))
    return budget


def _epoch_steps(options: RecoveryOptions, budget: Budget, documents: int) -> int | None:
    """Return the steps of so many passes, of which each draws one text of every document."""
    if options.epochs is None:
        return None
    return max(1, ceil(options.epochs * documents / budget.batch_size))


_RATE, _WIDTH, _TEXTS = 5e-4, 384, 3500 * 128
_PASSES = {True: 500, False: 30}
"""Most draws of a document by default: of its parts when distilling, of its text else."""


def default_rate(width: int, budget: Budget, *, fewer_layers: bool) -> float:
    """Return the learning rate of a model so wide for a budget.

    5e-4 is MiniLM's for 3,500 steps of 128 texts. A wider model gets less, and so does a shorter
    run, by the fourth root of its texts: at 50 steps of 16, both 2e-4 and 5e-5 end worse than 1e-4.
    A model that lost layers has further to go: twice as much, and by the eighth root
    (docs/decisions/0004).
    """
    short = min(1.0, budget.steps * budget.batch_size / _TEXTS)
    share = 2 * short ** (1 / 8) if fewer_layers else short ** (1 / 4)
    return float(_RATE * min(1.0, _WIDTH / width) * share)


@dataclass(frozen=True)
class Load:
    """What the corpus and the models make of a step."""

    documents: int
    texts_per_document: float
    work_per_text: float
    """In floating-point operations, of student and teacher."""
    draws_parts: bool


def bounded(budget: Budget, options: RecoveryOptions, load: Load) -> Budget:
    """Bound the steps a preset plans by what a small corpus and a CPU are good for."""
    if options.epochs is not None or options.max_steps is not None:
        return budget
    texts = _PASSES[load.draws_parts] * load.documents * max(1.0, load.texts_per_document)
    steps = min(budget.steps, ceil(texts / budget.batch_size))
    if budget.work is not None:
        steps = min(steps, int(budget.work / (load.work_per_text * budget.batch_size)))
    return replace(budget, steps=max(1, steps))


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


_PROBED = 256
"""Texts from which the tokens of a step are told."""


@dataclass(frozen=True)
class Models:
    """Teacher and student with their tokenizers."""

    base: LoadedModel
    student: PreTrainedModel
    domain_tokenizer: PreTrainedTokenizerBase


def load_of(
    models: Models, objectives: Sequence[Objective], sampler: TextSampler, documents: Documents
) -> Load:
    """Return the load of a step, told from some of the texts."""
    texts = sampler.texts(0, min(_PROBED, len(documents.training)))
    characters = sum(map(len, documents.training)) / len(documents.training)
    work = 0.0
    for objective in objectives:
        tokens = sum(example.tokens for example in objective.examples(texts, 0) if example)
        work += tokens / len(texts) * _work_per_token(models, objective.name)
    return Load(
        len(documents.training),
        characters / (sampler.max_length * CHARACTERS_PER_TOKEN),
        max(work, 1.0),
        sampler.parts,
    )


def _work_per_token(models: Models, name: str) -> float:
    """Return floating-point operations: 2 a weight forward, 4 backward (Kaplan et al. 2020)."""
    work = 6.0 * _weights(models.student, with_tables=name != "distill")
    return work + (2.0 * _weights(models.base.model, False) if name == "distill" else 0.0)


def _weights(model: PreTrainedModel, with_tables: bool) -> int:
    """Return the weights that a token meets: a table only where a head multiplies by it."""
    table = max(t.numel() for t in vocabulary_tensors(model).input_tables)
    everything = sum(parameter.numel() for parameter in model.parameters())
    return max(1, everything if with_tables else everything - table)
