"""The clients of a run: each submits a job, and cancels it, or deletes and submits it again."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from typing import Any

import httpx

from app.contract.states import TERMINAL
from tests.chaos.points import every_hit
from tests.support.tiny_models import texts

BASE_MODEL = "acme/tiny-bert"
RECIPE: dict[str, Any] = {
    "vocab_size": 100,
    "recovery": {"max_steps": 8, "batch_size": 2, "max_length": 16},
    "evaluation": {"latency": False},
}
REFUSED = {"min_quality": 0.9, "metric": "masked_lm_bits_per_character"}
REFUSAL = "gate_metric_not_measured"
"""A gate on what is not measured on this model: the job fails at its start, by its user's fault."""

TIMEOUT = httpx.Timeout(20)
POLL_SECONDS = 0.5
AGAIN_SECONDS = 0.3


class Kind(StrEnum):
    """The life that a client plans for its job."""

    WHOLE = "whole"
    OWN_CORPUS = "own corpus"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    DELETED = "deleted"


WEIGHTS = {
    Kind.WHOLE: 48,
    Kind.OWN_CORPUS: 12,
    Kind.CANCELLED: 20,
    Kind.REFUSED: 10,
    Kind.DELETED: 10,
}


@dataclass(frozen=True)
class Plan:
    """What a client will do: `patience` is until it cancels; `chaos` hits its job's worker."""

    number: int
    kind: Kind
    patience: float
    chaos: str


def make_plans(jobs: int, seed: int) -> list[Plan]:
    """Return the plans of a seed; with enough jobs, all hits at all points are among them."""
    rng = random.Random(f"plans {seed}")
    kinds = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=jobs)
    hits = rng.sample(every_hit(), k=len(every_hit()))
    plans = []
    for number, kind in enumerate(kinds):
        is_hit = hits and kind in {Kind.WHOLE, Kind.OWN_CORPUS}
        chaos = hits.pop() if is_hit else ""
        plans.append(Plan(number, kind, rng.uniform(0, 12), chaos))
    return plans


@dataclass
class Ledger:
    """What the service answered, and so owes: filled by all clients at once."""

    accepted: dict[str, Plan] = field(default_factory=dict)
    deleted: dict[str, list[str]] = field(default_factory=dict)
    """Of each deleted job, the types of its events before."""
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def count(self, what: str) -> None:
        with self.lock:
            self.answers[what] += 1

    def blame(self, what: str) -> None:
        with self.lock:
            self.faults.append(what)


class Client:
    """One client of the service: it asks again until it is answered."""

    def __init__(
        self, urls: list[str], ledger: Ledger, corpus_id: str, deadline: Callable[[], float]
    ) -> None:
        self._http = httpx.Client(timeout=TIMEOUT, trust_env=False)
        self._urls = urls
        self._ledger = ledger
        self._corpus_id = corpus_id
        self._deadline = deadline
        self._asked = 0

    def carry_out(self, plan: Plan) -> None:
        """Do what is planned, to the end of its jobs."""
        job_id = self.submit(plan, "first")
        if plan.kind == Kind.CANCELLED:
            time.sleep(plan.patience)
            self.until(lambda: self.ask("POST", f"/v1/jobs/{job_id}/cancel"), {200, 202, 409})
        self.wait(job_id)
        if plan.kind == Kind.DELETED:
            self.delete(job_id)
            self.wait(self.submit(plan, "second"))

    def submit(self, plan: Plan, time_: str) -> str:
        """Submit until it is accepted, under one key; returns the job's id."""
        recipe = RECIPE | ({"gate": REFUSED} if plan.kind == Kind.REFUSED else {})
        metadata = {"chaos": plan.chaos, "plan": str(plan.number)}
        body = {"base_model": BASE_MODEL, "recipe": recipe, "metadata": metadata}
        headers = {"Idempotency-Key": f"{plan.number} {time_}"}
        if plan.kind == Kind.OWN_CORPUS:
            form = own_corpus(body, plan.number)
            answer = self.until(
                lambda: self.ask("POST", "/v1/jobs", headers=headers, **form), {202}
            )
        else:
            body["corpus_id"] = self._corpus_id
            answer = self.until(
                lambda: self.ask("POST", "/v1/jobs", headers=headers, json=body), {202}
            )
        job_id = str(answer.json()["id"])
        with self._ledger.lock:
            self._ledger.accepted[job_id] = plan
        return job_id

    def wait(self, job_id: str) -> None:
        """Look until the job has ended."""
        while True:
            answer = self.until(lambda: self.ask("GET", f"/v1/jobs/{job_id}"), {200})
            if answer.json()["status"] in TERMINAL:
                return
            time.sleep(POLL_SECONDS)

    def delete(self, job_id: str) -> None:
        """Delete a job that has ended; a repeated one may find it gone."""
        path = f"/v1/jobs/{job_id}"
        page = self.until(lambda: self.ask("GET", f"{path}/events", params={"limit": 100}), {200})
        types = [label(event["type"], event["data"]) for event in page.json()["data"]]
        self.until(lambda: self.ask("DELETE", path), {204, 404})
        with self._ledger.lock:
            self._ledger.deleted[job_id] = types
        if self.until(lambda: self.ask("GET", path), {200, 404}).status_code == 200:
            self._ledger.blame(f"{job_id} is still there after its deletion")

    def until(self, ask: Callable[[], httpx.Response | None], wanted: set[int]) -> httpx.Response:
        """Ask until an answer has a wanted status; raises TimeoutError at the deadline.

        Raises AssertionError at an answer that no fault explains.
        """
        while time.monotonic() < self._deadline():
            answer = ask()
            if answer is not None and answer.status_code in wanted:
                return answer
            if answer is not None and answer.status_code < 500:
                raise AssertionError(f"{answer.request.url}: {answer.status_code} {answer.text}")
            time.sleep(AGAIN_SECONDS)
        raise TimeoutError("no answer until the deadline")

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response | None:
        """One request to the next API; None where there was no answer."""
        self._asked += 1
        url = self._urls[self._asked % len(self._urls)]
        try:
            answer = self._http.request(method, url + path, **request)
        except httpx.TransportError as error:
            self._ledger.count(type(error).__name__)
            return None
        if answer.status_code >= 500:
            self._ledger.count(f"{answer.status_code} {method}")
        return answer


def label(type_: str, data: Mapping[str, Any]) -> str:
    """The type of an event; of one that tells of a retry, with why."""
    return f"{type_} {data['error']['code']}" if type_ == "job.retrying" else type_


def own_corpus(body: dict[str, Any], number: int) -> dict[str, Any]:
    """A submission as a form that brings a corpus of its own."""
    data = {"base_model": body["base_model"]}
    data |= {name: json.dumps(body[name]) for name in ("recipe", "metadata")}
    return {"data": data, "files": {"corpus": ("corpus.txt", corpus_text(number))}}


def corpus_text(seed: int, texts_: int = 120) -> bytes:
    return "\n".join(texts(texts_, seed=seed)).encode()
