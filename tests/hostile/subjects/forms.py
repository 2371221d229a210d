"""multipart/form-data that is malformed, or asks for more than a form may hold."""

from typing import TYPE_CHECKING

from tests.hostile.case import Answer, Case, Data, Wanted, accepted, built, refused
from tests.hostile.world import MIB

if TYPE_CHECKING:
    from tests.hostile.world import World

TYPE = "multipart/form-data; boundary=b"
END = b"--b--\r\n"


def form(name: str, data: Data, wanted: Wanted, content_type: str | bytes = TYPE) -> Case:
    """Send a body that is written by hand as the form of an upload."""

    def send(world: "World") -> Answer:
        headers = {"content-type": content_type}
        return Answer.of(world.http.post("/v1/corpora", content=built(data), headers=headers))  # type: ignore[arg-type]

    return Case(name, send, wanted)


def part(headers: str | bytes, content: bytes = b"hello\n") -> bytes:
    head = headers if isinstance(headers, bytes) else headers.encode()
    return b"--b\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def field(name: str, content: bytes = b"x") -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', content)


FILE = part('Content-Disposition: form-data; name="file"; filename="a.txt"')
NAMED = "Content-Disposition: form-data; name="
MALFORMED: dict[str, Data] = {
    "no byte": b"",
    "the start of a boundary": b"--",
    "a boundary alone": b"--b\r\n",
    "another boundary": FILE.replace(b"--b", b"--c") + b"--c--\r\n",
    "no closing boundary": FILE,
    "a file cut off": FILE[:-8],
    "headers cut off": b"--b\r\nContent-Disposition: form",
    "a part without headers": b"--b\r\n\r\nhello\r\n" + END,
    "a part without a name": part("Content-Disposition: form-data") + END,
    "an empty name": part(f'{NAMED}""') + END,
    "a header without a colon": part("Content-Disposition form-data") + END,
    "a header name of spaces": part(f'  : x\r\n{NAMED}"file"') + END,
    "LF in place of CR LF": FILE.replace(b"\r\n", b"\n") + b"--b--\n",
    "a file in base64": part(f'{NAMED}"file"\r\nContent-Transfer-Encoding: base64') + END,
    "a file as quoted-printable": part(
        f'{NAMED}"file"\r\nContent-Transfer-Encoding: quoted-printable'
    )
    + END,
    "a field that is not UTF-8": FILE + field("name", b"\xff\xfe") + END,
    "JSON": b'{"file": "hello"}',
    "a header of a megabyte": lambda: part(f"{NAMED}{'x' * MIB}") + END,
}
TYPES: dict[str, str | bytes] = {
    "no boundary": "multipart/form-data",
    "an empty boundary": "multipart/form-data; boundary=",
    "an empty boundary in quotes": 'multipart/form-data; boundary=""',
    "a boundary of 10,000 characters": "multipart/form-data; boundary=" + "b" * 10_000,
}
CASES: list[Case] = [
    *(form(name, data, refused("malformed_multipart")) for name, data in MALFORMED.items()),
    *(
        form(name, FILE + END, refused("malformed_multipart"), type_)
        for name, type_ in TYPES.items()
    ),
    form("two files", FILE * 2 + END, refused("more_than_one_file")),
    form("a thousand files", FILE * 1000 + END, refused("more_than_one_file")),
    form("no part", END, refused("missing_file", "malformed_multipart")),
    form("no file", field("name") + END, refused("missing_file")),
    form(
        "the file under another name",
        FILE.replace(b'"file"', b'"corpus"') + END,
        refused("unknown_field"),
    ),
    form("a field twice", FILE + field("name") * 2 + END, refused("unknown_field")),
    form("an unknown field", FILE + field("webhook") + END, refused("unknown_field")),
    form(
        "a field named as Python's own", FILE + field("__class__") + END, refused("unknown_field")
    ),
    form(
        "ten thousand fields",
        lambda: FILE + b"".join(field(f"f{i}") for i in range(10_000)) + END,
        refused("unknown_field"),
    ),
    form(
        "a name of 100,000 characters",
        lambda: FILE + field("n" * 100_000) + END,
        refused("unknown_field", "malformed_multipart"),
    ),
    form(
        "a field name with a NUL",
        FILE + field("na\0me") + END,
        refused("unknown_field", "malformed_multipart"),
    ),
    form(
        "a field of two megabytes",
        lambda: FILE + field("name", b"x" * (2 * MIB)) + END,
        refused("fields_too_large"),
    ),
    form(
        "fields of two megabytes behind a file",
        lambda: FILE + field("text_field", b"x" * (2 * MIB)) + END,
        refused("fields_too_large"),
    ),
    form(
        "a form within a form",
        part(
            f'{NAMED}"file"\r\nContent-Type: multipart/mixed; boundary=c', b"--c\r\n\r\nx\r\n--c--"
        )
        + END,
        accepted(documents=3),
    ),
    form("a name with a NUL", FILE + field("name", b"a\0b") + END, refused("invalid_request")),
    form(
        "a format of another case",
        FILE + field("format", b"TEXT") + END,
        refused("invalid_request"),
    ),
    form("an empty file", FILE.replace(b"hello\n", b"") + END, refused("empty_corpus")),
    form("a file without a file name", part(f'{NAMED}"file"') + END, accepted(documents=1)),
    form(
        "a file name in another charset",
        part(f"{NAMED}\"file\"; filename*=utf-8''a%2e%2e%2fb") + END,
        accepted(documents=1),
    ),
    form(
        "a name before and a boundary within",
        FILE.replace(b"hello", b"--b-not\r\n--") + END,
        accepted(documents=2),
    ),
    form("text behind the end", FILE + END + b"more", accepted(documents=1)),
    form(
        "a boundary of signs",
        FILE.replace(b"--b", b"--'()+_,-./:=?") + b"--'()+_,-./:=?--\r\n",
        accepted(documents=1),
        'multipart/form-data; boundary="\'()+_,-./:=?"',
    ),
    form(
        "a charset beside the boundary",
        FILE + END,
        accepted(documents=1),
        "multipart/form-data; charset=utf-7; boundary=b",
    ),
    form(
        "a type in capitals", FILE + END, accepted(documents=1), "MULTIPART/FORM-DATA; boundary=b"
    ),
    form(
        "a body that says it is encoded",
        FILE + END,
        accepted(documents=1),
        "multipart/form-data; boundary=b; q=gzip",
    ),
]
