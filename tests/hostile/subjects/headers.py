"""Headers: keys, media types, ids of requests, and JSON bodies under them."""

from typing import TYPE_CHECKING

from tests.hostile.case import Answer, Case, Data, Wanted, Works, built, get, refused

if TYPE_CHECKING:
    from tests.hostile.world import World

JOB = b'{"base_model": "org/sound", "corpus_id": "corpus_01kaf3w2mdj9xv4n8b6tqy1s0r"}'


def keyed(name: str, given: bytes | None, wanted: Wanted) -> Case:
    """Ask with this `Authorization`, or without one."""

    def send(world: "World") -> Answer:
        headers = {} if given is None else {b"Authorization": given}
        request = world.http.build_request("GET", "/v1/corpora", headers=headers)
        if given is None:
            del request.headers["authorization"]
        return Answer.of(world.http.send(request))

    return Case(f"Authorization: {name}", send, wanted)


def body(
    name: str, data: Data, wanted: Wanted, content_type: str | bytes = "application/json"
) -> Case:
    """Submit a job with a body written by hand."""

    def send(world: "World") -> Answer:
        headers = {"content-type": content_type} if content_type else {}
        sent = world.http.post("/v1/jobs", content=built(data), headers=headers)  # type: ignore[arg-type]
        return Answer.of(sent)

    return Case(name, send, wanted)


KEYS = {
    "of another key": b"Bearer wrong",
    "of a key and more": b"Bearer a-key-of-the-hostile-table-and-more",
    "of a key in capitals": b"Bearer A-KEY-OF-THE-HOSTILE-TABLE",
    "not of ASCII": "Bearer schlüssel".encode(),
    "of 10,000 characters": b"Bearer " + b"k" * 10_000,
    "of 0xff": b"Bearer \xff\xfe",
    "of two keys": b"Bearer wrong, Bearer a-key-of-the-hostile-table",
}
NO_KEYS = {
    "none": None,
    "an empty one": b"",
    "a scheme alone": b"Bearer",
    "another scheme": b"Basic YTpi",
    "the key without a scheme": b"a-key-of-the-hostile-table",
    "a scheme of no name": b"Bearer-a-key-of-the-hostile-table",
}
NO_JSON: dict[str, Data] = {
    "no byte": b"",
    "null": b"null",
    "a list": b"[1]",
    "a number": b"1",
    "a string": b'"job"',
    "cut off": JOB[:-1],
    "a comma too many": JOB[:-1] + b",}",
    "two objects": JOB + JOB,
    "not UTF-8": b'{"name": "\xff"}',
    "UTF-16": JOB.decode().encode("utf-16"),
    "a mark before": b"\xef\xbb\xbf" + JOB,
    "NaN": b'{"recipe": {"vocab_size": NaN}}',
    "nested 100,000 deep": b'{"recipe": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "half a surrogate pair": b'{"name": "\\ud800"}',
    "in gzip": b"\x1f\x8b\x08\x00",
    "a form": b"base_model=org/sound",
    "a NUL behind": JOB + b"\0",
}
TYPES: dict[str, str | bytes] = {
    "none": "",
    "text": "text/plain",
    "a form of names": "application/x-www-form-urlencoded",
    "XML": "application/xml",
    "JSON of another kind": "application/vnd.api+json",
    "a list of types": "application/json, text/plain",
    "no type": "/",
    "not of ASCII": "applicatiön/json".encode("latin-1"),
    "10,000 characters": "a" * 10_000,
}
ACCEPT = {
    "an image": b"image/png",
    "nothing of JSON": b"application/json;q=0, text/html;q=0.0",
    "no quality": b"*/*;q=0",
    "a quality that is none": b"*/*;q=abc",
    "no type": b"/",
    "commas": b",,,,",
    "10,000 characters": b"x" * 10_000,
}
WELCOME = {
    "everything": b"*/*",
    "a quality beyond one": b"application/json;q=1e400",
    "a thousand types": b"a/b," * 1000 + b"application/json",
    "capitals": b"APPLICATION/JSON",
}
REQUEST_IDS = (b"a b", b"x" * 65, b"\xe4", b'"', b"../x", b"a\tb", b"<script>", b"%0d%0aX: y")
CASES: list[Case] = [
    *(keyed(name, given, refused("invalid_key")) for name, given in KEYS.items()),
    *(keyed(name, given, refused("missing_key")) for name, given in NO_KEYS.items()),
    *(body(f"JSON: {name}", data, refused("malformed_json")) for name, data in NO_JSON.items()),
    *(
        body(f"Content-Type: {name}", JOB, refused("unsupported_media_type"), type_)
        for name, type_ in TYPES.items()
    ),
    body(
        "JSON of a megabyte and more",
        lambda: b'{"name": "' + b"x" * (1 << 20) + b'"}',
        refused("request_too_large"),
    ),
    body(
        "JSON of another charset",
        JOB,
        refused("corpus_not_found"),
        "application/json; charset=utf-7",
    ),
    body("a key twice", b'{"base_model": "a", ' + JOB[1:], refused("corpus_not_found")),
    body(
        "a number of 1e999",
        b'{"recipe": {"seed": 1e999}, ' + JOB[1:],
        refused("malformed_json", "invalid_recipe"),
    ),
    body(
        "a number of 5,000 digits",
        b'{"recipe": {"seed": ' + b"9" * 5000 + b"}, " + JOB[1:],
        refused("malformed_json", "invalid_recipe"),
    ),
    body(
        "a key of 100,000 characters",
        lambda: b'{"' + b"k" * 100_000 + b'": 1, ' + JOB[1:],
        refused("invalid_request"),
    ),
    body(
        "ten thousand unknown fields",
        lambda: b"{" + b",".join(b'"k%d": 1' % n for n in range(10_000)) + b"}",
        refused("invalid_request"),
    ),
    *(
        get(
            f"Accept: {name}",
            "/v1/jobs/{job}/report",
            refused("not_acceptable"),
            accept=given.decode("latin-1"),
        )
        for name, given in ACCEPT.items()
    ),
    *(
        get(f"Accept: {name}", "/v1/jobs/{job}/report", Works(), accept=given.decode())
        for name, given in WELCOME.items()
    ),
    *(
        get(
            f"events as {name}",
            "/v1/jobs/{job}/events",
            refused("not_acceptable"),
            accept=given.decode("latin-1"),
        )
        for name, given in list(ACCEPT.items())[:3]
    ),
]


def _with_id(given: bytes) -> Case:
    def send(world: "World") -> Answer:
        response = world.http.get("/healthz", headers={b"X-Request-Id": given})
        made = response.headers["x-request-id"]
        return Answer(response.status_code, made[:4].encode())

    return Case(f"X-Request-Id: {given[:20]!r}", send, Works(body=b"req_"))


CASES += map(_with_id, REQUEST_IDS)
