import pytest

from app.jobs.routes import NotAcceptableError, choose_media_type

OFFERS = ("application/json", "text/html")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "text/html"),
        ("text/*", "text/html"),
        ("TEXT/HTML; charset=utf-8", "text/html"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("application/json;q=0.5, text/html;q=0.9", "text/html"),
        ("text/html;q=0, */*", "application/json"),
        ("text/html;q=none, application/json;q=0.1", "application/json"),
    ],
)
def test_the_form_that_the_client_ranks_highest(accept: str | None, chosen: str) -> None:
    assert choose_media_type(accept, OFFERS) == chosen


@pytest.mark.parametrize("accept", ["image/png", "*/*;q=0", ";;,", "application/json;q=0"])
def test_none_of_the_forms(accept: str) -> None:
    with pytest.raises(NotAcceptableError, match="application/json or text/html"):
        choose_media_type(accept, OFFERS)
