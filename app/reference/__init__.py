"""The reference of the API as pages, `/docs` and `/redoc`, with nothing from another host."""

from html import escape
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from app.reference.problems import serve_problems

FILES = "reference"
"""The path of the scripts and styles of both pages; the URLs in the pages are relative."""

# Both libraries style elements from their scripts; Redoc searches in a worker that it writes.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
{head}
</head>
<body>
{body}
</body>
</html>
"""
SWAGGER_HEAD = f'<link rel="stylesheet" href="{FILES}/libraries/swagger-ui.css">'
SWAGGER_BODY = f"""<div id="swagger-ui"></div>
<script src="{FILES}/libraries/swagger-ui-bundle.js"></script>
<script src="{FILES}/swagger.js"></script>"""
REDOC_HEAD = f'<link rel="stylesheet" href="{FILES}/redoc.css">'
REDOC_BODY = f"""<redoc spec-url="openapi.json"></redoc>
<script src="{FILES}/libraries/redoc.standalone.js"></script>"""


def serve_reference(app: FastAPI) -> None:
    """Add both pages and those of the errors to `app`, and the files that they load."""
    title = escape(app.title)
    _add_page(app, "/docs", PAGE.format(title=title, head=SWAGGER_HEAD, body=SWAGGER_BODY))
    _add_page(app, "/redoc", PAGE.format(title=title, head=REDOC_HEAD, body=REDOC_BODY))
    serve_problems(app)
    # The package holds the files of both libraries; its code, which would load more, is not used.
    libraries = StaticFiles(packages=[("fastapi_offline", "static")])
    app.mount(f"/{FILES}/libraries", libraries, name="reference-libraries")
    ours = StaticFiles(directory=Path(__file__).parent / "files")
    app.mount(f"/{FILES}", ours, name="reference")


def _add_page(app: FastAPI, path: str, page: str) -> None:
    answer = HTMLResponse(page, headers={"Content-Security-Policy": POLICY})

    async def show() -> HTMLResponse:
        return answer

    app.add_api_route(path, show, methods=["GET", "HEAD"], include_in_schema=False)
