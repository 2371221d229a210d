"""The body of a request: how large it may be, how slow, and what becomes of one not read."""

import asyncio
import time
from contextlib import suppress

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Send

MAX_BODY_BYTES = 1 << 20
MIN_BYTES_PER_SECOND = 1024
LINGER_SECONDS = 1.0
LINGER_BYTES = 1 << 20
GONE: Message = {"type": "http.disconnect"}


class Body:
    """Stands between the server and a request's body; an upload route lifts its limit.

    A body that is too large is a 413. One that stops for `seconds`, or comes more slowly than
    1 KiB a second after them, is a 408; time in which nobody here wants it does not count. An
    answer that comes before the body's end closes the connection: reading on could take for ever.
    """

    def __init__(self, receive: Receive, send: Send, headers: Headers, seconds: float) -> None:
        self.max_bytes = MAX_BODY_BYTES
        self._receive, self._send = receive, send
        self._seconds = seconds
        self._length = content_length(headers)
        self._received = 0
        self._waited = 0.0
        self._is_open = self._length > 0 or "transfer-encoding" in headers
        self._is_answered = False
        self._closes = False

    async def receive(self) -> Message:
        """Give the next piece, or say that the client is gone.

        Raises `HTTPException` (413, 408) unless the answer has begun; then the client counts as
        gone.
        """
        if not self._is_open:
            return await self._receive()
        start = time.monotonic()
        try:
            async with asyncio.timeout(self._patience()):
                message = await self._next()
        except TimeoutError:
            return self._give_up(
                408,
                f"The body stopped for {self._seconds:g} s, or came more slowly than "
                f"{MIN_BYTES_PER_SECOND} bytes a second. Send it again.",
            )
        self._waited += time.monotonic() - start
        if max(self._length, self._received) > self.max_bytes:
            return self._give_up(
                413, f"The body is larger than the {self.max_bytes} bytes that this call takes."
            )
        return message

    async def send(self, message: Message) -> None:
        """Pass the answer on, and close the connection after it where the body has not ended."""
        if message["type"] == "http.response.start":
            self._is_answered = True
            self._closes = self._is_open and not self._is_whole()
            if self._closes:
                MutableHeaders(scope=message)["Connection"] = "close"
        elif self._closes and not message.get("more_body"):
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    def _is_whole(self) -> bool:
        """Tell whether nothing is missing but the news of the body's end."""
        return 0 < self._length <= self._received

    def _patience(self) -> float:
        earned = self._received / MIN_BYTES_PER_SECOND
        return max(0.0, min(self._seconds, self._seconds + earned - self._waited))

    def _give_up(self, status: int, detail: str) -> Message:
        if self._is_answered:
            return GONE
        raise HTTPException(status, detail)

    async def _next(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._is_open = message["type"] == "http.request" and bool(message.get("more_body"))
        return message

    async def _linger(self) -> None:
        """Let the client read its answer: closing on bytes that were not read resets it."""
        unread = self._received + LINGER_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self._is_open and self._received < unread:
                    await self._next()
                if self._is_open:
                    await asyncio.sleep(LINGER_SECONDS)


def lift_body_limit(request: Request, max_bytes: int) -> None:
    """Let the body of this request be larger than a JSON document's."""
    body: Body = request.state.body
    body.max_bytes = max_bytes


def content_length(headers: Headers) -> int:
    """Return the length that a client gives of its body; 0 where it gives none."""
    given = headers.get("content-length", "")
    # More digits are no length, and too many would be no int.
    return int(given) if given.isascii() and given.isdecimal() and len(given) <= 20 else 0
