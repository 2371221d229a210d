"""A whole run: clients and faults together, then everything healed, then what must be true."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue

import httpx

from tests.chaos import invariants
from tests.chaos.faults import TICK_SECONDS, Faults
from tests.chaos.jobs import Client, Ledger, Plan, corpus_text, make_plans
from tests.chaos.stack import Stack, running

CLIENTS = 10
CLEANING_SECONDS = 75
"""How long the service may take to free what the faults left."""


@dataclass
class Outcome:
    """The figures of a run, and everything that must not have been."""

    accepted: int
    ends: Counter[str]
    retried: int
    lost: list[str]
    double: list[str]
    wrong: list[str]
    files: list[str]
    file_kinds: Counter[str]
    answers: Counter[str]
    faults: Counter[str] = field(default_factory=Counter)
    processes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def errors_500(self) -> int:
        """Answers of 500: those by which a service says that it knows no better."""
        return sum(n for answer, n in self.answers.items() if answer.startswith("500 "))

    @property
    def broken(self) -> dict[str, list[str] | int]:
        """What must be empty."""
        found: dict[str, list[str] | int] = {
            "lost": self.lost,
            "double": self.double,
            "wrong": self.wrong,
            "files left": self.files,
            "processes left": self.processes,
            "answers 500": self.errors_500,
        }
        return {name: value for name, value in found.items() if value}


@dataclass
class Progress:
    """How far the clients are; the deadline is set once the faults are over."""

    waiting: SimpleQueue[Plan] = field(default_factory=SimpleQueue)
    deadline: float = float("inf")
    done: SimpleQueue[Plan] = field(default_factory=SimpleQueue)
    gone: list[Client] = field(default_factory=list)
    """The clients that are done: a list takes one from each thread."""


def run(
    database: str,
    jobs: int,
    seed: int,
    *,
    workers: int = 3,
    mean_seconds: float = 2.0,
    end_seconds: float = 300,
    logs: Path | None = None,
) -> Outcome:
    """Run `jobs` jobs among faults, one about every `mean_seconds`; see what came of them.

    After the last fault the jobs have `end_seconds` to end.
    """
    began = time.monotonic()
    with running(database, workers, logs=logs) as stack:
        ledger, progress = Ledger(), Progress()
        for plan in make_plans(jobs, seed):
            progress.waiting.put(plan)
        faults = Faults(stack, seed, mean_seconds)
        corpus_id = upload(stack)
        with ThreadPoolExecutor(CLIENTS) as pool:
            for _ in range(CLIENTS):
                pool.submit(work_off, stack, ledger, corpus_id, progress)
            enough = max(jobs - CLIENTS, jobs * 2 // 3)
            while progress.done.qsize() < enough:
                faults.tick(progress.done.qsize())
                time.sleep(TICK_SECONDS)
            faults.heal()
            progress.deadline = time.monotonic() + end_seconds
            while len(progress.gone) < CLIENTS:
                faults.watch()
                time.sleep(TICK_SECONDS)
        outcome = examine(stack, ledger)
        orphans = [f"{process} has lost its parent" for process in stack.orphans()]
        outcome.processes = orphans + stack.stop()
    outcome.faults, outcome.seconds = faults.kinds, time.monotonic() - began
    return outcome


def upload(stack: Stack) -> str:
    files = {"file": ("corpus.txt", corpus_text(0))}
    answer = httpx.post(f"{stack.urls[0]}/v1/corpora", files=files, timeout=30, trust_env=False)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def work_off(stack: Stack, ledger: Ledger, corpus_id: str, progress: Progress) -> None:
    """Carry out plans until there is none."""
    client = Client(stack.urls, ledger, corpus_id, lambda: progress.deadline)
    try:
        while True:
            plan = progress.waiting.get_nowait()
            try:
                client.carry_out(plan)
            except (TimeoutError, AssertionError) as error:
                ledger.blame(f"plan {plan.number} ({plan.kind}): {error}")
            progress.done.put(plan)
    except Empty:
        pass
    finally:
        progress.gone.append(client)


def examine(stack: Stack, ledger: Ledger) -> Outcome:
    """Look for what the service owes and for what it left."""
    with stack.store() as db:
        jobs = invariants.jobs_of(db)
        end = time.monotonic() + CLEANING_SECONDS
        while (left := invariants.files_left(stack, db, jobs)) and time.monotonic() < end:
            time.sleep(1)
        ends = Counter(job.status for job in jobs.values())
        codes = Counter((job.error or {})["code"] for job in jobs.values() if job.error)
        ends |= Counter({f"failed: {code}": n for code, n in codes.items()})
        ends["deleted"] = len(ledger.deleted)
        wrong = chain(
            ledger.faults,
            invariants.wrong_ends(jobs, ledger),
            invariants.broken_artifacts(jobs, stack.blobs),
        )
        return Outcome(
            accepted=len(ledger.accepted),
            ends=ends,
            retried=sum(job.attempt > 1 for job in jobs.values()),
            lost=list(invariants.lost_jobs(jobs, ledger)),
            double=list(invariants.double_jobs(db, jobs, ledger)),
            wrong=list(wrong),
            files=left,
            file_kinds=invariants.kinds_of(left, jobs, ledger),
            answers=ledger.answers,
        )
