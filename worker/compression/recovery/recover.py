"""Recover what a transferred model lost: from the corpus, without labels."""

import copy
import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace

import torch
from accelerate import Accelerator
from torch.nn import Module
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from app.contract.report import Recovery
from worker.compression.corpus import Texts
from worker.compression.errors import RecoveryTooShortError, RecoveryUnsupportedError, within_memory
from worker.compression.models.encoder import Pooling, longest_input, pooling_of
from worker.compression.models.layers import drop_layers, layer_count
from worker.compression.models.loading import LoadedModel
from worker.compression.models.vocabulary_tensors import output_embeddings
from worker.compression.progress import Progress, part
from worker.compression.recovery.batching import Batch, BatchLoader, Objective, batches_of
from worker.compression.recovery.budget import (
    Budget,
    Models,
    Plan,
    bounded,
    default_rate,
    load_of,
    settle,
)
from worker.compression.recovery.data import Documents, TextSampler, sample_documents
from worker.compression.recovery.objectives.distill import distillation
from worker.compression.recovery.objectives.language_modeling import LanguageModelling
from worker.compression.recovery.options import RecoveryCallbacks, RecoveryOptions
from worker.compression.recovery.ranks import Ranks
from worker.compression.recovery.trainer import Checkpoint, Course, Learner, Loop

OBJECTIVES = ("mlm", "clm", "denoise", "distill")


@dataclass(frozen=True)
class ModelTraits:
    """Whether a model is a sentence encoder, and what its head predicts."""

    sentence_encoder: bool
    predicts_masked: bool
    predicts_next: bool
    restores_text: bool
    pooling: Pooling


def model_traits(base: LoadedModel) -> ModelTraits:
    """Tell from the model's head and its folder's files what it is."""
    model = base.model
    generates = bool(model.can_generate())
    seq2seq = bool(getattr(model.config, "is_encoder_decoder", False))
    has_mask = base.tokenizer.mask_token_id is not None
    return ModelTraits(
        sentence_encoder=(base.folder / "modules.json").is_file(),
        predicts_masked=has_mask and not generates and bool(output_embeddings(model)),
        predicts_next=generates and not seq2seq,
        restores_text=generates and seq2seq,
        pooling=pooling_of(base.folder, model),
    )


def choose_objective(
    asked: str, traits: ModelTraits, *, fewer_layers: bool = False
) -> tuple[list[str], str]:
    """Return the objectives to train and the reason, for people.

    With ``fewer_layers`` there is more to learn from the base than its vocabulary.

    Raises:
        RecoveryUnsupportedError: the model cannot be trained as asked.

    """
    if asked == "auto":
        return _automatic(traits, fewer_layers)
    names = [] if asked == "none" else asked.split("+")
    for name in names:
        _check(name, traits)
    return names, "asked for"


def _automatic(traits: ModelTraits, fewer_layers: bool) -> tuple[list[str], str]:
    if traits.sentence_encoder:
        return ["distill"], "a sentence encoder: its vectors are what it is used for"
    if traits.predicts_masked:
        reason = "an encoder with a masked-language-model head"
        if fewer_layers:
            return ["mlm", "distill"], f"{reason}, and layers to win back"
        return ["mlm"], reason
    if traits.predicts_next:
        return ["clm"], "a decoder with its language-model head"
    if traits.restores_text:
        return ["denoise"], "an encoder-decoder with its head"
    return ["distill"], "no language-model head: its hidden states are what is used"


def _check(name: str, traits: ModelTraits) -> None:
    faults = {
        "mlm": (traits.predicts_masked, "no mask token or no masked-language-model head"),
        "clm": (traits.predicts_next, "not a decoder with its language-model head"),
        "denoise": (traits.restores_text, "not an encoder-decoder with its head"),
        "distill": (True, ""),
    }
    if name not in faults:
        raise RecoveryUnsupportedError(
            f"recovery.objective {name!r} is unknown: use one of {', '.join(OBJECTIVES)}."
        )
    possible, fault = faults[name]
    if not possible:
        raise RecoveryUnsupportedError(
            f"recovery.objective {name!r} cannot train this model, which has {fault}: use `auto`."
            if fault.startswith("no ")
            else f"recovery.objective {name!r} cannot train this model, which is {fault}: use "
            "`auto`."
        )


