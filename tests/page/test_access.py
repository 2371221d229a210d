"""Every view by axe, in both widths and colours, with texts that would do harm as HTML."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.page.conftest import Colours, Visit, Visitor
from tests.page.stories import HOSTILE, Jobs
from tests.support.serving import Service

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_runs(
    told: tuple[Service, Jobs], visit: Visitor, width: int, colours: Colours
) -> None:
    service, jobs = told
    visited: Visit = visit(service, width, colours)
    page = visited.page
    expect(page.get_by_role("link", name="notes, a quarter")).to_be_visible()
    check(page)
    fill_the_form(page)
    check(page)
    views = {
        "/jobs": "minutes of meetings",
        f"/jobs/{jobs.sweep}": "The new model is",
        f"/jobs/{jobs.target}": "files of the 4 models",
        f"/jobs/{jobs.plain}": "The new model is",
        f"/jobs/{jobs.running}": "step 260 of 500",
        f"/jobs/{jobs.failed}": "too little text for 7,630 tokens",
        f"/jobs/{jobs.queued}": "Number 1 in the queue",
        f"/compare?a={jobs.sweep}&b={jobs.plain}": "What differs is in bold",
        "/jobs/job_none": "There is no job",
    }
    for view, sign in views.items():
        page.goto(f"{visited.url}/#{view}")
        expect(page.get_by_text(sign).first).to_be_visible()
        for closed in page.locator("summary").all():
            closed.click()
        check(page)
    expect(page.locator("img")).to_have_count(0)
    assert page.evaluate("document.querySelectorAll('script').length") == 1
    assert "owned" not in page.title()
    visited.check_nothing_left_the_machine()


def test_names_and_texts_are_shown_as_they_are(told: tuple[Service, Jobs], visit: Visitor) -> None:
    service, jobs = told
    page = visit(service).page
    page.goto(f"{service.http.base_url}/#/jobs/{jobs.plain}")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page.get_by_text(f"Beware of {HOSTILE}")).to_be_visible()


def test_the_colours_are_chosen_and_kept(told: tuple[Service, Jobs], visit: Visitor) -> None:
    page = visit(told[0], 1280, "light").page
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_label("Colours").select_option("dark")
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    assert page.evaluate(background) == dark
    page.emulate_media(color_scheme="dark")
    page.get_by_label("Colours").select_option("light")
    assert page.evaluate(background) == light


def test_the_keyboard_reaches_the_content_at_once(
    told: tuple[Service, Jobs], visit: Visitor
) -> None:
    page = visit(told[0]).page
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("combobox", name="Base model")).to_be_focused()


def fill_the_form(page: Page) -> None:
    page.get_by_label("Uploaded before").select_option(index=1)
    expect(page.get_by_role("region", name="The documents as read")).to_contain_text(HOSTILE)
    page.get_by_text("Training, layers").click()
    page.get_by_label("Other", exact=True).fill("a third")
    page.get_by_role("button", name="Compress").click()
    expect(page.get_by_role("combobox", name="Base model")).to_be_focused()
    page.get_by_role("combobox", name="Base model").press("ArrowDown")


def check(page: Page) -> None:
    """Axe finds nothing, and nothing is wider than the window."""
    found = Axe().run(page).response["violations"]
    told = [
        (each["impact"], each["id"], [node["target"] for node in each["nodes"]]) for each in found
    ]
    assert told == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
