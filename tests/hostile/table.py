"""All subjects, in the order in which they are sent, and how a run is watched."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import psutil

from tests.hostile.case import Case, Refused
from tests.hostile.subjects import (
    archives,
    edges,
    estimates,
    forms,
    headers,
    json_texts,
    model_configs,
    model_files,
    model_ids,
    parquet,
    queries,
    recipes,
    sentence_models,
    states,
    surroundings,
    tables,
    tasks,
    texts,
    wires,
)
from tests.hostile.world import World

SUBJECTS: dict[str, Sequence[Case]] = {
    "text uploads": texts.CASES,
    "archives": archives.CASES,
    "tables": tables.CASES,
    "JSON": json_texts.CASES,
    "Parquet": parquet.CASES,
    "forms": forms.CASES,
    "paths and queries": queries.CASES,
    "headers and bodies": headers.CASES,
    "bytes on the wire": wires.CASES,
    "recipes": recipes.CASES,
    "estimates": estimates.CASES,
    "ids of models and the hub": model_ids.CASES,
    "labelled data": tasks.CASES,
    "states, keys, ranges, files": states.CASES,
    "folders of models": model_files.CASES,
    "configs and tokenizers": model_configs.CASES,
    "sentence-transformers": sentence_models.CASES,
    "other pages, full disks, waits": edges.CASES,
    "surroundings": surroundings.CASES,
}
LOOK_SECONDS = 0.1


@dataclass
class Outcome:
    """What a run of the table showed."""

    right: dict[str, int] = field(default_factory=dict)
    """How many cases of each subject were answered as they must be."""
    wrong: list[tuple[str, str, str]] = field(default_factory=list)
    """Subject, case and what is wrong with the answer."""
    seconds: dict[str, float] = field(default_factory=dict)
    memory_before: int = 0
    memory_most: int = 0
    memory_after: int = 0
    """Bytes of the service's process."""
    longest_silence: float = 0.0
    """Seconds that `/healthz` took at most."""

    @property
    def count(self) -> int:
        """Return how many cases there were."""
        return sum(self.right.values()) + len(self.wrong)


def codes_wanted() -> set[str]:
    """Return the codes that some case must get, and no other in its place."""
    wanted = (case.wanted for cases in SUBJECTS.values() for case in cases)
    return {each.codes[0] for each in wanted if isinstance(each, Refused) and len(each.codes) == 1}


def run_table(world: World, subjects: Sequence[str] = tuple(SUBJECTS)) -> Outcome:
    """Send the cases one after the other, and watch the service meanwhile."""
    outcome = Outcome()
    with watched(world, outcome):
        for subject in subjects:
            began = time.monotonic()
            outcome.right[subject] = 0
            for case in SUBJECTS[subject]:
                if fault := _fault_of(case, world):
                    outcome.wrong.append((subject, case.name, fault))
                else:
                    outcome.right[subject] += 1
            outcome.seconds[subject] = time.monotonic() - began
    return outcome


def _fault_of(case: Case, world: World) -> str | None:
    try:
        answer = case.send(world)
    except (httpx.HTTPError, OSError) as error:
        return f"no answer: {error!r}"
    return case.wanted.fault(answer)


@contextmanager
def watched(world: World, outcome: Outcome) -> Iterator[None]:
    """Look at the memory of the service and at its health, again and again."""
    process, ended = psutil.Process(world.process.pid), threading.Event()
    outcome.memory_before = outcome.memory_most = process.memory_info().rss

    def watch() -> None:
        with httpx.Client(base_url=world.http.base_url, timeout=60) as http:
            while not ended.wait(LOOK_SECONDS):
                outcome.memory_most = max(outcome.memory_most, process.memory_info().rss)
                began = time.monotonic()
                http.get("/healthz").raise_for_status()
                outcome.longest_silence = max(outcome.longest_silence, time.monotonic() - began)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        outcome.memory_after = process.memory_info().rss


def as_text(outcome: Outcome) -> str:
    """Show a run: cases and wrong ones by subject, memory, and the longest silence."""
    lines = [f"{'subject':30} {'cases':>6} {'wrong':>6} {'seconds':>8}"]
    for subject, right in outcome.right.items():
        wrong = sum(each[0] == subject for each in outcome.wrong)
        seconds = outcome.seconds[subject]
        lines.append(f"{subject:30} {right + wrong:6} {wrong:6} {seconds:8.1f}")
    lines.append(
        f"{'all':30} {outcome.count:6} {len(outcome.wrong):6} {sum(outcome.seconds.values()):8.1f}"
    )
    mib = [n >> 20 for n in (outcome.memory_before, outcome.memory_most, outcome.memory_after)]
    lines.append(f"memory of the service: {mib[0]} MiB before, {mib[1]} at most, {mib[2]} after")
    lines.append(f"/healthz answered within {outcome.longest_silence:.2f} s")
    lines += [f"WRONG {subject}: {name}: {fault}" for subject, name, fault in outcome.wrong]
    return "\n".join(lines)
