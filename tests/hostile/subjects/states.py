"""Calls that do not fit the state of a job, keys sent again, cursors, ranges and paths of files."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.hostile.case import Answer, Case, Wanted, Works, get, refused
from tests.support.results import ARCHIVE, FILES

if TYPE_CHECKING:
    from tests.hostile.world import World

SIZE = len(ARCHIVE)


def call(method: str, path: str, wanted: Wanted) -> Case:
    def send(world: "World") -> Answer:
        return Answer.of(world.http.request(method, world.fill(path)))

    return Case(f"{method} {path}", send, wanted)


def keyed(
    name: str, key: str | bytes, wanted: Wanted, before: Mapping[str, Any] | None = None
) -> Case:
    """Submit a job under a key, after another of `before`."""

    def send(world: "World") -> Answer:
        body = {"base_model": world.model, "corpus_id": world.corpus}
        headers = {b"Idempotency-Key": key if isinstance(key, bytes) else key.encode()}
        if before is not None:
            world.http.post("/v1/jobs", json={**body, **before}, headers=headers)
        return Answer.of(world.http.post("/v1/jobs", json=body, headers=headers))

    return Case(f"Idempotency-Key: {name}", send, wanted)


RANGES: dict[str, Wanted] = {
    "bytes=0-0": Works(206, headers={"content-range": f"bytes 0-0/{SIZE}"}, body=ARCHIVE[:1]),
    "bytes=-1": Works(206, body=ARCHIVE[-1:]),
    f"bytes={SIZE - 1}-": Works(206, body=ARCHIVE[-1:]),
    "bytes=0-99999999999999999999": Works(206, body=ARCHIVE),
    "bytes=-99999999999999999999": Works(206, body=ARCHIVE),
    f"bytes={SIZE}-": refused("range_not_satisfiable"),
    "bytes=-0": refused("range_not_satisfiable"),
    "bytes=99999999999999999999-": refused("range_not_satisfiable"),
    **dict.fromkeys(
        ("bytes=5-1", "bytes=-", "bytes=", "bytes=a-b", "bytes=--1", "bytes=0-1,5-9", "items=0-1"),
        Works(200, body=ARCHIVE),
    ),
    **dict.fromkeys(
        ("bytes=" + "9" * 31 + "-", "bytes=0-" + "9" * 5000, "bytes=0x1-0x2", "bytes=1 - 2", "0-1"),
        Works(200, body=ARCHIVE),
    ),
    "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 2000, 2)): Works(200, body=ARCHIVE),
    "bytes=\u0661-\u0662": Works(200, body=ARCHIVE),
}
FILE = "/v1/jobs/{job}/artifacts/"
OUTSIDE = (
    *(
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/artifact.tar.gz",
        "..%2fartifact.tar.gz",
        "%2fetc%2fpasswd",
    ),
    *("..%5c..%5cx", "1_Pooling", "1_Pooling/", "1_Pooling//config.json"),
    *(
        "model.safetensors%00",
        "model.safetensors%00.txt",
        "model.safetensors/",
        "MODEL.SAFETENSORS",
    ),
    *(
        "model%2esafetensors%20",
        "%252e%252e%252fx",
        "%ff",
        "file:%2f%2f%2fetc%2fpasswd",
        "x" * 5000,
    ),
    *("artifact.tar.gz", "*", "\u2603", "..%c0%af..%c0%afx"),
)
CURSORS = (
    *("0", "x", "event_", "event_-1", "event_1.5", "event_abc", "event_" + "9" * 19, "event_1%00"),
    *("{job}", "event_%D9%A1", "%ff", "'%20OR%201=1"),
)
BAD_KEYS: dict[str, str | bytes] = {
    "an empty one": "",
    "256 characters": "k" * 256,
    "not of ASCII": "schlüssel",
    "a tab": "a\tb",
    "0xff": b"a\xff",
}
CASES: list[Case] = [
    *(
        call("DELETE", f"/v1/jobs/{{{state}}}", refused("job_active"))
        for state in ("queued", "running", "cancelling")
    ),
    *(
        call("POST", f"/v1/jobs/{{{state}}}/cancel", refused("job_already_ended"))
        for state in ("succeeded", "failed")
    ),
    call("POST", "/v1/jobs/{cancelled}/cancel", Works(200, {"status": "cancelled"})),
    call("POST", "/v1/jobs/{cancelling}/cancel", Works(202, {"status": "cancelling"})),
    *(
        call("GET", f"/v1/jobs/{{{state}}}/{part}", refused(code))
        for state, code in (
            *(("queued", "job_not_finished"), ("running", "job_not_finished")),
            *(
                ("cancelling", "job_not_finished"),
                ("failed", "job_failed"),
                ("cancelled", "job_cancelled"),
            ),
        )
        for part in ("download", "artifacts", "report", "artifacts/model.safetensors")
    ),
    call("GET", "/v1/jobs/{lost}/download", refused("artifact_not_found")),
    call("GET", "/v1/jobs/{lost}/artifacts/gone.bin", refused("artifact_not_found")),
    call("GET", "/v1/jobs/{lost}/report", refused("artifact_not_found")),
    *(
        get(f"Range: {given[:40]}", "/v1/jobs/{job}/download", wanted, range=given)
        for given, wanted in RANGES.items()
    ),
    get(
        "a range of an empty file",
        FILE + "empty%20file.txt",
        refused("range_not_satisfiable"),
        range="bytes=0-",
    ),
    get(
        "the end of an empty file",
        FILE + "empty%20file.txt",
        Works(200, body=b""),
        range="bytes=-5",
    ),
    get(
        "If-Range of another file",
        "/v1/jobs/{job}/download",
        Works(200, body=ARCHIVE),
        range="bytes=0-0",
        if_range='"x"',
    ),
    get(
        "If-Range of a date",
        "/v1/jobs/{job}/download",
        Works(200, body=ARCHIVE),
        range="bytes=0-0",
        if_range="Thu, 26 Nov 2026 00:00:00 GMT",
    ),
    get(
        "If-None-Match of anything",
        "/v1/jobs/{job}/download",
        Works(304, body=b""),
        if_none_match="*",
    ),
    get(
        "If-None-Match of 5,000 tags",
        "/v1/jobs/{job}/download",
        Works(200),
        if_none_match='"x",' * 5000 + '"y"',
    ),
    *(get(f"the file {path[:40]}", FILE + path, refused("artifact_not_found")) for path in OUTSIDE),
    get(
        "the file of two lines", FILE + "model.safetensors%0d%0aX:%20y", refused("route_not_found")
    ),
    get(
        "the file of the list",
        FILE + "1_Pooling/config.json",
        Works(body=FILES["1_Pooling/config.json"]),
    ),
    get("the same file, encoded", FILE + "1%5FPooling%2Fconfig%2Ejson", Works(body=b"{}")),
    *(
        get(
            f"events after {id_[:30]}",
            f"/v1/jobs/{{job}}/events?after={id_}",
            refused("unknown_cursor"),
        )
        for id_ in CURSORS
    ),
    get(
        "events after the last",
        "/v1/jobs/{job}/events?after=event_999999999999999999",
        Works(fields={"data": []}),
    ),
    get(
        "events after 65 characters",
        "/v1/jobs/{job}/events?after=" + "a" * 65,
        refused("invalid_request"),
    ),
    *(
        get(
            f"a stream after {id_[:30]!r}",
            "/v1/jobs/{job}/events",
            refused("unknown_cursor"),
            accept="text/event-stream",
            last_event_id=id_,
        )
        for id_ in ("x", "event_-1", "event_" + "9" * 5000, "event_1, event_2", "\u0661")
    ),
    get(
        "a stream after the end",
        "/v1/jobs/{job}/events",
        Works(204),
        accept="text/event-stream",
        last_event_id="event_99999999",
    ),
    get(
        "a stream of an ended job", "/v1/jobs/{job}/events", Works(200), accept="text/event-stream"
    ),
    *(keyed(name, key, refused("invalid_request")) for name, key in BAD_KEYS.items()),
    keyed("255 characters", "k" * 255, Works(202)),
    keyed("SQL", "'; DROP TABLE jobs; --", Works(202)),
    keyed("sent again", "again", Works(202, headers={"idempotent-replayed": "true"}), {}),
    keyed(
        "sent again with another name", "other", refused("idempotency_key_reused"), {"name": "x"}
    ),
    keyed(
        "sent again with another recipe",
        "recipe",
        refused("idempotency_key_reused"),
        {"recipe": {"seed": 1}},
    ),
    call("DELETE", "/v1/corpora/{corpus}", refused("corpus_in_use")),
]
