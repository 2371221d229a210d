"""Say what a recipe will do, what an estimate rests on, and what speaks against a job."""

from collections.abc import Iterator

from app.contract.budgets import QUERY_SHARE, query_steps
from app.contract.estimate import EstimateWarning
from app.contract.names import ANY, METRICS, RUNTIMES, counted
from app.contract.points import Point
from app.contract.recipe import Recipe
from app.estimates.durations import USUAL_MACHINE, Device, Work, planned_budget
from app.estimates.examination import Facts
from app.estimates.sizes import SizeFacts

FEW_TEXTS = 2000
"""Below it the held-out texts are fewer than a hundred, and rare words are hardly ever seen."""
LONG_SHARE = 0.1
MANY_MINUTES = 240.0

OBJECTIVES = {
    "mlm": "masked language modeling",
    "clm": "causal language modeling",
    "denoise": "denoising",
    "distill": "distillation from the base",
    "distill_scores": "distillation of the base's scores",
}


def steps_of(recipe: Recipe, facts: Facts, work: Work, device: Device) -> list[str]:
    """Return what the recipe will do, in the order in which it is done."""
    return list(_steps(recipe, facts, work, device))


def _steps(recipe: Recipe, facts: Facts, work: Work, device: Device) -> Iterator[str]:
    sizes = list(dict.fromkeys(size.vocab_size for size in facts.model.sizes))
    named = " and ".join(f"{size:,}" for size in sizes[:4]) + (" and more" if sizes[4:] else "")
    held = max(1, round(facts.corpus.documents * recipe.evaluation.holdout_fraction))
    yield f"Keep about {held:,} texts from all training, to measure on."
    yield (
        f"Choose a vocabulary of {named} tokens from the other texts; the base has "
        f"{facts.model.vocab_size:,}."
    )
    if recipe.tokenizer.multiword:
        yield f"Let up to {recipe.tokenizer.multiword:,} tokens stand for groups of words."
    start = {"fvt": "the mean of its pieces'", "wvt": "their weighted mean", "pvt": "a random one"}
    yield f"Give each new token an embedding: {start[recipe.transfer.method]}."
    if recipe.target:
        points = (
            Point(vocab_size=size.vocab_size, layers=size.layers).label + _weighed_in(recipe, size)
            for size in facts.model.sizes
        )
        yield f"Make for the target, with layers kept evenly: {', '.join(points)}."
    if keep := recipe.recovery.keep_layers:
        yield f"Keep {keep} of {facts.model.layers} layers, evenly from the first to the last."
    yield _recovery(work, facts, device)
    yield "Load and run every model in a program of its own, as its user will."
    written = {name for size in facts.model.sizes for name in recipe.runtimes_with(size.weighed)}
    if written:
        labels = " and ".join(row.label for row in RUNTIMES.values() if row.name in written)
        yield f"Write files for {labels}; their bytes are estimated here, all others are exact."
    yield "Measure size, tokens, quality" + (
        " and speed against the base." if recipe.evaluation.latency else " against the base."
    )
    if task := recipe.evaluation.task:
        yield f"Measure base and result on your task, by {METRICS[task.metric].label}."
    if recipe.gate.min_quality or recipe.gate.max_bytes:
        yield "Fail the job, and keep its result, where the gate is not met."
    if recipe.target:
        yield "Pick the best that meets the target; fail the job, and keep all, where none does."


def _weighed_in(recipe: Recipe, size: SizeFacts) -> str:
    """Say in which runtimes a model is weighed, where that is not the same for all."""
    if recipe.target is None or recipe.target.runtime != ANY:
        return ""
    return f" ({', '.join(RUNTIMES[name].label for name in size.weighed)})"


def _recovery(work: Work, facts: Facts, device: Device) -> str:
    if not work.objectives:
        return "Train nothing: the objective is `none`."
    budget, _ = planned_budget(work, 0, device)
    how = " and ".join(OBJECTIVES.get(name, name) for name in work.objectives)
    most = _most_time(work, budget.seconds)
    each = " Each size is trained so." if len(work.sizes) > 1 else ""
    general = ""
    if work.general_share:
        general = (
            f" Of these {work.general_share:.0%} are general text, as far as there is any in the "
            "script of the corpus."
        )
    return (
        f"Win back what was lost by {how}: about {counted(budget.steps, 'step')} of "
        f"{counted(budget.batch_size, 'text')}{most}.{general}{_queries(work, facts, device)}{each}"
    )


def _most_time(work: Work, seconds: float | None) -> str:
    """Return the limit of time, but not the installation's where steps were asked for."""
    asked = work.recipe.recovery
    has_steps = asked.max_steps is not None or asked.epochs is not None
    if not seconds or (has_steps and asked.max_minutes is None):
        return ""
    if seconds < 60:
        return f", for at most {counted(round(seconds) or 1, 'second')}"
    return f", for at most {counted(round(seconds / 60), 'minute')}"


def _queries(work: Work, facts: Facts, device: Device) -> str:
    asked = work.recipe.recovery
    if not _asks_for_queries(work.recipe) or _why_no_queries(work, facts, device):
        return ""
    which = "your queries" if asked.queries_corpus_id else "queries made of the texts"
    return f" The last {QUERY_SHARE:.0%} of the steps are on {which}."


def _asks_for_queries(recipe: Recipe) -> bool:
    return bool(recipe.recovery.queries_corpus_id or recipe.recovery.pseudo_queries)