def as_teacher(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    """Return a float32 model on a device, in evaluation mode; a copy unless it is one already."""
    if model.device.type == device.type and model.dtype == torch.float32 and not model.training:
        return model
    copied: PreTrainedModel = copy.deepcopy(model)
    torch.nn.Module.to(copied, device, torch.float32)
    copied.train(mode=False)
    return copied


_FEWEST_HELD_OUT, _TRAINED_PER_HELD_OUT = 16, 40


@dataclass(frozen=True)
class Prepared:
    """What the loop is given; ``documents`` is the number of those trained on."""

    rounds: BatchLoader
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
    ranks: Ranks,
    progress: Progress,
) -> Prepared:
    """Read the corpus and plan the training.

    Raises:
        CorpusEmptyError: there is no text.

    """
    documents, device = sample_documents(texts, seed, progress), ranks.device
    budget = settle(options, on_gpu=device.type == "cuda", documents=len(documents.training))
    length = min(budget.max_length, longest_input(models.base))
    objectives = [_objective(name, models, length, seed, device) for name in names]
    # The parts of documents are for what is compared as a whole.
    sampler = TextSampler(documents.training, seed, length, parts="distill" in names)
    budget = bounded(budget, options, load_of(models, objectives, sampler, documents))
    return Prepared(
        BatchLoader(objectives, sampler, budget.batch_size, budget.steps, ranks),
        _held_out(objectives, documents, sampler, budget, ranks),
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
    teacher, pooling = as_teacher(base.model, device), model_traits(base).pooling
    student, tokenizers = models.student, (base.tokenizer, models.domain_tokenizer)
    return distillation(teacher, student, *tokenizers, max_length, pooling)


def _held_out(
    objectives: Sequence[Objective],
    documents: Documents,
    like: TextSampler,
    budget: Budget,
    ranks: Ranks,
) -> list[Batch]:
    """Return what the held-out loss is of: the same texts, with the same noise, each time.

    Few enough that a short run does not spend its time on them.
    """
    few = max(_FEWEST_HELD_OUT, budget.steps * budget.batch_size // _TRAINED_PER_HELD_OUT)
    texts = documents.held_out[:few]
    if not texts:
        return []
    drawn = replace(like, documents=texts).texts(0, len(texts))
    return batches_of(objectives, drawn, ranks)


def _rate(models: Models, budget: Budget) -> float:
    student = models.student
    fewer = layer_count(student) < layer_count(models.base.model)
    return default_rate(int(student.config.hidden_size), budget, fewer_layers=fewer)


def summarize(asked: Recovery, loop: Loop, made: Prepared) -> Recovery:
    """Return the figures of a loop that has ended.

    Raises:
        RecoveryTooShortError: there was no time for a step, and its limit was asked for.

    """
    state, budget = loop.state, made.budget
    known = asked.model_dump() | {
        "loss": state.curve,
        "warning": _warning(loop, budget),
        "steps": state.step,
        "planned_steps": made.plan.steps,
        "kept_step": loop.best.step,
        "epochs": round(state.step * budget.batch_size / made.documents, 2),
        "batch_size": budget.batch_size,
        "learning_rate": made.rate,
        "seconds": round(state.seconds, 2),
        "tokens": state.tokens,
        "tokens_per_second": round(state.tokens / max(state.seconds, 1e-9), 1),
        "device": loop.learner.accelerator.device.type,
        "processes": loop.learner.ranks.count,
        "stopped_by": loop.stopped_by,
    }
    return Recovery(**known)


def _warning(loop: Loop, budget: Budget) -> str | None:
    state = loop.state
    if loop.stopped_by == "non_finite_loss":
        return f"the loss was not a number after {state.step} steps: lower the learning rate"
    if state.step or loop.stopped_by != "max_minutes":
        return None
    if budget.seconds_asked:
        raise RecoveryTooShortError(
            f"recovery.max_minutes is too short for one step, which took {state.seconds:.0f} "
            "seconds: give more, a smaller batch_size, or `none` as the objective."
        )
    return "there was no time for a single step: recovery needs more minutes"


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
    watch: RecoveryCallbacks = RecoveryCallbacks(),  # noqa: B008
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
    names, reason = choose_objective(options.objective, model_traits(base), fewer_layers=fewer)
    if options.keep_layers is not None:
        student = drop_layers(student, options.keep_layers)
    asked = Recovery(
        objective=options.objective,
        used="+".join(names) or "none",
        reason=reason,
        preset=options.preset,
        keep_layers=options.keep_layers,
    )
    if not names:
        return Recovered(student, asked)
    dtype, accelerator = student.dtype, Accelerator(cpu=cpu, mixed_precision=_precision(cpu))
    Module.to(student, torch.float32)
    models = Models(base, student, domain_tokenizer)
    reading = part(watch.progress, 0, _READING)
    made = prepare(models, texts, names, options, seed, Ranks(accelerator), reading)
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
    models: Models, made: Prepared, options: RecoveryOptions, seed: int, watch: RecoveryCallbacks
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
