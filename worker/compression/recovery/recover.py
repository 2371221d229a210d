"""Recover what a transferred model lost: train it on the corpus, without labels."""

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

from app.contract.budgets import Budget, limit_steps
from app.contract.report import Recovery
from worker.compression.corpus import Texts
from worker.compression.errors import RecoveryTooShortError, RecoveryUnsupportedError, within_memory
from worker.compression.models.layers import drop_layers, layer_count
from worker.compression.models.loading import LoadedModel
from worker.compression.models.reading import longest_input, text_reader
from worker.compression.models.traits import ModelTraits, model_traits
from worker.compression.progress import part
from worker.compression.recovery.batching import Batch, BatchLoader, batches_of
from worker.compression.recovery.budget import (
    TrainingPlan,
    count_query_steps,
    count_useful_texts,
    default_learning_rate,
    estimate_flops_per_text,
    is_long,
    resolve_budget,
)
from worker.compression.recovery.data import (
    SAMPLING_SHARE,
    TextSampler,
    sample_documents,
    sample_general,
)
from worker.compression.recovery.objectives import OBJECTIVES
from worker.compression.recovery.objectives.objective import Loss, Objective, ObjectiveContext
from worker.compression.recovery.objectives.similarity import choose_references
from worker.compression.recovery.options import RecoveryCallbacks, RecoveryOptions
from worker.compression.recovery.queries import Queries, choose_queries, unless_unused
from worker.compression.recovery.ranks import Ranks
from worker.compression.recovery.trainer import QueryPhase, Trainer

_MIN_HELD_OUT, _TRAINED_PER_HELD_OUT = 16, 40
_ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""All but cuDNN's, which plans each shape anew, and here most batches have another."""


@dataclass(frozen=True)
class Recovered:
    """Hold the trained model, in evaluation mode and the dtype it had, and how training went."""

    model: PreTrainedModel
    summary: Recovery


def recover(  # noqa: PLR0913, PLR0917
    base: LoadedModel,
    student: PreTrainedModel,
    domain_tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    options: RecoveryOptions = RecoveryOptions(),  # noqa: B008
    seed: int = 0,
    callbacks: RecoveryCallbacks = RecoveryCallbacks(),  # noqa: B008
    *,
    cpu: bool = False,
    general: Texts | None = None,
    queries: Texts | None = None,
) -> Recovered:
    """Train a transferred model on texts that the evaluation does not see.

    ``student`` is what ``transfer_vocabulary`` made of ``base``; it is changed, ``base`` is not.
    With ``keep_layers`` its layers are dropped first, and won back by the same training.
    ``callbacks.progress`` is called at every step, so an exception raised from it stops at once. On
    a CPU the same arguments give the same weights, as long as the clock does not end it. It trains
    on the GPU where there is one, unless ``cpu`` is set; all recoveries of a process have one
    device. ``general`` is text of no domain: a share of the training, never of the held-out loss.
    The last steps of a sentence encoder train on ``queries``, or where none are given on some made
    of the documents (``options.pseudo_queries``).

    Raises:
        RecoveryUnsupportedError: the model cannot be trained as asked.
        TooManyLayersError: the model has fewer layers than are to be kept.
        RecoveryTooShortError: ``max_minutes`` is too short for a single step.
        CorpusEmptyError: there is no text.
        OutOfMemoryError: a step does not fit in memory.

    """
    traits, fewer_layers = model_traits(base), options.keep_layers is not None
    objectives, reason = choose_objectives(options.objective, traits, fewer_layers=fewer_layers)
    if options.keep_layers is not None:
        student = drop_layers(student, options.keep_layers)
    summary = Recovery(
        objective=options.objective,
        used="+".join(objective.name for objective in objectives) or "none",
        reason=reason,
        preset=options.preset,
        keep_layers=options.keep_layers,
    )
    if not objectives:
        return Recovered(student, summary)

    bf16 = not cpu and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    accelerator = Accelerator(cpu=cpu, mixed_precision="bf16" if bf16 else "no")
    ranks, dtype = Ranks(accelerator), student.dtype
    sampling = part(callbacks.progress, 0, SAMPLING_SHARE)
    reader = text_reader(base)
    documents = sample_documents(lambda: reader.cut_all(texts()), seed, sampling)
    share = options.general_share if general else 0.0
    general_texts = list[str]()
    if general and share:
        sampled = part(callbacks.progress, SAMPLING_SHARE, SAMPLING_SHARE)
        general_texts = sample_general(
            lambda: reader.cut_all(general()), seed, sampled, documents.held_out
        )
    share = share if general_texts else 0.0

    on_gpu = ranks.device.type == "cuda"
    # A pass over the documents takes more texts where some are general.
    texts_a_pass = round(len(documents.training) / (1 - share))
    budget = resolve_budget(options, on_gpu=on_gpu, documents=texts_a_pass)
    Module.to(student, torch.float32)
    max_length = min(budget.max_length, longest_input(base))
    sampler = TextSampler(
        documents.training,
        seed,
        max_length,
        any(objective.draws_parts for objective in objectives),
        reader.prompt if traits.is_sentence_encoder else "",
        general_texts,
        share,
    )
    trains_long = is_long(budget, objectives, sampler, on_gpu=on_gpu)
    references = list[str]()
    if traits.is_sentence_encoder and trains_long:
        chosen = choose_references(documents.training, seed)
        references = [sampler.prompt + text for text in chosen]
    context = ObjectiveContext(
        base=base,
        student=student,
        domain_tokenizer=domain_tokenizer,
        max_length=max_length,
        pooling=traits.pooling,
        seed=seed,
        device=ranks.device,
        references=references,
        limits_outliers=trains_long and options.four_bit_share > 0,
    )
    losses = [objective.build(context) for objective in objectives]
    choosing = part(callbacks.progress, SAMPLING_SHARE, SAMPLING_SHARE)
    asked_queries = choose_queries(
        options, traits, objectives, reader, documents, queries, seed, choosing
    )
    plan = plan_training(
        budget, options, objectives, losses, sampler, context, len(asked_queries.training)
    )
    asked_queries = unless_unused(asked_queries, plan.steps, plan.query_steps)
    trainer = Trainer(
        student,
        BatchLoader(losses, sampler, plan.batch_size, plan.document_steps, ranks),
        _held_out_batches(documents.held_out, sampler, losses, plan, ranks),
        plan,
        replace(callbacks, progress=part(callbacks.progress, SAMPLING_SHARE, 1)),
        _run_id(options, summary, plan, domain_tokenizer, general_texts, asked_queries.training),
        accelerator,
        _query_phase(asked_queries, sampler, losses, plan, ranks),
    )
    with sdpa_kernel(_ATTENTION), _within_memory(trainer):
        trainer.train()
    Module.to(student, "cpu", dtype)
    return Recovered(
        student, summarize(summary, trainer, asked_queries, general_texts=len(general_texts))
    )


