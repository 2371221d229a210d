"""Workspaces of workers that were killed, removed by the next worker on the machine."""

import psutil
import pytest

from app.blobs import Blobs
from app.db import Database
from app.ids import new_id
from app.jobs import transitions
from app.settings import Settings
from tests.support.job_store import ENDED, LEASE
from tests.support.tiny_models import texts
from tests.support.workers import store_corpus, submit, wait_until, worker_process


@pytest.mark.slow
def test_a_worker_removes_what_killed_ones_left_when_it_starts_and_later(
    settings: Settings, db: Database, blobs: Blobs
) -> None:
    settings = settings.model_copy(update={"reap_seconds": 1.0})
    corpus = store_corpus(db, blobs, texts(100))
    lost, held = (submit(db, corpus.id, "acme/tiny-bert") for _ in range(2))
    transitions.claim(db, lost.id, "killed", ENDED)
    transitions.expire(db, lost.id)
    claim = transitions.claim(db, held.id, "elsewhere", LEASE)
    assert claim

    def folder(job_id: str, token: int) -> None:
        stage = settings.workspaces / job_id / str(token) / "resolve"
        stage.mkdir(parents=True)
        (stage / "base.json").write_text("{}")

    def there() -> list[str]:
        return sorted(
            p.relative_to(settings.workspaces).parts[0]
            for p in settings.workspaces.rglob("base.json")
        )

    for job_id in (lost.id, held.id, new_id("job")):
        folder(job_id, 1)
    with worker_process(settings) as process:
        wait_until(lambda: there() == [held.id])
        with db.write() as session:
            transitions.request_cancel(session, session.get_one(type(held), held.id))
        transitions.cancelled(db, claim)
        wait_until(lambda: there() == [], 30)
        wait_until(lambda: list(settings.workspaces.iterdir()) == [], 10)
        assert process.poll() is None
        children = psutil.Process(process.pid).children
        wait_until(lambda: all(c.status() != psutil.STATUS_ZOMBIE for c in children()), 10)
