"""Estimate how long the stages of a job take: from a table, corrected by what jobs took here."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Literal

from app.contract.budgets import Budget, asked_budget, evaluation_seconds, limit_steps
from app.contract.model_kinds import Role
from app.contract.names import RUNTIMES
from app.contract.points import recovery_share
from app.contract.recipe import FineTuning, Recipe

Device = Literal["cpu", "cuda"]

STAGES = (
    *("resolve", "corpus", "tokenizer", "transfer", "recover"),
    *("check", "export", "evaluate", "package"),
)
USUAL_MACHINE = "two cores of a server's CPU, or one GPU of a data centre"
FLOPS_PER_SECOND: Mapping[Device, float] = {"cpu": 8e10, "cuda": 5e12}
STEP_SECONDS: Mapping[Device, float] = {"cpu": 0.02, "cuda": 0.05}
"""The least that a step takes, whatever it computes."""
TASK_SECONDS_PER_TOKEN: Mapping[Device, float] = {"cpu": 1e-3, "cuda": 1e-5}
STARTING_SECONDS = 3.0
"""Until a worker has taken a job up, where none waits before it, and made its first stage ready."""
LARGE = 10.0
"""Millions of parameters from which on a model takes the table's seconds to load and measure."""
UNSTABLE_SECONDS = 60.0
"""Of a large model, for its runtimes."""
DRAWN_SHARE = 0.6
"""Of a text's tokens, where sentences and windows of it are drawn too."""
GENERAL_TOKENS = 200
"""Of a passage of general text."""
UNKNOWN_MACHINE = 3.0
"""Most times as fast or as slow as the table's another machine may be."""
LEAST_SPREAD = 1.25
NEARNESS = 1.0
"""Width, in the logarithm of work, within which another job counts."""
PRIOR, PRIOR_SPREAD = 0.2, 0.5
"""Number of jobs that the table counts for, and that the spread of unknown machines does."""


@dataclass(frozen=True)
class ObjectiveWork:
    """Costs of a text by objective: the engine's numbers, by the objective's name."""

    flops_per_weight: float = 6.0
    needs_teacher: bool = False
    multiplies_table: bool = True
    passes: int = 30


OBJECTIVE_WORK = {
    **dict.fromkeys(("mlm", "clm", "denoise"), ObjectiveWork()),
    **dict.fromkeys(("distill", "distill_scores"), ObjectiveWork(6.0, True, False, 500)),
}


@dataclass(frozen=True)
class Work:
    """Counts what a job has to do, in the numbers that its time depends on.

    `sizes` are parameters and, of them, those of the tables, for each size of the recipe; the
    base's are `base`. `tokens` are those of a text after the compression; `general_share` of the
    texts of training are no documents of the corpus. `weighed` are the runtimes in which a target
    weighs each size.
    """

    recipe: Recipe
    objectives: Sequence[str]
    base: tuple[int, int]
    sizes: Sequence[tuple[int, int]]
    documents: int
    characters: int
    tokens: float
    most_minutes: float
    general_share: float = 0.0
    weighed: Sequence[Sequence[str]] = ()


def objectives_of(recipe: Recipe, role: Role, architecture: str) -> list[str]:
    """Return the objectives that a recipe comes to, `auto` by what the model is."""
    asked = recipe.recovery.objective
    if asked == "none":
        return []
    if asked != "auto":
        return asked.split("+")
    if role == "cross_encoder":
        layers = ["distill"] if recipe.recovery.keep_layers or recipe.target else []
        return [*layers, "distill_scores"]
    if role == "language_model":
        if architecture.endswith(("ForCausalLM", "LMHeadModel")):
            return ["clm"]
        seq2seq = architecture.endswith("ForConditionalGeneration")
        return ["denoise"] if seq2seq else ["mlm"]
    return ["distill"]


def planned_budget(work: Work, number: int, device: Device) -> tuple[Budget, float]:
    """Return the steps of the recovery of one size, and the floating-point operations of a text."""
    asked = work.recipe.recovery
    budget = asked_budget(
        SimpleNamespace(**asked.model_dump()),
        on_gpu=device == "cuda",
        documents=round(work.documents / (1 - work.general_share)),
        most_minutes=work.most_minutes,
        share=recovery_share(len(work.sizes)) if work.recipe.target else 1.0,
    )
    length = min(float(budget.max_length), max(1.0, work.tokens))
    general_length = min(budget.max_length, GENERAL_TOKENS)
    length += work.general_share * (general_length - length)
    rows = [OBJECTIVE_WORK[name] for name in work.objectives if name in OBJECTIVE_WORK]
    flops, (parameters, table) = 0.0, work.sizes[number]
    base_body = work.base[0] - work.base[1]
    for row in rows:
        weights = parameters if row.multiplies_table else parameters - table
        per_token = row.flops_per_weight * weights + (2.0 * base_body if row.needs_teacher else 0)
        flops += per_token * length * (DRAWN_SHARE if row.needs_teacher else 1.0)
    characters = work.characters / max(1, work.documents)
    parts = max(1.0, characters / (budget.max_length * 4))
    passes = max((row.passes for row in rows), default=1)
    useful = passes * work.documents * parts / (1 - work.general_share)
    return limit_steps(budget, asked, useful_texts=useful, flops_per_text=max(flops, 1.0)), flops


