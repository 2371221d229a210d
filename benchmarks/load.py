"""Load a real API with a real worker beside it, and compare its answers with those of `/healthz`.

`python -m benchmarks.load` starts a broker, an API and a worker that compresses a model all the
time, first on SQLite, then on PostgreSQL where it is installed. On each it prints

- 32 clients for two minutes, each in turn submitting a job, reading it and asking `/healthz`: the
  median and the 99th percentile of each in milliseconds, their ratios to `/healthz`, and errors;
- GET while 600 streams of events are open, and how long an event takes to reach them;
- 20 submissions at once while the broker is frozen: the slowest;
- GET and `/healthz` while the database is in trouble for 20 seconds: SQLite locked, PostgreSQL
  frozen; the slowest answers, by status;
- the memory of the API during 64 slow downloads, and during 16 uploads of JSON lines of a million
  keys, with the slowest `/healthz` then.

`--seconds 20` shortens the first, `--database sqlite` picks one. Run it on a quiet machine.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from app.broker import QUEUE
from app.cli.local import api, broker
from benchmarks.recording import recorded
from benchmarks.upload import await_health, highest_rss
from tests.support.outages import own_postgres

CLIENTS = 32
STREAMS = 600
DOWNLOADS = 64
UPLOADS = 16
OUTAGE_SECONDS = 20
MODEL = "sentence-transformers/all-MiniLM-L6-v2"
# Recovery keeps the worker busy, with a report of its progress each second.
BUSY = {"vocab_size": 0.25, "recovery": {"objective": "auto", "max_minutes": 60}}
QUICK = {"recovery": {"objective": "none"}}
TEXT = "the patient was given aspirin for pain and it went away after {} days\n"


@dataclass
class Site:
    """A running service: its processes, and how to bring its database in trouble."""

    url: str
    data: Path
    api: psutil.Process
    broker: psutil.Process
    trouble: Callable[[], Any]
    corpus: str = ""
    job: str = ""


@dataclass
class Timings:
    """Seconds of answers by the kind of call, and their statuses."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[str] = field(default_factory=Counter)

    async def take(self, kind: str, call: Awaitable[httpx.Response]) -> httpx.Response | None:
        """Time one call; one that breaks off counts as an error."""
        begun = time.perf_counter()
        try:
            answer = await call
        except httpx.HTTPError as error:
            self.statuses[f"{kind} {type(error).__name__}"] += 1
            return None
        self.seconds[kind].append(time.perf_counter() - begun)
        self.statuses[f"{kind} {answer.status_code}"] += 1
        return answer

    def table(self) -> dict[str, object]:
        """Milliseconds by kind, and how the 99th percentiles compare with `/healthz`."""
        p99 = {kind: percentile(times, 0.99) for kind, times in self.seconds.items()}
        rows: dict[str, object] = {
            kind: {
                "calls": len(times),
                "p50_ms": round(1000 * statistics.median(times), 1),
                "p99_ms": round(1000 * p99[kind], 1),
                "p99_ratio": round(p99[kind] / p99["healthz"], 2),
            }
            for kind, times in self.seconds.items()
        }
        wanted = {"submit 202", "get 200", "healthz 200"}
        errors = {said: n for said, n in self.statuses.items() if said not in wanted}
        return {**rows, "errors": errors}


def percentile(times: list[float], share: float) -> float:
    """The value that this share of the times does not exceed."""
    return sorted(times)[min(int(len(times) * share), len(times) - 1)]


@contextmanager
def started(command: list[str], env: dict[str, str], log: Path) -> Iterator[psutil.Process]:
    """Run a process, and end it with its children."""
    with log.open("ab") as sink:
        process = subprocess.Popen(command, env=env, stdout=sink, stderr=sink)  # noqa: S603
    seen = psutil.Process(process.pid)
    try:
        yield seen
    finally:
        family = [seen, *seen.children(recursive=True)] if seen.is_running() else []
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


