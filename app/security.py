"""Access by bearer keys, compared in constant time.

Health, readiness, metrics and the documentation stay open: they tell nothing of models or corpora,
and those who probe and scrape hold no key. A proxy can keep `/metrics` inside.
"""

import hashlib
import hmac
import secrets
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.errors import UnauthorizedError
from app.settings import Settings

bearer = HTTPBearer(auto_error=False, scheme_name="apiKey", description="A key from FVT_API_KEYS.")


class KeyRing:
    """Keeps the accepted keys as HMAC-SHA256 digests under a secret of this process."""

    def __init__(self, settings: Settings) -> None:
        self.is_open = settings.auth == "off"
        self._pepper = secrets.token_bytes(32)
        keys = [key.get_secret_value() for key in settings.api_keys]
        if not self.is_open and not all([keys, *keys]):
            raise ValueError(
                "Authentication is on but there is no key. Set FVT_API_KEYS to a JSON list of "
                "keys, as in FVT_API_KEYS='[\"a-long-random-key\"]', or FVT_AUTH=off to serve "
                "anyone who reaches the port."
            )
        self._digests = [self._digest(key) for key in keys]

    def accepts(self, key: str) -> bool:
        """Tell whether this is a key; the time taken tells nothing about the keys."""
        digest = self._digest(key)
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0

    def _digest(self, key: str) -> bytes:
        return hmac.digest(self._pepper, key.encode(), hashlib.sha256)


async def require_key(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> None:
    """Refuse a request without an accepted key, unless auth is off."""
    keys: KeyRing = request.app.state.keys
    if keys.is_open:
        return
    if credentials is None:
        raise UnauthorizedError(
            "missing_key",
            "This call needs a key. Send it as `Authorization: Bearer KEY`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if not keys.accepts(credentials.credentials):
        raise UnauthorizedError(
            "invalid_key",
            "This key is not accepted. Check it with whoever runs the service.",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