def choose_objectives(
    name: str, traits: ModelTraits, *, fewer_layers: bool = False
) -> tuple[list[Objective], str]:
    """Return the objectives to train together and the reason, for people.

    ``name`` is that of ``RecoveryOptions.objective``. With ``fewer_layers`` there is more to learn
    from the base than its vocabulary.

    Raises:
        RecoveryUnsupportedError: there is no such objective, or it cannot train the model.

    """
    if name == "auto":
        return _automatic_objectives(traits, fewer_layers=fewer_layers)
    if name == "none":
        return [], "asked for"
    chosen = []
    for single_name in name.split("+"):
        objective = OBJECTIVES.get(single_name)
        if objective is None:
            raise RecoveryUnsupportedError(
                f"recovery.objective {single_name!r} is unknown: use one of "
                f"{', '.join(OBJECTIVES)}."
            )
        if not objective.can_train(traits):
            raise RecoveryUnsupportedError(
                f"recovery.objective {single_name!r} needs {objective.needs}, and this model is "
                "not: use `auto`."
            )
        chosen.append(objective)
    return chosen, "asked for"


def _automatic_objectives(
    traits: ModelTraits, *, fewer_layers: bool
) -> tuple[list[Objective], str]:
    """Return the objectives of which a rule of the first priority applies, and their reasons."""
    applying = [
        (rule, objective)
        for objective in OBJECTIVES.values()
        for rule in objective.auto_rules
        if rule.applies_to(traits) and (fewer_layers or not rule.only_with_fewer_layers)
    ]
    first = min(rule.priority for rule, _ in applying)
    chosen = [(rule, objective) for rule, objective in applying if rule.priority == first]
    return [objective for _, objective in chosen], ", and ".join(rule.reason for rule, _ in chosen)


def plan_training(  # noqa: PLR0913, PLR0917
    budget: Budget,
    options: RecoveryOptions,
    objectives: Sequence[Objective],
    losses: Sequence[Loss],
    sampler: TextSampler,
    context: ObjectiveContext,
    queries: int = 0,
) -> TrainingPlan:
    """Plan the steps that budget, corpus and models allow, and their learning rate.

    Of so many ``queries`` to train on, the share that was asked for is made of them.
    """
    teacher, student = context.base.model, context.student
    budget = limit_steps(
        budget,
        options,
        useful_texts=count_useful_texts(objectives, sampler),
        flops_per_text=estimate_flops_per_text(objectives, losses, sampler, teacher, student),
    )
    width, fewer_layers = (
        int(student.config.hidden_size),
        layer_count(student) < layer_count(teacher),
    )
    learning_rate = default_learning_rate(width, budget, fewer_layers=fewer_layers)
    return TrainingPlan(
        steps=budget.steps,
        batch_size=budget.batch_size,
        max_length=context.max_length,
        seconds=budget.seconds,
        seconds_asked=budget.seconds_asked,
        documents=len(sampler.documents),
        general_share=sampler.general_share,
        learning_rate=options.learning_rate or learning_rate,
        embedding_steps=options.embedding_steps,
        dropout=all(objective.dropout for objective in objectives),
        seed=context.seed,
        query_steps=count_query_steps(options, budget, queries),
        query_rate=options.query_rate,
        four_bit_steps=int(options.four_bit_share * budget.steps),
    )


