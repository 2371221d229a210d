"""`/docs` and `/redoc` load nothing from elsewhere, and say so in their policy."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest

from tests.support.serving import Service


class Links(HTMLParser):
    """Collects the URLs of a page, and what would run within it."""

    def __init__(self) -> None:
        super().__init__()
        self.urls = list[str]()
        self.inline = list[str]()
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_script = tag == "script"
        for name, value in attrs:
            if name in {"src", "href", "spec-url", "action"}:
                self.urls.append(value or "")
            if name.startswith("on"):
                self.inline.append(name)

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, _: str) -> None:
        self._in_script = False


def directives(policy: str) -> dict[str, list[str]]:
    parts = (part.split() for part in policy.split(";"))
    return {name: values for name, *values in parts}


@pytest.mark.parametrize(
    ("path", "library"), [("/docs", "swagger-ui-bundle.js"), ("/redoc", "redoc.standalone.js")]
)
def test_a_page_needs_this_service_alone(service: Service, path: str, library: str) -> None:
    page = service.http.get(path)
    links = Links()
    links.feed(page.text)
    assert links.inline == []
    assert any(url.endswith(library) for url in links.urls)
    base = urljoin(str(service.http.base_url), path)
    for url in links.urls:
        if url == "data:,":
            continue
        whole = urljoin(base, url)
        assert whole.startswith(str(service.http.base_url))
        answer = service.http.get(whole)
        assert answer.status_code == 200, whole
        kind = {"js": "javascript", "css": "text/css", "json": "application/json"}
        assert kind[whole.rpartition(".")[2]] in answer.headers["content-type"]

    policy = directives(page.headers["content-security-policy"])
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'none'"]
    for values in policy.values():
        assert not [v for v in values if re.search(r"https?:|\*|unsafe-eval|^\w+\.\w", v)]


def test_the_document_is_of_a_version_that_the_pages_read(service: Service) -> None:
    assert service.http.get("/openapi.json").json()["openapi"].startswith("3.1")
    # Swagger UI reads OpenAPI 3.1 since 5.0, Redoc since 2.0.
    script = service.http.get("/reference/libraries/swagger-ui-bundle.js").text
    assert "openapi31" in script or "oas31" in script


@pytest.mark.parametrize(
    "path", ["../../../etc/passwd", "..%2f..%2fcore.py", "%00", "nothing.js", "", "libraries"]
)
def test_nothing_else_is_served_beside_the_files(service: Service, path: str) -> None:
    answer = service.http.get(f"/reference/libraries/{path}")
    assert answer.status_code in {404, 405}
    assert answer.headers["content-type"] == "application/problem+json"


def test_head_is_answered_as_get(service: Service) -> None:
    assert service.http.head("/docs").status_code == 200