@contextmanager
def running(database: str, data: Path) -> Iterator[Site]:
    """A broker, an API and a worker that is busy, on fresh folders."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fvt-", dir="/tmp")))
        env = os.environ | {"FVT_AUTH": "off", "FVT_HUB": "false", "FVT_DATA_DIR": str(data)}
        env |= {"FVT_BROKER_URL": f"redis+socket://{folder / 's'}", "FVT_DEVICE": "cpu"}
        trouble: Callable[[], Any] = lambda: locked(data / "fvt.db")  # noqa: E731
        if database == "postgresql":
            postgres = stack.enter_context(own_postgres())
            env["FVT_DATABASE_URL"], trouble = postgres.url, postgres.frozen
        valkey = stack.enter_context(started(broker(folder / "s", folder), env, data / "b.log"))
        port = free_port()
        serving = stack.enter_context(started(api("127.0.0.1", port), env, data / "api.log"))
        url = f"http://127.0.0.1:{port}"
        await_health(url)
        worker = [sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker", "-P"]
        worker += ["prefork", "-c", "1", "-Q", QUEUE, "--without-mingle", "-l", "INFO"]
        stack.enter_context(started(worker, env, data / "worker.log"))
        site = Site(url, data, serving, valkey, trouble)
        make_busy(site)
        yield site


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def make_busy(site: Site) -> None:
    """Submit the job that runs all the time, and wait until the worker trains its model."""
    lines = "".join(TEXT.format(number) for number in range(20_000))
    with httpx.Client(base_url=site.url, timeout=60) as http:
        site.corpus = http.post("/v1/corpora", content=lines.encode()).json()["id"]
        body = {"base_model": MODEL, "corpus_id": site.corpus, "recipe": BUSY}
        site.job = http.post("/v1/jobs", json=body).json()["id"]
        end = time.monotonic() + 300
        while http.get(f"/v1/jobs/{site.job}").json()["stage"] != "recover":
            if time.monotonic() > end:
                raise TimeoutError(http.get(f"/v1/jobs/{site.job}").text)
            time.sleep(0.5)


@asynccontextmanager
async def client(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """A client of as many connections as it wants."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    # Without certificates, whose reading for each client would be timed with the first calls.
    made = httpx.AsyncClient(base_url=site.url, timeout=120, limits=limits, verify=False)  # noqa: S501
    async with made as http:
        yield http


def submission(site: Site) -> dict[str, Any]:
    """A job on the corpus that is there."""
    return {"base_model": MODEL, "corpus_id": site.corpus, "recipe": QUICK}


async def many_clients(site: Site, seconds: float) -> dict[str, object]:
    """Submit, GET and `/healthz` in turn, by 32 clients in closed loops."""
    timings, end = Timings(), time.monotonic() + seconds

    async def one() -> None:
        async with client(site) as http:
            await http.get("/healthz")
            while time.monotonic() < end:
                body = submission(site)
                made = await timings.take("submit", http.post("/v1/jobs", json=body))
                job = made.json()["id"] if made and made.is_success else site.job
                await timings.take("get", http.get(f"/v1/jobs/{job}"))
                await timings.take("healthz", http.get("/healthz"))

    await asyncio.gather(*(one() for _ in range(CLIENTS)))
    return timings.table()


async def many_streams(site: Site) -> dict[str, object]:
    """GET, once every 50 ms for ten seconds, while streams of 600 jobs are open."""
    timings, opened, lags = Timings(), asyncio.Semaphore(0), list[float]()
    async with client(site) as http:
        made = [await http.post("/v1/jobs", json=submission(site)) for _ in range(STREAMS)]
        jobs = [answer.json()["id"] for answer in made]

        async def follow(job: str) -> None:
            accept = {"accept": "text/event-stream"}
            async with http.stream("GET", f"/v1/jobs/{job}/events", headers=accept) as stream:
                async for line in stream.aiter_lines():
                    if line == "event: job.queued":
                        opened.release()
                    elif line == "event: job.cancelled":
                        lags.append(time.perf_counter())

        streams = [asyncio.create_task(follow(job)) for job in jobs]
        await asyncio.gather(*(opened.acquire() for _ in jobs))
        for _ in range(200):
            await timings.take("get", http.get(f"/v1/jobs/{site.job}"))
            await timings.take("healthz", http.get("/healthz"))
            await asyncio.sleep(0.05)
        begun = time.perf_counter()
        await http.post(f"/v1/jobs/{jobs[0]}/cancel")
        await asyncio.wait([streams[0]], timeout=30)
        lag = round(lags[0] - begun, 2) if lags else None
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
    return {"streams": STREAMS, "seconds_to_an_event": lag, **timings.table()}


async def frozen_broker(site: Site) -> dict[str, object]:
    """20 submissions at once while the broker stands still."""
    timings = Timings()
    site.broker.send_signal(signal.SIGSTOP)
    try:
        async with client(site) as http:
            calls = (http.post("/v1/jobs", json=submission(site)) for _ in range(20))
            await asyncio.gather(*(timings.take("submit", call) for call in calls))
    finally:
        site.broker.send_signal(signal.SIGCONT)
    slowest = max(timings.seconds["submit"], default=None)
    return {"statuses": dict(timings.statuses), "slowest_seconds": slowest}


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold SQLite's write lock."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=60)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


async def database_in_trouble(site: Site) -> dict[str, object]:
    """Calls of each kind by 32 clients for as long as the trouble lasts, and one afterwards."""
    timings, accepted = Timings(), list[str]()

    async def one() -> None:
        async with client(site) as http:
            while time.monotonic() < end:
                made = await timings.take("submit", http.post("/v1/jobs", json=submission(site)))
                if made and made.status_code == 202:
                    accepted.append(made.json()["id"])
                await timings.take("get", http.get(f"/v1/jobs/{site.job}"))
                await timings.take("healthz", http.get("/healthz"))
                await asyncio.sleep(0.2)

    with site.trouble():
        end = time.monotonic() + OUTAGE_SECONDS
        await asyncio.gather(*(one() for _ in range(CLIENTS)))
    slowest = {kind: round(max(times), 2) for kind, times in timings.seconds.items()}
    recovered = time.perf_counter()
    async with client(site) as http:
        while (await http.post("/v1/jobs", json=submission(site))).status_code != 202:
            await asyncio.sleep(0.1)
        recovered = time.perf_counter() - recovered
        lost = [j for j in accepted if (await http.get(f"/v1/jobs/{j}")).status_code != 200]
    return {
        "statuses": dict(timings.statuses),
        "slowest_seconds": slowest,
        "accepted_and_lost": len(lost),
        "seconds_to_recover": round(recovered, 2),
    }


