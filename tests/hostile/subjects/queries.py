"""Paths, query parameters and methods that a client should not send."""

from typing import TYPE_CHECKING

from tests.hostile.case import Answer, Case, Wanted, Works, get, refused

if TYPE_CHECKING:
    from tests.hostile.world import World


def asked(method: str, path: str, wanted: Wanted) -> Case:
    def send(world: "World") -> Answer:
        return Answer.of(world.http.request(method, world.fill(path)))

    return Case(f"{method} {path[:80]}", send, wanted)


IDS = {
    "a NUL": "%00",
    "a NUL in an id": "{corpus}%00",
    "bytes that are not UTF-8": "%ff%fe",
    "half a surrogate pair": "%ed%a0%80",
    "a line end": "{corpus}%0a",
    "a space": "{corpus}%20",
    "capitals": "CORPUS_01KAF3W2MDJ9XV4N8B6TQY1S0R",
    "letters that no id has": "corpus_01kaf3w2mdj9xv4n8b6tqy1siu",
    "SQL": "'%20OR%20'1'='1",
    "a wildcard": "corpus_%25",
    "digits of another script": "corpus_\u0661\u0662\u0663",
    "10,000 characters": "a" * 10_000,
    "a quote": "%22%27%60",
    "two dots, encoded": "%2e%2e",
    "a template": "%7B%7B7*7%7D%7D",
    "a script": "%3Cscript%3E",
    "a sign for a terminal": "%1b[2J",
}
PARAMETERS = {
    **{
        f"limit={value[:20]}": f"limit={value}"
        for value in (
            *("0", "-1", "101", "1e2", "abc", "", "1.5", "NaN", "0x10", "null", "9" * 400),
            *("%00", "%ff", "1%2b1", "1;2", "1%20OR%201", "true", "[]", "\u0661\u0662"),
        )
    },
    "an unknown parameter": "offset=5",
    "a parameter of brackets": "limit[]=5",
    "a parameter of no name": "=5",
    "a thousand parameters": "&".join(f"p{n}=1" for n in range(1000)),
    "after of 65 characters": "after=" + "a" * 65,
    "after of 5,000 characters": "after=" + "a" * 5000,
}
CURSORS = {
    "an empty one": "",
    "a NUL": "%00",
    "not UTF-8": "%ff",
    "no id": "x",
    "an id of nothing": "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r",
    "a job's": "{job}",
    "SQL": "'%20OR%201=1--",
    "a line end behind an id": "{corpus}%0a",
}
NOWHERE = (
    *("/nothing", "/v1", "/v1/", "/v2/jobs", "//v1/jobs", "/v1//jobs", "/v1/jobs/{job}/nothing"),
    *("/v1/../v1/x/../jobs/../../nothing", "/%2e%2e/%2e%2e/etc/passwd", "/v1/jobs/{job}/events/5"),
    *("/.env", "/.git/config", "/static/../app/main.py", "/\u2603", "/%00"),
)
CASES: list[Case] = [
    *(
        get(f"a corpus of {name}", f"/v1/corpora/{id_}", refused("corpus_not_found"))
        for name, id_ in IDS.items()
    ),
    *(
        get(
            f"a job of {name}",
            f"/v1/jobs/{id_.replace('{corpus}', '{job}')}",
            refused("job_not_found"),
        )
        for name, id_ in IDS.items()
    ),
    *(asked("DELETE", f"/v1/corpora/{id_}", refused("corpus_not_found")) for id_ in ("%00", "%ff")),
    *(asked("DELETE", f"/v1/jobs/{id_}", refused("job_not_found")) for id_ in ("%00", "%ff")),
    *(asked("POST", f"/v1/jobs/{id_}/cancel", refused("job_not_found")) for id_ in ("%00", "%ff")),
    *(
        get(f"{part} of a job of NUL", f"/v1/jobs/%00/{part}", refused("job_not_found"))
        for part in ("events", "artifacts", "download", "report", "artifacts/x")
    ),
    *(
        get(f"corpora, {name}", f"/v1/corpora?{query}", refused("invalid_request"))
        for name, query in PARAMETERS.items()
    ),
    *(
        get(f"corpora after {name}", f"/v1/corpora?after={id_}", refused("unknown_cursor"))
        for name, id_ in CURSORS.items()
    ),
    get("jobs after a corpus", "/v1/jobs?after={corpus}", refused("unknown_cursor")),
    *(
        get(
            f"jobs of the status {status[:20]!r}",
            f"/v1/jobs?status={status}",
            refused("invalid_request"),
        )
        for status in ("", "done", "QUEUED", "queued%00", "queued,failed", "%ff", "1")
    ),
    get("limit in another way", "/v1/corpora?limit=%2b5", Works()),
    get("a slash that is encoded", "/v1/jobs%2f{job}", Works()),
    get("limit twice", "/v1/corpora?limit=5&limit=7", Works()),
    *(get(f"the path {path[:40]}", path, refused("route_not_found")) for path in NOWHERE),
    *(
        asked(method, path, refused("method_not_allowed"))
        for method, path in (
            *(("PUT", "/v1/corpora"), ("PATCH", "/v1/jobs"), ("DELETE", "/v1/jobs")),
            *(("POST", "/v1/base-models"), ("GET", "/v1/jobs/{job}/cancel"), ("TRACE", "/v1/jobs")),
            *(("PUT", "/v1/jobs/{job}"), ("OPTIONS", "/v1/jobs"), ("POST", "/healthz")),
            *(("PROPFIND", "/v1/jobs"), ("DELETE", "/metrics")),
            *(("POST", "/v1/jobs/{job}/download"), ("PUT", "/v1/jobs/{job}/artifacts/x")),
        )
    ),
]
