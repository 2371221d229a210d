"""Which of the forms on offer a client would rather have."""

from collections.abc import Sequence
from http import HTTPStatus

from app.errors import ProblemError


class NotAcceptableError(ProblemError):
    status = HTTPStatus.NOT_ACCEPTABLE


def choose_media_type(accept: str | None, offers: Sequence[str]) -> str:
    """The offer that an `Accept` header ranks highest; among equals, and without one, the first."""
    ranges = _media_ranges(accept) if accept and accept.strip() else {"*/*": 1.0}
    best = max(offers, key=lambda offer: _quality(ranges, offer))
    if _quality(ranges, best) > 0:
        return best
    raise NotAcceptableError(
        "not_acceptable", f"This is available as {' or '.join(offers)}; ask for one in `Accept`."
    )


def _media_ranges(accept: str) -> dict[str, float]:
    """Each media range in the header, with its quality."""
    ranges = {}
    for part in accept.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        qualities = [value[2:] for value in parameters if value.startswith("q=")]
        ranges[media_range] = _number(qualities[0]) if qualities else 1.0
    return ranges


def _number(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _quality(ranges: dict[str, float], offer: str) -> float:
    """The quality of the most specific range that holds the offer (RFC 9110, 12.5.1)."""
    for media_range in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        if media_range in ranges:
            return ranges[media_range]
    return 0.0