async def slow_downloads(site: Site) -> dict[str, object]:
    """Memory of the API while 64 clients read the first bytes of a result and then wait."""
    with (site.data / "filler").open("wb") as filler:
        filler.truncate(64 << 20)
    key = await asyncio.to_thread(finished_job, site, site.data / "filler")
    before = site.api.memory_info().rss
    port = int(site.url.rpartition(":")[2])
    with ExitStack() as stack:
        for _ in range(DOWNLOADS):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(
                f"GET /v1/jobs/{key}/download HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            )
        await asyncio.sleep(5)
        during = site.api.memory_info().rss
    await asyncio.sleep(5)
    after = site.api.memory_info().rss
    return {"mib_more": (during - before) >> 20, "mib_more_afterwards": (after - before) >> 20}


def finished_job(site: Site, result: Path) -> str:
    """Make a job that has succeeded with a large result, as a worker leaves it."""
    # Here: what it needs reads the settings of the environment.
    from app.contract.states import Status  # noqa: PLC0415
    from app.db import Database  # noqa: PLC0415
    from app.jobs.models import Job  # noqa: PLC0415

    env = site.api.environ()
    url = env.get("FVT_DATABASE_URL") or f"sqlite:///{site.data / 'fvt.db'}"
    db = Database(url, wait=30)
    with db.write() as session:
        artifact = {"prefix": "", "bytes": result.stat().st_size, "sha256": "0" * 64, "files": []}
        job = Job(
            base_model=MODEL,
            corpus_id=site.corpus,
            recipe={},
            labels={},
            max_attempts=1,
            status=Status.SUCCEEDED,
            due_at=None,
        )
        session.add(job)
        session.flush()
        job.artifact = {**artifact, "prefix": f"jobs/{job.id}/results/1"}
        target = site.data / "blobs" / job.artifact["prefix"] / "artifact.tar.gz"
    target.parent.mkdir(parents=True)
    result.rename(target)
    db.close()
    return job.id


async def wide_uploads(site: Site) -> dict[str, object]:
    """Memory of the API, and the slowest `/healthz`, while 16 clients send a million keys each."""
    line = "{" + ",".join(f'"k{number}":{number}' for number in range(1_000_000)) + "}\n"
    data = (line[: 15 << 20].rpartition(",")[0] + ',"text":"a text"}\n').encode()
    timings, before = Timings(), family_rss(site)
    highest, stop = [before], threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            highest.append(family_rss(site))

    watching = threading.Thread(target=watch)
    watching.start()
    async with client(site) as http:
        with highest_rss(site.api) as own:
            sent = {"content-type": "application/x-ndjson"}
            uploads = asyncio.gather(
                *(
                    timings.take("upload", http.post("/v1/corpora", content=data, headers=sent))
                    for _ in range(UPLOADS)
                )
            )
            while not uploads.done():
                await timings.take("healthz", http.get("/healthz"))
                await asyncio.sleep(0.02)
            await uploads
    stop.set()
    watching.join()
    return {
        "statuses": dict(timings.statuses),
        "slowest_healthz_seconds": round(max(timings.seconds["healthz"]), 2),
        "mib_more_in_the_api": (max(own) - own[0]) >> 20,
        "mib_more_with_its_processes": (max(highest) - before) >> 20,
    }


def family_rss(site: Site) -> int:
    """Bytes of the API and of the processes that it started."""
    total = 0
    for process in (site.api, *site.api.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


async def everything(site: Site, seconds: float) -> None:
    """Run all the parts on one site, and print each as it ends."""
    parts: dict[str, Callable[[], Awaitable[dict[str, object]]]] = {
        "32 clients": lambda: many_clients(site, seconds),
        "600 streams": lambda: many_streams(site),
        "broker frozen": lambda: frozen_broker(site),
        "slow downloads": lambda: slow_downloads(site),
        "wide uploads": lambda: wide_uploads(site),
        "database in trouble": lambda: database_in_trouble(site),
    }
    for name, part in parts.items():
        print(f"  {name}: {json.dumps(await part())}", flush=True)


def main() -> None:
    """Run all the parts on both databases."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    asked = parser.parse_args()
    for database in asked.database or ("sqlite", "postgresql"):
        print(database, flush=True)
        with (
            tempfile.TemporaryDirectory(prefix="fvt-load-") as folder,
            running(database, Path(folder)) as site,
        ):
            asyncio.run(everything(site, asked.seconds))


if __name__ == "__main__":
    with recorded():
        main()
