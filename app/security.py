"""Access by bearer keys, compared in constant time.

Health, readiness, metrics and the documentation stay open: they tell nothing of models or corpora,
and those who probe and scrape hold no key. A proxy can keep `/metrics` inside. `app.admission` asks
for the key before a body is read; the dependency of the routes says so in the OpenAPI document, and
holds should a route ever lie elsewhere.
"""

import hashlib
import hmac
import secrets
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from app.errors import UnauthorizedError
from app.keys import check_keys
from app.settings import Settings

bearer = HTTPBearer(auto_error=False, scheme_name="apiKey", description="A key from FVT_API_KEYS.")


SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    # With `no-referrer` a browser would send `Origin: null` for the forms of our own pages.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer, unless it has its own: nothing that is no page runs, loads or is framed."""


class KeyRing:
    """Keeps the accepted keys as HMAC-SHA256 digests under a secret of this process.

    Raises `ValueError` where auth is on and `check_keys` refuses the keys.
    """

    def __init__(self, settings: Settings) -> None:
        self.is_open = settings.auth == "off"
        self._pepper = secrets.token_bytes(32)
        keys = [key.get_secret_value() for key in settings.api_keys]
        if not self.is_open:
            check_keys(keys)
        self._digests = [self._digest(key) for key in keys]

    def check(self, authorization: str | None) -> None:
        """Refuse a request without an accepted key, unless auth is off."""
        if self.is_open:
            return
        scheme, key = get_authorization_scheme_param(authorization)
        if scheme.lower() != "bearer" or not key:
            raise UnauthorizedError(
                "missing_key",
                "This call needs a key. Send it as `Authorization: Bearer KEY`.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not self._accepts(key):
            raise UnauthorizedError(
                "invalid_key",
                "This key is not accepted. Check it with whoever runs the service.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )

    def _accepts(self, key: str) -> bool:
        """Tell whether this is a key; the time taken tells nothing about the keys."""
        digest = self._digest(key)
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0

    def _digest(self, key: str) -> bytes:
        return hmac.digest(self._pepper, key.encode(), hashlib.sha256)


async def require_key(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> None:
    """Refuse a request without an accepted key, unless auth is off."""
    keys: KeyRing = request.app.state.keys
    keys.check(request.headers.get("authorization"))
