"""The documents that people read, and the blocks of code in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of code: its document, from the root, and the line where it begins."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> list[str]:
    """Return the paths of all documents, from the root."""
    own = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "client/README.md"]
    pages = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
    return [path for path in own if (ROOT / path).exists()] + pages


def text_of(document: str) -> str:
    """Return what a document says."""
    return (ROOT / document).read_text("utf-8")


def blocks_of(document: str) -> list[Block]:
    """Return the blocks of a document, in order."""
    text = text_of(document)
    return [
        Block(document, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in FENCE.finditer(text)
    ]


def without_blocks(document: str) -> str:
    """Return a document's text alone: no blocks, no code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text_of(document)))


# What is not run, by a part of the block, and why. Its syntax is checked all the same.
NOT_RUN = {
    "make demo": "it is the demo, which has tests of its own",
    "make test": "it is what runs this test",
    "make setup": "it has made the environment that this test runs in",
    "export HF_TOKEN": "needs the hub and a token",
    "HF_TOKEN=hf_your_token": "needs Docker, the hub and a token",
    "docker compose": "needs Docker",
    "-m pip download": "needs the network",
    "--no-index": "needs what another machine downloaded",
    "bin/hf download": "needs the hub",
    "FVT_DEVICE=cuda": "needs a GPU, and goes on until Ctrl-C",
    "Bearer $KEY": "needs the service of Docker Compose",
    "export FVT_URL": "tested with the client, at a service of its own",
}


def why_not_run(block: Block) -> str | None:
    """Return why a block is not run; None where it is."""
    return next((why for part, why in NOT_RUN.items() if part in block.text), None)
