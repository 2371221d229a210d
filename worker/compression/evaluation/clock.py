"""Bound the time of a measurement: what is measured shrinks, what it is a figure of does not."""

import time
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Runs for so many seconds from now on; for ever where there is no limit."""

    seconds: float | None = None
    _began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float | None:
        """Seconds left, none below nought; None without a limit."""
        if self.seconds is None:
            return None
        return max(0.0, self.seconds - (time.monotonic() - self._began))

    @property
    def is_over(self) -> bool:
        """True where the time is used up."""
        return self.left == 0.0

    def share(self, part: float, of: float) -> float | None:
        """Return the seconds for a part of what is still to be done; None without a limit."""
        left = self.left
        return None if left is None else left * min(1.0, part / of) if of > 0 else left
