"""Bytes on the wire that no HTTP library sends."""

from typing import TYPE_CHECKING

from tests.hostile.case import Answer, Case, Closed, Wanted, Works, refused

if TYPE_CHECKING:
    from tests.hostile.world import World

AUTH = b"Authorization: Bearer KEY\r\n"
HEAD = b"Host: HOST\r\n" + AUTH
JSON = HEAD + b"Content-Type: application/json\r\n"


def wire(name: str, data: bytes, wanted: Wanted, *, then: bytes = b"") -> Case:
    def send(world: "World") -> Answer:
        return world.raw(data, then=then)

    return Case(name, send, wanted)


def request(line: bytes, headers: bytes = HEAD, body: bytes = b"") -> bytes:
    return line + b"\r\n" + headers + b"\r\n" + body


GET = b"GET /healthz HTTP/1.1"
POST = b"POST /v1/jobs HTTP/1.1"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n"


def aborted(name: str, headers: bytes, sent: bytes) -> Case:
    """Begin an upload and go away; nothing of it may be left."""

    def send(world: "World") -> Answer:
        before = world.http.get("/v1/corpora?limit=1").json()["data"][0]["id"]
        world.raw(request(b"POST /v1/corpora HTTP/1.1", HEAD + headers, sent), wait=0.3)
        after = world.http.get("/v1/corpora?limit=1").json()["data"][0]["id"]
        return Answer(200 if before == after else 201)

    return Case(name, send, Works())


