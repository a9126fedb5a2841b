"""Whether a sender that is in the middle of a message still gets on. Pure.

A peer that sends a byte now and then is never silent, and would hold its place for ever; so would one that sends heads
of PDUs and fragments with nothing in them, as fast as it likes. What counts is how much of a message came.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 60.0
"""Seconds."""
LEAST = 16 << 10
"""Bytes of it that have to come in a window in the middle of a message: a modem of 1990 is faster."""


@dataclass(slots=True)
class Pace:
    """Bytes of messages of one association in the window that runs. Times are of a monotonic clock, in seconds."""

    window: float = WINDOW
    least: int = LEAST
    _began: float | None = None
    _bytes: int = 0

    def note(self, count: int, now: float, *, middle: bool) -> None:
        """So many bytes of messages came. `middle`: one had begun before they came."""
        if not middle or self._began is None or self._bytes >= self.least:
            self._began, self._bytes = now, 0
        self._bytes += count

    def remaining(self, now: float) -> float:
        """Seconds until the window is over; call it only in the middle of a message."""
        if self._began is None:
            self._began = now
        return self._began + self.window - now

    def too_slow(self, now: float) -> bool:
        """The window is over and too little came in it. Else, when it is over, the next one begins."""
        if self.remaining(now) > 0:
            return False
        if self._bytes < self.least:
            return True
        self._began, self._bytes = now, 0
        return False
