"""A person's way through the page, in a real Chromium, with a real worker behind it."""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.page.cable import cable_to
from tests.page.conftest import Colours, Visit, Visitor
from tests.support.serving import Service, serving
from tests.support.tiny_models import texts
from tests.support.workers import worker_process

pytestmark = pytest.mark.slow

KEY = "a-long-random-key"
MINUTES = 4 * 60_000
QUICK = {"recovery": {"max_steps": 12}, "evaluation": {"latency": False}}


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, valkey: str, models_dir: Path
) -> Iterator[Service]:
    """A service that wants a key, and its worker."""
    folder = tmp_path_factory.mktemp("journey")
    settings = {"models_dir": models_dir, "dispatch_seconds": 0.5, "auth": "on", "api_keys": [KEY]}
    with serving(folder / "data", valkey, **settings) as running:
        running.http.headers["authorization"] = f"Bearer {KEY}"
        with worker_process(running.settings):
            yield running


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "letters.txt"
    path.write_text("\n".join(texts(600, seed=7)))
    return path


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (390, "dark")])
def test_from_a_key_to_a_result(
    service: Service, visit: Visitor, corpus: Path, tmp_path: Path, width: int, colours: Colours
) -> None:
    visited: Visit = visit(service, width, colours)
    page = visited.page
    give_key(page)
    choose(page, "tiny-bert", corpus)
    expect_an_estimate(page)
    page.get_by_role("checkbox", name="50 %").check()
    page.get_by_label("Name of the job").fill(f"letters at {width}")
    page.get_by_text("Training, layers").click()
    page.get_by_role("checkbox", name="ONNX int8").check()
    page.get_by_label("More of the recipe").fill(json.dumps(QUICK))
    page.get_by_role("button", name="Compress").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(f"letters at {width}")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.get_by_role("progressbar", name="Progress of the job")).to_be_visible(
        timeout=MINUTES
    )
    expect(page.get_by_text("Loss by step")).to_be_visible(timeout=MINUTES)
    verdict = page.get_by_role("region", name="Verdict")
    expect(verdict).to_contain_text("smaller", timeout=MINUTES)
    expect(page.locator(".state .pill")).to_have_text("succeeded")
    expect(page.get_by_role("heading", name="Quality against size")).to_be_visible()
    expect(page.get_by_role("group", name="Each size that was made")).to_contain_text("300")

    job_id = page.url.rpartition("/")[2]
    check_download(page, service, job_id, tmp_path)
    no_sideways_scrolling(page)
    visited.check_nothing_left_the_machine()
    assert all(
        request.headers.get("authorization") == f"Bearer {KEY}"
        for request in visited.requests
        if "/v1/" in request.url and f"jobs/{job_id}" in request.url
    )


def test_a_running_job_is_cancelled_and_deleted_by_keys_alone(
    service: Service, visit: Visitor
) -> None:
    recipe = {"recovery": {"max_steps": 100_000, "max_minutes": 30}}
    job = service.submit(base_model="tiny-bert", corpus_id=upload(service), recipe=recipe)
    visited: Visit = visit(service)
    page = visited.page
    give_key(page)
    page.goto(f"{visited.url}/#/jobs/{job['id']}")
    expect(page.locator(".state .pill")).to_have_text("running", timeout=MINUTES)
    expect(page.get_by_text(re.compile(r"step \d+ of"))).to_be_visible(timeout=MINUTES)
    assert not page.request.head(f"{visited.url}/v1/jobs").ok

    page.get_by_role("button", name="Cancel the job").focus()
    page.keyboard.press("Enter")
    question = page.get_by_role("dialog", name="Cancel this job?")
    expect(question.get_by_role("button", name="Let it run")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    assert service.http.get(f"/v1/jobs/{job['id']}").json()["status"] == "running"

    expect(page.get_by_role("button", name="Cancel the job")).to_be_focused()
    page.keyboard.press("Enter")
    expect(question.get_by_role("button", name="Let it run")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".state .pill")).to_have_text("cancelled", timeout=MINUTES)
    page.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
    expect(page).to_have_url(re.compile("#/jobs$"))
    assert service.http.get(f"/v1/jobs/{job['id']}").status_code == 404
    visited.check_nothing_left_the_machine()


def test_the_stream_goes_on_behind_the_last_event_after_a_broken_connection(
    service: Service, visit: Visitor
) -> None:
    recipe = {"recovery": {"max_steps": 100_000, "max_minutes": 30}}
    job = service.submit(base_model="tiny-bert", corpus_id=upload(service), recipe=recipe)
    visited: Visit = visit(service)
    page = visited.page
    port = service.http.base_url.port
    assert port
    with cable_to(port) as cable:
        page.goto(f"{cable.url}/#/jobs/{job['id']}")
        give_key(page)
        step = page.get_by_text(re.compile(r"step \d+ of"))
        expect(step).to_be_visible(timeout=MINUTES)
        cable.pull()
        expect(page.get_by_text("The connection is lost.")).to_be_visible(timeout=60_000)
        then = step.inner_text()
        cable.mend()
        expect(page.get_by_text("The connection is lost.")).to_be_hidden(timeout=60_000)
        expect(step).not_to_have_text(then, timeout=60_000)
        streams = [r for r in visited.requests if r.url.endswith("/events")]
        assert re.fullmatch(r"event_\d+", streams[-1].headers["last-event-id"])
        service.http.post(f"/v1/jobs/{job['id']}/cancel")
        expect(page.locator(".state .pill")).to_have_text("cancelled", timeout=MINUTES)


def give_key(page: Page) -> None:
    dialog = page.get_by_role("dialog", name="This service asks for a key")
    dialog.get_by_label("Key").fill("not-it")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("does not accept this key")
    dialog.get_by_label("Key").fill(KEY)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    kept = page.evaluate("[JSON.stringify(sessionStorage), JSON.stringify(localStorage)]")
    assert KEY in kept[0]
    assert KEY not in kept[1] + str(page.context.cookies())


def choose(page: Page, model: str, corpus: Path) -> None:
    """Search for a model by keys, and drop a file."""
    search = page.get_by_role("combobox", name="Base model")
    search.fill(model[:4])
    expect(page.get_by_role("option", name=model)).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(search).to_have_value(model)
    # A drop, as the browser makes it of a file that is dragged onto the page.
    transfer = page.evaluate_handle(
        """([name, text]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([text], name, {type: "text/plain"}));
            return transfer;
        }""",
        [corpus.name, corpus.read_text()],
    )
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": transfer})
    preview = page.get_by_role("region", name="The documents as read")
    expect(preview).to_contain_text("600 documents")
    expect(preview.get_by_role("listitem").first).to_have_text(corpus.read_text().split("\n")[0])


def expect_an_estimate(page: Page) -> None:
    expectation = page.get_by_role("complementary", name="What to expect")
    expect(expectation.get_by_text("smaller").first).to_be_visible()


def check_download(page: Page, service: Service, job_id: str, folder: Path) -> None:
    """The file that is saved is the result, to the last byte, and holds a model."""
    with page.expect_download() as started:
        page.get_by_role("button", name=re.compile(r"^Download \d")).click()
    path = folder / "result.tar.gz"
    started.value.save_as(path)
    expected = service.http.get(f"/v1/jobs/{job_id}").json()["artifact"]["sha256"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected
    with tarfile.open(path) as tar:
        assert any(name.endswith("model.safetensors") for name in tar.getnames())


def no_sideways_scrolling(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def upload(service: Service) -> str:
    return service.corpus("\n".join(texts(600, seed=8)).encode())