def _why_no_queries(work: Work, facts: Facts, device: Device) -> str | None:
    """Say why no step would be on queries; None where some would."""
    if facts.model.role != "sentence_encoder" or [*work.objectives] != ["distill"]:
        return (
            "only a sentence encoder that is distilled from its base learns from a query by "
            "itself. Leave them out, or choose such a model and objective."
        )
    steps = planned_budget(work, 0, device)[0].steps
    if query_steps(steps):
        return None
    return (
        f"of {counted(steps, 'step')} {QUERY_SHARE:.0%} are less than one. Give more of "
        "`max_steps`, `epochs` or texts."
    )


def basis_of(jobs: int, device: Device | None) -> str:
    """Say what the minutes rest on."""
    where = {"cpu": "on a CPU", "cuda": "on a GPU", None: "on two cores of a CPU"}[device]
    if jobs:
        finished = "1 finished job" if jobs == 1 else f"{jobs:,} finished jobs"
        return (
            f"The stage times of {finished} of this installation, nearer ones counting more, and "
            f"where they are few a table of times {where}."
        )
    return (
        f"A table of usual times {where} ({USUAL_MACHINE}), in part a guess: no job has finished "
        "here yet, so the interval is wide."
    )


def warnings_of(
    work: Work, facts: Facts, minutes: float, device: Device | None
) -> list[EstimateWarning]:
    """Return what speaks against the job as it is asked for, by code."""
    found = (
        *_about_corpus(facts),
        *_about_sizes(work.recipe, facts),
        *_about_queries(work, facts, device or "cpu"),
        *_about_machine(minutes, device),
    )
    # Models of a target that differ in layers alone have the same said of them.
    return [EstimateWarning(code=code, message=text) for code, text in dict.fromkeys(found)]


def _about_corpus(facts: Facts) -> Iterator[tuple[str, str]]:
    corpus, model = facts.corpus, facts.model
    if corpus.documents < FEW_TEXTS:
        about = "about " if corpus.is_sample else ""
        yield (
            "few_texts",
            f"The corpus has {about}{corpus.documents:,} texts; below {FEW_TEXTS:,} rare words are "
            "learned badly and the quality is measured on few texts. Upload more of them.",
        )
    if corpus.looks_like:
        yield (
            "other_format",
            f"The corpus is read as plain text, a document a line, and looks like "
            f"{corpus.looks_like}. Look at the preview; give `format` if it is not what you meant.",
        )
    if facts.tokens.cut > LONG_SHARE:
        yield (
            "long_texts",
            f"{facts.tokens.cut:.0%} of the texts are longer than the {model.max_length:,} tokens "
            "that the model reads; the rest of them is not seen. Cut them in parts.",
        )


def _about_sizes(recipe: Recipe, facts: Facts) -> Iterator[tuple[str, str]]:
    sizes, tokens = facts.model.sizes, facts.tokens
    refused = "the model is left out" if recipe.target else "the job is refused"
    cure = "Upload more text." if recipe.target else "Ask for fewer, or upload more text."
    for size, estimate in zip(sizes, tokens.sizes, strict=True):
        if not facts.corpus.is_sample and size.vocab_size > max(tokens.available, 1):
            yield (
                "size_out_of_reach",
                f"A vocabulary of {size.vocab_size:,} tokens may be more than the corpus can fill: "
                f"its own words and pieces come to about {tokens.available:,}. Tokens of the base "
                f"fill the rest, or {refused}. {cure}",
            )
        if size.vocab_size < tokens.least:
            yield (
                "size_below_floor",
                f"The characters of the corpus and the special tokens alone come to about "
                f"{tokens.least:,} tokens: with {size.vocab_size:,} it may be that {refused}.",
            )
        if estimate.value > estimate.base:
            # Fewer layers are faster all the same, and so may a target's files be.
            is_slow = recipe.target is None and size.layers >= facts.model.layers
            so = ": the model gets smaller and not faster. Ask for more" if is_slow else ""
            yield (
                "more_tokens",
                f"With {size.vocab_size:,} tokens a text takes about {estimate.value:.0f} in place "
                f"of {estimate.base:.0f}{so}.",
            )
    most = recipe.gate.max_bytes
    above = [size for size in sizes if most is not None and size.weights.bytes > most]
    if above:
        least = min(size.weights.bytes for size in above)
        whose = "The weights" if len(above) == len(sizes) else f"{len(above)} of {len(sizes)} sizes"
        yield (
            "gate_out_of_reach",
            f"{whose} take {least:,} bytes or more, and `gate.max_bytes` is {most:,}, so they "
            "cannot pass the gate. Ask for fewer tokens or layers, or raise it.",
        )
    if facts.model.from_hub:
        yield (
            "model_not_here",
            "The base model is on the hub, and only its config and the headers of its weights were "
            "read: tokens are estimated from the length of the texts, and sizes from the rows of "
            "its embedding matrix. A worker downloads it first.",
        )


def _about_queries(work: Work, facts: Facts, device: Device) -> Iterator[tuple[str, str]]:
    if _asks_for_queries(work.recipe) and (why := _why_no_queries(work, facts, device)):
        yield "queries_not_used", f"No query would be trained on: {why}"


def _about_machine(minutes: float, device: Device | None) -> Iterator[tuple[str, str]]:
    if device == "cpu":
        yield (
            "cpu_only",
            "The workers here run on a CPU, where recovery takes fewer steps than on a GPU.",
        )
    elif device is None:
        yield (
            "device_unknown",
            "Whether the workers have a GPU is known only after a first job; the minutes are those "
            "of a CPU.",
        )
    if minutes > MANY_MINUTES:
        yield ("long_job", f"The job may take {minutes / 60:.0f} hours. Try a smaller one first.")
