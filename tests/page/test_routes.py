"""The files of the page over HTTP."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.contract.names import METRICS, RUNTIMES
from tests.support.serving import Service, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("page")
    broker = f"redis+socket://{folder / 'none'}"
    with serving(folder / "data", broker, auth="on", api_keys=["a-key-of-this-test"]) as running:
        yield running


def assets(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="(/page/[^"]+)"', page)


def test_the_page_is_open_where_a_key_is_wanted(service: Service) -> None:
    answer = service.http.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert service.http.get("/v1/jobs").status_code == 401


def test_nothing_but_our_own_files_may_run(service: Service) -> None:
    page = service.http.get("/")
    policy = dict(
        rule.strip().split(" ", 1) for rule in page.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert policy["frame-ancestors"] == "'none'"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", page.text)
    for path in assets(page.text):
        asked = service.http.get(path)
        assert asked.headers["content-security-policy"] == page.headers["content-security-policy"]


def test_the_files_are_kept_for_ever_and_the_page_is_asked_for_each_time(service: Service) -> None:
    page = service.http.get("/")
    assert page.headers["cache-control"] == "no-cache"
    paths = assets(page.text)
    assert {Path(path).suffix for path in paths} == {".js", ".css", ".svg"}
    for path in paths:
        answer = service.http.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        again = service.http.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/", "/page/licenses.txt"])
def test_a_head_has_the_size_and_a_304_no_body(service: Service, path: str) -> None:
    whole = service.http.get(path)
    head = service.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    weak = {"if-none-match": f'"other", W/{whole.headers["etag"]}'}
    assert service.http.get(path, headers=weak).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/page/assets/none.js",
        "/page/assets/index.html",
        "/page/assets/..%2Findex.html",
        "/page/assets/..%2F..%2Froutes.py",
        "/page/",
    ],
)
def test_there_is_nothing_else(service: Service, path: str) -> None:
    answer = service.http.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "route_not_found"


def test_the_licences_name_what_is_in_the_bundle(service: Service) -> None:
    text = service.http.get("/page/licenses.txt").text
    assert "preact " in text
    assert "uplot " in text
    assert text.lower().count("permission is hereby granted") == 2


def test_the_page_is_told_the_names_and_nothing_of_the_data(service: Service) -> None:
    facts = service.http.get("/page/facts.json").json()
    assert facts["auth"] is True
    assert facts["metrics"].keys() == METRICS.keys()
    assert facts["runtimes"]["onnx-int8"] == {
        "label": RUNTIMES["onnx-int8"].label,
        "path": "onnx/model_int8.onnx",
        "paths": ["onnx/model_int8.onnx"],
        "field": "int8",
    }
    assert facts["target_runtime"] == "onnx-int4"
    assert facts.keys() == {
        *("version", "auth", "hub", "metrics", "runtimes", "target_runtime", "presets"),
        "objectives",
    }
