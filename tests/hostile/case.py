"""What a row of the table is: an input, how it is sent, and the answer that it must get."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from app.contract.errors import ERRORS

if TYPE_CHECKING:
    from tests.hostile.world import World

PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Answer:
    """An answer as it came; `status` is 0 where the connection was closed without one."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, response: httpx.Response) -> "Answer":
        return cls(response.status_code, response.content, response.headers)

    @property
    def json(self) -> Any:
        """Return the body as JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def code(self) -> str | None:
        """Return the code of a problem document."""
        document = self.json
        return document.get("code") if isinstance(document, dict) else None

    def __str__(self) -> str:
        return f"{self.status} {self.body[:300]!r}"


@dataclass(frozen=True)
class Refused:
    """A problem document with one of these codes."""

    codes: tuple[str, ...]

    def fault(self, answer: Answer) -> str | None:
        """Say what is wrong with an answer; None where it is right."""
        if answer.code not in self.codes:
            return f"not refused as {' or '.join(self.codes)}: {answer}"
        problem = answer.json
        if answer.headers.get("content-type") != PROBLEM:
            return f"no problem document: {answer.headers}"
        expected = ERRORS[answer.code].status if answer.code else None
        if not expected == answer.status == problem["status"]:
            return f"the status is not that of the code: {answer}"
        if problem["request_id"] != answer.headers.get("x-request-id") or not problem["detail"]:
            return f"not a whole problem: {answer}"
        return None

    def __str__(self) -> str:
        return " or ".join(self.codes)


@dataclass(frozen=True)
class Works:
    """An answer of this status whose JSON and headers have at least these values."""

    status: int = 200
    fields: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def fault(self, answer: Answer) -> str | None:
        """Say what is wrong with an answer; None where it is right."""
        if answer.status != self.status:
            return f"not {self.status}: {answer}"
        document = answer.json if self.fields else {}
        for name, value in self.fields.items():
            if not isinstance(document, dict) or document.get(name) != value:
                return f"`{name}` is not {value!r}: {answer}"
        for name, value in self.headers.items():
            if answer.headers.get(name) != value:
                return f"the header `{name}` is not {value!r} but {answer.headers.get(name)!r}"
        if self.body is not None and answer.body != self.body:
            return f"the body is not {self.body[:80]!r}: {answer}"
        return None

    def __str__(self) -> str:
        return f"works ({self.status})"


@dataclass(frozen=True)
class Closed:
    """What never was HTTP: refused by the server below the application, or the line is cut."""

    statuses: tuple[int, ...] = (0, 400, 413, 431)

    def fault(self, answer: Answer) -> str | None:
        """Say what is wrong with an answer; None where it is right."""
        return None if answer.status in self.statuses else f"not {self}: {answer}"

    def __str__(self) -> str:
        return "closed or " + " or ".join(str(status) for status in self.statuses if status)


Wanted = Refused | Works | Closed
Send = Callable[["World"], Answer]


@dataclass(frozen=True)
class Case:
    """A hostile input."""

    name: str
    send: Send
    wanted: Wanted


def refused(*codes: str) -> Refused:
    """Want a problem of one of these codes, with the status that the code has."""
    assert all(ERRORS[code].status for code in codes)
    return Refused(codes)


def accepted(**fields: Any) -> Works:
    """Want the upload to become a corpus that says this of itself."""
    return Works(201, fields)


Data = bytes | Callable[[], bytes]


def built(data: Data) -> bytes:
    """Make the bytes of an input, of which large ones are made only when they are sent."""
    return data if isinstance(data, bytes) else data()


def upload(
    name: str, data: Data, wanted: Wanted, /, *, filename: str = "corpus.txt", **fields: str
) -> Case:
    """Send a corpus as the file of a form."""

    def send(world: "World") -> Answer:
        files = {"file": (filename, built(data))}
        return Answer.of(world.http.post("/v1/corpora", files=files, data=fields))

    return Case(name, send, wanted)


def raw_upload(
    name: str, data: Data, wanted: Wanted, /, *, media_type: str = "", **query: str
) -> Case:
    """Send a corpus as the body itself."""

    def send(world: "World") -> Answer:
        headers = {"content-type": media_type} if media_type else {}
        sent = world.http.post("/v1/corpora", content=built(data), headers=headers, params=query)
        return Answer.of(sent)

    return Case(name, send, wanted)


def submission(name: str, wanted: Wanted, /, **fields: Any) -> Case:
    """Submit a job on the usual corpus; `...` leaves a field out."""

    def send(world: "World") -> Answer:
        body = {"base_model": world.model, "corpus_id": world.corpus, **fields}
        given = {key: value for key, value in body.items() if value is not ...}
        return Answer.of(world.http.post("/v1/jobs", json=given))

    return Case(name, send, wanted)


def get(name: str, path: str, wanted: Wanted, **headers: str) -> Case:
    """Get a path; `{job}` in it is the job that has succeeded."""

    def send(world: "World") -> Answer:
        sent = {key.replace("_", "-").encode(): value.encode() for key, value in headers.items()}
        return Answer.of(world.http.get(world.fill(path), headers=sent))

    return Case(name, send, wanted)
