"""schemathesis against the OpenAPI document that the service itself gives, on both databases.

It tries each call with values within the document and outside of it, other methods, missing keys,
and walks from call to call by the links of the document. Nothing may be answered with 5xx, nor in
another form than the document says.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import fresh_database, postgres
from tests.support.serving import Service, serving

__all__ = ["postgres"]

CONFIG = Path(__file__).with_name("schemathesis.toml")
KEY = "a-key-of-schemathesis"
# In November 2026 it made 2,500 requests, and followed 48 of 53 links.
LEAST_REQUESTS, LEAST_LINKS, LEAST_WORKED = 1500, 25, 0.6


@pytest.fixture(params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest, tmp_path: Path, valkey: str
) -> Iterator[tuple[Service, str]]:
    """A service that asks for a key, and its broker's URL."""
    keys = {"auth": "on", "api_keys": [KEY]}
    if request.param == "sqlite":
        with serving(tmp_path, valkey, **keys) as running:
            yield running, valkey
        return
    with (
        fresh_database(request.getfixturevalue("postgres")) as url,
        serving(tmp_path, valkey, database_url=url, **keys) as running,
    ):
        yield running, valkey


def requests_of(report: Path) -> Iterator[tuple[str, int, str | None]]:
    """Read from a report each request: its call, the status, and the link that led to it."""
    for line in report.open(encoding="utf-8"):
        for name, event in json.loads(line).items():
            recorder = event.get("recorder", {}) if name == "ScenarioFinished" else {}
            for case_id, interaction in recorder.get("interactions", {}).items():
                case: dict[str, Any] = recorder["cases"][case_id]
                call = f"{case['value']['method']} {case['value']['path']}"
                link = (case.get("transition") or {}).get("id")
                yield call, (interaction.get("response") or {}).get("status_code", 0), link


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_service_does_what_its_document_says(
    service: tuple[Service, str], tmp_path: Path
) -> None:
    running, broker = service
    store = {
        "FVT_DATABASE_URL": running.settings.database_url,
        "FVT_BLOBS_URL": running.settings.blobs_url,
        "FVT_BROKER_URL": broker,
    }
    report = tmp_path / "report.ndjson"
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"]
    command += [f"{running.http.base_url}/openapi.json", "--no-color"]
    command += ["--report", "ndjson", "--report-ndjson-path", str(report)]
    done = subprocess.run(
        command, env=os.environ | store, capture_output=True, text=True, timeout=590, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5000:]
    made = list(requests_of(report))
    statuses = Counter(status for _, status, _ in made)
    links = {link for _, _, link in made if link}
    print(f"{len(made)} requests, {len(links)} links, {dict(sorted(statuses.items()))}")
    assert len(made) >= LEAST_REQUESTS
    assert len(links) >= LEAST_LINKS
    assert not [status for status in statuses if status >= 500 or status == 0]
    document = running.http.get("/openapi.json").json()
    calls = {f"{m.upper()} {path}" for path, item in document["paths"].items() for m in item}
    worked = {call for call, status, _ in made if 200 <= status < 300}
    # Which recipes are drawn is chance, and few of them are of a job that can be.
    assert len(calls & worked) >= LEAST_WORKED * len(calls), calls - worked
