"""Seconds from a job's submission to its claim and its first stage, on a service started for it.

    python -m benchmarks.readiness [JOBS]

JOBS jobs (10) one after the other, each cancelled at its first stage, so that the next one has a
process that has only just started; as many after five seconds of rest; then one job for the
packaged all-MiniLM-L6-v2 that runs to its end, for what its self-check took. Prints the least and
the median of each, and the load of the machine.
"""

import os
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import median

from app.cli.local import LocalService
from benchmarks.recording import recorded
from fvt_client import Client, CorpusView

BASE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
RECIPE = {
    "vocab_size": 0.25,
    "recovery": {"objective": "none"},
    "evaluation": {"latency": False, "memory": False},
}
TEXTS = "Neither the dose of ibuprofen nor that of paracetamol number {} was documented.\n"
REST = 5.0


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = folder / "corpus.txt"
        corpus.write_text("".join(TEXTS.format(number) for number in range(20_000)))
        with (
            LocalService(folder / "data", port=0) as service,
            Client(service.url) as client,
        ):
            uploaded = client.upload(corpus)
            first_stage(client, uploaded)
            print("| | queued to claim | claim to first stage |\n| --- | --- | --- |")
            for title, rest in (("at once after another", 0.0), (f"after {REST:.0f} s", REST)):
                found = []
                for _ in range(jobs):
                    time.sleep(rest)
                    found.append(first_stage(client, uploaded))
                columns = [f"{min(s):.2f} s, {median(s):.2f} s" for s in zip(*found, strict=True)]
                print(f"| {title} | {' | '.join(columns)} |")
            client.compress(BASE_MODEL, uploaded, recipe=RECIPE).wait(check=False)
            log = (service.logs / "worker.log").read_text("utf-8")
            print(*[line for line in log.splitlines() if "self-check" in line], sep="\n")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def first_stage(client: Client, corpus: CorpusView) -> tuple[float, float]:
    """Return the seconds from submission to claim, and from there to the first stage."""
    job = client.compress(BASE_MODEL, corpus, recipe=RECIPE)
    began: dict[str, datetime] = {}
    while "stage.started" not in began:
        time.sleep(0.05)
        for event in job.events(follow=False):
            began.setdefault(event.type, event.created_at)
    job.cancel().wait(poll=0.1, check=False)
    queued, claimed, staged = (
        began[name] for name in ("job.queued", "job.started", "stage.started")
    )
    return (claimed - queued).total_seconds(), (staged - claimed).total_seconds()


if __name__ == "__main__":
    with recorded():
        main()
