"""What the signatures of the routes do not say, for the OpenAPI document."""

from typing import Any

BINARY = {"schema": {"type": "string", "format": "binary"}}
BYTES_HEADERS = {
    name: {"description": description, "schema": {"type": "string"}}
    for name, description in {
        "ETag": "The file's sha256, in quotes",
        "Accept-Ranges": "`bytes`",
        "Content-Length": "Bytes that follow",
    }.items()
}


def _file_responses(media_type: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: BINARY}
    return {
        200: {"description": "The file", "content": content, "headers": BYTES_HEADERS},
        206: {"description": "The part asked for", "content": content},
        304: {"description": "The client has it already"},
    }


ARCHIVE = _file_responses("application/gzip")
FILE = _file_responses("application/octet-stream")
REPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/html": {"schema": {"type": "string"}},
        },
    }
}
RANGE_HEADERS: dict[str, Any] = {
    "parameters": [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": description,
            "schema": {"type": "string"},
        }
        for name, description in {
            "Range": "One range of bytes, as `bytes=1000-`",
            "If-Range": "The `ETag` of the part that the client has",
            "If-None-Match": "The `ETag` of the file that the client has",
        }.items()
    ]
}
