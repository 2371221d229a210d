"""What the contract names and this version does not do yet: refused by name, never ignored."""

from typing import Any

from app.errors import FieldError

WEBHOOK = "webhooks; leave this out and follow the job at `GET /v1/jobs/{id}` or its events"

FIELDS: dict[tuple[str, ...], str] = {
    ("webhook",): WEBHOOK,
}


def take_planned(document: dict[str, Any]) -> list[FieldError]:
    """Take from a submission what this version does not know; returns what it would have had to do.

    A field that asks for nothing (`"onnx": false`) is taken without a word.
    """
    errors = []
    for path, what in FIELDS.items():
        parent = _parent(document, path)
        if path[-1] in parent and not _asks_for_nothing(parent.pop(path[-1])):
            errors.append(_unavailable(path, what))
    return errors


def _parent(document: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The object that holds the last name of `path`; an empty one where there is none."""
    found: Any = document
    for name in path[:-1]:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _asks_for_nothing(value: Any) -> bool:
    return not value or (isinstance(value, dict) and not any(value.values()))


def _unavailable(path: tuple[str, ...], what: str) -> FieldError:
    return FieldError(pointer="/" + "/".join(path), detail=f"not available in this version: {what}")
