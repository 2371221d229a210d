"""Answer the page at `/`: files that `web/` was bundled into, and what the page is told of us."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from app.contract.names import METRICS, OBJECTIVES, PRESETS, RUNTIMES
from app.contract.recipe import TargetRecipe
from app.errors import NotFoundError
from app.settings import Settings

STATIC = Path(__file__).with_name("static")
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

# Names, texts and ids come from strangers: the page puts them into text nodes alone, and where it
# ever failed to, nothing of them may run.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
# The names of assets hold a hash of their content.
FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}
ASK_EACH_TIME = {"cache-control": "no-cache"}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class StaticFile:
    """A file of the page, in memory: all of them together are smaller than a photograph."""

    data: bytes
    media_type: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> "StaticFile":
        """Read a file of the bundle."""
        data = path.read_bytes()
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        return cls(data, MEDIA_TYPES[path.suffix], etag)

    def answer(self, request: Request, caching: Mapping[str, str]) -> Response:
        """Send the file, or say that the client has it."""
        headers = {**HEADERS, **caching, "etag": self.etag}
        known = request.headers.get("if-none-match", "")
        if self.etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}:
            return Response(status_code=304, headers=headers)
        return Response(self.data, headers=headers, media_type=self.media_type)


@lru_cache
def _files() -> dict[str, StaticFile]:
    paths = (path for path in STATIC.rglob("*") if path.suffix in MEDIA_TYPES)
    return {path.relative_to(STATIC).as_posix(): StaticFile.read(path) for path in paths}


@router.api_route("/", methods=["GET", "HEAD"])
def get_page(request: Request) -> Response:
    """Send the page."""
    return _files()["index.html"].answer(request, ASK_EACH_TIME)


@router.api_route("/page/assets/{name}", methods=["GET", "HEAD"])
def get_asset(request: Request, name: str) -> Response:
    """Send a script, a style sheet or an image of the page."""
    file = _files().get(f"assets/{name}")
    if file is None:
        raise NotFoundError("route_not_found", "The page has no such file: load it again.")
    return file.answer(request, FOR_EVER)


@router.api_route("/page/licenses.txt", methods=["GET", "HEAD"])
def get_licenses(request: Request) -> Response:
    """Send the licences of the code of others in the page."""
    return _files()["LICENSES.txt"].answer(request, ASK_EACH_TIME)


@router.get("/page/facts.json")
def get_facts(request: Request) -> JSONResponse:
    """Tell the page the names that it shows, and whether a key is wanted; nothing of the data."""
    settings: Settings = request.app.state.settings
    return JSONResponse(_facts(request.app.version, settings), headers={**HEADERS, **ASK_EACH_TIME})


def _facts(version: str, settings: Settings) -> dict[str, Any]:
    return {
        "version": version,
        "auth": settings.auth == "on",
        "hub": settings.hub,
        "metrics": {
            name: {
                "label": row.label,
                "short": row.short,
                "unit": row.unit,
                "higher_is_better": row.higher_is_better,
            }
            for name, row in METRICS.items()
        },
        "runtimes": {
            name: {
                "label": row.label,
                "path": row.path,
                "paths": list(row.paths),
                "field": row.field,
            }
            for name, row in RUNTIMES.items()
        },
        "target_runtime": TargetRecipe.model_fields["runtime"].default,
        "presets": {name: row.label for name, row in PRESETS.items()},
        "objectives": {name: row.label for name, row in OBJECTIVES.items()},
    }
