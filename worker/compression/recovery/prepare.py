"""Everything a recovery trains with: documents, objectives, batches and the plan of steps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from worker.compression.corpus import Texts
from worker.compression.evaluation.encoding import longest_input
from worker.compression.progress import Progress
from worker.compression.recovery.budget import Budget, bounded, default_rate, settle
from worker.compression.recovery.distributed.processes import Processes
from worker.compression.recovery.layers import layer_count
from worker.compression.recovery.nature import nature_of
from worker.compression.recovery.objectives.distill import distillation
from worker.compression.recovery.objectives.language import LanguageModelling
from worker.compression.recovery.options import RecoveryOptions
from worker.compression.recovery.schedule import Plan
from worker.compression.recovery.teacher import as_teacher
from worker.compression.recovery.texts.draws import Drawer
from worker.compression.recovery.texts.rounds import Batch, Objective, Rounds, batches_of
from worker.compression.recovery.texts.sample import Documents, sample_documents
from worker.compression.recovery.work import Models, load_of

_FEWEST_HELD_OUT, _TRAINED_PER_HELD_OUT = 16, 40


@dataclass(frozen=True)
class Prepared:
    """What the loop is given; ``documents`` is the number of those trained on."""

    rounds: Rounds
    held_out: list[Batch]
    plan: Plan
    budget: Budget
    rate: float
    documents: int
    names: list[str]


def prepare(  # noqa: PLR0913, PLR0917
    models: Models,
    texts: Texts,
    names: Sequence[str],
    options: RecoveryOptions,
    seed: int,
    processes: Processes,
    progress: Progress,
) -> Prepared:
    """Read the corpus and plan the training.

    Raises:
        CorpusEmptyError: there is no text.

    """
    documents, device = sample_documents(texts, seed, progress), processes.device
    budget = settle(options, on_gpu=device.type == "cuda", documents=len(documents.training))
    length = min(budget.max_length, longest_input(models.base))
    objectives = [_objective(name, models, length, seed, device) for name in names]
    # The parts of documents are for what is compared as a whole.
    drawer = Drawer(documents.training, seed, length, parts="distill" in names)
    budget = bounded(budget, options, load_of(models, objectives, drawer, documents))
    return Prepared(
        Rounds(objectives, drawer, budget.batch_size, budget.steps, processes),
        _held_out(objectives, documents, drawer, budget, processes),
        Plan(budget.steps, budget.seconds),
        budget,
        options.learning_rate or _rate(models, budget),
        len(documents.training),
        list(names),
    )


def _objective(
    name: str, models: Models, max_length: int, seed: int, device: torch.device
) -> Objective:
    if name != "distill":
        return LanguageModelling(name, models.domain_tokenizer, max_length, seed)
    base = models.base
    teacher, pooling = as_teacher(base.model, device), nature_of(base).pooling
    student, tokenizers = models.student, (base.tokenizer, models.domain_tokenizer)
    return distillation(teacher, student, *tokenizers, max_length, pooling)


def _held_out(
    objectives: Sequence[Objective],
    documents: Documents,
    like: Drawer,
    budget: Budget,
    processes: Processes,
) -> list[Batch]:
    """Return what the held-out loss is of: the same texts, with the same noise, each time.

    Few enough that a short run does not spend its time on them.
    """
    few = max(_FEWEST_HELD_OUT, budget.steps * budget.batch_size // _TRAINED_PER_HELD_OUT)
    texts = documents.held_out[:few]
    if not texts:
        return []
    drawn = replace(like, documents=texts).texts(0, len(texts))
    return batches_of(objectives, drawn, processes)


def _rate(models: Models, budget: Budget) -> float:
    student = models.student
    fewer = layer_count(student) < layer_count(models.base.model)
    return default_rate(int(student.config.hidden_size), budget, fewer_layers=fewer)
