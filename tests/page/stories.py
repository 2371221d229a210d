"""A service with jobs in every state, as workers leave them."""

from dataclasses import dataclass

from app.contract.errors import JobError
from app.contract.events import RecoveryLoss
from app.contract.report import Report
from app.jobs import transitions
from tests.support.reports import any_report, recovered, sweep_report, with_task
from tests.support.serving import Service

# What would be seen to happen if a name, a text or an id were ever taken for HTML.
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
SIZES = [0.5, 0.25, 0.1]


@dataclass(frozen=True)
class Jobs:
    """The ids of the jobs, by their states."""

    sweep: str
    target: str
    plain: str
    failed: str
    queued: str
    running: str


def seed(service: Service, model: str) -> Jobs:
    """Make the jobs."""
    corpus = service.corpus("".join(f"{HOSTILE} {n}\n" for n in range(300)).encode())

    def submitted(name: str, sizes: float | list[float] = 0.25) -> str:
        recipe = {"vocab_size": sizes}
        body = {"base_model": model, "corpus_id": corpus, "name": name, "recipe": recipe}
        answer = service.http.post("/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    sweep, plain = submitted("letters, three sizes", SIZES), submitted(HOSTILE)
    report = recovered(with_task(sweep_report()))
    succeed(service, sweep, report)
    one = report.model_copy(update={"sweep": [], "warnings": [f"Beware of {HOSTILE}"]})
    succeed(service, plain, one)
    target = submitted("by target, in any runtime")
    by_target = any_report()
    succeed(service, target, by_target, files_of(by_target))
    failed = submitted("too few texts")
    error = JobError(
        type="user",
        code="corpus_too_small",
        message="The corpus has too little text for 7,630 tokens. Upload more, or ask for fewer.",
        retryable=False,
    )
    transitions.fail(service.db, service.claim(failed), error)
    running = submitted("notes, a quarter")
    claim = service.claim(running)
    for stage in ("resolve", "corpus", "tokenizer", "transfer"):
        transitions.start_stage(service.db, claim, stage, 0.1)
        transitions.finish_stage(service.db, claim, stage, 1.4, {})
    transitions.start_stage(service.db, claim, "recover", 0.2)
    for point in report.recovery.loss[:14]:
        transitions.tell(service.db, claim, RecoveryLoss(vocab_size=7630, **dict(point)))
    transitions.report_progress(service.db, claim, 0.42, "step 260 of 500", 95.0)
    return Jobs(sweep, target, plain, failed, submitted("minutes of meetings", 0.5), running)


def files_of(report: Report) -> dict[str, bytes]:
    """The files of all models of a report, each with its own path as its content."""
    named = ("model.safetensors", "tokenizer.json")
    paths = [
        path if row.path == "." else f"{row.path}/{path}"
        for row in report.sweep
        for path in (*named, *(one.path for one in row.exports))
    ]
    return {path: path.encode() for path in paths}


def succeed(
    service: Service, job_id: str, report: Report, files: dict[str, bytes] | None = None
) -> None:
    """End a job well, with a report and the headline figures."""
    files = {"model.safetensors": b"weights", **(files or {})}
    files["report.json"] = report.model_dump_json().encode()
    result = {
        "vocab_size_after": report.compressed.vocab_size,
        "bytes_before": report.base.bytes,
        "bytes_after": report.compressed.bytes,
        "quality": {row.metric: row.retention for row in report.quality},
    }
    service.succeed(job_id, files, b"archive", result)
