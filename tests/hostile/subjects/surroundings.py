"""What is asked while a part that the service needs is away; these come last."""

from typing import TYPE_CHECKING

from tests.hostile.case import Answer, Case, Works, refused

if TYPE_CHECKING:
    from tests.hostile.world import World


def _without_broker(world: "World") -> Answer:
    world.stop_broker()
    return Answer.of(world.http.get("/readyz"))


def _submitted(world: "World") -> Answer:
    body = {"base_model": world.model, "corpus_id": world.corpus}
    return Answer.of(world.http.post("/v1/jobs", json=body))


def _listed(world: "World") -> Answer:
    """List the models, of which nearly all are broken; each says why."""
    answer = Answer.of(world.http.get("/v1/base-models"))
    if answer.status != 200:
        return answer
    rows = answer.json["data"]
    silent = [row["id"] for row in rows if not row["usable"] and not row["problem"]]
    sound = any(row["id"] == world.model and row["usable"] for row in rows)
    return answer if sound and not silent and len(rows) > 200 else Answer(0, str(silent).encode())


CASES: list[Case] = [
    Case("the models with all that are broken", _listed, Works()),
    Case("readiness without a broker", _without_broker, refused("not_ready")),
    Case("a job without a broker", _submitted, Works(202, {"status": "queued"})),
]
