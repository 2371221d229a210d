"""The built pages load nothing from another host."""

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ZENSICAL = ROOT / ".venv-docs" / "bin" / "zensical"
# What a browser loads by itself; a link is followed by people.
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "srcset", "link": "href"}
CSS_URL = re.compile(
    r"url\(\s*[\"']?((?:https?:)?//[^)\"']+)|@import\s+[\"']((?:https?:)?//[^\"']+)"
)


class Loads(HTMLParser):
    """Collects what a page loads, and its diagrams: their script would come from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.urls = list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in LOADED and found.get("rel") != "canonical":
            self.urls.append(found.get(LOADED[tag]) or "")
        if "mermaid" in (found.get("class") or ""):
            self.urls.append("https://unpkg.com/mermaid")


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere() -> None:
    if not ZENSICAL.exists():
        pytest.skip("`make docs` has not installed what builds the pages")
    command = [str(ZENSICAL), "build", "--strict", "--config-file", "mkdocs.yml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = sorted((ROOT / "site").rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text("utf-8"))
        assert [url for url in loads.urls if re.match(r"(https?:)?//", url)] == [], page.name
    for style in (ROOT / "site").rglob("*.css"):
        assert CSS_URL.findall(style.read_text("utf-8")) == [], style.name
