"""What a call can raise."""

from typing import Any, Self

import httpx


class ClientError(Exception):
    """The base of all; its text is for people and says what to do."""


class UnreachableError(ClientError):
    """No service answers at the URL, or the connection broke."""


class UploadError(ClientError):
    """These files cannot be sent as one corpus."""


class DownloadError(ClientError):
    """The result did not arrive whole, or cannot be put where it was to go."""


class ApiError(ClientError):
    """The service refused: its problem document."""

    def __init__(self, status: int, code: str, detail: str, request_id: str | None) -> None:
        super().__init__(f"{detail} [{code}]" + (f" (request {request_id})" if request_id else ""))
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id

    @classmethod
    def from_response(cls, response: httpx.Response) -> Self:
        """Read the problem document; a proxy's error page has none."""
        problem = _json_object(response)
        return cls(
            response.status_code,
            str(problem.get("code", "http_error")),
            str(problem.get("detail", f"HTTP {response.status_code} from {_address(response)}")),
            problem.get("request_id") or response.headers.get("x-request-id"),
        )


def _address(response: httpx.Response) -> str:
    """Name the URL without its query: a signed one opens the file to whoever reads a log."""
    return str(response.url.copy_with(query=None))


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
