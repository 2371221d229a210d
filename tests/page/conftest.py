"""A real Chromium on the page of a real service."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.page.stories import Jobs, seed
from tests.support.serving import Service, serving
from tests.support.tiny_models import make_base_model

CHROMIUM = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PATIENCE = 30_000
"""Milliseconds for what is done at once by a machine that does nothing else."""
WINDOWS = {1280: 800, 390: 844}

Colours = Literal["light", "dark"]


@dataclass
class Visit:
    """A page that is open, and all that it asked for and complained of."""

    page: Page
    url: str
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def check_nothing_left_the_machine(self) -> None:
        """Every request went to the service, and nothing was refused by the policy of the page."""
        here = urlsplit(self.url).netloc
        others = [r.url for r in self.requests if not r.url.startswith(("data:", "blob:"))]
        assert {urlsplit(url).netloc for url in others} == {here}
        refused = [text for text in self.complaints if "Content Security Policy" in text]
        assert refused == []
        assert [text for text in self.complaints if text.startswith("error of the page")] == []


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start a browser for the tests of a file.

    Playwright runs an event loop for as long, in which no test of another file could run its own.
    """
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    # CI has few cores for a browser, a service and a worker.
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        # Containers run as root, where Chromium has no sandbox.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory, valkey: str, models_dir: Path
) -> Iterator[tuple[Service, Jobs]]:
    """A service with a job of every kind of end."""
    folder = tmp_path_factory.mktemp("told")
    with serving(folder / "data", valkey, models_dir=models_dir) as service:
        yield service, seed(service, "tiny-bert")


Visitor = Callable[..., Visit]


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visitor]:
    """Open the page of a service in a window of this width and these colours."""
    contexts: list[BrowserContext] = []

    def open_page(service: Service, width: int = 1280, colours: Colours = "light") -> Visit:
        context = chromium.new_context(
            viewport={"width": width, "height": WINDOWS[width]},
            color_scheme=colours,
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        visited = Visit(context.new_page(), str(service.http.base_url))
        context.on("request", lambda request: visited.requests.append(request))  # noqa: PLW0108
        visited.page.on("console", lambda said: visited.complaints.append(said.text))
        visited.page.on(
            "pageerror", lambda error: visited.complaints.append(f"error of the page: {error}")
        )
        visited.page.goto(visited.url)
        return visited

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_base_model(folder / "tiny-bert")
    return folder


@pytest.fixture
def service(tmp_path: Path, valkey: str, models_dir: Path) -> Iterator[Service]:
    """A service with a tiny model and without a worker."""
    with serving(tmp_path / "data", valkey, models_dir=models_dir) as running:
        yield running
