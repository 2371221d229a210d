"""`/problems/CODE` says what an error means and what mends it, to browsers and to programs."""

import pytest

from app.contract.errors import ERRORS
from tests.app.test_reference import Links, directives
from tests.support.serving import Service

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_the_type_of_a_problem_is_a_path_that_answers(service: Service) -> None:
    problem = service.http.get("/v1/jobs/job_00000000000000000000000000").json()
    answer = service.http.get(problem["type"])
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["code"] == problem["code"] == "job_not_found"
    assert answer.json()["remedy"] == ERRORS["job_not_found"].remedy


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_a_page_has_meaning_and_cure_and_needs_this_service_alone(
    service: Service, code: str
) -> None:
    answer = service.http.get(f"/problems/{code}", headers=BROWSER)
    assert answer.headers["content-type"].startswith("text/html")
    assert "`" not in answer.text
    assert f"<h1><code>{code}</code></h1>" in answer.text
    policy = directives(answer.headers["content-security-policy"])
    assert policy["default-src"] == ["'none'"]
    assert "script-src" not in policy
    links = Links()
    links.feed(answer.text)
    assert links.inline == []
    assert links.urls == ["data:,", "../reference/problem.css"]


def test_the_style_of_the_pages_is_served(service: Service) -> None:
    answer = service.http.get("/reference/problem.css")
    assert answer.status_code == 200
    assert "text/css" in answer.headers["content-type"]


@pytest.mark.parametrize("code", ["nothing", "<script>", "..%2fjob_failed", "JOB_FAILED"])
def test_a_code_that_is_none_is_a_problem(service: Service, code: str) -> None:
    answer = service.http.get(f"/problems/{code}", headers=BROWSER)
    assert answer.status_code == 404
    assert answer.json()["code"] == "route_not_found"


def test_a_page_of_another_site_may_link_here_but_not_read(service: Service) -> None:
    elsewhere = {"Origin": "https://example.org", "Sec-Fetch-Site": "cross-site"}
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    visit |= {"Sec-Fetch-Dest": "document"}
    assert service.http.get("/problems/job_failed", headers=elsewhere).status_code == 403
    assert service.http.get("/problems/job_failed", headers=visit).status_code == 200
