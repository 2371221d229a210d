"""Documents made from the code: `python -m app.docs` writes them, `--check` compares them."""

import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from app.contract.errors import ERRORS, ErrorCode
from app.docs_reference import pages
from app.main import create_app
from app.settings import Settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXCEPTIONS = ROOT / "client" / "src" / "fvt_client" / "errors.py"
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
`make errors` from `app/contract/errors.py`. A running service says the same at `/problems/CODE`, \
the `type` of the problem.

| code | where | meaning | what to do |
| --- | --- | --- | --- |
"""


def render() -> dict[Path, str]:
    """Return the content of each generated file."""
    return {
        DOCS / "errors.md": _errors(),
        DOCS / "openapi.json": _openapi(),
        DOCS / "settings.md": _settings(),
        **{DOCS / name: page for name, page in pages()},
        EXCEPTIONS: _exceptions(),
    }


def write() -> None:
    """Write every generated file."""
    for path, content in render().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")


def differences() -> str:
    """Return the difference of the files to what they should be; empty if there is none."""
    return "".join(_difference(path, content) for path, content in render().items())


def _difference(path: Path, wanted: str) -> str:
    found = path.read_text("utf-8") if path.exists() else ""
    lines = (found.splitlines(keepends=True), wanted.splitlines(keepends=True))
    name = "/".join(path.parts[-2:])
    return "".join(difflib.unified_diff(*lines, name, f"{name} as generated"))


def _openapi() -> str:
    document = create_app(Settings(auth="off")).openapi()
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _errors() -> str:
    rows = (
        f'| <a id="{error.code}"></a>`{error.code}` | {_where(error)} | {error.meaning} '
        f"| {error.remedy} |\n"
        for _, error in sorted(ERRORS.items())
    )
    return ERRORS_HEAD + "".join(rows)


EXCEPTIONS_HEAD = '''"""Every exception of the client: a class for each error code of the service.

Made by `make errors` from `app/contract/errors.py`.
"""

from ._errors import (
%s)

__all__ = [
%s]
'''
BASES = (
    *("AmbiguousIdError", "AuthenticationError", "BadRequestError", "ConflictError"),
    *("DownloadError", "FvtError", "IncompatibleServiceError", "JobFailure", "NotFoundError"),
    *("ProblemError", "PushError", "RateLimitError", "ServerError", "TooLargeError"),
    *("UnprocessableError", "UnreachableError", "UploadError"),
)
BASE_BY_STATUS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    409: "ConflictError",
    413: "TooLargeError",
    422: "UnprocessableError",
    429: "RateLimitError",
}


def _exceptions() -> str:
    """Return the module of the client that has an exception for each code."""
    classes = {_class_name(code): error for code, error in sorted(ERRORS.items())}
    names = sorted((*BASES, *classes, "BY_CODE"), key=lambda name: (name != "BY_CODE", name))
    head = EXCEPTIONS_HEAD % (
        "".join(f"    {name},\n" for name in BASES),
        "".join(f'    "{name}",\n' for name in names),
    )
    table = "".join(f'    "{error.code}": {name},\n' for name, error in classes.items())
    return (
        head
        + "".join(part for name, error in classes.items() for part in _class(name, error))
        + f"\n\nBY_CODE: dict[str, type[ProblemError]] = {{\n{table}}}\n"
    )


def _class(name: str, error: ErrorCode) -> Iterator[str]:
    if error.status is None:
        base = "ProblemError"
    else:
        other = "ServerError" if error.status >= 500 else "ProblemError"
        base = BASE_BY_STATUS.get(error.status, other)
    yield f"\n\nclass {name}({base}):\n"
    yield f'    """{error.meaning}\n\n    {error.remedy}\n    """\n'


def _class_name(code: str) -> str:
    return "".join(part.capitalize() for part in code.split("_"))


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
