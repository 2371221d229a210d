"""Documents made from the code: `python -m app.docs` writes them, `--check` compares them."""

import difflib
import json
import sys
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from app.contract.errors import ERRORS, ErrorCode
from app.main import create_app
from app.settings import Settings

DOCS = Path(__file__).parent.parent / "docs"
SETTINGS_HEAD = """# Settings

Read from environment variables, by the API and by the workers. Made by `make settings` from \
`app/settings.py`.

| variable | default | meaning |
| --- | --- | --- |
"""
ERRORS_HEAD = """# Errors

Every `code` of a problem document (`application/problem+json`) and of a job's `error`. A code \
with a status refuses a request. One with *job* ends a job as `failed`, through what its user \
sent (*user*) or through the service (*system*). Some do either, as early as they show. Made by \
`make errors` from `app/contract/errors.py`.

| code | where | meaning | what to do |
| --- | --- | --- | --- |
"""


def render() -> dict[str, str]:
    """Return the content of each generated document by its name."""
    return {"errors.md": _errors(), "openapi.json": _openapi(), "settings.md": _settings()}


def write() -> None:
    """Write every generated document."""
    DOCS.mkdir(exist_ok=True)
    for name, content in render().items():
        (DOCS / name).write_text(content, "utf-8")


def differences() -> str:
    """Return the difference of the documents to what they should be; empty if there is none."""
    return "".join(_difference(name, content) for name, content in render().items())


def _difference(name: str, wanted: str) -> str:
    path = DOCS / name
    found = path.read_text("utf-8") if path.exists() else ""
    lines = (found.splitlines(keepends=True), wanted.splitlines(keepends=True))
    return "".join(difflib.unified_diff(*lines, f"docs/{name}", f"docs/{name} as generated"))


def _openapi() -> str:
    document = create_app(Settings(auth="off")).openapi()
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _errors() -> str:
    rows = (
        f"| `{error.code}` | {_where(error)} | {error.meaning} | {error.remedy} |\n"
        for _, error in sorted(ERRORS.items())
    )
    return ERRORS_HEAD + "".join(rows)


def _where(error: ErrorCode) -> str:
    job = f"job ({error.origin})" if error.origin != "request" else ""
    return ", ".join(filter(None, (str(error.status or ""), job)))


def _settings() -> str:
    rows = (
        f"| `FVT_{name.upper()}` | {_default(field)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    )
    return SETTINGS_HEAD + "".join(rows)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value in (None, "", PydanticUndefined):
        return ""
    return f"`{json.dumps(value, default=str).strip(chr(34))}`"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        different = differences()
        sys.stdout.write(different)
        sys.exit(bool(different))
    write()
