"""What is wrong is said beside the field that it is about."""

import json
import re

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.page.conftest import Visitor
from tests.support.serving import Service

pytestmark = pytest.mark.slow


@pytest.fixture
def page(service: Service, visit: Visitor) -> Page:
    page: Page = visit(service).page
    expect(page.get_by_role("group", name="Models on this machine")).to_be_visible()
    return page


def said_of(page: Page, field: Locator) -> str:
    """The texts that describe a field, its errors among them."""
    assert field.get_attribute("aria-invalid") == "true"
    ids = (field.get_attribute("aria-describedby") or "").split()
    return " ".join(page.locator(f'[id="{id_}"]').inner_text() for id_ in ids)


def give(page: Page, name: str, data: bytes) -> None:
    page.get_by_label("Choose a file").set_input_files(
        FilePayload(name=name, mimeType="application/octet-stream", buffer=data)
    )


def compress(page: Page) -> None:
    page.get_by_role("button", name="Compress").click()


def fill(page: Page, model: str = "tiny-bert") -> None:
    search = page.get_by_role("combobox", name="Base model")
    search.fill(model)
    search.press("Enter")
    give(page, "notes.txt", "".join(f"note {n}\n" for n in range(200)).encode())
    expect(page.get_by_text("200 documents").first).to_be_visible()


def test_nothing_is_sent_that_is_not_there(page: Page, service: Service) -> None:
    compress(page)
    search = page.get_by_role("combobox", name="Base model")
    expect(search).to_be_focused()
    assert "Choose a base model" in said_of(page, search)
    assert "Give a file" in said_of(page, page.get_by_label("Choose a file"))
    assert service.http.get("/v1/jobs").json()["data"] == []


def test_a_model_that_is_not_there(page: Page) -> None:
    fill(page, "no/such-model")
    compress(page)
    search = page.get_by_role("combobox", name="Base model")
    expect(search).to_have_attribute("aria-invalid", "true")
    assert "There is no model 'no/such-model' here" in said_of(page, search)


def test_more_layers_than_the_model_has(page: Page) -> None:
    fill(page)
    page.get_by_text("Training, layers").click()
    layers = page.get_by_label("Layers to keep")
    layers.fill("7")
    compress(page)
    expect(layers).to_have_attribute("aria-invalid", "true")
    assert "layers" in said_of(page, layers)
    layers.fill("many")
    assert "whole number" in said_of(page, layers)


def test_a_recipe_that_cannot_be(page: Page) -> None:
    fill(page)
    page.get_by_text("Training, layers").click()
    more = page.get_by_label("More of the recipe")
    more.fill('{"recovery": {"epochs": -1}}')
    compress(page)
    expect(more).to_have_attribute("aria-invalid", "true")
    assert "recovery.epochs" in said_of(page, more)
    more.fill('{"recovery": ')
    assert "JSON object" in said_of(page, more)


@pytest.mark.parametrize(
    ("text", "recipe"),
    [
        ("15%, 8000", [0.25, 0.15, 8000]),
        ("15 % 0.5", [0.25, 0.15, 0.5]),
        ("12.5%;300", [0.25, 0.125, 300]),
        ("1,000", [0.25, 1000]),
    ],
)
def test_sizes_are_read_as_people_write_them(page: Page, text: str, recipe: list[float]) -> None:
    page.get_by_label("Other", exact=True).fill(text)
    page.get_by_text("The same over HTTP").click()
    shown = page.get_by_label("The request").inner_text()
    numbers = re.search(r'"vocab_size": \[([^]]*)\]', shown)
    assert numbers
    assert [float(each) for each in numbers[1].split(",")] == recipe


@pytest.mark.parametrize("text", ["a third", "0", "150%", "-5", "1.5"])
def test_a_size_that_is_none(page: Page, text: str) -> None:
    other = page.get_by_label("Other", exact=True)
    other.fill(text)
    assert "is no size" in said_of(page, other)


