"""A page for each error code, at the path that the `type` of a problem document names."""

import re
from html import escape

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from app.contract.errors import ERRORS, ErrorCode
from app.errors import NotFoundError

POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{code}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="../reference/problem.css">
</head>
<body>
<main>
<h1><code>{code}</code></h1>
<p>{meaning}</p>
<h2>What to do</h2>
<p>{remedy}</p>
<h2>Where it shows</h2>
<ul>
{places}
</ul>
</main>
</body>
</html>
"""


def serve_problems(app: FastAPI) -> None:
    """Add `/problems/CODE` to `app`: HTML for a browser, JSON for whoever does not ask for HTML."""

    async def describe(request: Request, code: str) -> Response:
        error = ERRORS.get(code)
        if error is None:
            raise NotFoundError(
                "route_not_found", "There is no error of this code; docs/errors.md lists them all."
            )
        vary = {"Vary": "Accept"}
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse(_document(error), headers=vary)
        return HTMLResponse(_page(error), headers=vary | {"Content-Security-Policy": POLICY})

    path = "/problems/{code}"
    app.add_api_route(path, describe, methods=["GET", "HEAD"], include_in_schema=False)


def places(error: ErrorCode) -> list[str]:
    """Return where an error shows, a sentence each."""
    found = []
    if error.status:
        found.append(f"A request is answered with the status {error.status}.")
    if error.origin != "request":
        through = "what its user sent" if error.origin == "user" else "the service itself"
        found.append(f"A job ends as `failed`, through {through}.")
    return found


def _document(error: ErrorCode) -> dict[str, object]:
    return {
        "type": f"/problems/{error.code}",
        "code": error.code,
        "status": error.status,
        "fails_job": error.origin if error.origin != "request" else None,
        "meaning": error.meaning,
        "remedy": error.remedy,
    }


def _page(error: ErrorCode) -> str:
    return PAGE.format(
        code=error.code,
        meaning=_html(error.meaning),
        remedy=_html(error.remedy),
        places="\n".join(f"<li>{_html(place)}</li>" for place in places(error)),
    )


def _html(text: str) -> str:
    """Escape a sentence whose code stands between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
