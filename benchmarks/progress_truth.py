"""Compare what ten jobs said of their time left with the truth, on a service started for them.

    python -m benchmarks.progress_truth [JOBS]

JOBS (10) of different recipes run one after the other, on sentences of the standard library. Of
each, it prints how long it took, the time left that it told at a quarter, half and three quarters
of its time, by what was really left (1 is the truth), the share of all its reports that are within
a factor of two, the longest silence between two events, and whether its fraction ever fell.
"""

import itertools
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from app.cli.local import LocalService
from benchmarks.recording import recorded
from examples.corpus import sentences_of, sources
from fvt_client import Client

BASE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
RECIPES: list[dict[str, Any]] = [
    {},
    {"recovery": {"objective": "none"}},
    {"recovery": {"preset": "fast"}},
    {"recovery": {"max_steps": 100}},
    {"recovery": {"preset": "fast"}, "export": {"int8": True}},
    {"recovery": {"max_minutes": 0.5}},
    {"vocab_size": [0.5, 0.25], "recovery": {"max_steps": 50}},
    {"recovery": {"objective": "none"}, "export": {"int8": True}},
    {"recovery": {"preset": "fast", "keep_layers": 3}},
    {"recovery": {"epochs": 1}, "evaluation": {"latency": False, "memory": False}},
]
TWICE, LAST_SECONDS = 2.0, 5.0


@dataclass(frozen=True)
class Told:
    """Holds when an event of a job was, and of its progress what it said."""

    at: datetime
    fraction: float | None
    left: float | None


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else len(RECIPES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = folder / "corpus.txt"
        corpus.write_text("\n".join(some_sentences(4_000)))
        print("| recipe | s | left at 1/4 | 1/2 | 3/4 | within x2 | silence, s | fell |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        with LocalService(folder / "data", port=0) as service, Client(service.url) as client:
            sent = client.upload(corpus)
            for number in range(jobs):
                recipe = {"vocab_size": 0.25, **RECIPES[number % len(RECIPES)]}
                job = client.compress(BASE_MODEL, sent, recipe=recipe).wait()
                print(f"| {recipe} | {row_of(read(client, job.id))} |", flush=True)


def some_sentences(count: int) -> list[str]:
    """Return sentences of the standard library's docstrings, no two alike, the same every time."""
    found = list(dict.fromkeys(text for source in sources() for text in sentences_of(source)))
    return random.Random(0).sample(found, count)  # noqa: S311


def read(client: Client, job_id: str) -> list[Told]:
    """Return the events from the moment that a worker took the job up."""
    events = list(client.events(job_id))
    start = max(n for n, event in enumerate(events) if event.type == "job.started")
    return [
        Told(event.created_at, event.data.get("fraction"), event.data.get("eta_seconds"))
        for event in events[start:]
    ]


def row_of(told: Sequence[Told]) -> str:
    """Return the columns of a job."""
    began, ended = told[0].at, told[-1].at
    whole = (ended - began).total_seconds()
    ratios = []
    for one in told:
        true = (ended - one.at).total_seconds()
        if one.left is not None and true > LAST_SECONDS:
            ratios.append((1 - true / whole, one.left / true))
    within = sum(1 / TWICE <= ratio <= TWICE for _, ratio in ratios) / max(1, len(ratios))
    at = [
        min(ratios, key=lambda pair: abs(pair[0] - place), default=(0, float("nan")))[1]
        for place in (0.25, 0.5, 0.75)
    ]
    pairs = itertools.pairwise(told)
    silence = max((later.at - one.at).total_seconds() for one, later in pairs)
    fractions = [one.fraction for one in told if one.fraction is not None]
    fell = any(b < a - 1e-9 for a, b in itertools.pairwise(fractions))
    shown = " | ".join(f"{ratio:.2f}" for ratio in at)
    return f"{whole:.0f} | {shown} | {within:.0%} | {silence:.1f} | {'yes' if fell else 'no'}"


if __name__ == "__main__":
    with recorded():
        main()
