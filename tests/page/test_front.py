"""The front of a job: points of a plot that are picked by a click or by keys, and downloaded."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page.conftest import Visitor
from tests.page.stories import Jobs
from tests.support.serving import Service

pytestmark = pytest.mark.slow


@pytest.fixture
def page(told: tuple[Service, Jobs], visit: Visitor) -> Page:
    service, jobs = told
    page: Page = visit(service).page
    page.goto(f"{service.http.base_url}/#/jobs/{jobs.target}")
    expect(points(page)).to_have_count(13)
    return page


def points(page: Page) -> Locator:
    return page.get_by_role("radiogroup").get_by_role("radio")


def picked(page: Page) -> Locator:
    return page.get_by_role("group", name="The point that is picked")


def content_of_download(page: Page, name: str) -> str:
    with page.expect_download() as started:
        picked(page).get_by_role("button", name=f"Download {name}").click()
    return started.value.path().read_text()


def test_the_pick_of_the_job_is_shown_first(page: Page) -> None:
    expect(points(page).and_(page.locator(":checked"))).to_have_count(1)
    expect(picked(page)).to_contain_text("7,630 tokens, 2 layers in ONNX int8")
    expect(picked(page)).to_contain_text("at the root of the result")
    expect(picked(page).get_by_text("met", exact=True)).to_be_visible()
    assert content_of_download(page, "model_int8.onnx") == "onnx/model_int8.onnx"
    assert content_of_download(page, "tokenizer.json") == "tokenizer.json"


def test_a_point_that_is_clicked_shows_its_figures_and_its_files(page: Page) -> None:
    points(page).and_(page.get_by_label("3 layers, ONNX int8")).click()
    expect(picked(page)).to_contain_text("3 layers in ONNX int8")
    path = content_of_download(page, "model_int8.onnx")
    assert path.startswith("sizes/")
    assert path.endswith("/onnx/model_int8.onnx")
    # The file of another runtime of the same model may lie under it.
    picked(page).get_by_role("button", name="PyTorch").click()
    expect(picked(page)).to_contain_text("3 layers in PyTorch")
    expect(picked(page)).to_contain_text("at most 15,000,000 were asked for")
    assert content_of_download(page, "model.safetensors").endswith("/model.safetensors")


def test_the_arrow_keys_go_from_point_to_point(page: Page) -> None:
    page.get_by_role("heading", name="Quality against size").scroll_into_view_if_needed()
    points(page).and_(page.locator(":checked")).focus()
    page.keyboard.press("ArrowLeft")
    expect(points(page).and_(page.locator(":checked"))).to_be_focused()
    expect(picked(page)).not_to_contain_text("7,630 tokens, 2 layers in ONNX int8")
    seen = set()
    for _ in range(13):
        page.keyboard.press("ArrowRight")
        seen.add(picked(page).get_by_role("heading").inner_text())
    assert len(seen) == 13
    page.keyboard.press("Tab")
    expect(picked(page).get_by_role("button").first).to_be_focused()


def test_the_time_stands_in_place_of_the_size(page: Page) -> None:
    radio = points(page).and_(page.get_by_label("2 layers, ONNX int8"))
    before = radio.bounding_box()
    page.get_by_role("combobox", name="By", exact=True).select_option("time")
    expect(page.get_by_role("heading", name="Quality against time")).to_be_visible()
    # The vectors were not timed.
    expect(points(page)).to_have_count(12)
    expect(picked(page)).to_contain_text("2 layers in ONNX int8")
    after = radio.bounding_box()
    assert before
    assert after
    assert (before["x"], before["y"]) != (after["x"], after["y"])
