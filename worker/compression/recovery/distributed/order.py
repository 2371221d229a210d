"""What the processes of a recovery are to do, and how the first of them says how it goes."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.compression.recovery.options import RecoveryOptions

RECORD_SEPARATOR = "\x1e"
"""Begins each message on standard output, a JSON text sequence (RFC 7464); libraries print too."""


@dataclass(frozen=True)
class Order:
    """A recovery in files: base, transferred model and texts, and where the result goes.

    ``texts`` has a JSON string a line; the other fields are those of ``recover``.
    """

    base: Path
    student: Path
    texts: Path
    target: Path
    options: RecoveryOptions
    seed: int
    state: Path | None
    every_seconds: float
    cpu: bool = False

    def write(self, file: Path) -> None:
        """Write it for ``read``."""
        file.write_text(json.dumps(asdict(self), default=str), "utf-8")

    @classmethod
    def read(cls, file: Path) -> "Order":
        """Read what ``write`` wrote."""
        found = json.loads(file.read_text("utf-8"))
        for name in ("base", "student", "texts", "target", "state"):
            found[name] = Path(found[name]) if found[name] else None
        return cls(**{**found, "options": RecoveryOptions(**found["options"])})


def tell(**message: Any) -> None:
    """Send a message to the process that gave the order."""
    sys.stdout.write(f"{RECORD_SEPARATOR}{json.dumps(message)}\n")
    sys.stdout.flush()
