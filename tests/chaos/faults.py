"""Faults at random moments, each healed after a while: a seed gives their order and lengths."""

import heapq
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count

import psutil

from tests.chaos.points import Hit
from tests.chaos.processes import Service, signal_all
from tests.chaos.stack import LEASE_SECONDS, Stack

TICK_SECONDS = 0.1
AGAIN_SECONDS = 0.5
AHEAD, PER_JOB = 5, 1.1

Heal = Callable[[], bool | None]
"""Undo a fault; False where it is too early for that, to be called again."""


class Faults:
    """Break something of a stack about every `mean_seconds`, and mend it later.

    On a slow machine less often, so that jobs get on: `PER_JOB` a job that is done, and `AHEAD`.
    `kinds` counts what was done. A service that ended without being told to is counted there too,
    and started again.
    """

    def __init__(self, stack: Stack, seed: int, mean_seconds: float) -> None:
        self.kinds: Counter[str] = Counter()
        self._stack = stack
        self._rng = random.Random(f"faults {seed}")
        self._mean = mean_seconds
        self._next = time.monotonic() + mean_seconds
        self._order = count()
        self._heals: list[tuple[float, int, Heal]] = []
        self._expected: set[str] = set()
        self._busy: set[str] = set()
        self._seen: set[str] = set()
        self._hit_workers = 0
        self._broken = 0
        self._choices: dict[Callable[[], None], int] = {
            self._kill_worker: 8,
            self._kill_worker_and_child: 5,
            self._freeze_worker: 6,
            self._stop_worker: 5,
            self._kill_child: 14,
            self._freeze_child: 12,
            self._kill_broker: 8,
            self._freeze_broker: 8,
            self._freeze_database: 8,
            self._kill_api: 10,
            self._freeze_api: 8,
            self._stop_api: 4,
        }
        if "killed" in stack.database.faults:
            self._choices[self._kill_database] = 8

    def tick(self, jobs_done: int) -> None:
        """Do what is due now."""
        now = time.monotonic()
        while self._heals and self._heals[0][0] <= now:
            _, _, heal = heapq.heappop(self._heals)
            if heal() is False:
                self._later(heal, AGAIN_SECONDS)
        self._note_hits()
        self._restart_what_ended()
        if now >= self._next and self._broken < AHEAD + PER_JOB * jobs_done:
            self._broken += 1
            choices, weights = zip(*self._choices.items(), strict=True)
            self._rng.choices(choices, weights)[0]()
            self._next = now + self._rng.expovariate(1 / self._mean)

    def heal(self) -> None:
        """Mend everything now."""
        self._heals.clear()
        self._expected.clear()
        self._stack.heal()

    def watch(self) -> None:
        """Break nothing more, but thaw and restart whom the points of jobs hit."""
        self._next = float("inf")
        self.tick(0)

    def _later(self, heal: Heal, seconds: float) -> None:
        heapq.heappush(self._heals, (time.monotonic() + seconds, next(self._order), heal))

    def _note_hits(self) -> None:
        """Count the jobs' own points that were passed, and thaw who froze there."""
        for note in self._stack.points.iterdir():
            words = note.read_text().split()
            if note.name in self._seen or len(words) < 3:
                continue
            self._seen.add(note.name)
            hit, _, pid = words
            self.kinds[f"{hit} at a stage's point"] += 1
            self._hit_workers += hit == Hit.WORKER_KILLED
            if hit == Hit.CHILD_FROZEN:
                self._thaw_later(int(pid))

    def _thaw_later(self, pid: int) -> None:
        """Let a process run on once its lease is over: it is a zombie to the job then."""
        with suppress(psutil.NoSuchProcess):
            frozen = psutil.Process(pid)
            seconds = LEASE_SECONDS + self._rng.uniform(1, 3)
            self._later(partial(signal_all, [frozen], signal.SIGCONT), seconds)

    def _restart_what_ended(self) -> None:
        for service in self._stack.services:
            if not service.runs and service.name not in self._expected:
                if not self._was_hit(service):
                    self.kinds[f"{service.name.rstrip('0123456789')} ended by itself"] += 1
                self._restart_later(service)

    def _was_hit(self, service: Service) -> bool:
        """Tell whether a job's point explains the end of a service, and of none before it."""
        if service not in self._stack.workers or not self._hit_workers:
            return False
        self._hit_workers -= 1
        return True

    def _restart_later(self, service: Service) -> None:
        self._expected.add(service.name)

        def heal() -> bool:
            if service.runs:
                return False
            service.restart()
            self._expected.discard(service.name)
            return True

        self._later(heal, self._rng.uniform(0, 2))

    def _kill(self, services: list[Service], kind: str, *, with_children: bool = False) -> None:
        service = self._rng.choice(services)
        if not service.runs or service.name in self._expected:
            return
        self.kinds[kind] += 1
        victims = service.family() if with_children else service.family()[:1]
        signal_all(victims, signal.SIGKILL)
        self._restart_later(service)

    def _freeze(self, services: list[Service], kind: str, longest: float) -> None:
        service = self._rng.choice(services)
        if not service.runs:
            return
        self.kinds[kind] += 1
        service.send(signal.SIGSTOP)
        seconds = self._rng.uniform(0.5, longest)
        self._later(partial(service.send, signal.SIGCONT), seconds)

    def _stop(self, services: list[Service], kind: str) -> None:
        service = self._rng.choice(services)
        if not service.runs or service.name in self._expected:
            return
        self.kinds[kind] += 1
        service.send(signal.SIGTERM)
        self._restart_later(service)

    def _kill_worker(self) -> None:
        self._kill(self._stack.workers, "worker killed")

    def _kill_worker_and_child(self) -> None:
        self._kill(self._stack.workers, "worker and its processes killed", with_children=True)

    def _freeze_worker(self) -> None:
        self._freeze(self._stack.workers, "worker frozen", LEASE_SECONDS + 3)

    def _stop_worker(self) -> None:
        self._stop(self._stack.workers, "worker stopped (SIGTERM)")

    def _child(self) -> psutil.Process | None:
        children = self._rng.choice(self._stack.workers).family()[1:]
        return self._rng.choice(children) if children else None

    def _kill_child(self) -> None:
        if child := self._child():
            self.kinds["pool process or its child killed"] += 1
            signal_all([child], signal.SIGKILL)

    def _freeze_child(self) -> None:
        if child := self._child():
            self.kinds["pool process or its child frozen"] += 1
            signal_all([child], signal.SIGSTOP)
            seconds = self._rng.uniform(0.5, LEASE_SECONDS + 4)
            self._later(partial(signal_all, [child], signal.SIGCONT), seconds)

    def _kill_broker(self) -> None:
        self._kill([self._stack.broker], "broker killed")

    def _freeze_broker(self) -> None:
        self._freeze([self._stack.broker], "broker frozen", 5)

    def _kill_api(self) -> None:
        self._kill(self._stack.apis, "API killed")

    def _freeze_api(self) -> None:
        self._freeze(self._stack.apis, "API frozen", 5)

    def _stop_api(self) -> None:
        self._stop(self._stack.apis, "API stopped (SIGTERM)")

    def _freeze_database(self) -> None:
        if "database" in self._busy:
            return
        self._busy.add("database")
        self.kinds["database frozen"] += 1
        self._stack.database.freeze()

        def heal() -> bool:
            self._stack.database.thaw()
            self._busy.discard("database")
            return True

        self._later(heal, self._rng.uniform(0.5, LEASE_SECONDS + 3))

    def _kill_database(self) -> None:
        if "database" in self._busy:
            return
        self._busy.add("database")
        self.kinds["database killed"] += 1
        self._stack.database.kill()

        def heal() -> bool:
            self._stack.database.restart()
            self._busy.discard("database")
            return True

        self._later(heal, self._rng.uniform(0.5, 3))
