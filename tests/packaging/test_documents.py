"""README and docs hold together: blocks parse, links lead somewhere, names are the code's."""

import ast
import importlib
import json
import re
import shlex
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
import yaml

from app.settings import Settings
from tests.support.documents import (
    NOT_RUN,
    ROOT,
    Block,
    blocks_of,
    documents,
    text_of,
    without_blocks,
)

DOCUMENTS = documents()
BLOCKS = [block for document in DOCUMENTS for block in blocks_of(document)]
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
ELSEWHERE = ("http://", "https://", "mailto:")
IMAGES = sorted((ROOT / "docs" / "images").glob("*.svg"))


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_is_of_its_language(block: Block) -> None:
    match block.language:
        case "bash":
            done = subprocess.run(
                ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        case "python":
            compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        case "json":
            json.loads(block.text)
        case "yaml":
            assert yaml.safe_load(block.text)
        case language:
            assert language == "text", f"a block of {language!r}: nothing checks it"


@pytest.mark.parametrize(
    "block",
    [b for b in BLOCKS if b.language == "bash" and "client/" not in b.document],
    ids=str,
)
def test_a_block_stops_at_an_error_and_says_its_interpreter(block: Block) -> None:
    lines = block.text.splitlines()
    if len(lines) > 1:
        assert lines[0] == "set -euo pipefail"
    # A bare `python`, `pip` or `fvt` would be whichever comes first on the path.
    assert not re.search(r"^(python|pip|fvt) ", block.text, re.MULTILINE)


def test_what_is_not_run_is_there() -> None:
    runnable = [block.text for block in BLOCKS if block.language in {"bash", "python"}]
    if not (ROOT / "client").exists():
        runnable += [part for part, why in NOT_RUN.items() if "client" in why]
    assert [part for part in NOT_RUN if not any(part in text for text in runnable)] == []


def anchors(document: Path) -> set[str]:
    """The anchors of a document, as GitHub makes them."""
    text = document.read_text("utf-8")
    titles = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", title) for title in HEADING.findall(text))
    slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    return slugs | set(re.findall(r'<a id="([^"]+)"', text))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_what_is_there(document: str) -> None:
    for link in LINK.findall(without_blocks(document)):
        if link.startswith(ELSEWHERE):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), f"{document}: {link}"
        assert target.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(target), f"{document}: {link}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_shows_on_github_and_loads_nothing_else(document: str) -> None:
    text = without_blocks(document)
    assert not re.search(r"^(!!!|\?\?\?|===) ", text, re.MULTILINE)
    assert "<script" not in text
    for image in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text):
        assert image[0], f"{document}: a picture without words"
        assert not image[1].startswith(ELSEWHERE)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_settings_that_are_named_exist(document: str) -> None:
    known = {f"FVT_{name.upper()}" for name in Settings.model_fields}
    known |= {"FVT_URL", "FVT_API_KEY", "FVT_BIND", "FVT_PORT"}  # the client's, and Compose's
    known |= {"FVT_BENCH_DATA", "FVT_BENCH_TOKENIZERS"}
    if "decisions" in document:
        return  # they tell of their day
    named = set(re.findall(r"\bFVT_[A-Z][A-Z_]*[A-Z]\b", text_of(document)))
    assert named <= known


def commands() -> Any:
    """The `fvt` command of the client."""
    if find_spec("fvt_client") is None:
        pytest.skip("the client is not installed")
    return typer.main.get_command(importlib.import_module("fvt_client.cli.main").cli)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "bash"], ids=str)
def test_options_of_fvt_that_are_shown_exist(block: Block) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        found = re.search(r"(?:\.venv/bin/|^|\$\()fvt (?!up\b)([a-z]+)( [^|)]*)?", line)
        if found is None:
            continue
        command = commands().commands[found[1]]
        known = {name for option in command.params for name in option.opts}
        used = [part for part in shlex.split(found[2] or "", comments=True) if part[:2] == "--"]
        assert set(used) <= known, line


def test_the_readme_is_read_in_a_few_minutes() -> None:
    assert len(text_of("README.md").split()) <= 900


@pytest.mark.parametrize("language", ["bash", "python"])
def test_the_ways_in_are_short(language: str) -> None:
    for block in blocks_of("README.md"):
        if block.language == language:
            assert len(block.text.splitlines()) < 10, str(block)


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_a_picture_is_ours_and_says_what_it_shows(image: Path) -> None:
    root = ElementTree.parse(image).getroot()
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert {"title", "desc"} <= names
    assert not names & {"script", "image", "foreignObject"}
    text = image.read_text("utf-8")
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]


def test_every_page_is_in_the_navigation() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    listed = set(re.findall(r"[\w/-]+\.md", json.dumps(navigation)))
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert listed == {page for page in pages if not re.match(r"decisions/\d", page)}