CASES: list[Case] = [
    wire("no HTTP", b"hello\r\n\r\n", Closed()),
    wire("random bytes", bytes(range(256)) + b"\r\n\r\n", Closed()),
    wire("the start of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), Closed()),
    wire("the start of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Closed()),
    wire("an unknown version", request(b"GET /healthz HTTP/9.9"), Closed((0, 400, 505))),
    wire("no version", request(b"GET /healthz"), Closed((0, 200, 400))),
    wire("two spaces", request(b"GET  /healthz HTTP/1.1"), Closed((0, 200, 400, 404))),
    wire("a NUL in the path", request(b"GET /v1/corpora/\0 HTTP/1.1"), Closed((0, 400, 404))),
    wire(
        "a path that is not UTF-8", request(b"GET /v1/corpora/\xff HTTP/1.1"), Closed((0, 400, 404))
    ),
    wire(
        "a path of 100 KB",
        request(b"GET /" + b"a" * 100_000 + b" HTTP/1.1"),
        Closed((0, 400, 404, 414, 431)),
    ),
    wire("a header without a colon", request(GET, HEAD + b"no colon\r\n"), Closed()),
    wire("a header of no name", request(GET, HEAD + b": x\r\n"), Closed()),
    wire("a space before a colon", request(GET, HEAD + b"X-A : b\r\n"), Closed()),
    wire("a NUL in a header", request(GET, HEAD + b"X-A: b\0c\r\n"), Closed()),
    wire("a header over lines", request(GET, HEAD + b"X-A: b\r\n c\r\n"), Closed((0, 200, 400))),
    wire("a bare CR in a header", request(GET, HEAD + b"X-A: b\rX-B: c\r\n"), Closed()),
    wire("a negative length", request(POST, JSON + b"Content-Length: -1\r\n"), Closed()),
    wire("a length of letters", request(POST, JSON + b"Content-Length: abc\r\n"), Closed()),
    wire(
        "a length with a sign", request(POST, JSON + b"Content-Length: +5\r\n", b"hello"), Closed()
    ),
    wire(
        "a length of 30 digits",
        request(POST, JSON + b"Content-Length: " + b"9" * 30 + b"\r\n"),
        Closed((0, 400, 413)),
    ),
    wire(
        "two lengths",
        request(POST, JSON + b"Content-Length: 2\r\nContent-Length: 40\r\n", b"{}"),
        Closed(),
    ),
    wire(
        "a length and chunks",
        request(POST, CHUNKED + b"Content-Length: 4\r\n", b"0\r\n\r\n"),
        Closed(),
    ),
    wire(
        "another encoding of transfer",
        request(POST, JSON + b"Transfer-Encoding: gzip\r\n", b"x"),
        Closed((0, 400, 501)),
    ),
    wire(
        "chunks twice",
        request(POST, JSON + b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"),
        Closed((0, 400)),
    ),
    wire("a chunk of no number", request(POST, CHUNKED, b"xyz\r\n{}\r\n0\r\n\r\n"), Closed()),
    wire(
        "a chunk of 20 digits",
        request(POST, CHUNKED, b"f" * 20 + b"\r\n{}"),
        Closed((0, 400, 408, 413)),
    ),
    wire("a negative chunk", request(POST, CHUNKED, b"-2\r\n{}\r\n0\r\n\r\n"), Closed()),
    wire("a chunk without its end", request(POST, CHUNKED, b"2\r\n{}0\r\n\r\n"), Closed()),
    wire(
        "a body that is longer than said",
        request(POST, JSON + b"Content-Length: 2\r\n", b"[]" + b"x" * 50),
        Closed((400,)),
    ),
    wire(
        "chunks of a byte",
        request(POST, CHUNKED, b"1\r\n[\r\n" + b"1\r\n \r\n" * 2000 + b"1\r\n]\r\n0\r\n\r\n"),
        refused("malformed_json"),
    ),
    wire(
        "chunks beyond a megabyte",
        request(POST, CHUNKED, (b"10000\r\n" + b" " * 65536 + b"\r\n") * 17 + b"0\r\n\r\n"),
        refused("request_too_large"),
    ),
    wire(
        "an upload that says it is huge",
        request(b"POST /v1/corpora HTTP/1.1", HEAD + b"Content-Length: 99999999999\r\n"),
        refused("upload_too_large"),
    ),
    wire(
        "a job that says it is huge",
        request(POST, JSON + b"Content-Length: 99999999\r\n", b" "),
        refused("request_too_large"),
    ),
    wire(
        "a trailer behind chunks",
        request(POST, CHUNKED, b"2\r\n[]\r\n0\r\nAuthorization: x\r\n\r\n"),
        refused("malformed_json"),
    ),
    wire(
        "a request for WebSockets",
        request(
            GET,
            HEAD + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n",
        ),
        Closed((0, 200, 400, 403, 404)),
    ),
    wire(
        "a request for HTTP/2",
        request(
            GET,
            HEAD
            + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAM\r\n",
        ),
        Works(),
    ),
    wire(
        "a whole URL as the path",
        request(b"GET http://elsewhere/healthz HTTP/1.1"),
        Closed((200, 400, 404, 421)),
    ),
    wire("a tunnel", request(b"CONNECT elsewhere:443 HTTP/1.1"), Closed((0, 400, 404, 405))),
    *(
        wire(f"the path {path.decode()}", request(b"GET " + path + b" HTTP/1.1"), refused(code))
        for path, code in (
            (b"/v1/jobs/../../etc/passwd", "route_not_found"),
            (b"/v1/jobs/./events", "job_not_found"),
            (b"/v1/jobs/../artifacts/../../x", "job_not_found"),
            (b"/v1/jobs/..", "job_not_found"),
            (b"/v1/corpora/.", "corpus_not_found"),
            (b"/v1/corpora/%2e%2e%2f%2e%2e%2fetc", "route_not_found"),
        )
    ),
    wire("a star as the path", request(b"OPTIONS * HTTP/1.1"), Closed((0, 400, 404, 405))),
    wire(
        "a method of 5,000 letters",
        request(b"A" * 5000 + b" /healthz HTTP/1.1"),
        Closed((0, 400, 405)),
    ),
    wire("headers in two pieces", GET + b"\r\nHost: local", Works(), then=b"host\r\n\r\n"),
    wire("two requests at once", request(GET) * 2, Works()),
    wire("an old version", request(b"GET /healthz HTTP/1.0"), Closed((0, 200))),
    wire(
        "an expectation",
        request(POST, JSON + b"Content-Length: 2\r\nExpect: 100-continue\r\n", b"[]"),
        Closed((100, 400)),
    ),
    wire(
        "an unknown expectation",
        request(POST, JSON + b"Content-Length: 2\r\nExpect: x\r\n", b"[]"),
        Closed((400, 417)),
    ),
    aborted("an upload that stops", b"Content-Length: 5000\r\n", b"hello\n" * 10),
    aborted(
        "a form that stops",
        b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000\r\n",
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello',
    ),
    aborted("chunks that stop", b"Transfer-Encoding: chunked\r\n", b"ff\r\nhello"),
    aborted("an upload of no byte", b"Content-Length: 5000\r\n", b""),
]