def test_a_target_stands_in_place_of_sizes(page: Page) -> None:
    page.get_by_label("Or a target: most MB").fill("5.5")
    page.get_by_label("Most ms a text").fill("2.5")
    page.get_by_text("Training, layers").click()
    page.get_by_label("Least quality").fill("95")
    expect(page.get_by_label("Other", exact=True)).to_be_disabled()
    page.get_by_text("The same over HTTP").click()
    shown = page.get_by_label("The request").inner_text()
    recipe = json.loads(shown[shown.index("{") :])["recipe"]
    assert recipe["target"] == {"max_bytes": 5_500_000, "max_ms": 2.5, "min_quality": 0.95}
    assert not {"vocab_size", "gate"} & set(recipe)
    page.get_by_label("Or a target: most MB").fill("small")
    assert "number above 0" in said_of(page, page.get_by_label("Or a target: most MB"))


def test_what_a_target_would_make_is_told_as_it_changes(page: Page) -> None:
    fill(page)
    size = page.get_by_role("region", name="Size")
    told = size.get_by_role("status")
    expect(told).to_have_count(0)
    page.get_by_label("Or a target: most MB").fill("0.2")
    expect(told).to_contain_text("Would be made")
    expect(told).to_contain_text("ONNX int4")
    expect(told).not_to_contain_text("ONNX int8")
    page.get_by_label("Runtime of the target").select_option("any")
    expect(told).to_contain_text("ONNX int8")
    alone = told.inner_text()
    page.get_by_label("Or a target: most MB").fill("0.1")
    expect(told).not_to_have_text(alone)
    page.get_by_text("The same over HTTP").click()
    shown = page.get_by_label("The request").inner_text()
    recipe = json.loads(shown[shown.index("{") :])["recipe"]
    assert recipe["target"] == {"max_bytes": 100_000, "runtime": "any"}


def test_a_target_that_nothing_reaches_is_said_beside_it(page: Page) -> None:
    fill(page)
    field = page.get_by_label("Or a target: most MB")
    field.fill("0.001")
    compress(page)
    expect(field).to_have_attribute("aria-invalid", "true")
    assert "the smallest, of" in said_of(page, field)


def test_texts_that_cannot_be_read_and_then_can(page: Page, service: Service) -> None:
    chooser = page.get_by_label("Choose a file")
    give(page, "empty.txt", b"")
    expect(chooser).to_have_attribute("aria-invalid", "true")
    assert "is empty" in said_of(page, chooser)

    rows = "".join(f'{{"title": "t", "body": "row {n}"}}\n' for n in range(150))
    give(page, "rows.jsonl", rows.encode())
    alert = page.locator(".field-error").filter(has_text="text_field")
    expect(alert).to_be_visible()
    page.get_by_label("Field with the text").fill("body")
    page.get_by_role("button", name="Read again").click()
    preview = page.get_by_role("region", name="The documents as read")
    expect(preview).to_contain_text("150 documents")
    expect(preview.get_by_role("listitem").first).to_have_text("row 0")

    page.get_by_text("Read it another way").click()
    page.get_by_label("Field with the text").fill("title")
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("button", name="Read again").click()
    expect(preview.get_by_role("listitem").first).to_have_text("t")
    # What was read the wrong way is not left behind.
    assert len(service.http.get("/v1/corpora").json()["data"]) == 1


def test_few_and_missing_texts_are_told_of(page: Page) -> None:
    give(page, "few.csv", b"text,id\nfirst,1\n,2\nsecond,3\n")
    preview = page.get_by_role("region", name="The documents as read")
    expect(preview).to_contain_text("1 row (33.3 %) without text is passed over")
    expect(preview).to_contain_text("few documents")


def test_a_service_that_does_not_answer(page: Page) -> None:
    fill(page)
    page.context.set_offline(True)
    compress(page)
    expect(page.get_by_text("The job was not taken.")).to_be_visible()
    expect(page.get_by_text("The service does not answer.").first).to_be_visible()
    page.context.set_offline(False)
    compress(page)
    expect(page.get_by_role("progressbar").or_(page.get_by_text("in the queue"))).to_be_visible()