def _query_phase(
    queries: Queries,
    sampler: TextSampler,
    losses: Sequence[Loss],
    plan: TrainingPlan,
    ranks: Ranks,
) -> QueryPhase | None:
    """Return what the plan's last steps learn from; None where none is on queries."""
    if not plan.query_steps:
        return None
    of_queries = replace(
        sampler, documents=queries.training, parts=False, general=(), general_share=0.0
    )
    return QueryPhase(
        lambda steps: BatchLoader(losses, of_queries, plan.batch_size, steps, ranks),
        _held_out_batches(queries.held_out, of_queries, losses, plan, ranks),
    )


def _held_out_batches(
    texts: Sequence[str],
    sampler: TextSampler,
    losses: Sequence[Loss],
    plan: TrainingPlan,
    ranks: Ranks,
) -> list[Batch]:
    """Return what the held-out loss is of: the same texts, with the same noise, each time.

    They are few, so that a short run does not spend its time on them.
    """
    count = max(_MIN_HELD_OUT, plan.steps * plan.batch_size // _TRAINED_PER_HELD_OUT)
    held_out = texts[:count]
    if not held_out:
        return []
    of_domain = replace(sampler, documents=held_out, general=(), general_share=0.0)
    return batches_of(losses, of_domain.texts(0, len(held_out)), ranks)


def _run_id(
    options: RecoveryOptions,
    summary: Recovery,
    plan: TrainingPlan,
    domain_tokenizer: PreTrainedTokenizerBase,
    *texts: Sequence[str],
) -> str:
    """Return a hash of what tells a run from others.

    That is the options, the plan, the vocabulary and the general texts and queries: what a machine
    has of them may change while a job waits.
    """
    vocabulary = sorted(domain_tokenizer.get_vocab().items())
    content = [asdict(options), summary.used, asdict(plan), vocabulary, *map(list, texts)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _within_memory(trainer: Trainer) -> AbstractContextManager[None]:
    plan = trainer.plan
    return within_memory(
        f"Recovery in steps of {plan.batch_size:,} texts of up to {plan.max_length:,} tokens, "
        f"of which it takes up to {trainer.max_positions:,} at once,",
        "a recovery.batch_size and a recovery.max_length whose product is well below that, or "
        "`none` as the objective",
    )


def summarize(
    requested: Recovery, trainer: Trainer, queries: Queries, *, general_texts: int = 0
) -> Recovery:
    """Return what was requested with the figures of a training that has ended.

    Raises:
        RecoveryTooShortError: there was no time for a step, and its limit was asked for.

    """
    state, plan = trainer.state, trainer.plan
    query_steps = 0 if state.query_start is None else state.step - state.query_start
    of_documents = (state.step - query_steps) * plan.batch_size * (1 - plan.general_share)
    return Recovery(
        objective=requested.objective,
        used=requested.used,
        reason=requested.reason,
        preset=requested.preset,
        keep_layers=requested.keep_layers,
        loss=state.curve,
        warning=_warning(trainer),
        steps=state.step,
        planned_steps=plan.steps,
        kept_step=trainer.best.step,
        epochs=round(of_documents / plan.documents, 2),
        batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        seconds=round(state.seconds, 2),
        tokens=state.tokens,
        tokens_per_second=round(state.tokens / max(state.seconds, 1e-9), 1),
        device=trainer.accelerator.device.type,
        processes=trainer.ranks.world_size,
        stopped_by=trainer.stopped_by,
        general_share=plan.general_share,
        general_texts=general_texts,
        query_steps=query_steps,
        planned_query_steps=plan.query_steps,
        four_bit_steps=0 if state.four_bit_start is None else state.step - state.four_bit_start,
        queries=len(queries.training),
        query_source=queries.source,
        query_warning=queries.warning,
    )


def _warning(trainer: Trainer) -> str | None:
    state = trainer.state
    if trainer.stopped_by == "non_finite_loss":
        return f"the loss was not a number after {state.step} steps: lower the learning rate"
    if state.step or trainer.stopped_by != "max_minutes":
        return None
    if trainer.plan.seconds_asked:
        raise RecoveryTooShortError(
            f"recovery.max_minutes is too short for one step, which took {state.seconds:.0f} "
            "seconds: give more, a smaller batch_size, or `none` as the objective."
        )
    return "there was no time for a single step: recovery needs more minutes"