def table_seconds(work: Work, device: Device) -> dict[str, float]:
    """Return the seconds of each stage by the table alone."""
    sizes, megabytes = len(work.sizes), work.characters / 1e6
    millions = sum(parameters for parameters, _ in work.sizes) / 1e6
    base_millions = work.base[0] / 1e6
    recipe = work.recipe
    exported = exported_again = 0.0
    for (parameters, _), weighed in zip(work.sizes, work.weighed or [()] * sizes, strict=True):
        rows = [RUNTIMES[name] for name in recipe.runtimes_with(weighed)]
        each = [2 + parameters / 8e6 + row.training_seconds for row in rows]
        exported += sum(each)
        exported_again += sum(
            seconds for seconds, row in zip(each, rows, strict=True) if not row.is_static
        )
    # A model to try things with has little to load, and few tokens to choose.
    large = min(1.0, base_millions / LARGE)
    measured = 1.0 + base_millions / 4
    # Speed is timed until it is stable, or the time for it is used up.
    measured += 4.0 + UNSTABLE_SECONDS * large if recipe.evaluation.latency else 0.0
    measured += 2.0 + 5.0 * large if recipe.evaluation.memory else 0.0
    seconds = {
        "resolve": 0.3 + base_millions / 50,
        "corpus": 0.1 + megabytes / 50,
        "tokenizer": 0.2 + large * (2.0 + 8.0 * megabytes**0.8 * (0.7 + 0.3 * sizes)),
        "transfer": 0.1 * sizes + millions / 25,
        "recover": sum(_recovery_seconds(work, number, device) for number in range(sizes)),
        "check": sizes * 0.5 + 5.0 * large + millions / 40,
        "export": exported,
        "evaluate": _task(work, device) + exported_again * _fine_tunings(recipe),
        "package": 0.2 + millions / 10,
    }
    most = evaluation_seconds(sum(seconds.values()) - seconds["package"], work.base[0], sizes)
    seconds["evaluate"] += min(sizes * measured, most)
    return seconds


def _recovery_seconds(work: Work, number: int, device: Device) -> float:
    if not work.objectives:
        return 0.1
    budget, flops = planned_budget(work, number, device)
    step = max(STEP_SECONDS[device], flops * budget.batch_size / FLOPS_PER_SECOND[device])
    seconds = budget.steps * step
    return seconds if budget.seconds is None else min(seconds, budget.seconds)


def _task(work: Work, device: Device) -> float:
    """Return the seconds of a task with labels, whose texts are taken to be as many as these."""
    task = work.recipe.evaluation.task
    if task is None:
        return 0.0
    tokens, models = work.documents * work.tokens, len(work.sizes) + 1
    times = 3 * task.seeds * task.epochs if isinstance(task, FineTuning) else 1
    return models * tokens * times * TASK_SECONDS_PER_TOKEN[device]


def _fine_tunings(recipe: Recipe) -> int:
    """Return how many times a size is fine-tuned, and then exported again with its head."""
    task = recipe.evaluation.task
    return task.seeds if isinstance(task, FineTuning) else 0


@dataclass(frozen=True)
class Past:
    """A finished job: what it had to do, and the seconds that its stages took."""

    work: Work
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Durations:
    """Seconds of each stage, and of a job from when a worker is free to its end."""

    stages: dict[str, float]
    value: float
    low: float
    high: float


def estimate_durations(work: Work, past: Iterable[Past], device: Device) -> Durations:
    """Return the table's seconds, each stage by as much more or less as near jobs took of it."""
    usual = table_seconds(work, device)
    history = [(job, table_seconds(job.work, device)) for job in past]
    stages, low, high = dict[str, float](), 0.0, 0.0
    for stage, seconds in usual.items():
        factor, spread = _correction(stage, seconds, history)
        stages[stage] = round(seconds * factor, 1)
        low += seconds * factor / spread
        high += seconds * factor * spread
    starting = STARTING_SECONDS
    return Durations(stages, sum(stages.values()) + starting, low + starting / 2, high + starting)


def _correction(
    stage: str, seconds: float, history: Sequence[tuple[Past, Mapping[str, float]]]
) -> tuple[float, float]:
    """Return how many times as long as by the table a stage takes here, and how sure that is."""
    weights, logs = [PRIOR], [0.0]
    for job, usual in history:
        took = job.seconds.get(stage)
        if took is None or usual[stage] <= 0 or seconds <= 0:
            continue
        distance = math.log(max(seconds, 0.1) / max(usual[stage], 0.1)) / NEARNESS
        weights.append(math.exp(-(distance**2) / 2) + 1e-3)
        logs.append(math.log(max(took, 0.05) / usual[stage]))
    total = sum(weights)
    mean = sum(w * x for w, x in zip(weights, logs, strict=True)) / total
    # What is known of the spread comes from the jobs; the table's own is that of any machine.
    scatter = sum(w * (x - mean) ** 2 for w, x in zip(weights[1:], logs[1:], strict=True))
    prior = math.log(UNKNOWN_MACHINE) ** 2
    variance = (scatter + prior * PRIOR_SPREAD) / (total - PRIOR + PRIOR_SPREAD)
    spread = math.exp(math.sqrt(variance))
    return math.exp(mean), max(LEAST_SPREAD, spread)
