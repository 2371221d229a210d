"""Recover what a transferred model lost: from the corpus, without labels."""

import hashlib
import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass

import torch
from accelerate import Accelerator
from torch.nn import Module
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from worker.compression.corpus import Texts
from worker.compression.loading import LoadedModel
from worker.compression.out_of_memory import within_memory
from worker.compression.progress import part
from worker.compression.recovery.budget import Budget
from worker.compression.recovery.course import Checkpoint, Course
from worker.compression.recovery.distributed.processes import Processes
from worker.compression.recovery.layers import drop_layers
from worker.compression.recovery.learner import Learner
from worker.compression.recovery.loop import Loop
from worker.compression.recovery.nature import choose_objective, nature_of
from worker.compression.recovery.options import RecoveryOptions
from worker.compression.recovery.outcome import Recovery
from worker.compression.recovery.prepare import Prepared, prepare
from worker.compression.recovery.summary import summarize
from worker.compression.recovery.watch import Watch
from worker.compression.recovery.work import Models

_READING = 0.03
"""Share of the progress that reading the corpus takes."""
_ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""All but cuDNN's, which plans each shape anew, and here most batches have another."""


@dataclass(frozen=True)
class Recovered:
    """The model to keep, in evaluation mode and the dtype it had, and how it came about."""

    model: PreTrainedModel
    summary: Recovery


def recover(  # noqa: PLR0913, PLR0917
    base: LoadedModel,
    student: PreTrainedModel,
    domain_tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    options: RecoveryOptions = RecoveryOptions(),  # noqa: B008
    seed: int = 0,
    watch: Watch = Watch(),  # noqa: B008
    *,
    cpu: bool = False,
) -> Recovered:
    """Train a transferred model on texts that the evaluation does not see.

    ``student`` is what ``transfer_vocabulary`` made of ``base``; it is changed, ``base`` is not.
    With ``keep_layers`` its layers are dropped first, and won back by the same training.
    ``watch.progress`` is called at every step, so an exception raised from it stops at once. On a
    CPU the same arguments give the same weights, as long as the clock does not end it. It trains on
    the GPU where there is one, unless ``cpu`` is set; all recoveries of a process have one device.

    Raises:
        RecoveryUnsupportedError: the model cannot be trained as asked.
        TooManyLayersError: the model has fewer layers than are to be kept.
        RecoveryTooShortError: ``max_minutes`` is too short for a single step.
        CorpusEmptyError: there is no text.
        OutOfMemoryError: a step does not fit in memory.

    """
    fewer = options.keep_layers is not None
    names, reason = choose_objective(options.objective, nature_of(base), fewer_layers=fewer)
    if options.keep_layers is not None:
        student = drop_layers(student, options.keep_layers)
    asked = Recovery(
        options.objective,
        "+".join(names) or "none",
        reason,
        options.preset,
        keep_layers=options.keep_layers,
    )
    if not names:
        return Recovered(student, asked)
    dtype, accelerator = student.dtype, Accelerator(cpu=cpu, mixed_precision=_precision(cpu))
    Module.to(student, torch.float32)
    models = Models(base, student, domain_tokenizer)
    reading = part(watch.progress, 0, _READING)
    made = prepare(models, texts, names, options, seed, Processes(accelerator), reading)
    learner = _learner(student, accelerator, made, options, seed)
    loop = Loop(learner, _course(models, made, options, seed, watch))
    with sdpa_kernel(_ATTENTION), _within_memory(learner, made.budget):
        loop.run()
    Module.to(student, "cpu", dtype)
    return Recovered(student, summarize(asked, loop, made))


def _within_memory(learner: Learner, budget: Budget) -> AbstractContextManager[None]:
    return within_memory(
        f"Recovery in steps of {budget.batch_size:,} texts of up to {budget.max_length:,} tokens, "
        f"of which it takes up to {learner.positions:,} at once,",
        "a recovery.batch_size and a recovery.max_length whose product is well below that, or "
        "`none` as the objective",
    )


def _precision(cpu: bool) -> str:
    if cpu or not torch.cuda.is_available():
        return "no"
    return "bf16" if torch.cuda.is_bf16_supported() else "no"


def _learner(
    student: PreTrainedModel,
    accelerator: Accelerator,
    made: Prepared,
    options: RecoveryOptions,
    seed: int,
) -> Learner:
    # Noise in the student alone is noise in what it is compared with.
    dropout = "distill" not in made.names
    return Learner(student, accelerator, made.rate, options.embedding_steps, dropout, seed)


def _course(
    models: Models, made: Prepared, options: RecoveryOptions, seed: int, watch: Watch
) -> Course:
    checkpoint = None
    if watch.file:
        run = _name_of_run(models, made, options, seed)
        checkpoint = Checkpoint(watch.file, run, watch.every_seconds, watch.saved)
    return Course(
        rounds=made.rounds,
        held_out=made.held_out,
        plan=made.plan,
        progress=part(watch.progress, _READING, 1),
        on_point=watch.on_point,
        checkpoint=checkpoint,
    )


def _name_of_run(models: Models, made: Prepared, options: RecoveryOptions, seed: int) -> str:
    """Return what tells a run from others: what was asked, the vocabulary, the plan."""
    vocabulary = sorted(models.domain_tokenizer.get_vocab().items())
    known = [asdict(options), made.names, seed, made.plan.steps, made.documents, vocabulary]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
