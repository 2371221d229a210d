"""Say what text of a client's may hold, so that every database takes it.

PostgreSQL has no NUL in a text, and no database half a pair of surrogates. The latter no string
that pydantic checks can hold.
"""

from typing import Annotated

from pydantic import StringConstraints

PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
"""Text of one line: names, ids, fields."""
STORABLE = r"^[^\x00]*$"
"""Any text but NUL."""

Printable = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)]
Storable = Annotated[str, StringConstraints(pattern=STORABLE)]


def storable(text: str) -> str:
    """Put U+FFFD in place of what a database does not take, in text of our own."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
