"""The whole way in one command: `python -m examples.demo`, or `make demo`.

Starts a local service, compresses a packaged sentence encoder for Python's own documentation, and
measures what a user would: how well docstrings are found by their first sentences, how fast, with
a file of which size. Needs no network.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.table import Table

from examples.retrieval import Collection
from fvt_client import FvtError, Report
from fvt_client.cli.output import JobDisplay, out, say
from fvt_client.cli.session import end_on_sigterm, local_session

BASE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
RUNTIME, FILE = "onnx-int4", "onnx/model_int4.onnx"
METRIC = "recall_at_10"
RECIPE: dict[str, Any] = {
    "vocab_size": 0.25,
    "recovery": {"preset": "fast", "max_minutes": 1.0, "keep_layers": 3},
    "export": {"int4": True},
}
OUTPUT = Path("demo-output")


def main() -> None:
    """Compress, measure, say what came of it and what to do next."""
    end_on_sigterm()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fvt-demo-") as folder:
        report = compress(Path(folder))
    out.print()
    out.print(verdict(report), style="bold", highlight=False, soft_wrap=True)
    out.print(figures(report))
    out.print(NEXT.format(folder=OUTPUT), markup=False, highlight=False, soft_wrap=True)
    say(f"Took {time.monotonic() - began:.0f} s.")


def compress(folder: Path) -> Report:
    """Run one job on a local service and unpack its result; returns its report."""
    say("Reading the docstrings of Python's standard library")
    collection = Collection.of_docstrings()
    corpus = folder / "docstrings.txt"
    lines = collection.write_corpus(corpus)
    task = {"type": "retrieval", **collection.write_task(folder)}
    say(f"Corpus: {lines:,} texts; {len(collection.asked)} questions that are not among them")
    shutil.rmtree(OUTPUT, ignore_errors=True)
    recipe = {**RECIPE, "evaluation": {"task": task, "memory": False}}
    with local_session(folder / "data") as session:
        job = session.client.compress(BASE_MODEL, corpus, recipe=recipe, name="demo")
        key = session.local.api_key if session.local else ""
        say(f"Its page, while it runs: {session.client.url}/#/jobs/{job.id} (key: {key})")
        with JobDisplay() as display:
            job.wait(progress=display.show)
        job.download(OUTPUT)
        return job.report()


def verdict(report: Report) -> str:
    """Return what came of it in a sentence; no figure that lies within its own noise."""
    export = next(file for file in report.exports if file.runtime == RUNTIME)
    found = next(row for row in export.quality if row.metric == METRIC)
    fast = next(r for r in report.latency if (r.runtime, r.batch_size) == (RUNTIME, 1))
    said = [f"{report.base.bytes / export.bytes:.1f}x smaller"]
    if fast.low is not None and fast.low > 1:
        said.append(f"{fast.speedup:.1f}x faster at one text")
    if found.low is not None and found.high is not None and found.low <= 1 <= found.high:
        said.append("finds as many docstrings as the base, within the noise of the measurement")
    else:
        every = 100 * found.retention
        said.append(f"finds {every:.0f} for every 100 docstrings that the base finds")
    return f"{OUTPUT / FILE}: {', '.join(said)}."


def figures(report: Report) -> Table:
    """Return the sizes, times and shares behind the verdict, the base beside the result."""
    table = Table("", "base, PyTorch", "result, PyTorch", "result, ONNX int4")
    export = next(file for file in report.exports if file.runtime == RUNTIME)
    sizes = (report.base.bytes, report.compressed.bytes, export.bytes)
    table.add_row("MB", *(f"{size / 1e6:.1f}" for size in sizes))
    for size in (1, 32):
        torch, onnx = (
            next(r for r in report.latency if r.batch_size == size and r.runtime.startswith(name))
            for name in ("torch", RUNTIME)
        )
        label = f"ms, {size} text{'s' if size > 1 else ''} at a time"
        times = (torch.before_ms, torch.after_ms, onnx.after_ms)
        table.add_row(label, *(f"{ms:.1f}" for ms in times))
    own, exported = (
        next(row for row in rows if row.metric == METRIC)
        for rows in (report.quality, export.quality)
    )
    shares = (own.before, own.after, exported.after)
    table.add_row("found among the first ten", *(f"{share:.1%}" for share in shares))
    return table


NEXT = """
{folder}/report.html shows all of it; {folder}/ loads with transformers and sentence-transformers.
Next, with a text of yours, a document a line:

    .venv/bin/fvt compress --model sentence-transformers/all-MiniLM-L6-v2 \\
        --corpus corpus.txt --layers 3 --int4 --out compressed

or `.venv/bin/fvt up`, and the page at http://127.0.0.1:8000/
"""

if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except FvtError as error:
        sys.exit(str(error))
