"""Tells whether the loss after a few steps predicts the best initialisation after many.

    FVT_MODELS_DIR=… FVT_BENCH_DATA=… python -m benchmarks.initialisations [MODEL …]
        [--probe 50] [--steps 500] [--seeds 0]

A quarter of the vocabulary, made by each method and recovered alike, on the models and contracts of
``benchmarks.recovery_loss``: bits a character of held-out contracts before training, after the
probe's steps and after all of them; fewer are better. The second table says what a probe would have
chosen and how much worse that ends than the best, next to always taking `fvt`.
"""

import argparse
from dataclasses import dataclass
from typing import Any

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from benchmarks.recording import recorded
from benchmarks.recovery_loss import Case, case_of
from benchmarks.transfer_loss import MODELS, all_contracts
from worker.compression import RecoveryCallbacks, RecoveryOptions, recover, transfer_vocabulary

FRACTION, METHODS = 0.25, ("fvt", "wvt", "pvt")
POINTS = 10
"""A recovery gives its losses about so often; the probe looks at the model at one of these."""


@dataclass(frozen=True)
class Bits:
    """Of one initialisation: bits a character before training, after the probe and in the end."""

    before: float
    probed: float
    after: float


Found = dict[str, Bits]


def measure(
    case: Case, tokenizer: PreTrainedTokenizerBase, method: Any, seed: int, arguments: Any
) -> Bits:
    base, probed = case.base, list[float]()
    student = transfer_vocabulary(base.model, base.tokenizer, tokenizer, method, seed).model
    before = case.bits(student, tokenizer)

    def look(point: Any) -> None:
        if point.step == arguments.probe:
            probed.append(case.bits(student, tokenizer))

    options, watch = RecoveryOptions(max_steps=arguments.steps), RecoveryCallbacks(on_point=look)
    done = recover(base, student, tokenizer, lambda: case.training, options, seed, watch)
    return Bits(before, probed[0], case.bits(done.model, tokenizer))


def order(found: Found, when: str) -> list[str]:
    """Methods from the fewest bits to the most."""
    return sorted(found, key=lambda method: float(getattr(found[method], when)))


def verdict(found: Found) -> list[str]:
    """The orders, and what ends how much above the best: the worst, `fvt`, the probe's choice."""
    orders = [order(found, when) for when in ("before", "probed", "after")]
    chosen, best, worst = orders[1][0], found[orders[2][0]].after, orders[2][-1]
    behind = [f"{found[method].after / best - 1:+.2%}" for method in (worst, "fvt", chosen)]
    return [*(" < ".join(methods) for methods in orders), *behind]


def row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def header(*names: str) -> None:
    row(*names)
    print("|" + " --- |" * len(names))


def parse() -> Any:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--probe", type=int, default=50)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    if arguments.probe % max(1, arguments.steps // POINTS) or arguments.probe > arguments.steps:
        parser.error("--probe must be a multiple of a tenth of --steps, and no more than that")
    return arguments


def main() -> None:
    arguments, verdicts = parse(), []
    times = ["before", f"after {arguments.probe} steps", f"after {arguments.steps} steps"]
    header("base", "seed", "method", *times)
    for name in arguments.models:
        case = case_of(name, all_contracts())
        tokenizer = case.domain_tokenizers([FRACTION])[0]
        for seed in arguments.seeds:
            found: Found = {}
            for method in METHODS:
                one = found[method] = measure(case, tokenizer, method, seed, arguments)
                row(name, seed, method, *(f"{b:.4f}" for b in (one.before, one.probed, one.after)))
            verdicts.append([name, seed, *verdict(found)])
    print()
    header("base", "seed", *times, "worst, in the end", "fvt", "the probe's choice")
    for cells in verdicts:
        row(*cells)


if __name__ == "__main__":
    with recorded():
        main()
